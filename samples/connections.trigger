# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
ip link set lo up
python3 -c 'import socket
open("/proc/self/comm", "w").write("peers")
server = socket.create_server(("127.0.0.1", 7000))
client = socket.create_connection(("127.0.0.1", 7000))
server.accept()
socket.socket().connect_ex(("127.0.0.1", 7001))'

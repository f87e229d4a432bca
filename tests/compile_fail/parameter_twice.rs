// SPDX-License-Identifier: GPL-2.0
// error: the name `twice` is defined multiple times
// Two parameters of one name, in one place.

kprobes::string_param!(twice, "one");
kprobes::string_param!(twice, "other");

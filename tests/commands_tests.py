# SPDX-License-Identifier: GPL-2.0
"""Tests the README's commands as users type them, errors for mistakes, and concurrent builds."""
import contextlib
import os
import pty
import re
import select
import shlex
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import kernels
from build_tests import clone
from workbench import output

ROOT = kernels.ROOT
README = ROOT / "README.md"


def readme_blocks(kind):
    # Text and code blocks alternate.
    pieces = re.split(r"^```(\w*)\n", README.read_text(), flags=re.MULTILINE)
    return [code for word, code in zip(pieces[1::4], pieces[2::4]) if word == kind]


class Commands:
    """Runs make, by default in the project's folder, for the bench's kernel."""

    def __init__(self, bench):
        self.env = {k: v for k, v in os.environ.items() if k not in (
            "KERNEL", "STOCK", "KVER", "ARCH", "V", "SUITES", "MAKEFLAGS", "MAKELEVEL")}
        self.env |= {"KDIR": bench.kdir, "ACCEL": bench.accel,
                     "PATH": self.env["PATH"].replace(f"{kernels.CACHE}/bin:", "")}

    def start(self, *words, cwd=ROOT, env=None, command="make", **options):
        return subprocess.Popen(
            [command, *words], cwd=cwd, env={**self.env, **(env or {})}, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options,
        )

    def make(self, *words, fails=False, **options):
        """Runs make to its end; returns the output, without that of the build."""
        process = self.start(*words, **options)
        out, _ = process.communicate(timeout=300)
        assert (process.returncode != 0) == fails, f"make exited with {process.returncode}:\n{out}"
        return [line for line in out.splitlines()
                if not re.match(r"  [A-Z]+ |make: \*\*\*|make\[1\]: |==> ", line)]


def commands_of_texts():
    """`make help` has each target. The Makefile knows all targets and variables of the pages."""
    made = subprocess.run(["make", "-pn", "help"], cwd=ROOT, text=True, check=False,
                          stdout=subprocess.PIPE).stdout
    targets, variables = (re.search(rf"^{name} := (.*)", made, re.MULTILINE)[1].split()
                          for name in ("targets", "variables"))
    shown = subprocess.check_output(["make", "-s", "help"], cwd=ROOT, text=True)
    missing = [name for name in targets if not re.search(rf"^  make {name}\b", shown, re.MULTILINE)]
    # `make` without a target is listed, too.
    assert missing == ["help", "modules"], missing
    texts = [path.read_text() for folder in (".", "samples", "bench")
             for path in (ROOT / folder).glob("*.md")]
    found = re.findall(r"^make ([^#\n]+)|[`']make ([^`'\n]+)", "\n".join([shown, *texts]),
                       re.MULTILINE)
    assert len(found) > 40, found
    for words in map("".join, found):
        first = words.split()[0]
        if first in ("-C", "olddefconfig"):
            continue  # the kernel's
        assert "=" in first or first in targets, f"make {words}"
        for word in re.findall(r"\b([A-Z]+)=", words):
            assert word in variables, f"make {words}: {word}="


def first_of_readme(commands):
    wanted = re.findall(r"^rust_kprobe:.*", readme_blocks("")[0], re.MULTILINE)
    assert len(wanted) > 4, wanted
    got = commands.make("run")
    assert all(line.startswith("rust_kprobe: ") for line in got), got
    rest = iter(got)
    for line in wanted:
        # Addresses, tasks and durations differ between runs.
        pattern = re.sub(r"\b(0x)?[0-9a-f]*\d[0-9a-f]*\b", r"\\w+", re.escape(line))
        assert any(re.fullmatch(pattern, found) for found in rest), (line, got)


def probes_of_readme(commands):
    """Only the trigger hits the README's PROBES."""
    seen = []
    for line in README.read_text().splitlines():
        if not line.startswith("make run PROBES="):
            continue
        words = shlex.split(line, comments=True)[1:]
        got = commands.make(*words)
        assert all(line.startswith("rust_kprobe: ") for line in got), got
        tasks = {match[1] for line in got if (match := re.search(r"comm=\"(.*?)\"", line))}
        assert tasks and tasks <= {"bash", "true", "show", "busybox", "rm"}, tasks
        seen.append((tasks, got))
    opens, unlinks = seen
    assert "true" in opens[0] and re.search("opened: return.*ENOENT", "\n".join(opens[1])), opens
    assert unlinks[0] == {"rm"} and "unlink: unregistered, 1 hits" in "".join(unlinks[1]), unlinks


def readme_module(folder):
    kbuild = readme_blocks("make")[0]
    source = readme_blocks("rust")[0]
    (folder / "Kbuild").write_text(kbuild.replace("/path/to/rust_kprobe", str(ROOT)))
    (folder / "opens.rs").write_text(source)


def own_module(commands, folder):
    """A module in its own folder, with triggers. The folder and its source are symbolic links,
    Kbuild includes another file, and the environment changes the behaviour of cd and Python."""
    module, common = folder / "opens", folder / "common"
    module.mkdir()
    common.mkdir()
    readme_module(module)
    (module / "opens.rs").rename(common / "opens.rs")
    (module / "opens.rs").symlink_to("../common/opens.rs")
    (common / "kprobes.mk").write_text(f"include {ROOT}/src/kprobes.mk\n")
    (module / "Kbuild").write_text((module / "Kbuild").read_text().replace(
        f"{ROOT}/src/kprobes.mk", "$(src)/../common/kprobes.mk"))
    (folder / "link").symlink_to("opens")
    env = {"CDPATH": ".", "PYTHONSAFEPATH": "1"}
    got = commands.make("run", f"MODULE={folder}/link", "V=1", "TRIGGER=cat /no/such/file || true",
                        env=env)
    assert "opens: cat: /no/such/file: ENOENT" in got, got
    assert any("out-of-tree module taints" in line for line in got), "V=1 does not show the log"
    # MODULE=FOLDER/NAME, with NAME.trigger.
    (module / "opens.trigger").write_text("! cat /no/trigger\nexit 3\n")
    got = commands.make("run", f"MODULE={module}/opens", "PARAMS=nonsense=1", fails=True)
    assert "opens: unknown parameter 'nonsense' ignored" in got, got
    assert "opens: cat: /no/trigger: ENOENT" in got, got
    assert any(line.startswith("error: the trigger exited with status 3;") for line in got), got
    got = commands.make("run", f"MODULE={module}", "LIMIT=1", "TRIGGER=sleep 50; true", fails=True)
    assert any("error: the trigger exceeded 1 s" in line for line in got), got


def incomplete_kbuild(commands, folder):
    """Lines that Kbuild lacks are reported before anything is built."""
    readme_module(folder)
    obj, modules, include = (folder / "Kbuild").read_text().splitlines()
    without = "does not link opens.rs with the kprobes library"
    for lines, reason in (((modules, include), "names no module"), ((), "names no module"),
                          ((obj, include), without), ((obj, modules), without),
                          ((obj, include, modules), without)):
        (folder / "Kbuild").write_text("".join(f"{line}\n" for line in lines))
        got = commands.make("run", f"MODULE={folder}", fails=True)
        assert got == [f"error: {folder}/Kbuild {reason}; it needs these lines, in this order:",
                       *(f"       {line}" for line in (obj, modules, include))], got


def shell(commands, folder):
    """The shell of `make shell MODULE=...` prints one line, and has the module."""
    readme_module(folder)
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        ["make", "shell", f"MODULE={folder}"], cwd=ROOT, env=commands.env, stdin=follower,
        stdout=follower, stderr=subprocess.DEVNULL, start_new_session=True,
    )
    os.close(follower)
    said, greeting, waited = "", "", time.monotonic() + 120
    prompt = "guest:"
    answer = "insmod opens.ko && rmmod opens && echo [$(dmesg | grep -c opens:)]; exit\r"
    with contextlib.suppress(OSError):
        while time.monotonic() < waited and process.poll() is None:
            if not select.select([leader], [], [], 1)[0]:
                continue
            said += os.read(leader, 4096).decode("utf-8", "replace")
            if not greeting and prompt in said:
                greeting = said
                os.write(leader, answer.encode())
    os.close(leader)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert greeting, f"no prompt in {said!r}"
    lines = [line for line in greeting.replace("\r", "").splitlines()
             if line.strip() and prompt not in line]
    assert lines[-1].startswith("Here: opens.ko."), lines
    # The kernel logs that the module taints it, for example.
    assert re.search(r"\[[1-9]\d*\]", said), said


def refused(commands, bench):
    """A run that fails prints the module's lines, perhaps with a hint, and no log."""
    changed = changed_by_the_compiler(bench.kdir)
    for probes, number, name, hint in (
        ("p:x no_such_function", 1, "p:x no_such_function",
         "to list similar names: grep -i no_such_fun /proc/kallsyms"),
        ("p vfs_read;; r sys_getpid;", 2, "r sys_getpid",
         "try __x64_sys_getpid, the system call's entry here"),
        ("p _do_fork", 1, "p _do_fork", "try kernel_clone, its name since Linux 5.10"),
        (f"p {changed.partition('.')[0]}", 1, f"p {changed.partition('.')[0]}",
         f"try {changed}, the function as the compiler has changed it"),
    ):
        got = commands.make("run", f"PROBES={probes}", fails=True)
        column = name.index(" ") + 2
        assert got == [
            f'rust_kprobe: probes: definition {number} "{name}", column {column}: '
            "no such symbol (ENOENT)", f"rust_kprobe: {hint}",
            "error: cannot load rust_kprobe"], got


def changed_by_the_compiler(kdir):
    """A function that exists only as NAME.isra.0."""
    there = {line.split()[2] for line in (Path(kdir) / "System.map").read_text().splitlines()}
    return next(name for name in sorted(there) if re.fullmatch(r"[a-z]\w*\.isra\.0", name)
                and there.isdisjoint((name[:-len(".isra.0")], name.replace("isra", "part"))))


def as_typed(commands):
    """Neither make nor a shell expands the words."""
    text = "p:a $(x) $y ${z} $$ 'b' `c` \\d #e"
    got = commands.make("run", f"PROBES={text}", fails=True)
    assert f'definition 1 "{text}", column 6: ' in got[0].replace("\\\\", "\\"), got
    got = commands.make("run", env={"PROBES": "r:x vfs_read $retval"}, fails=True)
    assert '"r:x vfs_read $retval", column 14: only $retval:TYPE can' in got[0], got
    got = commands.make("run", 'PROBES=p "vfs_read"', fails=True)
    assert len(got) == 1 and got[0].startswith("error: PROBES=") and "double quote" in got[0], got


def mistakes(commands):
    """Mistakes are refused in one line, immediately: nothing is built."""
    for word, reason in {
        "CPUS=x": "a number from 1 to",
        "MEMORY=16M": "at least 256M",
        "KERNEL=foo": "stock workbench debug",
        "KVER=6.1": "scripts/kernels has: 7.3",
        "STOCK=newest": "7.2.12+deb13-amd64",
        "KDIR=/no/such": "no such folder",
        "SAMPLE=../rust_kprobe": "available: allocation_stacks",
        "MODULE=/no/such/folder": "no such folder",
        "MODULE=/etc": "no Kbuild",
    }.items():
        began = time.monotonic()
        words = ["KERNEL=stock", "KDIR="] if word.startswith("STOCK") else []
        got = " ".join(line.strip() for line in commands.make("run", word, *words, fails=True))
        assert got.startswith(f"error: {word}: ") and reason in got, got
        assert got.count("error") == 1 and len(got) < 400, got
        assert time.monotonic() - began < 5, f"{word} was not refused within 5 s"
    for words, reason in {
        ("probes=x",): "probes=: no such variable; did you mean PROBES=?",
        ("KENREL=x",): "KENREL=: no such variable; did you mean KERNEL=?",
        ("FOO=1",): "FOO=: no such variable; see `make help`",
        ("W=1",): "W=: no such variable; see `make help`",
        ("MODULE=",): "MODULE=: empty value",
        ("MODULE=", "/tmp"): "/tmp: no such target; no space is allowed after `=`",
        ("smaples",): "smaples: no such target; did you mean samples?",
    }.items():
        got = commands.make("run", *words, fails=True)
        assert len(got) == 1 and got[0].endswith(f"*** {reason}.  Stop."), got
    # KCFLAGS is for the kernel's make. Other programs may use unknown variables.
    got = commands.make("run", "KCFLAGS=-g", "CPUS=x", env={"MODUEL": "x"}, fails=True)
    assert len(got) == 1 and got[0].startswith("error: CPUS=x"), got
    for words in (["SAMPLE=latency", "PROBES=p f"], ["MODULE=/etc", "SAMPLE=latency"]):
        got = commands.make("run", *words, fails=True)
        assert len(got) == 1 and "mutually exclusive" in got[0], got
    got = commands.make("test", "SUITES=nothing", fails=True)
    assert len(got) == 1 and "no suite nothing" in got[0], got


def guests(token):
    """The QEMU processes with this word in their environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if b"qemu" in (process / "cmdline").read_bytes() and \
                    token.encode() in (process / "environ").read_bytes():
                found.append(process.name)
    return found


def interrupted(commands, words, token, env=None):
    """^C while the guest runs: make prints one line, without a traceback, and no QEMU is left."""
    # A process in the background would ignore SIGINT.
    process = commands.start(*words, env={"TOKEN": token, **(env or {})}, start_new_session=True,
                             preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    waited = time.monotonic() + 120
    while not guests(token) and time.monotonic() < waited:
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.2)
    time.sleep(1)
    os.killpg(process.pid, signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert process.returncode != 0, out
    assert "Traceback" not in out, out
    ended = [line for line in out.splitlines() if re.search("[Ii]nterrupt", line)]
    assert len(ended) == 1 and ended[0] == out.splitlines()[-1], out
    waited = time.monotonic() + 5
    while guests(token) and time.monotonic() < waited:
        time.sleep(0.2)
    assert not guests(token), "QEMU still runs"


def two_builds(commands, folder):
    """Two `make` in one clone: the second waits and reports it; both succeed."""
    place = folder / "clone"
    clone(place)
    # As from a terminal: another lock than that of the make that runs the tests.
    env = {"KPROBES_LOCKED": ""}
    first = commands.start(cwd=place, env=env, start_new_session=True)
    time.sleep(1.5)
    second = commands.start("samples", cwd=place, env=env)
    out = [process.communicate(timeout=300)[0] for process in (first, second)]
    assert first.returncode == 0 and second.returncode == 0, "\n".join(out)
    waits = [line for line in "\n".join(out).splitlines() if "waiting for" in line]
    assert len(waits) == 1, waits
    assert "waiting for another run that uses the build in" in waits[0], waits
    assert (place / "rust_kprobe.ko").exists() and (place / "samples/latency.ko").exists()


def without_root(commands, folder):
    """An unprivileged user without sudo builds and boots with the installed tools."""
    place, home = folder / "clone", folder / "home"
    clone(place)
    home.mkdir()
    for path in (folder, *folder.rglob("*")):
        os.chown(path, 65534, 65534, follow_symlinks=False)
    env = {k: v for k, v in commands.env.items() if not k.startswith(("KPROBES", "XDG_"))}
    env |= {"HOME": str(home), "PATH": f"{kernels.CACHE}/bin:{env['PATH']}",
            "RUSTUP_HOME": env.get("RUSTUP_HOME", f"{Path.home()}/.rustup")}
    # Root's home is closed to other users. Open it, in a mount namespace.
    view = folder / "view"
    opened = f"mkdir {view} && {overlay('/root', view)} && chmod 755 /root"
    run = output(
        ["unshare", "--mount", "bash", "-c",
         f"{opened} && cd {place} && exec setpriv --reuid 65534 --regid 65534 --clear-groups "
         "--no-new-privs make run PROBES='p:x do_sys_openat2'"], env=env, stdin=subprocess.DEVNULL)
    assert run.returncode == 0, run.stdout[-3000:]
    assert "rust_kprobe: x: pre pid=" in run.stdout, run.stdout[-3000:]


def overlay(path, memory):
    """The shell command that makes a folder writable in memory, in a mount namespace."""
    upper, work = f"{memory}/upper", f"{memory}/work"
    return (f"mount -t tmpfs none {memory} && mkdir {upper} {work} && mount -t overlay "
            f"-o lowerdir={path},upperdir={upper},workdir={work} overlay {path}")


def without_apt(commands, folder):
    """A machine without apt, dpkg, udev and a cache, but with a kernel tree and the tools."""
    place = folder / "clone"
    clone(place)
    vng = subprocess.check_output([ROOT / "scripts/virtme-ng"], text=True).strip()
    env = {k: v for k, v in commands.env.items() if k != "KPROBES_LOCKED"}
    env |= {"XDG_CACHE_HOME": str(folder / "cache"), "ACCEL": "tcg",
            "PATH": f"{kernels.CACHE}/bin:{Path(vng).parent}:{env['PATH']}"}
    # Guests have these folders, too. Without udev, the links to ports are missing.
    hide = []
    for path in (Path("/usr/bin"), Path("/usr/lib/systemd")):
        if path.exists():
            (folder / path.name).mkdir()
            hide.append(overlay(path, folder / path.name))
    hide.append("cd /usr/bin && rm -f apt* dpkg* mmdebstrap ../lib/systemd/systemd-udevd")

    def here(command, more=""):
        return output(["unshare", "--mount", "bash", "-c",
                       f"{' && '.join(hide)} {more} && cd {place} && {command}"], env=env,
                      stdin=subprocess.DEVNULL)

    made = here("make doctor && make && make run && make test SUITES=module")
    assert made.returncode == 0, made.stdout[-3000:]
    assert "rust_kprobe: clone: pre pid=" in made.stdout, made.stdout[-3000:]
    assert re.search(r"^\d\d passed, 0 failed$", made.stdout, re.MULTILINE), made.stdout[-3000:]
    lacks = here("make run", "qemu-system-x86_64")
    assert lacks.returncode != 0, lacks.stdout[-3000:]
    assert "error: missing: qemu-system-x86_64\n" in lacks.stdout, lacks.stdout[-3000:]


def run(bench, results):
    commands = Commands(bench)

    def test(name, function, *args):
        def call():
            names = function.__code__.co_varnames[:function.__code__.co_argcount]
            if "folder" not in names:
                return function(*args)
            # Guests have the machine's /tmp.
            with tempfile.TemporaryDirectory(prefix="rust_kprobe-", dir="/tmp") as folder:
                os.chmod(folder, 0o755)
                return function(*args, folder=Path(folder))
        results.run(f"commands: {name}", call)

    test("documented make targets and variables exist", commands_of_texts)
    test("make run prints what the README shows", first_of_readme, commands)
    test("the README's PROBES= log only the trigger", probes_of_readme, commands)
    test("make run loads a module outside of the project", own_module, commands)
    test("an incomplete Kbuild is refused", incomplete_kbuild, commands)
    test("make shell prints one line of greeting", shell, commands)
    test("a refused definition prints its line and a hint only", refused, commands, bench)
    test("PROBES= is passed on unchanged", as_typed, commands)
    test("invalid variables are refused at once", mistakes, commands)
    test("^C stops make run", interrupted, commands, ["run", "TRIGGER=sleep 1000"],
         f"run-{os.getpid()}")
    test("^C stops make test", interrupted, commands, ["test", "SUITES=module"],
         f"test-{os.getpid()}", {"KPROBES_LOCKED": str(ROOT)})
    test("a second make in the same clone waits", two_builds, commands)
    if os.geteuid() == 0:
        test("make run works without root", without_root, commands)
        test("make run works without apt and dpkg", without_apt, commands)
    else:
        results.say("# commands: two tests skipped, they need root")

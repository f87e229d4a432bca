# SPDX-License-Identifier: GPL-2.0
#
# The targets for users, implemented by scripts/, qemu/ and tests/. Kbuild lists the modules.

# Refuse unknown variables and targets: make would ignore a misspelt variable, and 'make run MODULE=
# /path' has an empty MODULE and a goal /path. `others` are variables that other programs take from
# the environment: the workbench's scripts, and the kernel's make. The latter gets its V here; its
# W, C, O and CLIPPY must be on its own command line, and CC and LLVM are those of the kernel's
# build.
settings := KDIR KERNEL STOCK KVER ACCEL GUEST_ROOT CPUS MEMORY LIMIT MINUTES RUNS V
texts := SAMPLE MODULE PROBES PARAMS TRIGGER PATTERN
others := ARCH SUITES ROWS ATTACKS XDG_CACHE_HOME LIBCLANG_PATH KCFLAGS KAFLAGS KCPPFLAGS \
	KRUSTFLAGS KBUILD_EXTRA_SYMBOLS INSTALL_MOD_PATH INSTALL_MOD_DIR INSTALL_MOD_STRIP
variables := $(settings) $(texts) $(others)
targets := help modules samples run test test-all bench shell functions stress matrix fuzz doctor \
	upstream lint doc rust-analyzer modules_install clean distclean
nearest = $(shell python3 -c 'import difflib, sys; names = {n.upper(): n for n in sys.argv[2:]}; \
	print(*map(names.get, difflib.get_close_matches(sys.argv[1].upper(), names, 1)))' $1 $2)
no_such = $(error $1: no such $2; $(or $(strip $3),see `make help`))
given := $(foreach v,$(.VARIABLES),$(if $(filter command,$(origin $v)),$v))
$(foreach v,$(filter-out $(variables),$(given)),$(call no_such,$v=,variable,\
	$(patsubst %,did you mean %=?,$(call nearest,$v,$(variables)))))
$(foreach g,$(filter-out $(targets),$(MAKECMDGOALS)),$(call no_such,$g,target,$(if \
	$(findstring /,$g),no space is allowed after `=`,\
	$(patsubst %,did you mean %?,$(call nearest,$g,$(targets))))))
$(foreach v,$(filter SAMPLE MODULE,$(given)),$(if $(value $v),,$(error $v=: empty value)))

export $(settings)
# Export the users' text unexpanded: make would expand a '$$'.
$(foreach v,$(texts),$(if $(filter undefined,$(origin $v)),,\
	$(eval override $v := $$(value $v))$(eval export $v)))
# An empty ARCH would reach the kernel's make as the name of an architecture.
ifdef ARCH
export ARCH
endif

help:
	@echo 'Kprobes for Rust kernel modules'
	@echo
	@echo '  make run      boot a kernel by virtme-ng, load rust_kprobe.ko, show what it logs;'
	@echo '                PROBES= names other functions, SAMPLE= a sample,'
	@echo '                MODULE= a module of yours'
	@echo '  make test     boot and check everything'
	@echo '  make test-all   with the tests that are slow on the debug kernel'
	@echo '  make          build the modules'
	@echo '  make samples  build the samples'
	@echo '  make shell    boot a kernel and start a shell beside the built module'
	@echo "  make functions PATTERN='tcp_v4_*'   list the functions that can be probed"
	@echo '  make doctor   check what a build for a kernel needs, and how to get it'
	@echo '  make bench    measure the cost of a hit, in Rust, in C and by other tracers'
	@echo '  make stress   run the stress tests, for MINUTES=10 by default'
	@echo '  make matrix   run the tests on every supported kernel; write MATRIX.md'
	@echo '  make fuzz     fuzz the parser of probes=, with 10,000,000 inputs; RUNS=N'
	@echo '  make upstream   apply, build and boot the patches of upstream/, which takes long'
	@echo '  make lint     rustfmt, clippy, shellcheck, pyflakes, licences, columns'
	@echo '  make doc      build the documentation of the library'
	@echo '  make rust-analyzer   write rust-project.json for editors; MODULE=path/to/folder'
	@echo '  make modules_install   install the modules for the kernel in KDIR'
	@echo '  make clean    remove what was built here'
	@echo '  make distclean   also remove the cache, with the kernels built in it'
	@echo
	@echo 'The first run installs and builds what it needs; the cache is'
	@echo "$$(scripts/cache). Variables:"
	@echo
	@echo '  KDIR=/lib/modules/$$(uname -r)/build   build for this kernel. On a machine without'
	@echo '                        apt it must be a built tree; the tools are those of PATH'
	@echo '  KERNEL=stock       the kernel that Debian ships; the default'
	@echo '  KERNEL=workbench   a kernel built here; the default of test, bench, lint'
	@echo '  KERNEL=debug       the same with KASAN, lockdep, kmemleak and more'
	@echo '  STOCK=RELEASE      the stock kernel, such as 7.2.12+deb13-amd64'
	@echo '  ARCH=arm64         for another architecture, emulated'
	@echo '  KVER=7.2           the series of the workbench kernel, from scripts/kernels'
	@echo '  ACCEL=auto|kvm|tcg    how QEMU runs the kernel'
	@echo "  GUEST_ROOT=/          the guest's root file system is this machine's,"
	@echo '                        not a Debian in the cache'
	@echo '  CPUS=2 MEMORY=1G      of the guest; LIMIT=120: time limit of a trigger in seconds'
	@echo "  SUITES='module kunit'   what 'make test' runs, instead of all"
	@echo "  V=1                   show each command, and the guest's log"
	@echo
	@echo "Variables of 'make run':"
	@echo
	@echo "  PROBES='p:open do_sys_openat2; r:opened do_sys_openat2'   rust_kprobe's probes"
	@echo "  SAMPLE=NAME           a sample instead"
	@echo "  MODULE=FOLDER         or the module of that folder, whose Kbuild names it;"
	@echo "                        NAME.trigger in that folder is its trigger"
	@echo "  PARAMS='NAME=VALUE'   its parameters"
	@echo "  TRIGGER='cat /etc/hostname'   commands for bash -eu while the module is loaded"

modules:
	@scripts/build

run:
	@scripts/run

samples:
	@scripts/build -C samples

test:
	@tests/run $(SUITES)

test-all:
	@ALL=1 tests/run $(SUITES)

shell:
	@scripts/shell

# With it, Python does not search a program's folder for modules. scripts/lib.sh unsets it, too.
unexport PYTHONSAFEPATH
functions: export PATTERN := $(or $(value PATTERN),*)
functions:
	@kdir=$$(scripts/kdir) && qemu/boot "$$kdir" qemu/inside/functions "$$PATTERN"

doctor:
	@scripts/doctor

bench:
	@scripts/with-lock bench/bench.py

stress:
	@MINUTES=$(or $(MINUTES),10) tests/run --figures stress stress4 races faults

matrix:
	@tests/matrix $(ROWS)

fuzz:
	@tests/fuzz/run $(RUNS)

upstream:
	@upstream/run

lint:
	@scripts/lint

doc:
	@scripts/build KPROBES_DOC=1 modules
	@echo 'kprobes/doc/kprobes/index.html'

rust-analyzer:
	@scripts/build $${MODULE:+-C "$$MODULE"}
	@scripts/rust-analyzer "$$(scripts/kdir)" $${MODULE:+"$$MODULE"}

modules_install: modules
	$(if $(KDIR),,$(error modules_install needs KDIR=, the kernel to install for))
	@scripts/build modules_install

clean:
	@scripts/clean

distclean: clean
	rm -rf "$$(scripts/cache)"

.DEFAULT_GOAL := modules
.PHONY: $(targets)

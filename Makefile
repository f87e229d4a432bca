# SPDX-License-Identifier: GPL-2.0
#
# The targets for users. scripts/, qemu/ and tests/ implement them; Kbuild says what
# is built.

# A variable on the command line is one of these, and a goal one of the targets: a misspelt
# one would be ignored, and 'make run MODULE= /path' has an empty MODULE and a goal /path.
# `others` are those that work from the environment, to which make adds its command line:
# the workbench's, and the kernel's flags and places. The kernel's make gets its V here;
# its W, C, O and CLIPPY work only on its own command line, and CC and LLVM are those that
# built the kernel.
settings := KDIR KERNEL STOCK KVER ACCEL GUEST_ROOT CPUS MEMORY LIMIT MINUTES RUNS V
texts := SAMPLE MODULE PROBES PARAMS TRIGGER PATTERN
others := ARCH SUITES ROWS ATTACKS XDG_CACHE_HOME LIBCLANG_PATH KCFLAGS KAFLAGS KCPPFLAGS \
	KRUSTFLAGS KBUILD_EXTRA_SYMBOLS INSTALL_MOD_PATH INSTALL_MOD_DIR INSTALL_MOD_STRIP
variables := $(settings) $(texts) $(others)
targets := help modules samples run test test-all bench shell functions stress matrix fuzz doctor \
	upstream lint doc rust-analyzer modules_install clean distclean
nearest = $(shell python3 -c 'import difflib, sys; names = {n.upper(): n for n in sys.argv[2:]}; \
	print(*map(names.get, difflib.get_close_matches(sys.argv[1].upper(), names, 1)))' $1 $2)
no_such = $(error $1: no such $2; $(or $(strip $3),`make help` has them all))
given := $(foreach v,$(.VARIABLES),$(if $(filter command,$(origin $v)),$v))
$(foreach v,$(filter-out $(variables),$(given)),$(call no_such,$v=,variable,\
	$(patsubst %,there is %=,$(call nearest,$v,$(variables)))))
$(foreach g,$(filter-out $(targets),$(MAKECMDGOALS)),$(call no_such,$g,target,$(if \
	$(findstring /,$g),a value follows its `=` without a space,\
	$(addprefix there is ,$(call nearest,$g,$(targets))))))
$(foreach v,$(filter SAMPLE MODULE,$(given)),$(if $(value $v),,$(error $v=: empty)))

export $(settings)
# What users write reaches scripts/run as they wrote it: make would expand a '$$'.
$(foreach v,$(texts),$(if $(filter undefined,$(origin $v)),,\
	$(eval override $v := $$(value $v))$(eval export $v)))
# Only if it was given: the kernel's make would take an empty ARCH for an
# architecture.
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
	@echo '  make test-all   with what takes the debug kernel long'
	@echo '  make          build the modules'
	@echo '  make samples  build the samples'
	@echo '  make shell    a shell in the booted kernel, the module built and at hand'
	@echo "  make functions PATTERN='tcp_v4_*'   what can be probed in the kernel of make run"
	@echo '  make doctor   what is missing to build for a kernel, and how to fix it'
	@echo '  make bench    what a hit costs, in Rust, C and others'
	@echo '  make stress   tests that could bring a machine down, for MINUTES=10 and more'
	@echo '  make matrix   the tests on every supported kernel, as a table'
	@echo '  make fuzz     fuzz the parser of probes=, with 10,000,000 inputs; RUNS=N'
	@echo '  make upstream   apply, build and boot the patches of upstream/, which takes long'
	@echo '  make lint     rustfmt, clippy, shellcheck, pyflakes, licences, columns'
	@echo '  make doc      the documentation of the library'
	@echo '  make rust-analyzer   rust-project.json, for editors; MODULE=path/to/folder'
	@echo '  make modules_install   install the modules for the kernel in KDIR'
	@echo '  make clean    remove what was built here'
	@echo '  make distclean   and the cache, with the workbench kernel'
	@echo
	@echo 'The first run installs and builds what it needs; the cache is'
	@echo "$$(scripts/cache). Variables:"
	@echo
	@echo '  KDIR=/lib/modules/$$(uname -r)/build   build for this kernel. On a machine without'
	@echo '                        apt it must be a built tree; the tools are those of PATH'
	@echo '  KERNEL=stock       the kernel that Debian ships; the default'
	@echo '  KERNEL=workbench   one that is built here; the default of test, bench, lint'
	@echo '  KERNEL=debug       the same with KASAN, lockdep, kmemleak and more'
	@echo '  STOCK=RELEASE      which stock kernel, as 7.2.12+deb13-amd64'
	@echo '  ARCH=arm64         for another architecture, emulated'
	@echo '  KVER=7.2              which series of scripts/kernels the workbench kernel is of'
	@echo '  ACCEL=auto|kvm|tcg    how QEMU runs the kernel'
	@echo "  GUEST_ROOT=/          the guest's root file system is this machine's,"
	@echo '                        not a Debian in the cache'
	@echo '  CPUS=2 MEMORY=1G      of the guest; LIMIT=120: seconds that a trigger may take'
	@echo "  SUITES='module kunit'   what 'make test' runs, instead of all"
	@echo "  V=1                   show each command, and the guest's log"
	@echo
	@echo "Variables of 'make run':"
	@echo
	@echo "  PROBES='p:open do_sys_openat2; r:opened do_sys_openat2'   what rust_kprobe probes"
	@echo "  SAMPLE=NAME           a sample instead"
	@echo "  MODULE=FOLDER         or the module of that folder, whose Kbuild names it;"
	@echo "                        NAME.trigger in that folder is its trigger"
	@echo "  PARAMS='NAME=VALUE'   its parameters"
	@echo "  TRIGGER='cat /etc/hostname'   what bash -eu does while it is loaded"

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

# With it, Python does not find the modules beside a program. scripts/lib.sh unsets it, too.
unexport PYTHONSAFEPATH
functions: export PATTERN := $(or $(value PATTERN),*)
functions:
	@kdir=$$(scripts/kdir) && qemu/boot "$$kdir" qemu/inside/functions "$$PATTERN"

doctor:
	@scripts/doctor

bench:
	@scripts/alone bench/bench.py

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

# SPDX-License-Identifier: GPL-2.0
#
# Builds the library crate `kprobes` into the modules of a Kbuild file:
#
#	obj-m := my_probe.o
#	kprobes-modules := my_probe
#	include /path/to/src/kprobes.mk
#
# Each module NAME of kprobes-modules is built from NAME.rs beside the Kbuild file.
# The library's objects are built for one kernel, in kprobes/ of the module's folder.
#
# NAME-headers, before the include, lists the C headers of the structs whose fields
# NAME.rs reads: see fields.rs.

kprobes-src := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))
kprobes-obj := $(obj)/kprobes

# Further dependencies of Rust and C objects. rustc does not list the kernel crate, and
# for an out-of-tree module, kbuild does not notice a change of the configuration.
kprobes-rust-deps := $(objtree)/rust/libkernel.rmeta $(objtree)/include/generated/rustc_cfg
kprobes-c-deps := $(objtree)/include/generated/autoconf.h

# kprobes_linux_7_3 is set from Linux 7.3 on.
kprobes-since = $(if $(filter $(VERSION).$(PATCHLEVEL),$(shell printf '%s\n' \
	$(1).$(2) $(VERSION).$(PATCHLEVEL) | sort -V | tail -n1)),--cfg kprobes_linux_$(1)_$(2))
kprobes-cfg := $(call kprobes-since,7,3)

# ---------------------------------------------------------------------------
# Bindings, generated as in rust/Makefile, which distributions' header packages do not
# ship.

# Types whose fields are not used, or use too many other types.
kprobes-opaque-types := trace_event_file trace_event_fields trace_event_functions
kprobes-allow-types := kprobe kprobe_opcode_t kprobe_pre_handler_t \
	kprobe_post_handler_t kretprobe kretprobe_handler_t kretprobe_holder \
	kretprobe_instance rethook rethook_node objpool_head objpool_slot \
	objpool_fini_cb arch_specific_insn arch_optimized_insn \
	arch_probe_insn probe_opcode_t probes_handler_t ratelimit_state kprobes_.* \
	ftrace_regs __arch_ftrace_regs trace_event_call trace_event_class trace_event \
	trace_entry trace_event_buffer trace_buffer ring_buffer_event trace_reg \
	$(kprobes-opaque-types)
kprobes-allow-functions := (un)?register_k(ret)?probes? \
	___ratelimit kprobes_.* \
	ktime_get_(mono|boot)_fast_ns get_random_u64 sort \
	trace_event_buffer_(reserve|commit) __trace_trigger_soft_disabled
kprobes-allow-vars := KPROBE_FLAG_.* KRETPROBE_MAX_DATA_SIZE KPROBES_.* kprobes_entries \
	const_current_task __preempt_count cpu_number

# The flags that libclang gets: it does not know all flags of gcc.
kprobes-clang-flags := -Wp,-M% -nostdinc -I% -include %.h -D% -U% -std=% -O% -fshort-wchar \
	-funsigned-char -fms-% -fno-PI%

kprobes-target-x86 := x86_64-linux-gnu
kprobes-target-arm64 := aarch64-linux-gnu

kprobes-c-flags = $(filter-out $(CC_FLAGS_LTO),$(if $(CONFIG_CC_IS_CLANG),$(c_flags),\
	$(filter $(kprobes-clang-flags),$(c_flags)) -w \
	--target=$(kprobes-target-$(SRCARCH))))

quiet_cmd_kprobes_bindgen = BINDGEN $(quiet_modtag) $@
      cmd_kprobes_bindgen = \
	$(BINDGEN) $< --rust-target 1.85 --use-core --with-derive-default \
		--ctypes-prefix ffi --no-debug '.*' \
		--no-doc-comments --enable-function-attribute-detection --formatter none \
		--no-recursive-allowlist \
		--raw-line 'pub(crate) use kernel::bindings::*;' --raw-line 'use kernel::ffi;' \
		$(foreach t,$(kprobes-allow-types),--allowlist-type '$(t)') \
		$(foreach t,$(kprobes-opaque-types),--opaque-type '$(t)') \
		$(foreach f,$(kprobes-allow-functions),--allowlist-function '$(f)') \
		$(foreach v,$(kprobes-allow-vars),--allowlist-var '$(v)') \
		-o $@ -- $(kprobes-c-flags) -fno-builtin -D__BINDGEN__ -DMODULE

$(kprobes-obj)/bindings_generated.rs: $(kprobes-src)/bindings/helper.h $(kprobes-c-deps) FORCE
	$(call if_changed_dep,kprobes_bindgen)

# ---------------------------------------------------------------------------
# The library: rustc writes the object that is linked into each module, and the metadata
# that the modules are compiled against.

# kbuild's rule for a Rust object does not quote RUST_MODFILE=, whose default is the
# names of all modules, with spaces.
$(kprobes-obj)/kprobes.o: private modfile = $(kprobes-obj)/kprobes
$(kprobes-obj)/kprobes.o: export KPROBES_BINDINGS = $(abspath $(kprobes-obj)/bindings_generated.rs)
$(kprobes-obj)/kprobes.o: $(kprobes-src)/kprobes.rs \
    $(kprobes-obj)/bindings_generated.rs $(kprobes-rust-deps) FORCE
	+$(call if_changed_rule,rustc_o_rs)
RUSTFLAGS_kprobes/kprobes.o += --emit=metadata=$(kprobes-obj)/libkprobes.rmeta $(kprobes-cfg)

$(kprobes-obj)/libkprobes.rmeta: $(kprobes-obj)/kprobes.o ;
# Removes the object if the metadata is missing, so that both are built again.
ifeq ($(wildcard $(kprobes-obj)/libkprobes.rmeta),)
$(shell rm -f $(kprobes-obj)/kprobes.o)
endif

# The C files, in an archive with an object for each, so that a module is linked only
# with those that it calls.
kprobes-helpers-c := $(filter-out $(kprobes-src)/regs/%,\
	$(wildcard $(kprobes-src)/*.c $(kprobes-src)/*/*.c)) \
	$(if $(CONFIG_X86_64),$(kprobes-src)/regs/x86_64.c)
kprobes-helpers := $(notdir $(kprobes-helpers-c:.c=.o))
define kprobes-helper
$$(kprobes-obj)/$(notdir $(1:.c=.o)): private modfile = $$(kprobes-obj)/helpers
$$(kprobes-obj)/$(notdir $(1:.c=.o)): private part-of-module := y
$$(kprobes-obj)/$(notdir $(1:.c=.o)): $(1) $$(kprobes-c-deps) FORCE
	$$(call if_changed_rule,cc_o_c)
CFLAGS_kprobes/$(notdir $(1:.c=.o)) += $$(if $$(CONFIG_X86_64),-Os) -fmacro-prefix-map=$(dir $(1))=
CFLAGS_REMOVE_kprobes/$(notdir $(1:.c=.o)) += $$(CC_FLAGS_FTRACE)
targets += kprobes/$(notdir $(1:.c=.o))
endef
$(foreach c,$(kprobes-helpers-c),$(eval $(call kprobes-helper,$(c))))

$(kprobes-obj)/helpers.a: $(addprefix $(kprobes-obj)/,$(kprobes-helpers)) FORCE
	$(call if_changed,ar)

# `make KPROBES_DOC=1` builds the documentation. A broken link is an error. Links to the
# kernel's crates and sources (srctree/, as in rust/Makefile) lead to kernel.org.
kprobes-docs := https://rust.docs.kernel.org/$(VERSION).$(PATCHLEVEL)
kprobes-tag := v$(VERSION).$(PATCHLEVEL)
kprobes-tree := https://git.kernel.org/pub/scm/linux/kernel/git/torvalds/linux.git/tree

quiet_cmd_kprobes_doc = RUSTDOC $(quiet_modtag) $@
      cmd_kprobes_doc = \
	KPROBES_BINDINGS=$(abspath $(kprobes-obj)/bindings_generated.rs) \
	$(subst $(RUSTC_OR_CLIPPY) ,$(RUSTDOC) ,$(filter-out \
		--emit=% --out-dir --remap-path-scope=% \
		$(dir $@),$(rust_common_cmd))) \
		-Dwarnings $(kprobes-cfg) --crate-name kprobes --output $(kprobes-obj)/doc \
		-Zunstable-options --enable-index-page \
		$(foreach crate,core ffi kernel macros pin_init,\
			--extern-html-root-url $(crate)=$(kprobes-docs)/) $<; \
	find $(kprobes-obj)/doc/kprobes -name '*.html' -exec sed -Ei \
		's|href="srctree/([^"]+)|href="$(kprobes-tree)/\1?h=$(kprobes-tag)|g' {} +

$(kprobes-obj)/doc/kprobes/index.html: private modfile = $(kprobes-obj)/kprobes
$(kprobes-obj)/doc/kprobes/index.html: $(kprobes-src)/kprobes.rs \
    $(kprobes-obj)/bindings_generated.rs $(kprobes-rust-deps) \
    $(wildcard $(addprefix $(kprobes-src)/,*.rs */*.rs ../samples/*.rs)) FORCE
	+$(call if_changed,kprobes_doc)
always-$(if $(KPROBES_DOC),y) += kprobes/doc/kprobes/index.html

targets += kprobes/bindings_generated.rs kprobes/kprobes.o kprobes/helpers.a
clean-files += kprobes

# ---------------------------------------------------------------------------
# The modules.

# The structs of NAME-headers in Rust, without compiler flags that reduce or split the
# debug information, or produce bitcode.
quiet_cmd_kprobes_fields = FIELDS $(quiet_modtag) $@
      cmd_kprobes_fields = $(PYTHON3) $(kprobes-src)/fields.py $@ $< '$(kprobes-headers)' \
	$(depfile) $(if $(CONFIG_CC_IS_CLANG),readelf,$(READELF)) $(CC) \
	$(filter-out $(CC_FLAGS_LTO) -g% -femit-struct-debug-baseonly,$(c_flags))

define kprobes-fields
$$(kprobes-obj)/$(1)_fields.rs: private part-of-module := y
$$(kprobes-obj)/$(1)_fields.rs: private kprobes-headers := $$($(1)-headers)
$$(kprobes-obj)/$(1)_fields.rs: $$(src)/$(1).rs $$(kprobes-src)/fields.py $$(kprobes-c-deps) FORCE
	$$(call if_changed_dep,kprobes_fields)
targets += kprobes/$(1)_fields.rs
$$(obj)/$(1)_main.o: export KPROBES_FIELDS = $$(abspath $$(kprobes-obj)/$(1)_fields.rs)
$$(obj)/$(1)_main.o: $$(kprobes-obj)/$(1)_fields.rs
endef

define kprobes-module
$(1)-y := $(1)_main.o kprobes/kprobes.o kprobes/helpers.a
RUSTFLAGS_$(1)_main.o += --extern kprobes -L $$(kprobes-obj)
$$(obj)/$(1)_main.o: $$(src)/$(1).rs $$(kprobes-obj)/libkprobes.rmeta $$(kprobes-rust-deps) FORCE
	+$$(call if_changed_rule,rustc_o_rs)
targets += $(1)_main.o
$(if $(strip $($(1)-headers)),$(call kprobes-fields,$(1)))
endef
$(foreach m,$(kprobes-modules),$(eval $(call kprobes-module,$(m))))

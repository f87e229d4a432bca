# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Fetches packages from suites that this machine does not use, and the kernel's source, from the
# machine's mirror. apt checks signatures, and uses lists and a cache of its own, so the machine's
# do not change. Source after lib.sh.

# shellcheck disable=SC2154  # lib.sh sets it
mirror=$cache/apt/$arch

# table: "SERIES SUITE..." of scripts/kernels, the default first.
table() { grep -v '^#' "$root/scripts/kernels"; }

# mirror_uri: the first mirror of Debian's in the machine's configuration.
mirror_uri() {
	local uri
	# shellcheck disable=SC2016  # apt's placeholders, not the shell's
	uri=$(apt-get indextargets --format '$(REPO_URI) $(LABEL)' 'Created-By: Packages' |
		awk '$1 ~ /^(https?|file|copy):/ && !seen &&
			($2 == "Debian" || ($2 == "" && $1 !~ /security/)) {print $1; seen = 1}')
	[ -n "$uri" ] || die "no Debian mirror in apt's configuration" \
		"kernels and tools come from a Debian mirror; add one to /etc/apt/sources.list"
	echo "$uri"
}

mirror_apt() {
	"$@" -o Dir::Etc::sourcelist="$mirror/debian.sources" -o Dir::Etc::sourceparts=/dev/null \
		-o Dir::State::lists="$mirror/lists" -o Dir::Cache="$mirror/cache" \
		-o Dir::Cache::pkgcache=pkgcache.bin -o Dir::Cache::srcpkgcache=srcpkgcache.bin \
		-o APT::Architecture="$arch" -o APT::Architectures="$arch" \
		-o APT::Sandbox::User=root -o Acquire::Languages=none \
		-o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false
}

# lists: updates the package lists, unless they are younger than an hour.
lists() { has_lists || locked "apt-$arch" read_lists; }
has_lists() { [ -n "$(find "$mirror/updated" -mmin -60 2>/dev/null)" ]; }

read_lists() {
	local uri suites keyring=/usr/share/keyrings/debian-archive-keyring.gpg
	! has_lists || return 0
	uri=$(mirror_uri)
	suites=$({ echo trixie sid experimental; table | cut -d' ' -f2-; } | xargs -n1 | sort -u)
	mkdir -p "$mirror/lists/partial" "$mirror/cache/archives/partial"
	printf '%s\n' "Types: deb" "URIs: $uri" "Suites: ${suites//$'\n'/ }" "Components: main" \
		"Signed-By: $keyring" >"$mirror/debian.sources"
	say "reading the package lists of ${suites//$'\n'/, }"
	rm -f "$mirror/updated"
	if mirror_apt apt-get -q update >&2; then touch "$mirror/updated"
	else say "some package lists failed to update; continuing with the others"; fi
}

# madison PACKAGE...: "PACKAGE VERSION SUITE" per line, newest first.
madison() {
	mirror_apt apt-cache madison "$@" 2>/dev/null |
		awk '{sub("/.*", "", $6); print $1, $3, $6}' | sort -k2,2rV
}

# matching PACKAGE UPSTREAM: "VERSION SUITE" of the newest version with this upstream version.
matching() {
	madison "$1" | awk -v v="$2" '
		{upstream = $2; gsub(/^[0-9]+:|[-+~].*/, "", upstream)}
		upstream == v && !seen {print $2, $3; seen = 1}'
}

# fetch PACKAGE VERSION FOLDER [PATTERN]: unpacks the package's files (that match PATTERN).
fetch() {
	local at=$3.deb
	rm -rf "$at"
	mkdir -p "$at" "$3"
	say "fetching $1 $2"
	{
		(cd "$at" && mirror_apt apt-get -q download "$1=$2" >&2) &&
			dpkg-deb --fsys-tarfile "$at"/*.deb | tar -C "$3" -x ${4:+--wildcards "$4"}
	} || die "cannot fetch $1 $2"
	rm -rf "$at"
}

# fetch_tool PACKAGE UPSTREAM FOLDER [PATTERN]: fetches the newest package of this upstream version
# unless FOLDER exists; fails if there is none.
fetch_tool() {
	local version
	[ ! -d "$3" ] || return 0
	lists
	read -r version _ < <(matching "$1" "$2") || return
	rm -rf "$3.part"
	fetch "$1" "$version" "$3.part" ${4:+"$4"}
	mv "$3.part" "$3"
}

fetch_library() { fetch_tool rust-src "$1" "$cache/tools/rust-src-$1" './usr/src/*/library/*'; }

# source_of VERSION: the folder with this version of the package linux-source, or nothing.
source_of() {
	local mark
	mark=$(grep -lsxF -- "$1" "$cache"/src/linux-*.version | head -n1) || true
	echo "${mark%.version}"
}

# unpack_source SERIES VERSION: unpacks this version of the package linux-source-SERIES, unless it
# exists; prints the folder. The file FOLDER.version has Debian's version.
unpack_source() {
	[ -n "$(source_of "$2")" ] || locked src make_source "$1" "$2"
	source_of "$2"
}

make_source() {
	local dir=$cache/src/linux-${2%%-*} revision=${2#*-}
	[ -z "$(source_of "$2")" ] || return 0
	# Another revision of the same release gets its own folder.
	[ ! -e "$dir" ] || dir=$dir-${revision//[^0-9a-z.]/.}
	rm -rf "$cache"/src/*.part
	fetch "linux-source-$1" "$2" "$dir.deb.part"
	say "unpacking Linux ${2%%-*}"
	mkdir "$dir.part"
	tar -C "$dir.part" --strip-components=1 -xf "$dir.deb.part/usr/src/linux-source-$1.tar.xz"
	rm -rf "$dir.deb.part"
	mv "$dir.part" "$dir"
	echo "$2" >"$dir.version"
}

# relocate OUT SRC: updates the build folder OUT to use SRC, if the cache was moved.
relocate() { [ "$(readlink "$1/source")" = "$2" ] || make -s -C "$2" O="$1" outputmakefile >&2; }

# config_changes SRC PACKAGED MADE: prints the differences between two configurations of a kernel.
# The C tools may differ in their revision, rustc and bindgen must not. COMPAT_VDSO, for arm64's
# 32-bit programs, needs another compiler.
config_changes() {
	"$1/scripts/diffconfig" "$2" "$3" | sed -E '/^[-+]\w+ n$/d; /^.(THUMB2_)?COMPAT_VDSO /d
		/^.(CC_VERSION_TEXT|(GCC|AS|LD|PAHOLE)_VERSION) /d'
}

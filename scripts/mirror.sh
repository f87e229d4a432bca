# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Packages from suites that this machine does not use, from the mirror that it does use.
# apt gets lists and a cache of its own, so that the machine's are not changed, and
# checks signatures. Source after lib.sh.

# The folder for that: each script has its own, so that they can run side by side.
mirror=
# The architecture of the packages, if it is not this machine's.
mirror_arch=

# mirror_uris: the mirrors from which the machine gets Debian's packages.
mirror_uris() {
	# shellcheck disable=SC2016  # apt's placeholders, not the shell's
	apt-get indextargets --format '$(REPO_URI) $(LABEL)' 'Created-By: Packages' |
		awk '$1 ~ /^(https?|file|copy):/ && ($2 == "Debian" || ($2 == "" && $1 !~ /security/)) && !seen[$1]++ {print $1}'
}

mirror_apt() {
	local tool=$1
	shift
	"$tool" -o Dir::Etc::sourcelist="$mirror/debian.sources" \
		-o Dir::Etc::sourceparts=/dev/null \
		-o Dir::State::lists="$mirror/lists" \
		-o Dir::Cache="$mirror/cache" \
		-o Dir::Cache::pkgcache=pkgcache.bin -o Dir::Cache::srcpkgcache=srcpkgcache.bin \
		-o APT::Sandbox::User=root \
		-o Acquire::Languages=none \
		${mirror_arch:+-o APT::Architecture="$mirror_arch" -o APT::Architectures="$mirror_arch"} \
		"$@"
}

# mirror_update SUITE...: fetches the lists of these suites; fails if one is not to be had,
# while the others can be used.
mirror_update() {
	local uri keyring
	uri=$(mirror_uris | head -n1)
	[ -n "$uri" ] || die "apt knows no Debian mirror on this machine" \
		"the workbench takes kernel source and tools from one; see /etc/apt/sources.list"
	keyring=/usr/share/keyrings/debian-archive-keyring.gpg
	[ -e "$keyring" ] || die "$keyring is missing" "apt-get install debian-archive-keyring"
	mkdir -p "$mirror/lists/partial" "$mirror/cache/archives/partial"
	cat >"$mirror/debian.sources" <<-EOF
		Types: deb
		URIs: $uri
		Suites: $*
		Components: main
		Signed-By: $keyring
	EOF
	say "reading the package lists of $*"
	ticking "still reading" mirror_apt apt-get -qq \
		-o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false update || {
		say "apt did not take all of them; going on with those that it did"
		return 1
	}
}

# mirror_versions PACKAGE: "VERSION" per line, newest first.
mirror_versions() {
	mirror_apt apt-cache madison "$1" | awk -F'|' '{gsub(/ /, "", $2); print $2}' | sort -rVu
}

# mirror_names REGEX: the packages whose names match.
mirror_names() { mirror_apt apt-cache pkgnames | grep -E "$1" | sort -V || true; }

# mirror_unpack PACKAGE VERSION FOLDER [PATTERN]: unpacks the package, or what matches
# PATTERN, without installing it.
mirror_unpack() {
	local tmp=$3.tmp
	rm -rf "$tmp"
	mkdir -p "$tmp"
	say "fetching $1 $2"
	(cd "$tmp" && ticking "still fetching" mirror_apt apt-get -q download "$1=$2" >&2)
	mkdir -p "$3"
	dpkg-deb --fsys-tarfile "$tmp"/*.deb | ticking "still unpacking" tar -C "$3" -x ${4:+--wildcards "$4"}
	rm -rf "$tmp"
}

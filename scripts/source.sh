# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Unpacks Debian's kernel source in the cache. Source after lib.sh and mirror.sh.

# unpack_source SERIES VERSION: unpacks this version of the package linux-source-SERIES,
# unless it is there; prints the folder. The file FOLDER.version has the version with
# Debian's revision.
unpack_source() {
	local series=$1 version=$2 mark dir revision
	# shellcheck disable=SC2154  # lib.sh sets cache
	for mark in "$cache"/src/linux-*.version; do
		if [ -e "$mark" ] && [ "$(cat "$mark")" = "$version" ]; then
			echo "${mark%.version}"
			return
		fi
	done

	dir=$cache/src/linux-${version%%-*}
	revision=${version#*-}
	# Another revision of the same release gets a folder of its own.
	[ ! -e "$dir" ] || dir=$dir-${revision//[^0-9a-z.]/.}

	rm -rf "$cache"/src/*.part
	mirror_unpack "linux-source-$series" "$version" "$dir.deb.part"
	say "unpacking Linux ${version%%-*}"
	mkdir "$dir.part"
	tar -C "$dir.part" --strip-components=1 -xf "$dir.deb.part/usr/src/linux-source-$series.tar.xz"
	rm -rf "$dir.deb.part"
	mv "$dir.part" "$dir"
	echo "$version" >"$dir.version"
	echo "$dir"
}

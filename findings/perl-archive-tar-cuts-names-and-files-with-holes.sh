#!/usr/bin/env bash
# Tool: Archive::Tar 2.40 of Perl 5.36 (Debian 12, installed), the module behind `ptar`; GNU tar 1.34 writes the
#   archives. Runs as root, as GNU tar would restore all modes then.
# Expected: what GNU tar writes in its own format and in pax is extracted as GNU tar does it, apart from owners;
#   what is not supported is an error. `ptar -x` ends with status 0 for all three archives.
# Seen: a file archived with --sparse has only its data, without the holes before it: 2 MB become 5 bytes, with
#   the right name. Names from pax headers are cut at 100 characters, so that two files become one. All folders
#   get mode 755. Output:
#     GNU tar: sparse file 2097157 bytes, 2 long names of 113 characters, folders 1777 2775
#     ptar, exit status 0: sparse file 5 bytes, 1 long names of 100 characters, folders 755 755
# Matters: disk images, databases and core files are what --sparse is for, and they come back without a message
#   as something else. Python, Go and bsdtar write pax headers, so layers of images are read wrongly too: their
#   /tmp is not writable for users, and files are missing from deep trees.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
[ "$(perl -MArchive::Tar -e 'print $Archive::Tar::VERSION')" = 2.40 ]
mkdir -m 1777 tmp; mkdir -m 2775 shared
truncate -s 2M image; echo data >>image
long=$(printf 'module-%.0s' {1..16})
echo one >"${long}1"; echo two >"${long}2"
tar --create --sparse --file sparse.tar image
tar --create --format=pax --file names.tar "${long}1" "${long}2"
tar --create --file folders.tar tmp shared
look() {
    local names
    names=$(find "$1" -name 'module-*' -printf '%f\n')
    echo "sparse file $(stat -c %s "$1/image") bytes, $(wc -l <<<"$names") long names of $(head -n 1 <<<"$names" |
        tr -d '\n' | wc -c) characters, folders $(stat -c %a "$1/tmp" "$1/shared" | paste -sd ' ')"
}
mkdir tar ptar
for archive in *.tar; do
    tar -xpf "$archive" -C tar
    (cd ptar; ptar -x -f "../$archive" >>../ptar.log 2>&1)
done
[ ! -s ptar.log ]
got="GNU tar: $(look tar)
ptar, exit status 0: $(look ptar)"
want="GNU tar: sparse file 2097157 bytes, 2 long names of 113 characters, folders 1777 2775
ptar, exit status 0: sparse file 5 bytes, 1 long names of 100 characters, folders 755 755"
echo "$got"; [ "$got" = "$want" ]

#!/usr/bin/env bash
# Tool: fastar 0.12.0 and fbz 0.1.13 (PyPI, 2026), which use the Rust crate tar; GNU tar
#   1.34 (Debian 12, installed).
# Expected: a file with holes in an archive of `tar --format=pax --sparse` (version 1.0 of GNU's
#   sparse format, its default) is unpacked as it was, or an error is reported: the name in the
#   plain header is a placeholder, and the real one is in the record GNU.sparse.name.
# Seen: it is unpacked under the placeholder's name, in a folder GNUSparseFile.PID, without its
#   holes and with the table of the holes as the first bytes. There is no message. With
#   --format=gnu, the older sparse format, fastar unpacks the same file as it was. Output, for a
#   file of 2 MB with one letter in its middle:
#     fastar pax: GNUSparseFile/disk.img, 4608 bytes, starts with 2
#     fastar gnu: disk.img, 2097152 bytes
#     fbz pax: GNUSparseFile/disk.img, 4608 bytes, starts with 2
# Matters: databases, disk images and core files have holes. A cache or layer packed with GNU
#   tar restores without the file, and with one that nobody asked for.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q fastar==0.12.0 fbz==0.1.13
truncate -s 2M disk.img
printf x | dd of=disk.img bs=1 seek=1048576 conv=notrunc status=none
for format in pax gnu; do tar --format=$format --sparse -cf $format.tar disk.img; done
gzip -k pax.tar
for format in pax gnu; do
  v/bin/python -c "import fastar; fastar.open('$format.tar', 'r').unpack('fastar-$format')"
done
v/bin/fbz -q decompress pax.tar.gz -C fbz-pax
look() {
  local file name
  file=$(find "$1-$2" -type f)
  name=${file#"$1-$2"/}
  echo "$1 $2: $(sed -E 's/GNUSparseFile\.[0-9]+/GNUSparseFile/' <<<"$name"), $(stat -c %s "$file") bytes$3"
}
first() { echo ", starts with $(head -n 1 "$(find "$1" -type f)")"; }
got=$(look fastar pax "$(first fastar-pax)"; look fastar gnu ""; look fbz pax "$(first fbz-pax)")
want='fastar pax: GNUSparseFile/disk.img, 4608 bytes, starts with 2
fastar gnu: disk.img, 2097152 bytes
fbz pax: GNUSparseFile/disk.img, 4608 bytes, starts with 2'
echo "$got"; [ "$got" = "$want" ]

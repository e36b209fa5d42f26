#!/usr/bin/env bash
# Tool: oxar 0.1.1 (PyPI, 2026), archives and codecs in Rust; lz4 4.4.5 (PyPI) for comparison.
# Expected: `oxar create` packs what is in a folder, and decompress() returns the data of all
#   frames of a file, as it does for gzip, zstd, bzip2 and xz.
# Seen: symbolic links are not in the archive, which the message "created 2 entries" does not
#   show, and each file is dated 1970. Of two LZ4 frames, the first one is returned. Neither is an
#   error. Output, for the files bin/tool, bin/tool-1 -> tool and a date of 2001:
#     created: bin/ 0, bin/tool 0
#     gzip: two of two, zstd: two of two, bzip2: two of two, xz: two of two, lz4: one of two
#     lz4.frame: two of two
# Matters: a folder of shared libraries (libx.so -> libx.so.1) or a virtual environment does not
#   work after unpacking, make rebuilds all, and a log that is compressed in rounds ends early.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q oxar==0.1.1 lz4==4.4.5
mkdir -p tree/bin
echo exit >tree/bin/tool
ln -s tool tree/bin/tool-1
touch -d '2001-01-01 UTC' tree/bin/tool
v/bin/oxar create a.tar tree --format tar >create.log
cat >a.py <<'PY'
import tarfile
import lz4.frame, oxar

members = tarfile.open("a.tar").getmembers()
print("created:", ", ".join(f"{member.name}{'/' * member.isdir()} {member.mtime}" for member in members))
found = []
for codec in ("gzip", "zstd", "bzip2", "xz", "lz4"):
    data = oxar.decompress(oxar.compress(b"one", codec=codec) + oxar.compress(b"two", codec=codec), codec=codec)
    found.append(f"{codec}: {'two' if data == b'onetwo' else data.decode()} of two")
print(", ".join(found))
with open("two.lz4", "wb") as file:
    file.write(oxar.compress(b"one", codec="lz4") + oxar.compress(b"two", codec="lz4"))
print("lz4.frame:", "two" if lz4.frame.open("two.lz4").read() == b"onetwo" else "other", "of two")
PY
got=$(v/bin/python a.py)
want='created: bin/ 0, bin/tool 0
gzip: two of two, zstd: two of two, bzip2: two of two, xz: two of two, lz4: one of two
lz4.frame: two of two'
cat create.log; echo "$got"; [ "$got" = "$want" ]

#!/usr/bin/env bash
# Tool: fzstd 0.1.1 (PyPI, first published in 2026), zstd 1.5.4+dfsg2-5 (Debian 12)
#   writing; backports.zstd 1.8.0 (PyPI) for comparison.
# Expected: a decompressor gives the data or an error, and a frame with a checksum
#   is checked.
# Seen: many blocks come back as zero bytes of the right length, without an error,
#   from decompress() and from the stream: those that zstd packed as single letters,
#   and long runs. Blocks with repeated phrases or stored data are right. Output:
#     3000 letters: length 3000, equal False, zero bytes 3000
#     300000 letters: length 300000, equal False, zero bytes 300000
#     100 times a: length 100, equal False, zero bytes 98
#     2000 lines of RUN: length 16596, equal True, zero bytes 0
# Matters: a test with a short or repetitive file passes, the size of each layer is
#   right, and the content is gone.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q zstd=1.5.4+dfsg2-5 >apt.log 2>&1
dpkg-deb -x zstd_*.deb deb
python3 -m venv v
v/bin/pip install -q --no-deps fzstd==0.1.1 backports.zstd==1.8.0
cat >a.py <<'PY'
import random
import subprocess

import fzstd
from backports import zstd

random.seed(1)
lines = "".join(random.choice(["RUN make\n", "COPY . .\n", "FROM x\n"]) for _ in range(2000))
for name, data in (
    ("3000 letters", bytes(random.choices(b"abcdefgh\n", k=3000))),
    ("300000 letters", bytes(random.choices(b"abcdefgh\n", k=300000))),
    ("100 times a", b"a" * 100),
    ("2000 lines of RUN", lines.encode()),
):
    packed = subprocess.run(["deb/usr/bin/zstd", "-q", "-c"], input=data, stdout=subprocess.PIPE, check=True).stdout
    assert zstd.decompress(packed) == data
    got = bytes(fzstd.decompress(packed))
    print(f"{name}: length {len(got)}, equal {got == data}, zero bytes {got.count(0)}")
PY
got=$(v/bin/python a.py)
want='3000 letters: length 3000, equal False, zero bytes 3000
300000 letters: length 300000, equal False, zero bytes 300000
100 times a: length 100, equal False, zero bytes 98
2000 lines of RUN: length 16596, equal True, zero bytes 0'
echo "$got"; [ "$got" = "$want" ]

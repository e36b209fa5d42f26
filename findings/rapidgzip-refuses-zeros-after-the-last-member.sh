#!/usr/bin/env bash
# Tool: rapidgzip 0.16.2 (PyPI); GNU gzip and Python's gzip for comparison.
# Expected: zero bytes after the last member, which tapes and dd add to fill a
#   block, are skipped, or the data is read and an error follows.
# Seen: no data at all is read: the first 1000 bytes already raise "Failed to
#   parse gzip/zlib header". GNU gzip and Python read the file without a message.
# Matters: a padded layer or backup is unreadable with the faster reader.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q --no-deps rapidgzip==0.16.2
seq 20000 >data
gzip -nc data >a.gz
cp a.gz padded.gz; head -c 512 /dev/zero >>padded.gz
gzip -dc padded.gz 2>message | cmp - data; test ! -s message
cat >a.py <<'PY'
import gzip, rapidgzip
assert gzip.open("padded.gz").read() == open("data", "rb").read()
for name in ("a.gz", "padded.gz"):
    with rapidgzip.open(name, parallelization=1) as file:
        try:
            print(name, len(file.read(1000)))
        except ValueError as error:
            print(name, error)
PY
got=$(v/bin/python a.py)
want='a.gz 1000
padded.gz Failed to parse gzip/zlib header (-4: Invalid gzip/zlib wrapper found)!'
echo "$got"; [ "$got" = "$want" ]

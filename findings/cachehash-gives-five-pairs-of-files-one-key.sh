#!/usr/bin/env bash
# Tool: cachehash 1.1.4 (PyPI, 2026).
# Expected: a cache whose key is the hash of a file returns a stored result only for a file of the same content.
# Seen: the key has 32 bits. Of n contents, about n*n/2/2^32 pairs share a key: 4.7 of 200,000. get_by_hash() then
#   returns the result of another file, and get() does so when the new file has the path of the old one. Output:
#     200000 contents: 5 pairs with one key
#     get_by_hash() of another file: result of file 81539
#     get() after the file changed: result of file 81539
# Matters: in a build that caches a result for each object file, a few of some hundred thousand files get the result of
#   another one. It is always the same two contents, so a clean checkout has the same fault.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check cachehash==1.1.4 xxhash==3.6.0
cat >pairs.txt <<'PY'
from pathlib import Path

from cachehash.main import Cache

cache = Cache("cache.db")
seen = {}
pairs = []
for number in range(200_000):
    other = seen.setdefault(cache.hash_value(f"file {number}\n"), number)
    if other != number:
        pairs.append((other, number))
print(f"{len(seen) + len(pairs)} contents: {len(pairs)} pairs with one key")

first, second = pairs[0]
one, two = Path("one"), Path("two")
one.write_text(f"file {first}\n")
two.write_text(f"file {second}\n")
cache.set(one, f"result of file {first}")
print("get_by_hash() of another file:", cache.get_by_hash(two))
two.rename(one)
print("get() after the file changed:", cache.get(one))
PY
got=$(venv/bin/python pairs.txt)
want='200000 contents: 5 pairs with one key
get_by_hash() of another file: result of file 81539
get() after the file changed: result of file 81539'
echo "$got"; [ "$got" = "$want" ]

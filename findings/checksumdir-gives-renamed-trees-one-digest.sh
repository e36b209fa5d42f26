#!/usr/bin/env bash
# Tool: checksumdir 1.3.0 (PyPI), dirhash() and the command of the same name.
# Expected: the digest of a folder changes when a file in it is renamed or when two
#   files swap their content.
# Seen: by default only the sorted digests of the contents count. a=1 b=2, the same
#   with the contents swapped, and c=1 d/e=2 have one digest. An executable bit and
#   an empty folder do not count either. include_paths=True adds the names.
# Matters: as a cache key for a build context it finds the old result after a file
#   was moved.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q --no-deps checksumdir==1.3.0
mkdir -p first swapped moved/d mode/empty
printf 1 >first/a; printf 2 >first/b
printf 2 >swapped/a; printf 1 >swapped/b
printf 1 >moved/c; printf 2 >moved/d/e
printf 1 >mode/a; printf 2 >mode/b; chmod 755 mode/a
cat >a.py <<'PY'
from checksumdir import dirhash
for paths in (False, True):
    digests = {name: dirhash(name, "sha256", include_paths=paths) for name in ("first", "swapped", "moved", "mode")}
    print("include_paths", paths, len(set(digests.values())), "digests for 4 folders")
print(dirhash("first", "sha256") == dirhash("moved", "sha256"))
PY
got=$(v/bin/python a.py)
want='include_paths False 1 digests for 4 folders
include_paths True 4 digests for 4 folders
True'
echo "$got"; [ "$got" = "$want" ]

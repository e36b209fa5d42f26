#!/usr/bin/env bash
# Tool: oschmod 0.3.12 (PyPI), the library; chmod from coreutils for comparison.
# Expected: a symbolic mode changes the bits that it names and leaves the others,
#   as chmod does. "u-", which names none, has no effect, says the documentation.
# Seen: each symbolic mode clears setuid, setgid and the sticky bit: "g+w" on a
#   folder of mode 2775 gives 775, "o+r" on 1777 gives 777, and so does "u-".
# Matters: new files in a shared folder get another group, and a copy of /tmp
#   loses its sticky bit, from a change that names neither.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q --no-deps oschmod==0.3.12
cat >a.py <<'PY'
import os, subprocess, oschmod
os.mkdir("d")
for start, mode in ((0o2775, "g+w"), (0o1777, "o+r"), (0o4755, "u+x"), (0o1777, "u-")):
    os.chmod("d", start)
    subprocess.run(["chmod", mode, "d"], check=True)
    chmod = os.stat("d").st_mode & 0o7777
    os.chmod("d", start)
    oschmod.set_mode("d", mode)
    print(f"{mode} on {start:o}: chmod {chmod:o}, oschmod {os.stat('d').st_mode & 0o7777:o}")
PY
got=$(v/bin/python a.py)
want='g+w on 2775: chmod 2775, oschmod 775
o+r on 1777: chmod 1777, oschmod 777
u+x on 4755: chmod 4755, oschmod 755
u- on 1777: chmod 1777, oschmod 777'
echo "$got"; [ "$got" = "$want" ]

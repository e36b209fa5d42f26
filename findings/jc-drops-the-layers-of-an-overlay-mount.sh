#!/usr/bin/env bash
# Tool: jc 1.26.1 (PyPI), which turns the output of commands and /proc files into
#   JSON.
# Expected: the options of a mount and the sizes of `du -h` keep their values, or
#   the input is refused.
# Seen: --proc-pid-mountinfo reads each option value as a number. lowerdir=/a:/b,
#   upperdir=/u and errors=continue become null; size=100k becomes 100. A blank in
#   a mount point stays \040, although --mount shows it. --du reads 1.5M, 1.5K and
#   1.5G as 1.
# Matters: the layers of a container's root file system are exactly what is lost.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q jc==1.26.1
cat >mountinfo <<'TXT'
37 35 0:31 / /merged\040dir rw,relatime shared:1 - overlay overlay rw,lowerdir=/a:/b,upperdir=/u,workdir=/w
38 35 0:32 / /run rw - tmpfs tmpfs rw,size=100k,mode=755
36 35 98:0 / /mnt rw - ext4 /dev/sda1 rw,errors=continue
TXT
cat >a.py <<'PY'
import jc
for mount in jc.parse("proc_pid_mountinfo", open("mountinfo").read()):
    print(mount["mount_point"], mount.get("super_options_fields"))
for line in ("1.5K\ta\n", "1.5M\ta\n", "1.5G\ta\n"):
    print(line.split()[0], jc.parse("du", line)[0]["size"])
PY
got=$(v/bin/python a.py)
want="/merged\\040dir {'lowerdir': None, 'upperdir': None, 'workdir': None}
/run {'size': 100, 'mode': 755}
/mnt {'errors': None}
1.5K 1
1.5M 1
1.5G 1"
echo "$got"; [ "$got" = "$want" ]

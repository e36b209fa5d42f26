#!/usr/bin/env bash
# Tool: ext4-cli 0.0.5 (PyPI, 2026), `ext4 cp --recursive`; ext2py 0.1.0 (PyPI, 2026), `ext2py get`, for
#   comparison; mkfs.ext4 (e2fsprogs, installed) makes the image.
# Expected: a recursive copy out of an image has the links and the modes of the files, as that of ext2py has,
#   or says what it leaves out.
# Seen: symbolic links are left out, without a message, and each file has mode 644. The exit status is 0, and
#   the report has the source and the destination only. `ext4 ls` of the same image lists links and modes.
#   Output, what comes back of a program, a link to it and a link to a folder:
#     ext2py: bin 755, bin/run 755, bin/start -> run, current -> bin
#     ext4-cli: bin 755, bin/run 644
# Matters: of a root file system of Debian, /bin, /lib and /sbin are missing, which are links, and nothing that
#   is there can be run. The README offers the command for the backup of /etc, where alternatives and
#   services are links.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
umask 022
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check ext4-cli==0.0.5 ext2py==0.1.0
mkdir -p tree/bin by-ext2py
echo program >tree/bin/run
chmod 755 tree/bin/run
ln -s run tree/bin/start
ln -s bin tree/current
mkfs.ext4 -q -d tree image 16M >image.log
venv/bin/ext4 --source image ls / --output json >list
grep -q current list
venv/bin/ext2py get image / by-ext2py >ext2py.log
venv/bin/ext4 --source image cp / by-ext4-cli --recursive --output json >ext4.log 2>&1
if grep -qi 'link\|skip\|warn' ext4.log; then cat ext4.log; exit 1; fi
content() { # FOLDER
    (cd "$1"; find . -mindepth 1 ! -name lost+found \( -type l -printf '%P -> %l\n' -o -printf '%P %m\n' \) | sort | paste -sd , | sed 's/,/, /g')
}
got="ext2py: $(content by-ext2py/root)
ext4-cli: $(content by-ext4-cli)"
want='ext2py: bin 755, bin/run 755, bin/start -> run, current -> bin
ext4-cli: bin 755, bin/run 644'
echo "$got"; [ "$got" = "$want" ]

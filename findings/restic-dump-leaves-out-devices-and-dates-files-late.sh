#!/usr/bin/env bash
# Tool: restic 0.14.0 (0.14.0-1+b5, Debian 12), `restic dump` of a folder, and `restic restore` of the same
#   snapshot for comparison. Runs as root, since it makes a device.
# Expected: an archive of a snapshot has what a restore of it has, or a message says what is missing. The
#   format, tar in pax form, has room for devices, pipes, links and fractions of a second.
# Seen: devices and pipes are not in the archive, and a file with two names is in it twice. A time is
#   rounded to the nearest second, so a file of 05.987 is dated 06, later than it was. There is no
#   message and the exit status is 0. The manual says that a folder is output as an archive "containing
#   the contents of the specified folder". Output:
#     restore: device yes, pipe yes, links of a file 2, time 05.987000000
#     dump: device no, pipe no, links of a file 1, time 06.000000000
# Matters: a system that is moved by `restic dump latest / | tar -x` has no /dev/null for its first
#   steps and takes more space, and a comparison with the original by dates finds nearly all files
#   changed.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q restic=0.14.0-1+b5 >apt.log 2>&1
dpkg-deb -x restic_*.deb deb
mkdir tree dump
mknod tree/device c 1 3
mkfifo tree/pipe
echo text >tree/file; ln tree/file tree/name; touch -d '2026-05-05 05:05:05.987 UTC' tree/file
echo password >password
restic() { deb/usr/bin/restic --quiet --cache-dir "$PWD/cache" --repo "$PWD/store" --password-file password "$@"; }
restic init
restic backup tree
restic restore latest --target restore
restic dump latest /tree >dump.tar 2>dump.log
[ ! -s dump.log ]
tar -xf dump.tar -C dump
look() { # NAME FOLDER
    local has=() kind
    for kind in device:-c pipe:-p; do
        if test "${kind#*:}" "$2/${kind%:*}"; then has+=("${kind%:*} yes"); else has+=("${kind%:*} no"); fi
    done
    printf '%s: %s, %s, links of a file %s, time %s\n' "$1" "${has[@]}" "$(stat -c %h "$2/file")" \
        "$(stat -c %y "$2/file" | sed 's/.*:\([0-9.]*\) .*/\1/')"
}
got="$(look restore "$(dirname "$(find restore -name file)")")
$(look dump "$(dirname "$(find dump -name file)")")"
want='restore: device yes, pipe yes, links of a file 2, time 05.987000000
dump: device no, pipe no, links of a file 1, time 06.000000000'
echo "$got"; [ "$got" = "$want" ]

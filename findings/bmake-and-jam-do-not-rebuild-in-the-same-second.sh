#!/usr/bin/env bash
# Tool: bmake 20200710 (20200710-15+b1), jam 2.6.1 (2.6.1-2), mk of 9base 1:6-13 (Debian 12); GNU make
#   for comparison. Needs a file system with nanoseconds.
# Expected: a source that was written 0.4 s after its output is newer, so each of them makes the output again, as GNU
#   make does.
# Seen: bmake and jam compare whole seconds and take an equal second for up to date. They exit with 0. mk compares
#   whole seconds, too, but takes an equal second for out of date. Output:
#     source newer by 0.4 s: make new, mk new, bmake old, jam old
#     source older by 0.4 s: make old, mk new, bmake old, jam old
# Matters: in a build step that applies a patch or writes a configuration and builds again, what was built less than a
#   second before stays as it was. The faster the machine, the more often.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q bmake=20200710-15+b1 jam=2.6.1-2 9base=1:6-13 >apt.log 2>&1
for deb in *.deb; do dpkg-deb -x "$deb" deb; done
printf 'out: in\n\techo new >out\n' >Makefile
cp Makefile mkfile
printf 'Depends out : in ;\nactions Make { echo new >out }\nMake out ;\n' >Jamfile
: >Jamrules
# Prints, for the two fractions of the second of the output and of the source, what each program leaves.
run() {
    name=$1; shift
    echo old >out
    touch -d "2026-01-01 10:00:00.$output" out; touch -d "2026-01-01 10:00:00.$source" in
    "$@" out >>log 2>&1
    echo -n "$name $(cat out)"
}
try() {
    output=$1; source=$2
    run make make; echo -n ', '; run mk deb/usr/lib/plan9/bin/mk; echo -n ', '
    run bmake deb/usr/bin/bmake -m deb/usr/share/bmake/mk-netbsd; echo -n ', '; run jam deb/usr/bin/jam.perforce
}
got="source newer by 0.4 s: $(try 2 6)
source older by 0.4 s: $(try 6 2)"
want='source newer by 0.4 s: make new, mk new, bmake old, jam old
source older by 0.4 s: make old, mk new, bmake old, jam old'
echo "$got"; [ "$got" = "$want" ]

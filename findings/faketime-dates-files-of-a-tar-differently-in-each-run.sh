#!/usr/bin/env bash
# Tool: faketime 0.9.10-2.1 (Debian 12) with GNU tar, GNU make and ls (installed).
# Expected: `faketime '2020-01-01 00:00:00' command` changes the clock of the command, so that an output
#   with the current time in it is the same each time. Dates of existing files stay as they are.
# Seen: the dates that a program reads of files are moved by the same difference as the clock, which is
#   another one in each run. tar moves a file of 2019 to another second each time, so two archives of
#   unchanged files differ; without faketime they are equal. Programs that call statx, such as ls, see
#   the real dates. With a clock that does not run (-f), all files have one date, and make does not see
#   an edited source. The manual says that dates of files are relative, too; only the README of the
#   library names the variable NO_FAKE_STAT, which ends it. Output:
#     tar: equal
#     faketime tar: different, dates of a file of 2019: 2, of ls: 2019
#     faketime -f make: 'out' is up to date, the source was newer
#     NO_FAKE_STAT tar: equal, make: built
# Matters: a tool that is meant to make builds repeatable makes them differ, and the second build of an
#   edited source can be the old one.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q libfaketime=0.9.10-2.1 >apt.log 2>&1
dpkg-deb -x libfaketime_*.deb deb
# The program faketime sets these two variables; it looks for the library in /usr.
run() { FAKETIME=$1 LD_PRELOAD=$PWD/deb/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1 "${@:2}"; }
mkdir tree
echo text >tree/file; touch -d '2019-05-05 05:05:05 UTC' tree
touch -d '2019-05-05 05:05:05 UTC' tree/file
digests() { # COMMAND...: whether two archives, written with a pause between them, are equal
    "$@" tar -cf one.tar tree; sleep 2; "$@" tar -cf two.tar tree
    if cmp -s one.tar two.tar; then echo equal; else echo different; fi
}
plain=$(digests env)
start='@2020-01-01 00:00:00'
moved=$(digests run "$start")
dates=$(for archive in one two; do TZ=UTC tar -tvf $archive.tar --full-time tree/file; done | awk '{ print $4, $5 }' | sort -u | wc -l)
list=$(run "$start" ls -l --time-style=+%Y tree/file | awk '{ print $6 }')
printf 'out: source\n\t@cp source out; echo built\n' >Makefile
echo old >source; make >make.log; touch -d '2020-02-02 UTC' out; echo new >source
frozen=$(run '2020-01-01 00:00:00' make | sed 's/^make: //; s/\.$//')
[ source -nt out ]; grep -q old out
export NO_FAKE_STAT=1
got="tar: $plain
faketime tar: $moved, dates of a file of 2019: $dates, of ls: $list
faketime -f make: $frozen, the source was newer
NO_FAKE_STAT tar: $(digests run "$start"), make: $(run '2020-01-01 00:00:00' make 2>err)"
want="tar: equal
faketime tar: different, dates of a file of 2019: 2, of ls: 2019
faketime -f make: 'out' is up to date, the source was newer
NO_FAKE_STAT tar: equal, make: built"
echo "$got"; cat err; [ "$got" = "$want" ]

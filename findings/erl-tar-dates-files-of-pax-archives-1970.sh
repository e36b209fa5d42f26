#!/usr/bin/env bash
# Tool: erl_tar:extract() of Erlang/OTP 25 (erlang-base 25.2.3+dfsg-1+deb12u4, Debian 12), the archive module
#   behind Elixir's and rebar3's packages; GNU tar writes the archives and lists them for comparison.
# Expected: the module's manual names pax among the formats that it reads. A date with fractions of a second in
#   a pax header is read or cut to the second. A hard link is extracted, or is an error.
# Seen: the first digits of such a date are lost: 981173106.5 is read as 173106, so the file is dated January
#   1970. Files without a fraction and archives in the GNU format are right. Hard links are left out, and
#   the answer is still `ok`. Output:
#     gnu: ok, fraction 2001-02-03 04:05:06, whole 2001-02-03 04:05:06, second name missing
#     pax: ok, fraction 1970-01-03 00:05:06, whole 2001-02-03 04:05:06, second name missing
# Matters: nearly all files have fractions, so a tree from a pax archive (the default of Python) is of 1970 here
#   and there: make and caches that compare dates take sources for old, and packers of zip files, which
#   begin in 1980, refuse them. Programs with several names, such as git's, are not there.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q "erlang-base=1:25.2.3+dfsg-1+deb12u4" >apt.log 2>&1
dpkg-deb -x erlang-base_*.deb deb
export ROOTDIR=$PWD/deb/usr/lib/erlang EMU=beam PROGNAME=erl
BINDIR=$(echo "$ROOTDIR"/erts-*/bin); export BINDIR
mkdir tree
echo x >tree/fraction; touch -d '2001-02-03 04:05:06.5 UTC' tree/fraction
echo x >tree/whole; touch -d '2001-02-03 04:05:06 UTC' tree/whole
ln tree/whole tree/zz-second
got=$(for format in gnu pax; do
    tar --create --format="$format" --sort=name --file "$format.tar" -C tree fraction whole zz-second
    [ "$(tar -tf "$format.tar" | wc -l)" = 3 ]
    [ "$(TZ=UTC tar -tvf "$format.tar" | grep -c '2001-02-03 04:05')" = 3 ]
    mkdir "$format"
    answer=$(cd "$format"; "$BINDIR/erlexec" -noshell \
        -eval "io:format(\"~p\", [erl_tar:extract(\"../$format.tar\")]), halt().")
    second=missing
    if [ -e "$format/zz-second" ]; then second=there; fi
    echo "$format: $answer, fraction $(date -u -r "$format/fraction" '+%F %T')," \
        "whole $(date -u -r "$format/whole" '+%F %T'), second name $second"
done)
want='gnu: ok, fraction 2001-02-03 04:05:06, whole 2001-02-03 04:05:06, second name missing
pax: ok, fraction 1970-01-03 00:05:06, whole 2001-02-03 04:05:06, second name missing'
echo "$got"; [ "$got" = "$want" ]

#!/usr/bin/env bash
# Tool: zstdgrep of zstd 1.5.4 (1.5.4+dfsg2-5) and bzgrep of bzip2 1.0.8 (1.0.8-5+b1), both Debian 12; grep, zgrep of gzip and
#   xzgrep of xz-utils (installed) for comparison. zstdcat, bzip2, gzip and xz are in the search path.
# Expected: the exit status is that of grep: 0 if a line was found in any of the files, 1 if not, 2 after an error. zgrep and
#   xzgrep do so. The manual of bzgrep says that its options are passed to grep.
# Seen: zstdgrep and bzgrep need a match in each file: a line that is printed from one of two files ends in status 1. With
#   `-L`, zstdgrep names the file without a match and exits with 1, where grep has 0. A file that cannot be read is 1, too.
#   Of two patterns (-e), bzgrep takes the second one for the name of a file. Output, as the lines and the status:
#     -q ERROR: grep 0, zgrep 0, xzgrep 0, zstdgrep 1, bzgrep 1
#     -h ERROR: grep ERROR 0, zgrep ERROR 0, xzgrep ERROR 0, zstdgrep ERROR 1, bzgrep ERROR 1
#     -L ERROR: grep good 0, zgrep good 0, xzgrep good 0, zstdgrep good 1, bzgrep good 0
#     -h -e ERROR -e FATAL: grep ERROR 0, zgrep ERROR 0, xzgrep ERROR 0, zstdgrep ERROR 1, bzgrep 2
#     -h ERROR absent: grep 2, zgrep 2, xzgrep 2, zstdgrep 1, bzgrep 1
# Matters: `if zstdgrep -q ERROR logs/*.zst` is false as long as one log is free of errors: a check of compressed build logs
#   passes, while the same line with zgrep fails.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q bzip2=1.0.8-5+b1 >apt.log 2>&1
dpkg-deb -x bzip2_*.deb deb
zstd --version | grep -q v1.5.4
echo ERROR >bad; echo fine >good
for file in bad good; do gzip -k $file; xz -k $file; zstd -qk $file; bzip2 -k $file; done
got=
for arguments in '-q ERROR' '-h ERROR' '-L ERROR' '-h -e ERROR -e FATAL' '-h ERROR absent'; do
  line="$arguments:"
  for tool in grep: zgrep:.gz xzgrep:.xz zstdgrep:.zst bzgrep:.bz2; do
    name=${tool%:*} end=${tool#*:} status=0
    files="bad$end good$end"; [[ $arguments != *absent ]] || files=
    command=$name; [ $name != bzgrep ] || command=deb/bin/bzgrep
    # The arguments are separate words.
    # shellcheck disable=SC2086
    text=$($command $arguments $files 2>messages </dev/null) || status=$?
    text=${text//$end/}
    line+=" $name ${text:+$text }$status,"
  done
  got+="${line%,}"$'\n'
done
want='-q ERROR: grep 0, zgrep 0, xzgrep 0, zstdgrep 1, bzgrep 1
-h ERROR: grep ERROR 0, zgrep ERROR 0, xzgrep ERROR 0, zstdgrep ERROR 1, bzgrep ERROR 1
-L ERROR: grep good 0, zgrep good 0, xzgrep good 0, zstdgrep good 1, bzgrep good 0
-h -e ERROR -e FATAL: grep ERROR 0, zgrep ERROR 0, xzgrep ERROR 0, zstdgrep ERROR 1, bzgrep 2
-h ERROR absent: grep 2, zgrep 2, xzgrep 2, zstdgrep 1, bzgrep 1
'
printf '%s' "$got"; [ "$got" = "$want" ]

#!/usr/bin/env bash
# Tool: cowdancer 0.89 (Debian 12), the library of cow-shell and cowbuilder, with coreutils 9.1-1 and
#   CPython (installed). Runs as root.
# Expected: in a copy of a tree that is made of hard links, a file is copied before the first change to
#   it, so the original tree stays as it was. The manual says that the files are protected from write
#   operations, and that the library replaces functions that may write to files.
# Seen: open, chmod, chown and the like are intercepted, but not the calls that name a folder as well
#   (openat, fchmodat, fchownat), nor truncate and setxattr by path. cp, chmod and chown of coreutils use
#   these, so they change the original, without a message and with exit status 0. Output:
#     copied first: dd, tee, touch, open() of Python, os.chmod() of Python
#     changed in the original: cp, chmod, chown, setfattr, os.truncate() of Python
# Matters: cowbuilder builds each package in such a copy of one base system. A maintainer script or a
#   build step that runs `chmod` or `cp` on an installed file changes the base of all later builds.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q cowdancer=0.89 coreutils=9.1-1 attr=1:2.5.1-4 >apt.log 2>&1
for package in *.deb; do dpkg-deb -x "$package" deb; done
tools=(dd tee touch py_open py_chmod cp chmod chown setfattr py_truncate)
mkdir base
for tool in "${tools[@]}"; do echo original >"base/$tool"; touch -d '2026-01-02 UTC' "base/$tool"; done
cp -al base copy
echo new >new
export PATH=$PWD/deb/bin:$PWD/deb/usr/bin:$PATH
# cow-shell makes this list with the same find and sets the same variables; it looks for the library in /usr.
(cd copy; cowdancer-ilistcreate ../list 'find . -xdev -type f -a -links +1 -print0 | xargs -0 stat --format "%d %i "')
COWDANCER_ILISTFILE=$PWD/list LD_PRELOAD=$PWD/deb/usr/lib/cowdancer/libcowdancer.so bash -euc '
    cd copy
    printf new | dd of=dd conv=notrunc status=none
    echo new | tee tee >/dev/null
    touch -d 2001-01-01 touch
    python3 -c "open(\"py_open\", \"a\").write(\"new\")"
    python3 -c "import os; os.chmod(\"py_chmod\", 0o600)"
    cp ../new cp
    chmod 600 chmod
    chown 70 chown
    setfattr -n user.name -v value setfattr
    python3 -c "import os; os.truncate(\"py_truncate\", 3)"
'
copied=() changed=()
for tool in "${tools[@]}"; do
    if [ "base/$tool" -ef "copy/$tool" ]; then changed+=("$tool"); else copied+=("$tool"); fi
done
[ "$(cat base/dd) $(cat base/cp) $(stat -c %a base/chmod) $(stat -c %u base/chown)" = 'original new 600 70' ]
names() { sed 's/ /, /g; s/py_\([a-z]*\)/\1() of Python/g; s/chmod() of/os.chmod() of/; s/truncate() of/os.truncate() of/' <<<"$*"; }
got="copied first: $(names "${copied[@]}")
changed in the original: $(names "${changed[@]}")"
want='copied first: dd, tee, touch, open() of Python, os.chmod() of Python
changed in the original: cp, chmod, chown, setfattr, os.truncate() of Python'
echo "$got"; [ "$got" = "$want" ]

#!/usr/bin/env bash
# Tool: rdfind 1.5.0-1.1+b1, jdupes 1.21.3-1+deb12u1 and, for comparison, hardlink of util-linux
#   2.38.1-5+deb12u3 (Debian 12). Runs as root, to give a file to another user.
# Expected: a tool that replaces equal files with hard links leaves files alone whose mode, owner or
#   extended attributes differ, since the names of one file share them. hardlink compares mode, owner and
#   date by default, and attributes with an option.
# Seen: rdfind -makehardlinks true and jdupes -L compare content only. All names get mode, owner, date and
#   attributes of the one that comes first: a program is a plain file afterwards,
#   the file of a service belongs to root, and a capability is lost. The exit status is 0. The manual of
#   rdfind has no word on it; jdupes has an option -p, off by default. Output (mode, owner, whether the
#   attribute is there):
#     before: plain 644 0 no, program 755 0 no, service 600 33 no, tagged 644 0 yes
#     rdfind: plain 644 0 no, program 644 0 no, service 644 0 no, tagged 644 0 no
#     jdupes: plain 644 0 no, program 644 0 no, service 644 0 no, tagged 644 0 no
#     jdupes -p: plain 644 0 no, program 755 0 no, service 600 33 no, tagged 644 0 no
#     hardlink --respect-xattrs: plain 644 0 no, program 755 0 no, service 600 33 no, tagged 644 0 yes
#   With -p, jdupes keeps mode and owner, but not the attribute.
# Matters: both are used to make images and packages smaller. A build that runs them on its root file system
#   ends well, and the image has a script that cannot be run and a file that its service cannot write.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q rdfind=1.5.0-1.1+b1 jdupes=1.21.3-1+deb12u1 util-linux=2.38.1-5+deb12u3 >apt.log 2>&1
for package in *.deb; do dpkg-deb -x "$package" deb; done
export LD_LIBRARY_PATH=$PWD/deb/usr/lib/x86_64-linux-gnu
files='plain program service tagged'
tree() {
    rm -rf tree; mkdir tree
    for name in $files; do
        printf '#!/bin/sh\nexec true\n' >"tree/$name"
        chmod 644 "tree/$name"; touch -d '2026-01-02 UTC' "tree/$name"
    done
    chmod 755 tree/program; chmod 600 tree/service; chown 33 tree/service
    python3 -c 'import os; os.setxattr("tree/tagged", "user.tag", b"1")'
}
list() { # LABEL
    echo -n "$1: "
    for name in $files; do
        echo -n "$name $(stat -c '%a %u' "tree/$name") "
        python3 -c 'import os, sys; print("yes" if os.listxattr(sys.argv[1]) else "no", end="")' "tree/$name"
        if [ "$name" != tagged ]; then echo -n ', '; fi
    done
    echo
}
{
    tree; list before
    tree; deb/usr/bin/rdfind -makeresultsfile false -makehardlinks true tree/plain tree/program tree/service tree/tagged >log; list rdfind
    tree; deb/usr/bin/jdupes -q -L -o name tree >log; list jdupes
    tree; deb/usr/bin/jdupes -q -p -L -o name tree >log; list 'jdupes -p'
    tree; deb/usr/bin/hardlink --respect-xattrs tree >log; list 'hardlink --respect-xattrs'
} >got
want='before: plain 644 0 no, program 755 0 no, service 600 33 no, tagged 644 0 yes
rdfind: plain 644 0 no, program 644 0 no, service 644 0 no, tagged 644 0 no
jdupes: plain 644 0 no, program 644 0 no, service 644 0 no, tagged 644 0 no
jdupes -p: plain 644 0 no, program 755 0 no, service 600 33 no, tagged 644 0 no
hardlink --respect-xattrs: plain 644 0 no, program 755 0 no, service 600 33 no, tagged 644 0 yes'
cat got; [ "$(cat got)" = "$want" ]

#!/usr/bin/env bash
# Tool: `sort -V` of GNU coreutils 9.1 (coreutils 9.1-1), busybox 1.35.0 (busybox-static 1:1.35.0-4+deb12u1+b1) and toybox
#   0.8.9 (0.8.9+dfsg-1), and `git tag --sort=v:refname` of git 2.39.5 (all Debian 12).
# Expected: the tags of an image are in one order, in particular the last one, which `sort -V | tail -n 1` gives to a
#   script that builds with the newest version.
# Seen: 3.10.1 is newer than 3.10 and than the candidate 3.10rc1 for GNU sort only. For busybox and git a letter comes
#   after a dot, so 3.10rc1 is the newest one. For toybox a name comes after all that continue it. Output:
#     GNU sort: 3.9 3.10 3.10rc1 3.10.1
#     busybox: 3.9 3.10 3.10.1 3.10rc1
#     git: 3.9 3.10 3.10.1 3.10rc1
#     toybox without the candidate: 3.9 3.10.1 3.10
# Matters: a Dockerfile or a job that finds its newest tag builds with another version, on Alpine with a release candidate,
#   and nothing fails.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q coreutils=9.1-1 busybox-static=1:1.35.0-4+deb12u1+b1 toybox=0.8.9+dfsg-1 git=1:2.39.5-0+deb12u3 >apt.log 2>&1
for deb in *.deb; do dpkg-deb -x "$deb" deb; done
printf '%s\n' 3.10rc1 3.10 3.9 3.10.1 >tags
git=$PWD/deb/usr/bin/git
"$git" init --quiet tree
"$git" -C tree -c user.name=name -c user.email=name@example.org commit --quiet --allow-empty --message=first
while read -r tag; do "$git" -C tree tag "$tag"; done <tags
row() { tr '\n' ' ' | sed 's/ $//'; }
got="GNU sort: $(deb/usr/bin/sort -V tags | row)
busybox: $(deb/bin/busybox sort -V tags | row)
git: $("$git" -C tree tag --sort=v:refname | row)
toybox without the candidate: $(grep -v rc tags | deb/bin/toybox sort -V | row)"
want='GNU sort: 3.9 3.10 3.10rc1 3.10.1
busybox: 3.9 3.10 3.10.1 3.10rc1
git: 3.9 3.10 3.10.1 3.10rc1
toybox without the candidate: 3.9 3.10.1 3.10'
echo "$got"; [ "$got" = "$want" ]

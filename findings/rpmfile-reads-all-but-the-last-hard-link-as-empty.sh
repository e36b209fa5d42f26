#!/usr/bin/env bash
# Tool: rpmfile 2.2.1 (PyPI, 2026); rpmbuild and rpm2cpio 4.18.0+dfsg-1+deb12u1 (Debian
#   12) and GNU cpio for comparison.
# Expected: each name of a file with several hard links reads as that file, with its
#   size.
# Seen: an RPM stores the content once, with the last name. rpmfile gives size 0 and no
#   bytes for the names before it, without an error and without a field that tells them
#   from empty files. cpio gives all names the content. Output:
#     rpmfile: first 0 b'', second 0 b'', third 4 b'one\n'
#     cpio: first 4 one, second 4 one, third 4 one
# Matters: git, Perl, Python and time zone packages consist of hard links. A tool that
#   hashes, compares or searches packages sees most of these programs as empty.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
rpm=4.18.0+dfsg-1+deb12u1
apt-get download -q rpm=$rpm rpm2cpio=$rpm rpm-common=$rpm librpm9=$rpm librpmbuild9=$rpm librpmio9=$rpm librpmsign9=$rpm \
  liblua5.3-0=5.3.6-2 libpopt0=1.19+dfsg-1 debugedit=1:5.0-5 cpio=2.13+dfsg-7.1 libarchive13=3.6.2-1+deb12u5 >apt.log 2>&1
for package in *.deb; do dpkg-deb -x "$package" deb; done
export LD_LIBRARY_PATH=$PWD/deb/usr/lib/x86_64-linux-gnu RPM_CONFIGDIR=$PWD/deb/usr/lib/rpm HOME=$PWD
cat >a.spec <<'SPEC'
Name: links
Version: 1
Release: 1
Summary: hard links
License: MIT
BuildArch: noarch
%description
Hard links.
%install
mkdir -p %{buildroot}/opt
echo one >%{buildroot}/opt/first
ln %{buildroot}/opt/first %{buildroot}/opt/second
ln %{buildroot}/opt/first %{buildroot}/opt/third
%files
/opt/*
SPEC
deb/usr/bin/rpmbuild -bb --define "_topdir $PWD/top" --define '_binary_payload w3.gzdio' --define '__os_install_post %{nil}' --define "_dbpath $PWD/db" a.spec >rpmbuild.log 2>&1
mv top/RPMS/noarch/*.rpm a.rpm
mkdir root
(cd root; ../deb/usr/bin/rpm2cpio ../a.rpm | ../deb/bin/cpio --extract --make-directories --quiet)
python3 -m venv v
v/bin/pip install -q rpmfile==2.2.1
cat >a.py <<'PY'
import rpmfile

with rpmfile.open("a.rpm") as package:
    files = [(m.name.rsplit("/", 1)[1], m.size, package.extractfile(m).read()) for m in package.getmembers()]
print("rpmfile:", ", ".join(f"{name} {size} {data}" for name, size, data in sorted(files)))
PY
{
  v/bin/python a.py
  echo "cpio: $(cd root/opt; for file in *; do echo "$file $(stat -c %s "$file") $(cat "$file"), "; done | xargs | sed 's/,$//')"
} >got
want="rpmfile: first 0 b'', second 0 b'', third 4 b'one\n'
cpio: first 4 one, second 4 one, third 4 one"
cat got; [ "$(cat got)" = "$want" ]

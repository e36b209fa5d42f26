#!/usr/bin/env bash
# Tool: Archive::Zip 1.68 (libarchive-zip-perl 1.68-1, Debian 12), the zip module of Perl; zip of Info-ZIP 3.0 for
#   comparison, and CPython 3.11's zipfile as a reader.
# Expected: dates in a zip file begin in 1980. An older one becomes 1980, as zip does it, or is an error, as in
#   Python. A link to a folder is stored as a link, or as the folder with its files.
# Seen: the years wrap: 1970 is stored as 2098 and 1979 as 2107, and the module extracts them so. A link to a folder
#   is an empty folder. The status is AZ_OK and there is no message. Output:
#     zip: file of 1970 is 1980, file of 1979 is 1980, file of 1980 is 1980, current/ link
#     Archive::Zip: file of 1970 is 2098, file of 1979 is 2107, file of 1980 is 1980, current/ empty folder
# Matters: ostree, Nix and builds with SOURCE_DATE_EPOCH=0 date each file 1970, so all of an archive is in the
#   future: it is newer than each later build, so make and "update if newer" never replace it, and
#   the folder that `current` points to is not in it.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
export TZ=UTC
apt-get download -q libarchive-zip-perl=1.68-1 zip=3.0-13+deb12u1 >apt.log 2>&1
for deb in *.deb; do dpkg-deb -x "$deb" deb; done
mkdir -p tree/release
echo x >tree/release/file
ln -s release tree/current
for year in 1970 1979 1980; do
    echo x >"tree/$year"
    touch -d "$year-03-03 00:00:00" "tree/$year"
done
(cd tree; ../deb/usr/bin/zip --quiet --recurse-paths --symlinks ../zip.zip .)
perl -Ideb/usr/share/perl5 -MArchive::Zip=:ERROR_CODES -we '
    my $zip = Archive::Zip->new;
    $zip->addTree("tree", "") == AZ_OK or die;
    $zip->writeToFileNamed("perl.zip") == AZ_OK or die;' 2>perl.log
[ ! -s perl.log ]
look() {
    python3 - "$1" <<'PY'
import stat
import sys
import zipfile

archive = zipfile.ZipFile(sys.argv[1])
years = ", ".join(f"file of {year} is {archive.getinfo(year).date_time[0]}" for year in ("1970", "1979", "1980"))
names = [name for name in archive.namelist() if name.startswith("current")]
kind = stat.S_IFMT(archive.getinfo(names[0]).external_attr >> 16)
what = "link" if kind == stat.S_IFLNK else "empty folder" if names == ["current/"] else "folder with files"
print(f"{years}, current/ {what}")
PY
}
got="zip: $(look zip.zip)
Archive::Zip: $(look perl.zip)"
want='zip: file of 1970 is 1980, file of 1979 is 1980, file of 1980 is 1980, current/ link
Archive::Zip: file of 1970 is 2098, file of 1979 is 2107, file of 1980 is 1980, current/ empty folder'
echo "$got"; [ "$got" = "$want" ]

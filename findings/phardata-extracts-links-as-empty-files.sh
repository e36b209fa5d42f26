#!/usr/bin/env bash
# Tool: PharData::extractTo() of PHP 8.2.36 (8.2.36-1~deb12u1, Debian 12), the archive class that comes with PHP;
#   GNU tar writes the archive and extracts it for comparison.
# Expected: a link in an archive is extracted as a link, or as a copy of its target where links are not
#   possible, or it is an error. Dates are those of the archive.
# Seen: the manual says that names in pax headers are ignored. Not said: symbolic and hard links become empty
#   files, and each file is dated with the moment of the extraction. There is no warning, and reading
#   through the class says the same: size 0. Output:
#     tar: link /bin/tool -> tool-1.2, names of one file 2, bytes of the second name 10, year 2001
#     PharData: file of 0 bytes, names of one file 1, bytes of the second name 0, year of today
#     PharData, size of /bin/tool in the archive: 0
# Matters: a layer or a release archive that PHP unpacks (installers and web panels do) has all its programs
#   behind links as empty files, which are executable and end with status 0 when a shell runs them. Later
#   comparisons by date find each file changed.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q php8.2-cli=8.2.36-1~deb12u1 php8.2-common=8.2.36-1~deb12u1 >apt.log 2>&1
for deb in *.deb; do dpkg-deb -x "$deb" deb; done
php() { deb/usr/bin/php8.2 -n -d extension_dir="$PWD/deb/usr/lib/php/20220829" -d extension=phar "$@"; }
mkdir -p tree/bin tar
printf '#!/bin/sh\n' >tree/bin/tool-1.2
chmod 755 tree/bin/tool-1.2
touch -d '2001-02-03 04:05:06 UTC' tree/bin/tool-1.2
ln -s tool-1.2 tree/bin/tool
ln tree/bin/tool-1.2 tree/bin/zz-second
tar --create --file archive.tar --format=ustar --sort=name -C tree bin
tar --extract --file archive.tar -C tar
cat >extract.php <<'PHP'
<?php
$archive = new PharData("archive.tar");
$archive->extractTo("phar");
echo "PharData, size of /bin/tool in the archive: ", $archive["bin/tool"]->getSize(), "\n";
PHP
read_size=$(php extract.php)
look() {
    local kind year
    if [ -L "$1/bin/tool" ]; then kind="link /bin/tool -> $(readlink "$1/bin/tool")"; else kind="file of $(stat -c %s "$1/bin/tool") bytes"; fi
    year=$(date -u -r "$1/bin/tool-1.2" +%Y)
    if [ "$year" = "$(date -u +%Y)" ]; then year="of today"; fi
    echo "$kind, names of one file $(stat -c %h "$1/bin/tool-1.2")," \
        "bytes of the second name $(stat -c %s "$1/bin/zz-second"), year $year"
}
got="tar: $(look tar)
PharData: $(look phar)
$read_size"
want="tar: link /bin/tool -> tool-1.2, names of one file 2, bytes of the second name 10, year 2001
PharData: file of 0 bytes, names of one file 1, bytes of the second name 0, year of today
PharData, size of /bin/tool in the archive: 0"
echo "$got"; [ "$got" = "$want" ]

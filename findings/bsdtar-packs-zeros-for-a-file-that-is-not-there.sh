#!/usr/bin/env bash
# Tool: bsdtar 3.6.2 (libarchive-tools 3.6.2-1+deb12u5), mtree 20180822-7 (mtree-netbsd), both Debian 12.
# Expected: `bsdtar -c @list.mtree` packs the files of the list from the disk. One that is missing is
#   an error, as it is when the list names it with the keyword `content`, which the manual shows.
# Seen: without that keyword, as mtree and bsdtar write their lists, a missing file becomes one of
#   the listed size with nothing but zeros. There is no message and the exit status is 0. A `#` in a
#   name, which mtree writes as `\#`, stays `\#`: the file has another name, and is zeros too. Output:
#     removed after the list was made: exit 0, 7 zeros
#     the same with content=: exit 1
#     name with # in a list of mtree: exit 0, a\#b, 7 zeros
#     name with # in a list of bsdtar: exit 0, a#b, "number"
# Matters: such lists give a layer fixed owners and dates, with the files of a build before it. What
#   the build did not make, or a C# or numbered file, is in the layer as a program of zeros.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q libarchive-tools=3.6.2-1+deb12u5 libarchive13=3.6.2-1+deb12u5 mtree-netbsd=20180822-7 >apt.log 2>&1
for package in *.deb; do dpkg-deb -x "$package" deb; done
LD_LIBRARY_PATH=$(dirname "$(find "$PWD/deb" -name 'libarchive.so.13')"); export LD_LIBRARY_PATH
bin=$PWD/deb/usr/bin

pack() { # LIST [TEXT]: packs it, and says how that ended
    local code=0
    "$bin/bsdtar" -cf out.tar "@$1" 2>message || code=$?
    [ $code = 1 ] || [ ! -s message ]
    echo -n "exit $code"
}
zeros() { [ "$(tar -xOf out.tar | tr -d '\0' | wc -c)" = 0 ]; echo "$(tar -xOf out.tar | wc -c) zeros"; }

mkdir bin; echo "binary" >bin/tool
"$bin/bsdtar" -cf list --format=mtree bin
sed 's,size=7,& content=./bin/tool,' list >with-content
rm bin/tool
got="removed after the list was made: $(pack list), $(zeros)
the same with content=: $(pack with-content)"

cd bin
echo "number" >'a#b'; touch 1 2
"$bin/mtree" -c -k type,mode,uid,gid,size,time >../of-mtree
"$bin/bsdtar" -cf ../of-bsdtar --format=mtree 'a#b'
got+="
name with # in a list of mtree: $(pack ../of-mtree), $(tar --quoting-style=literal -tf out.tar | grep b), $(zeros)"
got+="
name with # in a list of bsdtar: $(pack ../of-bsdtar), $(tar -tf out.tar | cut -c3-), \"$(tar -xOf out.tar)\""
cd ..
want='removed after the list was made: exit 0, 7 zeros
the same with content=: exit 1
name with # in a list of mtree: exit 0, a\#b, 7 zeros
name with # in a list of bsdtar: exit 0, a#b, "number"'
echo "$got"; [ "$got" = "$want" ]

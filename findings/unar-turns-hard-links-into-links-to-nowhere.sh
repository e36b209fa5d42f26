#!/usr/bin/env bash
# Tool: unar 1.10.1 (unar 1.10.7+ds1+really1.10.1-2+b2), The Unarchiver for the command line, with libgnustep-base1.28
#   1.28.1+really1.28.0-5, libobjc4 12.2.0-14+deb12u1 and libwavpack1 5.6.0-1 (all Debian 12); GNU tar makes the archives. Runs
#   as root.
# Expected: each file of a tar archive is there after extraction, with its name and content. What unar cannot do is an error.
# Seen: a second name of a file in another folder becomes a symbolic link whose target is the name in the archive. It is read
#   from the folder of the link, so it leads nowhere. In an archive of the pax format names end after 100 characters, and a sparse file is
#   the text of its map under another name. The owner and the set-user-ID bit are lost, 1960 becomes 2096 or 1970. unar says "OK" for
#   each and exits with 0. Output:
#     gnu: second name: link to ./tool that leads nowhere, long name: there, 1960: 2096, mode 755 of user 0
#     pax: second name: link to ./tool that leads nowhere, long name: cut to 100 characters, 1960: 1970, mode 755 of user 0
#     sparse file of 10485764 bytes in a pax archive: 516 bytes as GNUSparseFile.N/sparse
# Matters: archives of distributions and layers of images have hard links. A part of the files is missing after unar, and the
#   first sign is a program that does not start.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"; export TZ=UTC
apt-get download -q unar=1.10.7+ds1+really1.10.1-2+b2 libgnustep-base1.28=1.28.1+really1.28.0-5 \
    libobjc4=12.2.0-14+deb12u1 libwavpack1=5.6.0-1 >apt.log 2>&1
for deb in *.deb; do dpkg-deb -x "$deb" deb; done
unar() { LD_LIBRARY_PATH=$dir/deb/usr/lib:$dir/deb/usr/lib/x86_64-linux-gnu "$dir/deb/usr/bin/unar" "$@" >>log 2>&1; }
long=$(printf 'n%.0s' $(seq 150))
mkdir -p tree/libexec
echo tool >tree/tool; chown 1000:1000 tree/tool; chmod 4755 tree/tool
touch -d '1960-01-01' tree/tool; ln tree/tool tree/libexec/tool
echo long >"tree/$long"
# The archive begins with the folders, as one of `find` does, and the name in the folder comes second.
got=$(for format in gnu pax; do
    tar --format=$format --no-recursion -C tree -cf $format.tar . ./libexec ./tool ./libexec/tool "./$long"
    unar -o $format $format.tar
    cd "$format/$format"
    second=other; if cmp -s tool libexec/tool; then second=there; fi
    if [ -L libexec/tool ] && [ ! -e libexec/tool ]; then second="link to $(readlink libexec/tool) that leads nowhere"; fi
    name=missing; if [ -e "$long" ]; then name=there; fi
    # The characters of a name in the archive include "./".
    for file in n*; do if [ ${#file} = 98 ]; then name='cut to 100 characters'; fi; done
    echo "$format: second name: $second, long name: $name, 1960: $(date -r tool +%Y), mode $(stat -c '%a of user %u' tool)"
    cd ../..
done
truncate -s 10M sparse; echo end >>sparse
tar --format=pax --sparse -cf sparse.tar sparse
unar -D -o sparse.d sparse.tar
file=$(find sparse.d -type f)
echo "sparse file of $(stat -c %s sparse) bytes in a pax archive:" \
    "$(stat -c %s "$file") bytes as $(echo "${file#sparse.d/}" | sed 's/[0-9][0-9]*/N/')")
want='gnu: second name: link to ./tool that leads nowhere, long name: there, 1960: 2096, mode 755 of user 0
pax: second name: link to ./tool that leads nowhere, long name: cut to 100 characters, 1960: 1970, mode 755 of user 0
sparse file of 10485764 bytes in a pax archive: 516 bytes as GNUSparseFile.N/sparse'
echo "$got"; [ "$got" = "$want" ]
grep -q OK log

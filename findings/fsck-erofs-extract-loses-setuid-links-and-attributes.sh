#!/usr/bin/env bash
# Tool: fsck.erofs and mkfs.erofs from erofs-utils 1.5-1 (Debian 12, run as root).
# Expected: `fsck.erofs --extract` as root gives the files "with the same
#   ownership and permissions as on the filesystem", as its help says.
# Seen: the image has mode 4755 for a file of user 5, two links to it and an
#   extended attribute. The extracted file has mode 755 (the owner is set after
#   the mode, which clears the bit), the second name is another file, and the
#   attribute is gone. No message, exit status 0. dump.erofs hides the setuid bit
#   as well and shows 0755.
# Matters: a layer that is packed as EROFS and extracted again is another layer:
#   larger, without setuid programs and file capabilities.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q erofs-utils=1.5-1 >apt.log 2>&1
dpkg-deb -x erofs-utils_*.deb deb
mkdir tree; echo data >tree/a; ln tree/a tree/b
python3 -c 'import os; os.setxattr("tree/a", "user.note", b"1")'
chown 5:6 tree/a; chmod 4755 tree/a
deb/usr/bin/mkfs.erofs a.img tree >log 2>&1
image=$(deb/usr/bin/dump.erofs --path=/a a.img)
grep -o 'Links: 2' <<<"$image"
grep -o 'Access: 0755' <<<"$image" # dump.erofs shows nine bits only
python3 - "$(sed -n 's/.*NID: \([0-9]*\) .*/\1/p' <<<"$image")" <<'PY'
import struct, sys
image = open("a.img", "rb").read()
start = struct.unpack_from("<I", image, 1024 + 40)[0] * 4096 # meta_blkaddr of the superblock
mode, = struct.unpack_from("<H", image, start + int(sys.argv[1]) * 32 + 4) # i_mode
print("mode in the image", oct(mode))
assert mode == 0o104755, oct(mode)
PY
grep -q 'Xattr size: [1-9]' <<<"$image"
deb/usr/bin/fsck.erofs --extract=out a.img >log 2>&1
got=$(
  cd out
  stat -c '%n mode %a user %u links %h' a b
  python3 -c 'import os; print("attributes", os.listxattr("a"))'
)
want='a mode 755 user 5 links 1
b mode 755 user 5 links 1
attributes []'
echo "$got"; [ "$got" = "$want" ]

#!/usr/bin/env bash
# Tool: mkfs.ext4 of e2fsprogs 1.47.0 (Debian 12, installed); debugfs and e2fsck of the same package.
# Expected: `mkfs.ext4 -d` copies the content of a folder, and the features of the file system
#   change only how it is stored.
# Seen: with `-O inline_data`, a file that ends in zeros or in a hole loses that end: its size is
#   then the end of its last block with data. The exit status is 0, there is no message, and
#   e2fsck finds nothing wrong. Output, the sizes in the folder and in the two images:
#     end-of-zeros: 200000, 200000, 100352
#     image-of-a-disk: 2097152, 2097152, 8192
#     text: 100000, 100000, 100000
# Matters: disk images, databases with a preallocated end and firmware images end in zeros. A
#   root file system for a virtual machine contains cut ones, and a digest of the folder was right.
set -euo pipefail
[[ $(mkfs.ext4 -V 2>&1) == *" 1.47.0 "* ]]
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
mkdir source
printf 'abcdefg\n%.0s' {1..12500} >source/text
{ cat source/text; head -c 100000 /dev/zero; } >source/end-of-zeros
head -c 8192 source/text >source/image-of-a-disk
truncate -s 2M source/image-of-a-disk
for features in ^inline_data inline_data; do
  truncate -s 32M $features.ext4
  mkfs.ext4 -q -b 1024 -O $features -d source $features.ext4
  e2fsck -fn $features.ext4 >fsck.log 2>&1
done
size() { debugfs -R "dump $2 out" "$1.ext4" 2>debugfs.log; stat -c %s out; }
got=$(for name in end-of-zeros image-of-a-disk text; do
  echo "$name: $(stat -c %s source/$name), $(size ^inline_data $name), $(size inline_data $name)"
done)
want='end-of-zeros: 200000, 200000, 100352
image-of-a-disk: 2097152, 2097152, 8192
text: 100000, 100000, 100000'
echo "$got"; [ "$got" = "$want" ]

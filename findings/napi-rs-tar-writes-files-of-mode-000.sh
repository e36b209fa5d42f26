#!/usr/bin/env bash
# Tool: @napi-rs/tar 1.1.3 (npm), Node.js bindings of the Rust crate tar; GNU tar (installed) reads.
# Expected: a file that is made of bytes has the mode 644, or the caller gives one. A folder is packed with its
#   symbolic links, as Archive.unpack() of the same library makes them.
# Seen: appendData() takes a name and the bytes, and writes the mode 000 and the date 1970: the header of the
#   crate is left as it starts. appendDirAll() packs what a link points to, and the crate's switch for that is
#   not there. There is no message. Output:
#     drwxr-xr-x lib
#     -rwxr-xr-x lib/tool
#     -rwxr-xr-x lib/tool-1.2
#     ---------- notes.txt
#     unpacked: 0 notes.txt
# Matters: root reads the files, so the build works; the program in the image, which runs as another user,
#   cannot open its configuration. A folder with libfoo.so -> libfoo.so.1 is packed twice.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm install --silent --no-audit --no-fund @napi-rs/tar@1.1.3 >npm.log
mkdir lib
echo program >lib/tool-1.2
chmod 755 lib lib/tool-1.2
ln -s tool-1.2 lib/tool
cat >pack.mjs <<'JS'
import { Builder } from "@napi-rs/tar";

const builder = new Builder("out.tar");
builder.appendData("notes.txt", Buffer.from("text\n"));
builder.appendDirAll("lib", "lib");
builder.finish();
JS
node pack.mjs
mkdir out
tar --extract --file out.tar --directory out
got=$(tar --list --verbose --file out.tar | awk '{ sub("/$", "", $6); print $1, $6 }' | LC_ALL=C sort --key 2
  echo "unpacked: $(cd out; stat --format '%a %n' notes.txt)")
want='drwxr-xr-x lib
-rwxr-xr-x lib/tool
-rwxr-xr-x lib/tool-1.2
---------- notes.txt
unpacked: 0 notes.txt'
echo "$got"; [ "$got" = "$want" ]

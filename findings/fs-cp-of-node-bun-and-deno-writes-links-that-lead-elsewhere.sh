#!/usr/bin/env bash
# Tool: Node.js 24.21.0 (npm package node), bun 1.4.5 and deno 2.9.6 (npm): fs.cpSync with recursive; cp of coreutils
#   9.1 for comparison.
# Expected: as with cp -r, a relative link of the copied folder has the same text in the copy and leads to the copied
#   file, and a folder of mode 700 keeps its mode.
# Seen: Node and bun write absolute links to the source. The links of deno have the path of the source in front, relative
#   to the working directory, so in the copy they lead nowhere. cpSync of Node gives the folder mode 755; its cp does
#   not. With verbatimSymlinks, which is off by default, all three write the same text as cp. Output, the text of a link to
#   bin/tool, where it leads, and the mode of the folder bin:
#     cp -r: bin/tool, copy, 700
#     node cpSync: /.../source/bin/tool, source, 755
#     node cp: /.../source/bin/tool, source, 700
#     bun cpSync: /.../source/bin/tool, source, 700
#     deno cpSync: source/bin/tool, nowhere, 700
# Matters: a build script copies its output to the folder that the next stage takes. The links lead to the folder of the
#   first stage, which the image does not have, and each test before that stage passes.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund node@24.21.0 bun@1.4.5 deno@2.9.6 >npm.log
mkdir -p source/bin
echo tool >source/bin/tool
chmod 700 source/bin
ln -s bin/tool source/link
cat >sync.cjs <<'JS'
require("node:fs").cpSync("source", "copy", { recursive: true });
JS
cat >async.cjs <<'JS'
require("node:fs").promises.cp("source", "copy", { recursive: true });
JS
umask 022
try() {
  name=$1
  shift
  rm -rf copy
  "$@"
  text=$(readlink copy/link)
  case $(readlink -f copy/link || true) in
  "$dir/copy/bin/tool") place=copy ;;
  "$dir/source/bin/tool") place=source ;;
  *) place=nowhere ;;
  esac
  [ -e copy/link ] || place=nowhere
  echo "$name: ${text/#"$dir"//...}, $place, $(stat --format=%a copy/bin)"
}
bin=$dir/node_modules/.bin
got=$(try 'cp -r' cp -r source copy; try 'node cpSync' "$bin/node" sync.cjs; try 'node cp' "$bin/node" async.cjs
  try 'bun cpSync' "$bin/bun" sync.cjs; try 'deno cpSync' "$bin/deno" run --quiet --allow-all sync.cjs)
want='cp -r: bin/tool, copy, 700
node cpSync: /.../source/bin/tool, source, 755
node cp: /.../source/bin/tool, source, 700
bun cpSync: /.../source/bin/tool, source, 700
deno cpSync: source/bin/tool, nowhere, 700'
echo "$got"; [ "$got" = "$want" ]

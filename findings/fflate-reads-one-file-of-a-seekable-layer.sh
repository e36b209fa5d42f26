#!/usr/bin/env bash
# Tool: fflate 0.8.3 and pako 3.0.3 (npm).
# Expected: a gzip file may have several members; the result is all of them, and
#   the two interfaces of one library agree.
# Seen: fflate's gunzipSync() and gunzip() return the first member and ignore the
#   rest without an error. Its Gunzip stream and pako return all.
# Matters: eStargz layers and rsyncable archives have one member per file or
#   chunk. The layer reads as an archive with its first file only.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null
npm install --silent --ignore-scripts fflate@0.8.3 pako@3.0.3
for name in a b c; do echo $name >$name; done
tar --format=ustar -cf layer.tar a b c
# As in eStargz: each file, header and data, is a gzip member of its own.
for part in 0 1; do dd if=layer.tar bs=1024 skip=$part count=1 status=none | gzip -n; done >layer.tar.gz
tail -c +2049 layer.tar | gzip -n >>layer.tar.gz
gzip -dc layer.tar.gz | cmp - layer.tar
cat >a.mjs <<'JS'
import { gunzip, gunzipSync, Gunzip } from 'fflate';
import * as pako from 'pako';
import { readFileSync } from 'fs';
const data = readFileSync('layer.tar.gz');
const names = tar => [0, 1024, 2048].filter(at => tar[at]).map(at => String.fromCharCode(tar[at])).join(' ');
console.log('gunzipSync', names(gunzipSync(data)));
gunzip(data, (error, tar) => console.log('gunzip', error ?? names(tar)));
const parts = [];
new Gunzip(part => parts.push(part)).push(data, true);
console.log('Gunzip', names(Buffer.concat(parts)));
console.log('pako', names(pako.ungzip(data)));
JS
got=$(node a.mjs | LC_ALL=C sort)
want='Gunzip a b c
gunzip a
gunzipSync a
pako a b c'
echo "$got"; [ "$got" = "$want" ]

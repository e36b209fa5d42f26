#!/usr/bin/env bash
# Tool: Bun.Archive of bun 1.4.5 (npm, 2026); GNU tar (installed) for comparison.
# Expected: a file on the disk, Bun.file(path), is a Blob, and a Blob is documented as a content for an
#   archive. The manual's example that packs a folder does just that. extract() of an archive unpacks
#   what tar unpacks, or fails.
# Seen: each Bun.file() is packed as an empty file, also in the manual's example, and one that does not
#   exist as well. A Bun.file() that is given as an archive to read is an "Unrecognized archive format".
#   extract() and files() leave hard links out, without an error. Output, sizes of a file of 5 bytes:
#     packed: text 5, blob 5, file 0, blob of a file 0, missing file 0
#     the example of the manual: file 0
#     unpacked by tar: file 5, hard 5, symbolic 5
#     unpacked by extract(): file 5, symbolic 5
# Matters: a backup, a layer or a build output that was packed like this has all its names and no
#   content, and the original may be deleted by then. Of a layer with hard links, as between the
#   commands of Git, all names but one are missing.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm install --silent --no-audit --no-fund bun@1.4.5 >npm.log
mkdir tree; echo text >tree/file
mkdir links; echo text >links/file; ln links/file links/hard; ln -s file links/symbolic
tar -cf links.tar -C links file hard symbolic
cat >a.js <<'JS'
import { readdir } from 'node:fs/promises';

const sizes = (archive) => [...archive].map(([name, file]) => `${name} ${file.size}`).sort((a, b) => order(a) - order(b)).join(', ');
const names = ['text', 'blob', 'file', 'blob of a file', 'missing file'];
const order = (entry) => names.indexOf(entry.replace(/ \d+$/, ''));
const packed = async (files) => sizes(await new Bun.Archive(await new Bun.Archive(files).bytes()).files());
console.log(`packed: ${await packed({
  text: await Bun.file('tree/file').text(),
  blob: new Blob(['text\n']),
  file: Bun.file('tree/file'),
  'blob of a file': new Blob([Bun.file('tree/file')]),
  'missing file': Bun.file('tree/missing'),
})}`);
const files = {};
for (const name of await readdir('tree')) files[name] = Bun.file(`tree/${name}`);
console.log(`the example of the manual: ${await packed(files)}`);
await new Bun.Archive(await Bun.file('links.tar').bytes()).extract('bun');
JS
bun=$(node_modules/.bin/bun a.js)
mkdir tar; tar -xf links.tar -C tar
look() { # FOLDER: names and sizes of what it has
    (cd "$1"; stat -L -c '%n %s' -- * | paste -sd, | sed 's/,/, /g')
}
got="$bun
unpacked by tar: $(look tar)
unpacked by extract(): $(look bun)"
want='packed: text 5, blob 5, file 0, blob of a file 0, missing file 0
the example of the manual: file 0
unpacked by tar: file 5, hard 5, symbolic 5
unpacked by extract(): file 5, symbolic 5'
echo "$got"; [ "$got" = "$want" ]

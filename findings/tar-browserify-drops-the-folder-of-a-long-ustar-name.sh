#!/usr/bin/env bash
# Tool: @obsidize/tar-browserify 6.3.2 (npm); GNU tar writes the archives.
# Expected: an archive in the POSIX ustar format splits names of more than 100 characters
#   into a name and a prefix; the name of an entry is both, joined with a slash.
# Seen: the prefix is ignored, so the file is in a folder higher up. GNU's long names
#   come back with a zero byte at the end; those of pax are right. Output:
#     ustar: aaa.../bbb.../file is bbb.../file
#     gnu: aaa.../bbb.../file is aaa.../bbb.../file\0
#     pax: aaa.../bbb.../file is aaa.../bbb.../file
#     two packages, one file each: 1 name
# Matters: Go's archive/tar, which writes the layers of Docker, uses ustar for each name
#   that fits. Two files of different folders get one name, without an error.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null
npm install --silent --ignore-scripts @obsidize/tar-browserify@6.3.2
cat >a.js <<'JS'
const { Archive } = require('@obsidize/tar-browserify');
const { execFileSync } = require('child_process');
const { mkdirSync, readFileSync, writeFileSync } = require('fs');

const deep = 'b'.repeat(80);
const folders = ['a', 'c'].map((letter) => letter.repeat(80));
for (const folder of folders) {
  mkdirSync(`${folder}/${deep}`, { recursive: true });
  writeFileSync(`${folder}/${deep}/file`, folder);
}
const short = (name) => name.replace(/([abc])\1+/g, '$1$1$1...').replace(/\0/g, '\\0');
const path = `${folders[0]}/${deep}/file`;

async function names(format, paths) {
  execFileSync('tar', [`--format=${format}`, '-cf', 'a.tar', ...paths]);
  const archive = await Archive.extract(readFileSync('a.tar'));
  return archive.entries.map((entry) => entry.fileName);
}

(async () => {
  for (const format of ['ustar', 'gnu', 'pax']) {
    const [name] = await names(format, [path]);
    console.log(`${format}: ${short(path)} is ${short(name)}`);
  }
  const both = await names('ustar', folders.map((folder) => `${folder}/${deep}/file`));
  console.log(`two packages, one file each: ${new Set(both).size} name`);
})();
JS
got=$(node a.js)
want='ustar: aaa.../bbb.../file is bbb.../file
gnu: aaa.../bbb.../file is aaa.../bbb.../file\0
pax: aaa.../bbb.../file is aaa.../bbb.../file
two packages, one file each: 1 name'
echo "$got"; [ "$got" = "$want" ]

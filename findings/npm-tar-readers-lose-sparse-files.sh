#!/usr/bin/env bash
# Tool: tar 7.5.23, tar-stream 3.2.2, modern-tar 0.8.6 and @remix-run/tar-parser
#   0.7.1 (npm), reading archives of GNU tar 1.34 made with `--sparse`.
# Expected: a sparse file is read with its size and content, as by Python's
#   tarfile, or refused.
# Seen: from the GNU format, `tar` extracts everything but the sparse file, with
#   exit status 0 and no warning. The others return the data without the holes:
#   4096 bytes of 1 MiB. In the POSIX format all of them return a file named
#   GNUSparseFile.PID/disk.img that begins with the map of the holes.
# Matters: disk images and databases are archived with --sparse. An image layer
#   that is checked or repacked with these readers loses them.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null
npm install --silent --ignore-scripts tar@7.5.23 tar-stream@3.2.2 modern-tar@0.8.6 @remix-run/tar-parser@0.7.1
mkdir in; truncate -s 1M in/disk.img; printf hello >in/plain.txt
printf END | dd of=in/disk.img bs=1 seek=1048573 conv=notrunc status=none
for format in gnu posix; do tar --sparse --format=$format -C in -cf $format.tar disk.img plain.txt; done
cat >a.mjs <<'JS'
import fs from 'fs';
import * as tar from 'tar';
import stream from 'tar-stream';
import { unpackTar } from 'modern-tar';
import { parseTar } from '@remix-run/tar-parser';
for (const format of ['gnu', 'posix']) {
  const file = format + '.tar', bytes = fs.readFileSync(file);
  const say = (name, files) => console.log(format, name, files.map(([path, size]) => path.replace(/\.\d+\//, '.PID/') + ' ' + size).join(', '));
  const warnings = [];
  fs.mkdirSync(format);
  await tar.x({ file, cwd: format, onwarn: (code) => warnings.push(code) });
  const found = fs.readdirSync(format, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  say('tar', found.map((entry) => [(entry.parentPath + '/').slice(format.length + 1) + entry.name, fs.statSync(entry.parentPath + '/' + entry.name).size]).sort());
  if (warnings.length) console.log(warnings);
  const extract = stream.extract(), streamed = [];
  await new Promise((done, failed) => {
    extract.on('entry', (header, data, next) => { streamed.push([header.name, header.size]); data.on('end', next).resume(); });
    extract.on('finish', done).on('error', failed).end(bytes);
  });
  say('tar-stream', streamed);
  say('modern-tar', (await unpackTar(bytes)).map((entry) => [entry.header.name, entry.data.length]));
  const parsed = [];
  await parseTar(bytes, async (entry) => { parsed.push([entry.name, (await entry.bytes()).length]); });
  say('tar-parser', parsed);
}
JS
got=$(node a.mjs; python3 -c "
import tarfile
for name in 'gnu', 'posix':
    print(name, 'Python', ', '.join(f'{m.name} {m.size}' for m in tarfile.open(name + '.tar')))")
want='gnu tar plain.txt 5
gnu tar-stream disk.img 4096, plain.txt 5
gnu modern-tar disk.img 4096, plain.txt 5
gnu tar-parser disk.img 4096, plain.txt 5
posix tar GNUSparseFile.PID/disk.img 4608, plain.txt 5
posix tar-stream ./GNUSparseFile.PID/disk.img 4608, plain.txt 5
posix modern-tar ./GNUSparseFile.PID/disk.img 4608, plain.txt 5
posix tar-parser ./GNUSparseFile.PID/disk.img 4608, plain.txt 5
gnu Python disk.img 1048576, plain.txt 5
posix Python disk.img 1048576, plain.txt 5'
echo "$got"; [ "$got" = "$want" ]

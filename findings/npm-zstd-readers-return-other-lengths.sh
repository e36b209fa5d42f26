#!/usr/bin/env bash
# Tool: zstddec 0.3.4 and @oneidentity/zstd-js 1.0.3 (npm), zstd 1.5.4 (Debian 12,
#   installed); @bokuweb/zstd-wasm 0.0.27 (npm) for comparison.
# Expected: a frame of the zstd command is returned as it was, or an error is raised. The
#   size in the header of a frame is optional; a pipe cannot know it.
# Seen: without that size, zstddec returns 16.9 MB for any input, the data first and then
#   what else is in its memory. ZstdSimple of zstd-js returns 18 bytes too few of what it
#   did not compress itself. Output, for 45000 bytes that were compressed as a file and
#   from a pipe:
#     zstddec: file 45000, pipe 16908218
#     zstd-js: file 44982, pipe Error
#     zstd-wasm: file 45000, pipe 45000
# Matters: layers and caches are compressed while they are written, so their frames have
#   no size. A text that lost its last 18 bytes is found only by a checksum of its own.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm install --silent --no-audit --no-fund zstddec@0.3.4 @oneidentity/zstd-js@1.0.3 @bokuweb/zstd-wasm@0.0.27 >npm.log
seq -f 'line %04g' 5000 | cut -c1-8 >data
zstd -q data -o file.zst
zstd -q <data >pipe.zst
cat >a.mjs <<'JS'
import fs from 'node:fs';
import { ZSTDDecoder } from 'zstddec';
import oneidentity from '@oneidentity/zstd-js';
import * as bokuweb from '@bokuweb/zstd-wasm';

const decoder = new ZSTDDecoder();
await decoder.init();
await bokuweb.init();
const { ZstdSimple } = await oneidentity.ZstdInit();
const readers = {
  zstddec: (data) => decoder.decode(data),
  'zstd-js': (data) => ZstdSimple.decompress(data),
  'zstd-wasm': (data) => bokuweb.decompress(data),
};
for (const [name, read] of Object.entries(readers)) {
  const lengths = ['file', 'pipe'].map((kind) => {
    try {
      return `${kind} ${read(new Uint8Array(fs.readFileSync(`${kind}.zst`))).length}`;
    } catch (error) {
      return `${kind} ${error.name}`;
    }
  });
  console.log(`${name}: ${lengths.join(', ')}`);
}
JS
got=$(node a.mjs)
want='zstddec: file 45000, pipe 16908218
zstd-js: file 44982, pipe Error
zstd-wasm: file 45000, pipe 45000'
echo "$got"; [ "$got" = "$want" ]

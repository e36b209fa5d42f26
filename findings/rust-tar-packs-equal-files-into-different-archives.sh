#!/usr/bin/env bash
# Tool: tar 0.4.46 (crate), Builder with HeaderMode::Deterministic; npm tar-stream 3.2.2 as a
#   reader.
# Expected: two files with the same bytes, name and mode give the same archive. The
#   deterministic mode is there for that, and neither it nor the method says otherwise.
# Seen: append_path_with_name() asks the file system for holes and writes a file that has some
#   as an entry of GNU's sparse type. So the digest depends on how the file was written, not on
#   what is in it: a file that a program wrote in full and one that it extended differ, as do
#   copies on file systems with and without holes. sparse(false) turns that off. Output:
#     same bytes: true
#     full: 1050624 bytes, type 0
#     holes: 2048 bytes, type S
#     holes, sparse(false): same archive as full
#     tar-stream: full 1048579 bytes, holes 3 bytes
# Matters: a layer or a cached output is not reproducible although each file in it is, and the
#   archive needs a reader that knows the sparse type: a widespread one drops the holes.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
mkdir src
cat >Cargo.toml <<'TOML'
[package]
name = "a"
version = "0.1.0"
edition = "2021"
[dependencies]
tar = { version = "=0.4.46", default-features = false }
TOML
cat >src/main.rs <<'RS'
use std::fs::{read, write, File};
use std::os::unix::fs::FileExt;

fn pack(file: &str, sparse: bool) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    builder.mode(tar::HeaderMode::Deterministic);
    builder.sparse(sparse);
    builder.append_path_with_name(file, "data").unwrap();
    builder.into_inner().unwrap()
}

fn pack_by_default(file: &str) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    builder.mode(tar::HeaderMode::Deterministic);
    builder.append_path_with_name(file, "data").unwrap();
    builder.into_inner().unwrap()
}

fn main() {
    let mut content = vec![0; 1 << 20];
    content.extend(b"end");
    write("full", &content).unwrap();
    File::create("holes").unwrap().write_all_at(b"end", 1 << 20).unwrap();
    println!("same bytes: {}", read("full").unwrap() == read("holes").unwrap());
    for file in ["full", "holes"] {
        let archive = pack_by_default(file);
        println!("{file}: {} bytes, type {}", archive.len(), archive[156] as char);
        write(format!("{file}.tar"), archive).unwrap();
    }
    let same = pack("holes", false) == pack("full", false);
    println!("holes, sparse(false): {} archive as full", if same { "same" } else { "another" });
}
RS
cargo run -q 2>cargo.log >got || { cat cargo.log; exit 1; }
npm init -y >/dev/null
npm install --silent --ignore-scripts tar-stream@3.2.2
node >>got <<'JS'
const { extract } = require('tar-stream');
const fs = require('fs');
const size = (name) => new Promise((done, fail) => {
  let bytes = 0;
  const archive = extract();
  archive.on('entry', (header, stream, next) => stream.on('data', (part) => { bytes += part.length; }).on('end', next));
  archive.on('finish', () => done(`${name} ${bytes} bytes`)).on('error', (error) => done(`${name} ${error.message}`));
  fs.createReadStream(`${name}.tar`).pipe(archive);
});
(async () => console.log(`tar-stream: ${await size('full')}, ${await size('holes')}`))();
JS
want='same bytes: true
full: 1050624 bytes, type 0
holes: 2048 bytes, type S
holes, sparse(false): same archive as full
tar-stream: full 1048579 bytes, holes 3 bytes'
cat got; [ "$(cat got)" = "$want" ]

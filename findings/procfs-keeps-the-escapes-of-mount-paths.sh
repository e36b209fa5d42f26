#!/usr/bin/env bash
# Tool: procfs 0.18.0 (crate); run as root, for a mount in a namespace of its own.
# Expected: the PathBuf mount_point of a mount can be opened, and the folders of an
#   overlay as well. The kernel writes a blank as \040 into mountinfo, as proc(5) says.
# Seen: the text of the file is returned as a path, backslash and digits included.
#   Output, of an overlay on the folder "a b":
#     mount_point: exists false, ends in "a\040b"
#     lowerdir: exists false, ends in "lower dir" false
#     the folder itself: exists true
# Matters: a tool that measures the layers of an overlay, or asks which file system a
#   folder is on, misses the mount and takes the one above it. Other folders work.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
cargo init -q --name a --vcs none
cargo add -q procfs@=0.18.0 --no-default-features
cat >src/main.rs <<'RS'
use std::path::Path;

fn main() {
    let folder = std::env::current_dir().unwrap().join("a b");
    let mounts = procfs::process::Process::myself().unwrap().mountinfo().unwrap();
    let mount = mounts.into_iter().find(|mount| mount.fs_type == "overlay" && mount.mount_source.as_deref() == Some("find-me"));
    let mount = mount.unwrap();
    let point = mount.mount_point;
    println!("mount_point: exists {}, ends in {:?}", point.exists(), point.file_name().unwrap().to_str().unwrap());
    let lower = mount.super_options["lowerdir"].clone().unwrap();
    println!("lowerdir: exists {}, ends in \"lower dir\" {}", Path::new(&lower).exists(), lower.ends_with("lower dir"));
    println!("the folder itself: exists {}", folder.exists());
}
RS
cargo build -q
mkdir 'a b' 'lower dir' other
got=$(unshare --mount bash -c '
  mount -t overlay -o "lowerdir=$PWD/lower dir:$PWD/other" find-me "$PWD/a b" && target/debug/a' | sed 's/\\\\/\\/')
want='mount_point: exists false, ends in "a\040b"
lowerdir: exists false, ends in "lower dir" false
the folder itself: exists true'
echo "$got"; [ "$got" = "$want" ]

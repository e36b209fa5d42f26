//! Builds in a chroot, whose root is not a mount point.

use crate::world::World;
use buildscope_testing::test;
use std::process::Command;

/// Makes a chroot in `$1` with the host's programs and builds its `/context` there with `$2`. Prints the mounts that are left behind.
/// Mounts propagate as on a machine with systemd.
const BUILD: &str = r#"
mount --make-rshared /
for name in usr etc proc sys dev bin sbin lib lib64; do
    if [ -h /$name ]; then cp -P /$name "$1/$name"; elif [ -d /$name ]; then mkdir "$1/$name"; mount --rbind /$name "$1/$name"; fi
done
mkdir "$1/tmp"
cp "$2" "$1/buildscope"
before=$(cat /proc/self/mountinfo)
chroot "$1" sh -ec 'cd /context && /buildscope build --root /store --network none -o type=local,dest=out . > /dev/null'
[ "$before" = "$(cat /proc/self/mountinfo)" ] || cat /proc/self/mountinfo
"#;

#[test(Root, Program("unshare"), Program("busybox"))]
fn root_builds_in_a_chroot() {
    // The context of this world is `/context` in the chroot.
    let world = World::new("FROM busybox\nRUN mkdir /d && echo one > /d/f\nFROM scratch\nCOPY --from=0 /d/f /f\n");
    let root = world.context().parent().unwrap().to_owned();
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-ec", BUILD, "sh"]).arg(&root).arg(env!("CARGO_BIN_EXE_buildscope"));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    assert_eq!(std::fs::read_to_string(world.context().join("out/f")).unwrap(), "one\n");
}

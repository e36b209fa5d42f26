//! Builds in a container: as the only process of a mount namespace, and under a seccomp profile that forbids what steps need.

use crate::world::World;
use buildscope_testing::test;
use std::process::Command;

/// A container whose first program is bind-mounted: with the mount namespace that the program leaves, its mount goes away.
#[test(Root, Program("unshare"))]
fn a_program_that_is_a_mount_of_its_own_builds_alone() {
    let world = World::new("FROM busybox\nRUN true\n");
    let path = world.path("buildscope");
    std::fs::write(&path, "").unwrap();
    let build = world.command(&["--no-cache", "--network=none"]);
    let script = "program=$1; mount --bind \"$0\" \"$program\"; shift; exec \"$program\" \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-ec", script]).arg(build.get_program()).arg(&path).args(build.get_args());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// docker's default profile forbids `pivot_root`, also with SYS_ADMIN. Sandboxes are prepared before steps need them, so the refusal may come
/// before or after the step's message.
#[test(Root, Program("strace"))]
fn a_step_whose_sandbox_is_refused_says_why() {
    let world = World::new("FROM busybox\nRUN true\n");
    let build = world.command(&["--no-cache", "--network=none"]);
    for _ in 0..5 {
        let mut command = Command::new("strace");
        command.args(["-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-e", "trace=pivot_root"]);
        command.args(["-e", "inject=pivot_root:error=EPERM"]).arg(build.get_program()).args(build.get_args());
        let output = command.output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr).split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(output.status.code(), Some(1), "{message}");
        assert!(message.contains("pivot_root: Operation not permitted"), "{message}");
        assert!(message.contains("--security-opt seccomp=unconfined"), "{message}");
    }
}

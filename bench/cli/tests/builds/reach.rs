//! Which parts of the host a step can reach, and what a user without subordinate ids can build.

use crate::world::{World, as_user, program_for_all};
use buildscope_testing::test;
use std::fs;
use std::path::Path;

/// A tracefs that root in the sandbox could write to would allow tracing the host.
#[test(Root, AnyProgram(&["crun", "runc"]))]
fn stock_runtimes_hide_host_mounts_in_sysfs() {
    let kinds = "cgroup|cgroup2|tracefs|debugfs|securityfs|bpf|pstore|configfs|fusectl";
    let world = World::new(&format!(
        "FROM busybox\nRUN test -d /sys/class && grep -q ' /sys sysfs ro,' /proc/mounts\n\
         RUN ! grep -E ' /sys/[^ ]* ({kinds}) ' /proc/mounts && test -z \"$(ls /sys/fs/cgroup)\"\n"
    ));
    for runtime in ["crun", "runc"] {
        if ["/usr/bin", "/usr/sbin"].iter().any(|directory| Path::new(directory).join(runtime).exists()) {
            world.forget();
            assert_eq!(world.build(&["--executor", runtime]).record().options.executor.as_deref(), Some(runtime));
        }
    }
}

/// An id for which no machine has a line in `/etc/subuid`.
const NOBODYS: &str = "54321";

#[test(Root)]
fn a_user_without_subordinate_ids_is_warned_but_builds() {
    let script = "RUN echo x > /x && id -u | grep -qx 0 && mkdir /d && ln /x /d/y && chmod 4751 /x\nRUN rm /d/y\n";
    let world = World::new(&format!("FROM busybox\n{script}"));
    let program = program_for_all(&world.path(""));
    let as_nobody = |args: &[&str]| {
        let mut command = as_user(NOBODYS);
        command.arg(&program).args(["build", "--root"]).arg(world.path("theirs")).args(args).arg(world.context());
        command.env_remove("SOURCE_DATE_EPOCH").env_remove("BUILDSCOPE_ROOT");
        let run = command.output().unwrap();
        (run.status.success(), String::from_utf8_lossy(&run.stderr).into_owned())
    };
    let metadata = world.path("theirs.json");
    let output = ["--output", "type=oci,dest=/dev/null,rewrite-timestamp=true"];
    let held = ["--build-arg", "SOURCE_DATE_EPOCH=1500000000", "--metadata-file", metadata.to_str().unwrap()];
    let (succeeded, printed) = as_nobody(&[output, [held[0], held[1]], [held[2], held[3]]].concat());
    assert!(succeeded, "{printed}");
    assert!(
        printed.contains("warning: /etc/subuid has no line for 54321") && printed.contains("--add-subuids"),
        "{printed}"
    );
    let described: serde_json::Value = serde_json::from_slice(&fs::read(metadata).unwrap()).unwrap();
    assert_eq!(described["containerimage.digest"].as_str().unwrap(), world.digest(&[]));
    // Other owners are impossible, and the step's error says so.
    world.write("Dockerfile", "FROM busybox\nRUN touch /x && chown 5 /x\n");
    let (succeeded, printed) = as_nobody(&[]);
    assert!(!succeeded && printed.contains("chown: /x: Invalid argument"), "{printed}");
}

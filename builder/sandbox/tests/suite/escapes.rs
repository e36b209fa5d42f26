//! Operations that a step must not be able to do.

use super::{Entry, RUNTIMES, World, mode, rootfs, runtimes, step};
use buildscope_sandbox::{Credentials, MountSource, Privileges, SandboxMount, Status};
use buildscope_testing::until;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

pub(crate) const TRIALS: &[Entry] = &[
    ("shell_escapes_fail", shell_escapes, &[]),
    ("shell_escapes_fail_under_oci_runtimes", shell_escapes_of_runtimes, RUNTIMES),
    ("system_calls_are_refused_under_oci_runtimes", system_calls_of_runtimes, RUNTIMES),
    ("system_calls_outside_dockers_profile_are_refused", system_calls, &[]),
    ("calls_of_32_bit_programs_are_refused", narrow_calls, &[]),
    ("the_inits_program_cannot_be_written_to", own_program, &[]),
    ("capabilities_are_dockers", capabilities, &[]),
    ("the_id_for_unchanged_ids_is_rejected", unchanged_ids, &[]),
    ("setuid_programs_work", setuid, &[]),
    ("descriptors_and_environment_do_not_leak_in", leaks_in, &[]),
    ("mount_targets_cannot_lead_out", mount_targets, &[]),
    ("working_directories_cannot_lead_out", workdirs, &[]),
    ("an_init_has_no_open_host_directory", descriptors, &[]),
    ("insecure_steps_have_all_capabilities", insecure, &[]),
];

/// Scripts that must fail, even for root inside the sandbox.
const ESCAPES: &[(&str, &str)] = &[
    ("write to a sysctl", "echo x > /proc/sys/kernel/domainname"),
    ("trigger a sysrq", "echo h > /proc/sysrq-trigger"),
    ("write to sysfs", "echo 1 > /sys/kernel/profiling || echo mem > /sys/power/state"),
    ("make sysfs writable", "mount -o remount,rw /sys"),
    ("make /proc/sys writable", "mount -o remount,rw /proc/sys"),
    ("mount a tmpfs", "mount -t tmpfs none /tmp"),
    ("mount a proc", "mount -t proc none /tmp"),
    ("bind a directory", "mount -o bind /bin /tmp"),
    ("uncover a masked path", "umount /proc/kcore"),
    ("leave the mounts", "umount /proc"),
    ("read kernel memory", "test -s /proc/kcore"),
    ("list the kernel's keys", "grep -q . /proc/keys"),
    ("see the firmware", "test -n \"$(ls /sys/firmware)\""),
    ("find a raw memory device", "test -e /dev/mem || test -e /dev/kmsg || test -e /dev/port"),
    ("open a device node that it made", "mknod /tmp/null c 1 3 && echo x > /tmp/null"),
    ("open a disk node that it made in /dev", "mknod /dev/disk b 254 0 && head -c 1 /dev/disk"),
    ("change a device node of the host", "chmod 666 /dev/null || chown 0 /dev/zero || touch -d @0 /dev/full"),
    ("make a mount namespace", "unshare -m true"),
    ("make a user namespace", "unshare -U true"),
    ("make a network namespace", "unshare -n true"),
    ("join its init's namespaces", "nsenter -t 1 -m true"),
    ("read its init's root", "ls /proc/1/root/"),
    ("read its init's memory", "head -c 1 /proc/1/mem"),
    ("read its init's descriptors", "readlink /proc/1/fd/* || cat /proc/1/fd/*"),
    ("read its init's command line", "tr '\\0' ' ' < /proc/1/cmdline | grep -v '^buildscope-zygote $'"),
    ("find its init's program", "readlink /proc/1/exe"),
    ("write to its init's program", "echo >> /proc/1/exe"),
    (
        "trace the kernel",
        "find /sys/kernel/tracing /sys/kernel/debug /sys/kernel/security /sys/fs/bpf -mindepth 1 | grep -q .",
    ),
    ("see cgroups", "ls /sys/fs/cgroup | grep -q ."),
    ("rename the host", "hostname elsewhere"),
    ("set the clock", "! date -s 2001-01-01 2>&1 | grep -q 'not permitted'"),
    ("read the kernel's log", "dmesg"),
    ("load a module", "insmod /bin/busybox"),
    ("change the root", "pivot_root /tmp /tmp"),
    ("swap", "swapon /bin/busybox"),
    ("raise its priority", "nice -n -20 true 2>&1 | grep -v . && renice -n -20 $$"),
    ("see other processes", "test $(ls -d /proc/[0-9]* | wc -l) -gt 8"),
    (
        "see the host's files",
        "ls -d /proc/self/root/../../../../../..$(cat /host) || ls -d $(cat /host) || ls -d /new || ls -d /scratch || ls -d /dev/step",
    ),
    (
        "reach the host's files through another process",
        "for p in $(ls /proc | grep '^[0-9]*$'); do ls /proc/$p/root/usr/ /proc/$p/cwd/usr/; done 2> /dev/null | grep -q .",
    ),
    ("have the kernel run a program when one crashes", "echo '|/bin/sh' > /proc/sys/kernel/core_pattern"),
    ("register an interpreter", "echo ':x:M::x::/bin/sh:' > /proc/sys/fs/binfmt_misc/register"),
    (
        "mount cgroups, for their release agents",
        "mkdir /tmp/c && { mount -t cgroup -o memory none /tmp/c || mount -t cgroup2 none /tmp/c; }",
    ),
    ("mount through a link", "ln -s /proc/sys /tmp/link && mount -o bind /tmp /tmp/link"),
    ("exempt itself from the OOM killer", "echo -1000 > /proc/self/oom_score_adj"),
    ("write to the terminal of the user", "echo x > /dev/tty || test -c /dev/console"),
    (
        "leave a chroot for the host's root",
        "mkdir -p /x/bin && cp /bin/busybox /x/bin && chroot /x /bin/busybox ls -d ../../../../..$(cat /host)",
    ),
    ("change its id map", "echo '0 0 1' > /proc/self/uid_map"),
    ("see a process outside", "ls -d /proc/$(cat /outside)"),
    ("see the old root", "grep -E ' /(new|scratch|empty|proc/proc) ' /proc/mounts"),
];

/// A root file system with the id of a process outside and with its own path on the host.
fn target() -> tempfile::TempDir {
    let root = rootfs();
    std::fs::write(root.path().join("outside"), std::process::id().to_string()).unwrap();
    std::fs::write(root.path().join("host"), root.path().as_os_str().as_encoded_bytes()).unwrap();
    root
}

fn shell_escapes(world: &World) {
    for (what, script) in ESCAPES {
        let root = target();
        let ran = world.run(step(root.path(), &["sh", "-c", script])).unwrap();
        assert_ne!(ran.exit.status, Status::Code(0), "{what}: `{script}` succeeded: {}", ran.output);
    }
}

/// A stock runtime must confine a step as well, and must not be a way out while it is exiting.
fn shell_escapes_of_runtimes(world: &World) {
    for runtime in runtimes() {
        for (what, script) in ESCAPES.iter().chain(&[("read a disk", "mknod /tmp/disk b 254 0 && head -c 1 /tmp/disk")])
        {
            let root = target();
            let (exit, output) = world.run_by(&runtime, step(root.path(), &["sh", "-c", script]));
            let program = runtime.program.display();
            assert_ne!(exit.unwrap().status, Status::Code(0), "{program}: {what}: `{script}` succeeded: {output}");
        }
    }
}

/// The calls that docker's profile refuses: description, number, first argument.
#[cfg(target_arch = "x86_64")]
const REFUSED: &[(&str, i64, i32)] = &[
    ("keyctl", libc::SYS_keyctl, 0),
    ("add_key", libc::SYS_add_key, 0),
    ("request_key", libc::SYS_request_key, 0),
    ("unshare", libc::SYS_unshare, libc::CLONE_NEWUSER),
    ("setns", libc::SYS_setns, 0),
    ("clone into a user namespace", libc::SYS_clone, libc::CLONE_NEWUSER),
    ("clone into a network namespace", libc::SYS_clone, libc::CLONE_NEWNET | libc::SIGCHLD),
    ("mount", libc::SYS_mount, 0),
    ("umount2", libc::SYS_umount2, 0),
    ("pivot_root", libc::SYS_pivot_root, 0),
    ("open_tree", libc::SYS_open_tree, 0),
    ("move_mount", libc::SYS_move_mount, 0),
    ("mount_setattr", libc::SYS_mount_setattr, 0),
    ("fsopen", libc::SYS_fsopen, 0),
    ("bpf", libc::SYS_bpf, 0),
    ("perf_event_open", libc::SYS_perf_event_open, 0),
    ("userfaultfd", libc::SYS_userfaultfd, 0),
    ("io_uring_setup", libc::SYS_io_uring_setup, 1),
    ("open_by_handle_at", libc::SYS_open_by_handle_at, 0),
    ("pidfd_getfd", libc::SYS_pidfd_getfd, 0),
    ("init_module", libc::SYS_init_module, 0),
    ("kexec_load", libc::SYS_kexec_load, 0),
    ("reboot", libc::SYS_reboot, 0),
    ("settimeofday", libc::SYS_settimeofday, 0),
    ("acct", libc::SYS_acct, 0),
    ("quotactl", libc::SYS_quotactl, 0),
    ("iopl", libc::SYS_iopl, 3),
    ("a socket of virtual machines", libc::SYS_socket, libc::AF_VSOCK),
    ("a socket of the kernel's cryptography", libc::SYS_socket, libc::AF_ALG),
];

/// Calls that the profile allows but other rules of the kernel restrict, and calls that give ENOSYS: description, number, two
/// arguments, errno.
#[cfg(target_arch = "x86_64")]
fn bounded() -> Vec<(&'static str, i64, u32, u32, i32)> {
    use libc::*;
    let outside = std::process::id();
    vec![
        ("ptrace of the init", SYS_ptrace, PTRACE_SEIZE, 1, EPERM),
        ("ptrace outside", SYS_ptrace, PTRACE_SEIZE, outside, ESRCH),
        ("a signal to outside", SYS_kill, outside, 0, ESRCH),
        ("a pidfd of outside", SYS_pidfd_open, outside, 0, ESRCH),
        ("clone3: libraries fall back to clone", SYS_clone3, 0, 0, ENOSYS),
        ("a call of the future", 1000, 0, 0, ENOSYS),
    ]
}

/// The profile by names must be the same as the one by numbers.
#[cfg(target_arch = "x86_64")]
fn system_calls_of_runtimes(world: &World) {
    use libc::*;
    let refused = REFUSED.iter().map(|&(what, number, first)| (what, number, first as u32, 0, EPERM));
    let others = [
        ("another personality", SYS_personality, 0x4_0000, 0, ENOSYS),
        // These are allowed, so the results are the kernel's own.
        ("the usual personality", SYS_personality, 0, 0, 0),
        ("an unknown family", SYS_socket, 9999, 0, EAFNOSUPPORT),
        ("umask", SYS_umask, 0, 0, 256 - 0o22),
    ];
    let calls_and_answers: Vec<_> = refused.chain(bounded()).chain(others).collect();
    for runtime in runtimes() {
        let root = rootfs();
        for &(what, number, first, second, expected) in &calls_and_answers {
            install(root.path(), number, first, second);
            let (exit, output) = world.run_by(&runtime, step(root.path(), &["/bin/call"]));
            let what = format!("{}: {what}: {output}", runtime.program.display());
            assert_eq!(exit.unwrap().status.code(), expected, "{what}");
        }
    }
}

/// int 0x80: umount2 of the 32-bit convention is refused, umask there tells docker's.
#[cfg(target_arch = "x86_64")]
fn narrow_calls(world: &World) {
    let root = rootfs();
    for (number, expected) in [(52, libc::EPERM), (60, 256 - 0o22)] {
        let mut code = calls(number, 0, 0, None);
        let call = code.windows(2).position(|bytes| bytes == [0x0f, 0x05]).unwrap();
        code[call..call + 2].copy_from_slice(&[0xcd, 0x80]);
        program(&root.path().join("bin/call"), &code);
        for (name, ended, output) in world.by_all(|| step(root.path(), &["/bin/call"])) {
            assert_eq!(ended.unwrap().status.code(), expected, "{name}: {number}: {output}");
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn narrow_calls(_: &World) {}

#[cfg(not(target_arch = "x86_64"))]
fn system_calls_of_runtimes(_: &World) {}

/// Makes the smallest program that does one system call and exits with its errno: a static x86-64 ELF file with one segment. If
/// there is a text, its address is the first argument.
#[cfg(target_arch = "x86_64")]
fn calls(number: u32, first: u32, second: u32, text: Option<&str>) -> Vec<u8> {
    let (base, headers) = (0x40_0000_u64, 64 + 56_u64);
    /// The length of the code in bytes.
    const CODE: u32 = 39;
    let first = if text.is_some() { base as u32 + headers as u32 + CODE } else { first };
    let mut code = vec![0xb8];
    code.extend(number.to_le_bytes()); // mov eax, number
    code.push(0xbf);
    code.extend(first.to_le_bytes()); // mov edi, first
    code.push(0xbe);
    code.extend(second.to_le_bytes()); // mov esi, second
    code.extend([0x31, 0xd2, 0x4d, 0x31, 0xd2, 0x4d, 0x31, 0xc0, 0x4d, 0x31, 0xc9]); // xor edx, r10, r8, r9
    code.extend([0x0f, 0x05]); // syscall
    code.extend([0xf7, 0xd8, 0x89, 0xc7, 0xb8, 60, 0, 0, 0, 0x0f, 0x05]); // neg eax; mov edi, eax; mov eax, 60; syscall
    assert_eq!(code.len() as u32, CODE);
    code.extend(text.unwrap_or_default().bytes().chain([0]));
    let mut file = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0x3e, 0, 1, 0, 0, 0];
    file.extend((base + headers).to_le_bytes()); // entry
    file.extend(64_u64.to_le_bytes()); // program headers
    file.extend([0; 12]);
    file.extend([64, 0, 56, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    file.extend([1, 0, 0, 0, 5, 0, 0, 0]); // PT_LOAD, readable and executable
    let size = headers + code.len() as u64;
    for field in [0, base, base, size, size, 0x1000] {
        file.extend(field.to_le_bytes());
    }
    file.extend(code);
    file
}

#[cfg(target_arch = "x86_64")]
pub(crate) fn install(root: &Path, number: i64, first: u32, second: u32) {
    program(&root.join("bin/call"), &calls(number as u32, first, second, None));
}

#[cfg(target_arch = "x86_64")]
fn program(path: &Path, content: &[u8]) {
    std::fs::write(path, content).unwrap();
    std::fs::set_permissions(path, mode(0o755)).unwrap();
}

/// The attack of CVE-2019-5736: a step executes its init's program, which is this one, with a loader from the image. For that
/// loader `/proc/self/exe` is a file of the host.
#[cfg(target_arch = "x86_64")]
fn own_program(world: &World) {
    let root = rootfs();
    std::fs::create_dir(root.path().join("lib64")).unwrap();
    std::os::unix::fs::symlink("/proc/self/exe", root.path().join("bin/itself")).unwrap();
    program(&root.path().join("bin/by-script"), b"#!/proc/self/exe\n");
    let me = std::env::current_exe().unwrap();
    let before = std::fs::metadata(&me).unwrap();
    for (what, number, second, expected) in [
        ("read, which is allowed", libc::SYS_open, libc::O_RDONLY, 0),
        // A running program cannot be written to anyway, but it does not run forever.
        ("written", libc::SYS_open, libc::O_WRONLY, libc::ETXTBSY),
        ("written later", libc::SYS_access, libc::W_OK, libc::EROFS),
        ("overwritten", libc::SYS_open, libc::O_WRONLY | libc::O_TRUNC, libc::EROFS),
        ("made empty", libc::SYS_truncate, 0, libc::EROFS),
        ("given another mode", libc::SYS_chmod, 0o777, libc::EROFS),
        ("given other times", libc::SYS_utime, 0, libc::EROFS),
    ] {
        let loader = calls(number as u32, 0, second as u32, Some("/proc/self/exe"));
        program(&root.path().join("lib64/ld-linux-x86-64.so.2"), &loader);
        for name in ["/proc/self/exe", "/bin/itself", "/bin/by-script"] {
            let ran = world.run(step(root.path(), &[name]));
            match (ran, expected) {
                // The result is a descriptor, whose negative is not an error.
                (Ok(ran), 0) => assert_eq!(ran.exit.status, Status::Code(256 - 3), "{what}: {name}"),
                (Ok(ran), errno) if before.uid() == 0 => {
                    assert_eq!(ran.exit.status, Status::Code(errno), "{what}: {name}")
                }
                // An ordinary user does not own the file, so permission checks may come first.
                (Ok(ran), _) => assert!(
                    [libc::EACCES, libc::EPERM, libc::EROFS].contains(&ran.exit.status.code()),
                    "{what}: {name}"
                ),
                (Err(error), _) => panic!("{what}: {name}: {error}"),
            }
        }
    }
    assert!(world.run(step(root.path(), &["/proc/1/exe"])).is_err(), "the init's link");
    let after = std::fs::metadata(&me).unwrap();
    assert_eq!((before.len(), before.modified().unwrap()), (after.len(), after.modified().unwrap()));
}

#[cfg(not(target_arch = "x86_64"))]
fn own_program(_: &World) {}

#[cfg(target_arch = "x86_64")]
fn system_calls(world: &World) {
    use libc::*;
    let root = rootfs();
    let errno_of = |number: i64, first: u32, second: u32| {
        install(root.path(), number, first, second);
        match world.status(step(root.path(), &["/bin/call"])) {
            Status::Code(errno) => errno,
            Status::Signal(signal) => panic!("call {number}: signal {signal}"),
        }
    };
    let pid = errno_of(SYS_getpid, 0, 0) as u8;
    assert_eq!(pid, 2_u8.wrapping_neg(), "the program is the second process of its namespace");
    for &(what, number, first) in REFUSED {
        assert_eq!(errno_of(number, first as u32, 0), EPERM, "{what}");
    }
    assert_eq!(errno_of(SYS_personality, 0x4_0000, 0), EPERM, "another personality");
    for (what, number, first, second, expected) in bounded() {
        assert_eq!(errno_of(number, first, second), expected, "{what}");
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn system_calls(_: &World) {}

/// docker's documentation of `--cap-add` lists fourteen by default; as a mask that is 0xa80425fb (linux/capability.h).
fn capabilities(world: &World) {
    let lines = "grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status | tr '\\t' ' '";
    let expected = |permitted: &str| {
        format!(
            "CapInh: 0000000000000000\nCapPrm: {permitted}\nCapEff: {permitted}\nCapBnd: 00000000a80425fb\n\
             CapAmb: 0000000000000000\nNoNewPrivs: 0\nSeccomp: 2\n"
        )
    };
    assert_eq!(world.sh(lines), expected("00000000a80425fb"));
    let root = rootfs();
    let user = Credentials { uid: 77, gid: 78, groups: vec![78, 79] };
    let spec = |script| super::StepSpec { user: user.clone(), ..step(root.path(), &["sh", "-c", script]) };
    assert_eq!(world.succeed(spec(lines)), expected("0000000000000000"));
    assert_eq!(world.succeed(spec("id -u; id -g; id -G")), "77\n78\n78 79\n");
}

#[cfg(target_arch = "x86_64")]
fn setuid(world: &World) {
    let root = rootfs();
    install(root.path(), libc::SYS_geteuid, 0, 0);
    let user = Credentials { uid: 77, gid: 77, groups: vec![77] };
    let spec = || super::StepSpec { user: user.clone(), ..step(root.path(), &["/bin/call"]) };
    assert_eq!(world.status(spec()), Status::Code(256 - 77));
    std::fs::set_permissions(root.path().join("bin/call"), mode(0o4755)).unwrap();
    assert_eq!(world.status(spec()), Status::Code(0), "no_new_privs is off as under docker");
}

#[cfg(not(target_arch = "x86_64"))]
fn setuid(_: &World) {}

/// To setresuid(2), setresgid(2) and chown(2) this id means "unchanged", so the step would keep root's.
fn unchanged_ids(world: &World) {
    let root = rootfs();
    let users = [(u32::MAX, 0, vec![]), (0, u32::MAX, vec![]), (0, 0, vec![u32::MAX])];
    for (uid, gid, groups) in users {
        let user = Credentials { uid, gid, groups };
        let spec = || super::StepSpec { user: user.clone(), ..step(root.path(), &["id"]) };
        assert!(world.run(spec()).is_err_and(|error| error.to_string().contains("4294967295")), "{user:?}");
        for runtime in runtimes() {
            let (ended, _) = world.run_by(&runtime, spec());
            assert!(ended.is_err_and(|error| error.to_string().contains("4294967295")), "{user:?}");
        }
    }
    let source = MountSource::Secret { content: b"x".into(), mode: 0o400, uid: u32::MAX, gid: 0 };
    let mounts = vec![SandboxMount { target: "/run/secret".into(), source }];
    assert!(world.run(super::StepSpec { mounts, ..step(root.path(), &["id"]) }).is_err());
}

fn leaks_in(world: &World) {
    // Descriptor 3 is the directory that ls reads.
    assert_eq!(world.sh("ls /proc/self/fd | tr '\\n' ' '"), "0 1 2 3 ");
    assert_eq!(world.sh("unset OLDPWD; env | sort"), "HOME=/root\nPATH=/bin\nPWD=/\nSHLVL=1\n");
    // The init's memory is a copy of the zygote's and must not be readable.
    assert!(world.sh("cat /proc/1/environ 2>&1 || true").contains("Permission denied"));
    assert_eq!(
        world.sh("grep -E '^Sig(Blk|Ign)' /proc/self/status | cut -f 2"),
        "0000000000000000\n0000000000000000\n"
    );
}

fn mount_targets(world: &World) {
    let temporary = tempfile::tempdir().unwrap();
    let outside = temporary.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    let below = outside.strip_prefix("/").unwrap();
    let untouched = |what: &str| assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0, "{what}");
    let root = rootfs();
    std::os::unix::fs::symlink(&outside, root.path().join("absolute")).unwrap();
    std::os::unix::fs::symlink("../../../../../../../../../..", root.path().join("up")).unwrap();
    let secret = || MountSource::Secret { content: b"x".into(), mode: 0o400, uid: 0, gid: 0 };
    let sources: [&dyn Fn() -> MountSource; 2] = [&secret, &|| MountSource::Tmpfs { size: None }];
    for source in sources {
        for target in [
            Path::new("/absolute/a"),
            &Path::new("/up").join(below).join("b"),
            &Path::new("/tmp/../../..").join(below).join("c"),
        ] {
            for (name, ended, output) in world.by_all(|| {
                let mut spec = step(root.path(), &["true"]);
                spec.mounts.push(SandboxMount { target: target.into(), source: source() });
                spec
            }) {
                let what = format!("{name}: {}", target.display());
                assert_eq!(ended.unwrap().status, Status::Code(0), "{what}: {output}");
                untouched(&what);
            }
        }
    }
    // Links in place of the directories in which every step has mounts. runc would follow such a `/dev`, so it is not started.
    for name in ["etc", "proc", "sys", "dev"] {
        let root = rootfs();
        let _ = std::fs::remove_dir_all(root.path().join(name));
        std::os::unix::fs::symlink(&outside, root.path().join(name)).unwrap();
        for (executor, ended, output) in world.by_all(|| step(root.path(), &["true"])) {
            let what = format!("{executor}: /{name}: {output}");
            untouched(&what);
            match ended {
                Ok(exit) => assert_eq!(exit.status, Status::Code(0), "{what}"),
                Err(error) => {
                    assert!(executor != "native" && error.to_string().contains("symbolic link"), "{what}: {error}")
                }
            }
        }
    }
}

/// The additional rights of a step with `--security=insecure`.
fn insecure(world: &World) {
    let root = rootfs();
    let script = "grep Seccomp: /proc/self/status | cut -f 2; mount -t tmpfs none /tmp && echo mounted; \
        grep CapEff /proc/self/status | cut -f 2; grep -c -E ' /proc/(sys|kcore) ' /proc/mounts";
    let mut answers = Vec::new();
    for (name, ended, output) in world
        .by_all(|| super::StepSpec { privileges: Privileges::Insecure, ..step(root.path(), &["sh", "-c", script]) })
    {
        ended.unwrap();
        assert!(output.starts_with("0\nmounted\n") && output.ends_with("\n0\n"), "{name}: {output}");
        answers.push((name, output));
    }
    assert!(answers.iter().all(|(_, output)| *output == answers[0].1), "all capabilities: {answers:?}");
    // The next step must not have these rights.
    for (name, ended, output) in world.by_all(|| step(root.path(), &["sh", "-c", "mount -t tmpfs none /tmp"])) {
        assert_ne!(ended.unwrap().status, Status::Code(0), "{name}: {output}");
    }
}

/// The attack of CVE-2024-21626: descriptors of the process that starts the program, by name or through a link.
fn workdirs(world: &World) {
    let root = rootfs();
    std::os::unix::fs::symlink("/proc/self/fd/5", root.path().join("link")).unwrap();
    let numbers = (3..24).map(|number| format!("/proc/self/fd/{number}"));
    for workdir in numbers.chain(["/link".to_owned()]) {
        let spec = || super::StepSpec { workdir: workdir.clone().into(), ..step(root.path(), &["pwd"]) };
        for (name, ended, output) in world.by_all(spec) {
            // There is no such descriptor to enter, and no directory can be made there.
            assert!(!ended.is_ok_and(|exit| exit.status == Status::Code(0)), "{name}: {workdir}: {output}");
        }
    }
}

/// An ordinary user cannot read the descriptors of the zygote's children, so this test checks them only as root.
fn descriptors(world: &World) {
    let root = rootfs();
    let zygote = world.zygote.pid().unwrap().to_string();
    let children = |pid: &str| std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let descriptors = |init: &str| {
        let paths = std::fs::read_dir(format!("/proc/{init}/fd")).into_iter().flatten().flatten();
        paths.map(|descriptor| descriptor.path()).collect::<Vec<_>>()
    };
    let is_directory = |path: &PathBuf| std::fs::metadata(path).is_ok_and(|of| of.is_dir());
    let seen = std::thread::scope(|scope| {
        // The step runs until its init has been looked at.
        let wait = "until [ -e /go ]; do sleep 0.02; done";
        let step = scope.spawn(|| world.succeed(step(root.path(), &["sh", "-c", wait])));
        let look = || {
            let running = || {
                let inits = children(&zygote);
                let running = inits.split_ascii_whitespace().find(|init| !children(init).is_empty());
                running.map(str::to_owned)
            };
            until("the step runs", || running().is_some() || step.is_finished());
            // An init with a child has set up the sandbox and soon drops its message.
            let init = running().expect("the step runs");
            until("the init has no directory", || !descriptors(&init).iter().any(is_directory));
            descriptors(&init).len()
        };
        let seen = std::panic::catch_unwind(std::panic::AssertUnwindSafe(look));
        std::fs::write(root.path().join("go"), "").unwrap();
        step.join().unwrap();
        seen.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    assert!(seen > 0 || !world.privileged(), "no init was checked");
}

//! The filter, run by a machine for classic BPF and compared with docker's profile number by number.

use super::super::docker::{self, SeccompRule};
use super::super::syscalls::{AARCH64, ARM, X86, X86_64};
use super::*;
use std::collections::BTreeMap;

/// A classic BPF machine for the few instructions that are used here (linux/Documentation/networking/filter.rst).
fn run(program: &[BpfInstruction], arch: u32, number: u32, argument: u64) -> u32 {
    let data = [number, arch, 0, 0, argument as u32, (argument >> 32) as u32];
    let (mut at, mut value) = (0, 0);
    loop {
        let BpfInstruction { code, jt, jf, k } = program[at];
        let skip = |condition: bool| usize::from(if condition { jt } else { jf });
        at += 1 + match code {
            LOAD_WORD => {
                value = data[k as usize / 4];
                0
            }
            JUMP => k as usize,
            JUMP_EQUAL => skip(value == k),
            JUMP_NOT_BELOW => skip(value >= k),
            JUMP_ANY_BIT => skip(value & k != 0),
            RETURN => return k,
            other => panic!("instruction {other:#x}"),
        };
    }
}

fn native(number: i64, argument: u64) -> u32 {
    run(&docker_default(RawSockets::Allowed), NATIVE[0].audit_arch, number as u32, argument)
}

const REFUSED: u32 = ERRNO | EPERM;
const UNKNOWN: u32 = ERRNO | ENOSYS;

/// The conventions that the table has.
const TABLE: [(&str, Abi); 3] = [("x86-64", X86_64), ("i386", X86), ("aarch64", AARCH64)];

#[test]
fn every_number_has_dockers_rule() {
    for (architecture, abi) in &TABLE {
        let rules: BTreeMap<u32, SeccompRule> =
            docker::rows().filter(|row| row.architecture == *architecture).map(|row| (row.number, row.rule)).collect();
        let last = *rules.keys().last().unwrap();
        assert_eq!((last, abi.newest), (466, 466), "{architecture}");
        let filter = program(std::slice::from_ref(abi), RawSockets::Allowed);
        for number in 0..=last {
            let found = run(&filter, abi.audit_arch, number, 0);
            match rules.get(&number) {
                Some(SeccompRule::Allow) => assert_eq!(found, ALLOW, "{architecture} {number}"),
                // A number without a name is refused like a known call (libseccomp's default action).
                Some(SeccompRule::Refuse) | None => assert_eq!(found, REFUSED, "{architecture} {number}"),
                Some(SeccompRule::Unknown) => assert_eq!(found, UNKNOWN, "{architecture} {number}"),
                Some(SeccompRule::Argument) => {
                    assert!([abi.socket, abi.personality, abi.clone].contains(&number), "{architecture} {number}");
                }
            }
        }
    }
}

/// One instruction for each range of numbers, and for each convention some for its rules.
#[test]
fn the_filter_is_as_short_as_its_ranges_allow() {
    let ranges: usize = NATIVE.iter().map(|abi| actions(abi).len()).sum();
    let length = docker_default(RawSockets::Allowed).len();
    assert!(length < ranges + 26 * NATIVE.len(), "{length} instructions for {ranges} ranges");
}

/// Docker allows the families below 38, 39, and those above 40.
#[test]
fn socket_families_have_dockers_rules() {
    for (architecture, abi) in &TABLE {
        for (raw, refused) in [(RawSockets::Allowed, &[38, 40][..]), (RawSockets::Refused, &[17, 38, 40])] {
            let filter = program(std::slice::from_ref(abi), raw);
            for family in 0..64 {
                let expected = if refused.contains(&family) { REFUSED } else { ALLOW };
                assert_eq!(run(&filter, abi.audit_arch, abi.socket, family), expected, "{architecture} {family}");
            }
            // The kernel takes an int and ignores the high half.
            assert_eq!(run(&filter, abi.audit_arch, abi.socket, 1 << 32 | 38), REFUSED, "{architecture}");
        }
    }
}

#[test]
fn socket_clone_and_personality_depend_on_arguments() {
    assert_eq!(native(libc::SYS_socket, libc::AF_UNIX as u64), ALLOW);
    assert_eq!(native(libc::SYS_socket, libc::AF_VSOCK as u64), REFUSED);
    assert_eq!(native(libc::SYS_clone, (libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD) as u64), ALLOW);
    for flag in [libc::CLONE_NEWUSER, libc::CLONE_NEWNS, libc::CLONE_NEWNET, libc::CLONE_NEWPID, libc::CLONE_NEWCGROUP]
    {
        assert_eq!(native(libc::SYS_clone, flag as u64), REFUSED, "{flag:#x}");
    }
    for (persona, expected) in
        [(0, ALLOW), (8, ALLOW), (0x2_0008, ALLOW), (0xffff_ffff, ALLOW), (0x4_0000, REFUSED), (1, REFUSED)]
    {
        assert_eq!(native(libc::SYS_personality, persona), expected, "{persona:#x}");
    }
    assert_eq!(native(libc::SYS_clone3, 0), UNKNOWN);
}

#[test]
fn unknown_calls_give_enosys_and_foreign_conventions_die() {
    assert_eq!(native(467, 0), UNKNOWN);
    assert_eq!(native(0x4000_0000, 0), UNKNOWN, "x32");
    assert_eq!(run(&docker_default(RawSockets::Allowed), 0x8000_0016, 0, 0), KILL_PROCESS, "s390x");
}

#[cfg(target_arch = "x86_64")]
#[test]
fn calls_of_32_bit_programs_have_the_same_rules() {
    // asm/unistd_32.h: mount 21, umount2 52, keyctl 288, unshare 310; write 4, socketcall 102, execve 11.
    let program = docker_default(RawSockets::Allowed);
    for number in [21, 52, 288, 310] {
        assert_eq!(run(&program, 0x4000_0003, number, 0), REFUSED, "{number}");
    }
    for number in [4, 102, 11] {
        assert_eq!(run(&program, 0x4000_0003, number, 0), ALLOW, "{number}");
    }
    assert_eq!(run(&program, 0x4000_0003, 359, libc::AF_VSOCK as u64), REFUSED);
}

/// The numbers are those of asm-generic/unistd.h and arch/arm/tools/syscall.tbl.
#[test]
fn the_arm_filter_has_both_conventions() {
    let program = program(&[AARCH64, ARM], RawSockets::Allowed);
    let (wide, narrow) = (0xc000_00b7, 0x4000_0028);
    // mount, umount2, keyctl, unshare, setns, bpf, init_module, reboot, ptrace's neighbour perf_event_open
    for (arch, refused) in
        [(wide, [40, 39, 219, 97, 268, 280, 105, 142, 241]), (narrow, [21, 52, 311, 337, 375, 386, 128, 88, 364])]
    {
        for number in refused {
            assert_eq!(run(&program, arch, number, 0), REFUSED, "{arch:#x} {number}");
        }
    }
    // read, write, execve, openat, accept4, recvmsg, semget, getrandom, statx, rseq
    for (arch, allowed) in [
        (wide, [63, 64, 221, 56, 242, 212, 190, 278, 291, 293]),
        (narrow, [3, 4, 11, 322, 366, 297, 299, 384, 397, 398]),
    ] {
        for number in allowed {
            assert_eq!(run(&program, arch, number, 0), ALLOW, "{arch:#x} {number}");
        }
    }
    for (arch, socket, clone) in [(wide, 198, 220), (narrow, 281, 120)] {
        assert_eq!(run(&program, arch, socket, libc::AF_VSOCK as u64), REFUSED);
        assert_eq!(run(&program, arch, socket, libc::AF_INET as u64), ALLOW);
        assert_eq!(run(&program, arch, clone, libc::CLONE_NEWUSER as u64), REFUSED);
        assert_eq!(run(&program, arch, 435, 0), UNKNOWN, "clone3");
    }
    for (number, expected) in
        [(0xf_0001, ALLOW), (0xf_0002, ALLOW), (0xf_0005, ALLOW), (0xf_0003, UNKNOWN), (0xf_0006, UNKNOWN)]
    {
        assert_eq!(run(&program, narrow, number, 0), expected, "{number:#x}");
    }
}

#[test]
fn filters_are_shorter_than_the_kernels_limit() {
    assert!(
        docker_default(RawSockets::Refused).len() < 4096 && program(&[AARCH64, ARM], RawSockets::Refused).len() < 4096,
        "BPF_MAXINSNS"
    );
}

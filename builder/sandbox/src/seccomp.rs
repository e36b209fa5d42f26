//! docker's default seccomp profile as a classic BPF program.
//!
//! The profile (moby, `profiles/seccomp/default.json`, as of 2025) is an allow list. Known calls that are not on it fail with
//! EPERM. Calls that are newer than the list fail with ENOSYS, so that libraries fall back to older calls; runc does the same.
//! The program is a binary search over ranges of allowed numbers. It is short to load and fast to evaluate for all numbers,
//! which the kernel does once per load to find the calls that are always allowed.

use super::sys::BpfInstruction;
use super::syscalls::{Abi, NATIVE};
use std::ops::RangeInclusive;

// linux/bpf_common.h and linux/seccomp.h.
const LOAD_WORD: u16 = 0x20;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_NOT_BELOW: u16 = 0x35;
const JUMP_ANY_BIT: u16 = 0x45;
const JUMP: u16 = 0x05;
const RETURN: u16 = 0x06;
const ALLOW: u32 = 0x7fff_0000;
const ERRNO: u32 = 0x0005_0000;
const KILL_PROCESS: u32 = 0x8000_0000;

// Offsets in struct seccomp_data.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
/// The offset of the low half of an argument. All architectures here are little-endian.
const fn argument(index: u32) -> u32 {
    16 + 8 * index
}

const EPERM: u32 = 1;
const ENOSYS: u32 = 38;

/// The `CLONE_NEW*` flags of all namespaces except time. docker refuses `clone` with any of them.
pub(super) const NEW_NAMESPACES: u32 = 0x7e02_0000;
/// `AF_VSOCK`, whose sockets connect to the host of a virtual machine and bypass network namespaces.
pub(super) const AF_VSOCK: u32 = 40;
/// The execution domains that docker allows `personality` to set or query.
pub(super) const PERSONALITIES: [u32; 5] = [0, 8, 0x2_0000, 0x2_0008, 0xffff_ffff];

/// The rule for a system call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Action {
    Allow,
    Refuse(u32),
    /// Allowed except for [`AF_VSOCK`].
    Socket,
    /// Allowed for one of [`PERSONALITIES`].
    Personality,
    /// Allowed without [`NEW_NAMESPACES`].
    Clone,
}

/// The program for this architecture and its 32-bit companion.
pub(super) fn docker_default() -> Vec<BpfInstruction> {
    program(NATIVE)
}

fn program(conventions: &[Abi]) -> Vec<BpfInstruction> {
    let mut program = vec![op(LOAD_WORD, ARCH)];
    for abi in conventions {
        let body = body(abi);
        // An unconditional jump has any length; conditional ones reach only 255 instructions.
        program.push(branch(JUMP_EQUAL, abi.audit_arch, 1, 0));
        program.push(op(JUMP, body.len() as u32));
        program.extend(body);
    }
    program.push(op(RETURN, KILL_PROCESS));
    program
}

fn body(abi: &Abi) -> Vec<BpfInstruction> {
    let mut program = vec![op(LOAD_WORD, NUMBER)];
    search(&actions(abi), &mut program);
    program
}

/// The rules of the whole range of numbers, in order and without gaps: (first number, rule from there on).
fn actions(abi: &Abi) -> Vec<(u32, Action)> {
    let mut of: Vec<Action> = vec![Action::Refuse(EPERM); abi.newest as usize + 1];
    for number in abi.allowed.iter().cloned().flat_map(RangeInclusive::into_iter) {
        of[number as usize] = Action::Allow;
    }
    of[abi.socket as usize] = Action::Socket;
    of[abi.personality as usize] = Action::Personality;
    of[abi.clone as usize] = Action::Clone;
    // The flags of clone3 are in memory, which a filter cannot read. With ENOSYS libraries fall back to clone.
    of[abi.clone3 as usize] = Action::Refuse(ENOSYS);
    of.push(Action::Refuse(ENOSYS));
    let mut ranges = Vec::new();
    for (number, action) in (0..).zip(of) {
        if ranges.last().is_none_or(|&(_, last)| last != action) {
            ranges.push((number, action));
        }
    }
    for private in abi.private {
        ranges.extend([(*private.start(), Action::Allow), (*private.end() + 1, Action::Refuse(ENOSYS))]);
    }
    ranges
}

/// Appends a search tree whose leaves return.
fn search(ranges: &[(u32, Action)], program: &mut Vec<BpfInstruction>) {
    if let [(_, action)] = ranges {
        return leaf(*action, program);
    }
    let (low, high) = ranges.split_at(ranges.len() / 2);
    let mut below = Vec::new();
    search(low, &mut below);
    program.push(branch(JUMP_NOT_BELOW, high[0].0, 0, 1));
    program.push(op(JUMP, below.len() as u32));
    program.extend(below);
    search(high, program);
}

fn leaf(action: Action, program: &mut Vec<BpfInstruction>) {
    let (allow, refuse) = (op(RETURN, ALLOW), op(RETURN, ERRNO | EPERM));
    match action {
        Action::Allow => program.push(allow),
        Action::Refuse(errno) => program.push(op(RETURN, ERRNO | errno)),
        Action::Socket => {
            program.extend([op(LOAD_WORD, argument(0)), branch(JUMP_EQUAL, AF_VSOCK, 1, 0), allow, refuse])
        }
        Action::Clone => {
            program.extend([op(LOAD_WORD, argument(0)), branch(JUMP_ANY_BIT, NEW_NAMESPACES, 1, 0), allow, refuse])
        }
        Action::Personality => {
            program.push(op(LOAD_WORD, argument(0)));
            for (&persona, left) in PERSONALITIES.iter().zip((0..PERSONALITIES.len() as u8).rev()) {
                program.push(branch(JUMP_EQUAL, persona, left + 1, 0));
            }
            program.extend([refuse, allow]);
        }
    }
}

fn op(code: u16, k: u32) -> BpfInstruction {
    BpfInstruction { code, jt: 0, jf: 0, k }
}

fn branch(code: u16, k: u32, jt: u8, jf: u8) -> BpfInstruction {
    BpfInstruction { code, jt, jf, k }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        run(&docker_default(), NATIVE[0].audit_arch, number as u32, argument)
    }

    const REFUSED: u32 = ERRNO | EPERM;
    const UNKNOWN: u32 = ERRNO | ENOSYS;

    /// Checks every number of the native table. The names are the calls that docker's profile does not allow without
    /// capabilities; all others must be allowed.
    #[cfg(target_arch = "x86_64")]
    #[test]
    fn exactly_dockers_refused_calls_are_refused() {
        use libc::*;
        #[rustfmt::skip]
        let refused = [
            SYS__sysctl, SYS_acct, SYS_add_key, SYS_afs_syscall, SYS_bpf, SYS_clock_settime, SYS_delete_module,
            SYS_fanotify_init, SYS_finit_module, SYS_fsconfig, SYS_fsmount, SYS_fsopen, SYS_fspick,
            SYS_get_mempolicy, SYS_getpmsg, SYS_init_module, SYS_io_uring_enter, SYS_io_uring_register,
            SYS_io_uring_setup, SYS_ioperm, SYS_iopl, SYS_kcmp, SYS_kexec_file_load, SYS_kexec_load, SYS_keyctl,
            SYS_lookup_dcookie, SYS_mbind, SYS_migrate_pages, SYS_mount, SYS_mount_setattr, SYS_move_mount,
            SYS_move_pages, SYS_nfsservctl, SYS_open_by_handle_at, SYS_open_tree, SYS_perf_event_open,
            SYS_pidfd_getfd, SYS_pivot_root, SYS_process_madvise, SYS_putpmsg, SYS_quotactl, SYS_quotactl_fd,
            SYS_reboot, SYS_request_key, SYS_security, SYS_set_mempolicy, SYS_set_mempolicy_home_node,
            SYS_setdomainname, SYS_sethostname, SYS_setns, SYS_settimeofday, SYS_swapoff, SYS_swapon, SYS_sysfs,
            SYS_syslog, SYS_tuxcall, SYS_umount2, SYS_unshare, SYS_uselib, SYS_userfaultfd, SYS_ustat, SYS_vhangup,
            SYS_vserver, 174 /* create_module */, 177 /* get_kernel_syms */, 178 /* query_module */, 457 /*
            statmount */, 458, /* listmount */
        ];
        let program = docker_default();
        for number in (0..=334).chain(424..=466) {
            let expected = match number {
                number if number == SYS_clone3 => UNKNOWN,
                number if refused.contains(&number) => REFUSED,
                _ => ALLOW,
            };
            assert_eq!(run(&program, NATIVE[0].audit_arch, number as u32, 0), expected, "{number}");
        }
    }

    #[test]
    fn socket_clone_and_personality_depend_on_arguments() {
        assert_eq!(native(libc::SYS_socket, libc::AF_UNIX as u64), ALLOW);
        assert_eq!(native(libc::SYS_socket, libc::AF_VSOCK as u64), REFUSED);
        assert_eq!(native(libc::SYS_clone, (libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD) as u64), ALLOW);
        for flag in
            [libc::CLONE_NEWUSER, libc::CLONE_NEWNS, libc::CLONE_NEWNET, libc::CLONE_NEWPID, libc::CLONE_NEWCGROUP]
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
        assert_eq!(run(&docker_default(), 0x8000_0016, 0, 0), KILL_PROCESS, "s390x");
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn calls_of_32_bit_programs_have_the_same_rules() {
        // asm/unistd_32.h: mount 21, umount2 52, keyctl 288, unshare 310; write 4, socketcall 102, execve 11.
        let program = docker_default();
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
        use super::super::syscalls::{AARCH64, ARM};
        let program = program(&[AARCH64, ARM]);
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
        use super::super::syscalls::{AARCH64, ARM};
        assert!(docker_default().len() < 4096 && program(&[AARCH64, ARM]).len() < 4096, "BPF_MAXINSNS");
    }
}

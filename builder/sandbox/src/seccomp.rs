//! docker's default seccomp profile as a classic BPF program.
//!
//! The profile (moby/profiles, `seccomp/default.json`, as of 2026-06-30) is an allow list. Known calls that are not on it fail with
//! EPERM. Calls that are newer than the list fail with ENOSYS, so that libraries fall back to older calls; runc does the same.
//! The program is a binary search over ranges of allowed numbers, whose branches share the code of each rule. The kernel compiles the
//! program for each step, and evaluates it for all numbers to find the calls that are always allowed, so its length counts.

use super::spec::RawSockets;
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
/// `AF_PACKET`, whose sockets see all packets of a network. A step in its own network may have them.
pub(super) const AF_PACKET: u32 = 17;
/// `AF_ALG`, the interface to the kernel's cryptography. docker refuses it since 2026-04-30.
pub(super) const AF_ALG: u32 = 38;
/// `AF_VSOCK`, whose sockets connect to the host of a virtual machine and bypass network namespaces.
pub(super) const AF_VSOCK: u32 = 40;
/// The execution domains that docker allows `personality` to set or query.
pub(super) const PERSONALITIES: [u32; 5] = [0, 8, 0x2_0000, 0x2_0008, 0xffff_ffff];

/// The rule for a system call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Action {
    Allow,
    Refuse(u32),
    /// Allowed except for [`refused_families`].
    Socket,
    /// Allowed for one of [`PERSONALITIES`].
    Personality,
    /// Allowed without [`NEW_NAMESPACES`].
    Clone,
}

/// The socket families that a step cannot use, in ascending order.
pub(super) fn refused_families(raw: RawSockets) -> &'static [u32] {
    match raw {
        RawSockets::Allowed => &[AF_ALG, AF_VSOCK],
        RawSockets::Refused => &[AF_PACKET, AF_ALG, AF_VSOCK],
    }
}

/// The program for this architecture and its 32-bit companion.
pub(super) fn docker_default(raw: RawSockets) -> Vec<BpfInstruction> {
    program(NATIVE, raw)
}

fn program(conventions: &[Abi], raw: RawSockets) -> Vec<BpfInstruction> {
    let mut program = vec![op(LOAD_WORD, ARCH)];
    for abi in conventions {
        let body = body(abi, raw);
        // An unconditional jump has any length; conditional ones reach only 255 instructions.
        program.push(branch(JUMP_EQUAL, abi.audit_arch, 1, 0));
        program.push(op(JUMP, body.len() as u32));
        program.extend(body);
    }
    program.push(op(RETURN, KILL_PROCESS));
    program
}

/// The number is loaded and looked up by the branches of a search tree. The code of the rules follows, once for each rule.
fn body(abi: &Abi, raw: RawSockets) -> Vec<BpfInstruction> {
    let mut tree = SearchTree::default();
    tree.add(&actions(abi));
    let mut rules = Vec::new();
    let mut starts: Vec<(Action, usize)> = Vec::new();
    let mut position = |target: Target| match target {
        Target::Branch(other) => other,
        Target::Rule(action) => {
            let known = starts.iter().find(|&&(known, _)| known == action).map(|&(_, start)| start);
            let start = known.unwrap_or_else(|| {
                starts.push((action, rules.len()));
                rule(action, raw, &mut rules);
                starts[starts.len() - 1].1
            });
            tree.branches.len() + start
        }
    };
    let mut program = vec![op(LOAD_WORD, NUMBER)];
    for (at, &Branch { from, below, above }) in tree.branches.iter().enumerate() {
        let [below, above] = [below, above].map(|target| {
            let distance = position(target) - at - 1;
            u8::try_from(distance).expect("the rules of a calling convention have fewer than 256 ranges")
        });
        program.push(branch(JUMP_NOT_BELOW, from, above, below));
    }
    program.extend(rules);
    program
}

/// A binary search by number, in the order in which it is written: each branch precedes those below it.
#[derive(Default)]
struct SearchTree {
    branches: Vec<Branch>,
}

/// A comparison with the first number of a range.
struct Branch {
    from: u32,
    /// For numbers below it.
    below: Target,
    /// For the others.
    above: Target,
}

/// Where a branch leads to.
#[derive(Clone, Copy)]
enum Target {
    /// The branch with this index.
    Branch(usize),
    Rule(Action),
}

impl SearchTree {
    /// Adds the search among ranges. Returns where it begins.
    fn add(&mut self, ranges: &[(u32, Action)]) -> Target {
        if let [(_, action)] = ranges {
            return Target::Rule(*action);
        }
        let (low, high) = ranges.split_at(ranges.len() / 2);
        let at = self.branches.len();
        let unknown = Target::Rule(Action::Refuse(EPERM));
        self.branches.push(Branch { from: high[0].0, below: unknown, above: unknown });
        let (below, above) = (self.add(low), self.add(high));
        self.branches[at] = Branch { from: high[0].0, below, above };
        Target::Branch(at)
    }
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

/// Appends the code of a rule.
fn rule(action: Action, raw: RawSockets, program: &mut Vec<BpfInstruction>) {
    let (allow, refuse) = (op(RETURN, ALLOW), op(RETURN, ERRNO | EPERM));
    match action {
        Action::Allow => program.push(allow),
        Action::Refuse(errno) => program.push(op(RETURN, ERRNO | errno)),
        Action::Socket => {
            program.push(op(LOAD_WORD, argument(0)));
            compare(refused_families(raw), program);
            program.extend([allow, refuse]);
        }
        Action::Clone => {
            program.extend([op(LOAD_WORD, argument(0)), branch(JUMP_ANY_BIT, NEW_NAMESPACES, 1, 0), allow, refuse])
        }
        Action::Personality => {
            program.push(op(LOAD_WORD, argument(0)));
            compare(&PERSONALITIES, program);
            program.extend([refuse, allow]);
        }
    }
}

/// Appends a comparison of the loaded word: the first instruction behind it is for other words, the second one for these words.
fn compare(words: &[u32], program: &mut Vec<BpfInstruction>) {
    for (&word, left) in words.iter().zip((0..words.len() as u8).rev()) {
        program.push(branch(JUMP_EQUAL, word, left + 1, 0));
    }
}

fn op(code: u16, k: u32) -> BpfInstruction {
    BpfInstruction { code, jt: 0, jf: 0, k }
}

fn branch(code: u16, k: u32, jt: u8, jf: u8) -> BpfInstruction {
    BpfInstruction { code, jt, jf, k }
}

#[cfg(test)]
mod tests;

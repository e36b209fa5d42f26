//! Reads `/proc/PID`. Every file may be gone or hidden at any time: then the result is `None`.

use rustix::fs::{Mode, OFlags};

/// The longest argument and the longest list of arguments that are kept, in bytes.
const LONGEST_ARGUMENT: usize = 160;
const LONGEST_LIST: usize = 480;

/// The beginning of a file of `/proc`, up to 4 KiB.
pub(crate) fn read(path: &str) -> Option<Vec<u8>> {
    let file = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let mut bytes = vec![0; 4096];
    let length = rustix::io::read(&file, &mut bytes).ok()?;
    bytes.truncate(length);
    Some(bytes)
}

pub(crate) fn text(path: &str) -> Option<String> {
    String::from_utf8(read(path)?).ok()
}

/// Returns bytes of the observed program as printable text: control characters and bytes that are not UTF-8 are escaped.
pub(crate) fn shown(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => text.extend(character.escape_unicode()),
                character if character.is_control() => text.extend(character.escape_default()),
                character => text.push(character),
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

/// A process's arguments, shortened.
pub(crate) fn arguments(pid: i32) -> Option<Vec<String>> {
    let bytes = read(&format!("/proc/{pid}/cmdline"))?;
    (!bytes.is_empty()).then(|| shorten(&bytes))
}

/// Arguments that end with zero bytes, shortened.
pub(crate) fn shorten(bytes: &[u8]) -> Vec<String> {
    let (mut list, mut length) = (Vec::new(), 0);
    let bytes = bytes.strip_suffix(b"\0").unwrap_or(bytes);
    for argument in bytes.split(|&byte| byte == 0) {
        if length >= LONGEST_LIST {
            list.push("…".into());
            break;
        }
        let kept = &argument[..argument.len().min(LONGEST_ARGUMENT)];
        length += kept.len() + 1;
        list.push(shown(kept) + if kept.len() < argument.len() { "…" } else { "" });
    }
    list
}

/// The peak memory in bytes, from `status`.
pub(crate) fn peak_memory(pid: i32) -> Option<u64> {
    let status = text(&format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// The bytes read and written, from `io`.
pub(crate) fn transferred(pid: i32) -> Option<(u64, u64)> {
    let io = text(&format!("/proc/{pid}/io"))?;
    let number = |name: &str| io.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    Some((number("rchar:")?, number("wchar:")?))
}

/// The nanoseconds of a thread on a processor and waiting for one, from `schedstat`.
pub(crate) fn scheduled(pid: i32, tid: i32) -> Option<(u64, u64)> {
    let text = text(&format!("/proc/{pid}/task/{tid}/schedstat"))?;
    let mut numbers = text.split_ascii_whitespace().map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

/// A line of `stat`.
pub(crate) struct Stat {
    pub(crate) state: char,
    /// Whether the kernel has begun to end the process. Its state does not show this until it is a zombie.
    exiting: bool,
    /// The start of the process since boot, in clock ticks.
    pub(crate) started: u64,
    /// Time in user mode and in the kernel, in clock ticks.
    ticks: (u64, u64),
    /// The program that is executed.
    pub(crate) program: Program,
}

/// The program that a process executes, as far as `stat` distinguishes it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Program {
    pub(crate) name: String,
    /// The address at which its stack begins, which is random for each exec. `None` if it may not be read, or at the end of the process.
    stack: Option<u64>,
}

impl Program {
    /// Whether the process executed another program since it was `before`. It may also execute the same one again, or only change its name.
    pub(crate) fn was_executed_after(&self, before: &Self) -> bool {
        match (before.stack, self.stack) {
            (Some(before), Some(stack)) => before != stack,
            _ => before.name != self.name,
        }
    }
}

impl Stat {
    fn lives(&self) -> bool {
        !self.exiting && !matches!(self.state, 'Z' | 'X')
    }
}

/// Time in user mode and in the kernel, in nanoseconds.
pub(crate) fn ticks(pid: i32) -> Option<(u64, u64)> {
    let tick = 1_000_000_000 / rustix::param::clock_ticks_per_second().max(1);
    let (user, system) = stat(pid)?.ticks;
    Some((user.saturating_mul(tick), system.saturating_mul(tick)))
}

/// Reads `stat` (proc_pid_stat(5)).
pub(crate) fn stat(pid: i32) -> Option<Stat> {
    parse_stat(&read(&format!("/proc/{pid}/stat"))?)
}

fn parse_stat(line: &[u8]) -> Option<Stat> {
    // The name may contain anything, also parentheses.
    let open = line.iter().position(|&byte| byte == b'(')?;
    let close = line.iter().rposition(|&byte| byte == b')')?;
    let name = shown(line.get(open + 1..close)?);
    let rest = std::str::from_utf8(line.get(close + 1..)?).ok()?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    let state = fields.first()?.chars().next()?;
    /// linux/sched.h
    const PF_EXITING: u64 = 4;
    let exiting = number(6)? & PF_EXITING != 0;
    let program = Program { name, stack: number(25).filter(|&address| address != 0) };
    Some(Stat { state, exiting, started: number(19)?, ticks: (number(11)?, number(12)?), program })
}

/// Whether a thread is on a processor or could be.
pub(crate) fn runs(pid: i32, tid: i32) -> Option<bool> {
    Some(parse_stat(&read(&format!("/proc/{pid}/task/{tid}/stat"))?)?.state == 'R')
}

/// Whether a process runs. A zombie does not, nor does a process that the kernel is ending.
pub(crate) fn lives(pid: i32) -> bool {
    stat(pid).is_some_and(|stat| stat.lives())
}

/// The threads of a process, at most `most`.
pub(crate) fn threads(pid: i32, most: usize) -> Vec<i32> {
    let Ok(entries) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).take(most).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_programs_cannot_move_a_terminals_cursor() {
        assert_eq!(shown(b"a\x1b[2Jb\nc"), "a\\u{1b}[2Jb\\nc");
        assert_eq!(shown(b"\xc3\xa9t\xc3\xa9 \xff"), "été \\xff");
        assert_eq!(shown("x\u{202e}y".as_bytes()), "x\\u{202e}y");
    }

    #[test]
    fn long_arguments_are_shortened() {
        let long = [b"sh\0-c\0".as_slice(), &[b'x'; 5000], b"\0"].concat();
        let list = shorten(&long);
        assert_eq!(list[..2], ["sh", "-c"]);
        assert_eq!(list[2].chars().count(), LONGEST_ARGUMENT + 1);
        let many = b"a\0".repeat(4000);
        let list = shorten(&many);
        assert_eq!((list.len(), list.last().unwrap().as_str()), (LONGEST_LIST / 2 + 1, "…"));
    }

    #[test]
    fn a_name_with_parentheses_is_read_whole() {
        let line = b"12 (a) S (b) R 3 12 12 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 9 0 4242 1 1";
        let stat = parse_stat(line).unwrap();
        assert_eq!((stat.program.name.as_str(), stat.state), ("a) S (b", 'R'));
        assert_eq!((stat.started, stat.ticks), (4242, (5, 6)));
    }

    /// The fields are those of proc_pid_stat(5): the 26th is the start of the code, the 28th that of the stack.
    #[test]
    fn a_new_stack_is_a_new_program() {
        let program = |name: &str, stack: &str| {
            let line = format!(
                "12 ({name}) S 3 12 12 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 9 0 4242 1 1 9 4194304 4194999 {stack} 0"
            );
            parse_stat(line.as_bytes()).unwrap().program
        };
        let shell = program("sh", "140720000000016");
        assert!(program("sh", "140730000000016").was_executed_after(&shell), "sh executed sh");
        assert!(!program("worker-1", "140720000000016").was_executed_after(&shell), "it gave itself a name");
        assert!(program("sleep", "0").was_executed_after(&shell), "only the names are known");
        assert!(!program("sh", "0").was_executed_after(&shell));
    }

    /// On a loaded machine, a process may wait for a processor between the report of its end and its last instruction.
    #[test]
    fn a_process_that_is_ending_does_not_live() {
        let lives = |state: char, flags: u32| {
            let line = format!("12 (true) {state} 3 12 12 0 -1 {flags} 1 2 3 4 5 6 7 8 20 0 9 0 4242 1 1");
            parse_stat(line.as_bytes()).unwrap().lives()
        };
        assert!(lives('R', 0x0040_0000) && lives('S', 0x0040_0100));
        assert!(!lives('R', 0x0040_0004) && !lives('Z', 0x0040_000c) && !lives('X', 0));
    }
}

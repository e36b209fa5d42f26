//! The functions that a program compiled while it runs, from the file in which it lists them for profilers.
//!
//! node (`--perf-basic-prof`), Python 3.12 (`-X perf`) and others write `/tmp/perf-PID.map`: a line for each function, with its address and
//! its size in hexadecimal and its name (tools/perf/Documentation/jit-interface.txt of Linux). The file is the step's own, so it may
//! have anything: it is read only if it is a regular file below the process's root, and up to a limit.

use crate::procfs;
use crate::symbols;
use std::collections::{BTreeMap, HashMap};
use std::os::unix::fs::FileExt;

/// The most bytes that are read at once. What is left is read at the next address that is unknown.
const CHUNK: usize = 1 << 20;
/// The most bytes that are read in a build.
const MOST: usize = 64 << 20;
/// The size above which a file is not read, in bytes.
const LARGEST: u64 = 1 << 30;
/// The longest name that is kept, in bytes.
const LONGEST: usize = 4096;

/// The lists of all processes.
#[derive(Debug)]
pub(crate) struct GeneratedCode {
    lists: HashMap<i32, List>,
    /// The bytes that may still be read.
    left: usize,
}

impl Default for GeneratedCode {
    fn default() -> Self {
        Self { lists: HashMap::new(), left: MOST }
    }
}

impl GeneratedCode {
    /// The function of a process at an address; `None` if the process lists none there.
    pub(crate) fn function(&mut self, pid: i32, address: u64) -> Option<&str> {
        let list = self.lists.entry(pid).or_default();
        if list.at(address).is_none() {
            list.read_on(pid, &mut self.left);
        }
        list.at(address)
    }

    /// Forgets a process that ended, or executes another program.
    pub(crate) fn forget(&mut self, pid: i32) {
        self.lists.remove(&pid);
    }
}

/// The list of a process, as far as it was read.
#[derive(Debug, Default)]
struct List {
    /// The end of the last line that was read.
    read: u64,
    /// The size and the name of the functions by their addresses. Of two at one address, the later one is there.
    functions: BTreeMap<u64, (u64, String)>,
}

impl List {
    fn at(&self, address: u64) -> Option<&str> {
        let (start, (size, name)) = self.functions.range(..=address).next_back()?;
        (address - start < *size).then_some(name)
    }

    /// Reads the lines that the process wrote since the last reading.
    fn read_on(&mut self, pid: i32, left: &mut usize) -> Option<()> {
        let file = symbols::open(pid, &format!("/tmp/perf-{}.map", own_number(pid)?), LARGEST)?;
        let length = file.metadata().ok()?.len();
        if length == self.read {
            return None;
        }
        if length < self.read {
            // Another file.
            *self = Self::default();
        }
        let mut bytes = vec![0; usize::try_from(length - self.read).unwrap_or(CHUNK).min(CHUNK).min(*left)];
        let count = file.read_at(&mut bytes, self.read).ok()?;
        *left -= count;
        let whole = bytes[..count].iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
        // A line that is longer than a chunk is not one of a function.
        self.read += if whole == 0 && count == CHUNK { count as u64 } else { whole as u64 };
        self.add(&bytes[..whole]);
        Some(())
    }

    fn add(&mut self, lines: &[u8]) {
        self.functions.extend(lines.split(|&byte| byte == b'\n').filter_map(function));
    }
}

/// The address, the size and the name of a line's function.
fn function(line: &[u8]) -> Option<(u64, (u64, String))> {
    let mut parts = line.splitn(3, |&byte| byte == b' ');
    let mut number = || u64::from_str_radix(std::str::from_utf8(parts.next()?).ok()?.trim_start_matches("0x"), 16).ok();
    let (start, size) = (number()?, number()?);
    let name = parts.next().filter(|name| !name.is_empty() && name.len() <= LONGEST)?;
    Some((start, (size, procfs::shown(name))))
}

/// The number of a process in its own namespace (proc_pid_status(5)).
fn own_number(pid: i32) -> Option<i32> {
    let status = procfs::text(&format!("/proc/{pid}/status"))?;
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    numbers.split_whitespace().next_back()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of jit-interface.txt has "START SIZE symbolname", and "START and SIZE are hex numbers without 0x".
    #[test]
    fn a_function_is_found_in_its_range() {
        let mut list = List::default();
        for line in
            ["7fe634005b80 128 JS:^spin /a.js:1:14", "x", "10 zz y", "10 10", "ffffffffffffffff 10 end", "20 0 empty"]
        {
            list.add(line.as_bytes());
        }
        assert_eq!(list.at(0x7fe6_3400_5b80), Some("JS:^spin /a.js:1:14"));
        assert_eq!(list.at(0x7fe6_3400_5b80 + 0x127), Some("JS:^spin /a.js:1:14"));
        assert_eq!((list.at(0x7fe6_3400_5b80 + 0x128), list.at(0x10), list.at(0x20)), (None, None, None));
        assert_eq!(list.at(u64::MAX), Some("end"));
        list.add(b"7fe634005b80 8 \x1b[1mother");
        assert_eq!(list.at(0x7fe6_3400_5b87), Some("\\u{1b}[1mother"), "the later function");
        assert_eq!(list.at(0x7fe6_3400_5b88), None);
    }

    /// The test program writes its own list, as a program in a step does.
    #[test]
    fn a_list_is_read_on_while_it_grows() {
        use std::io::Write;
        let pid = std::process::id() as i32;
        let path = format!("/tmp/perf-{pid}.map");
        let mut code = GeneratedCode::default();
        assert_eq!(code.function(pid, 0x1000), None, "there is no list");
        let mut file = std::fs::File::create(&path).unwrap();
        file.write_all(b"1000 10 first\n2000 10 last").unwrap();
        assert_eq!(code.function(pid, 0x100f).map(str::to_owned), Some("first".into()));
        assert_eq!(code.function(pid, 0x2000), None, "its line is not written yet");
        file.write_all(b"-one\n").unwrap();
        assert_eq!(code.function(pid, 0x2000).map(str::to_owned), Some("last-one".into()));
        assert_eq!(code.left, MOST - 26 - 12 - 17, "the second line is read again until it is whole");
        std::fs::remove_file(&path).unwrap();
        // A directory is not a list.
        std::fs::create_dir(&path).unwrap();
        assert_eq!(GeneratedCode::default().function(pid, 0x1000), None);
        std::fs::remove_dir(&path).unwrap();
    }
}

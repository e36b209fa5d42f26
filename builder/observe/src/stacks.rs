//! Samples the stack of functions that a processor runs, a hundred times a second.
//!
//! Samples hold addresses. The kernel's reports of mapped files say which file is at an address; the function is looked up
//! while the process lives, because the step's files are gone after it. Stacks are as deep as frame pointers lead.

use crate::demangle::demangled;
use crate::event::{self, Event, Frames};
use crate::generated::GeneratedCode;
use crate::refusal::Refusal;
use crate::ring::{self, Body, COMM, EXIT, FORK, MISC_COMM_EXEC};
use crate::symbols::Symbols;
use perf_event::events::Software;
use perf_event::{SampleFlag, Sampler};
use std::collections::HashMap;
use std::sync::Arc;

/// The time on a processor between two samples, in nanoseconds. It is not a divisor of the clock's tick.
pub(crate) const EVERY: u64 = 9_900_990;
/// The number of frames of a stack that are kept, from the innermost on.
const DEEPEST: usize = 64;
/// The number of files whose symbols are kept.
const FILES: usize = 400;
/// The number of ancestors of a process that are asked for its files.
const ANCESTORS: usize = 8;

/// The name of a function at an address outside of all files.
const UNKNOWN: &str = "[unknown]";

/// perf_event.h
const SAMPLE: u32 = 9;
const MMAP2: u32 = 10;
const PROT_EXEC: u32 = 4;
/// The first of the addresses that are marks between the parts of a stack.
const MARKS: u64 = u64::MAX - 4094;

impl Map {
    /// What is left of it when other memory is mapped from `start` to `end`: the parts before and after that.
    fn outside(&self, start: u64, end: u64) -> impl Iterator<Item = Self> {
        let before = Self { end: self.end.min(start), ..self.clone() };
        let from = self.start.max(end);
        let after = Self { start: from, offset: self.offset + (from - self.start), ..self.clone() };
        [before, after].into_iter().filter(|part| part.start < part.end)
    }
}

/// The samples of all processors.
pub(crate) struct Stacks {
    rings: Vec<Sampler>,
    names: SymbolNames,
}

impl std::fmt::Debug for Stacks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "stacks in {} rings", self.rings.len())
    }
}

impl Stacks {
    /// Samples this process and its descendants, or the whole machine, with a ring of this size for each processor.
    pub(crate) fn open(pid: Option<i32>, cpus: &[usize], size: usize) -> Result<Self, Refusal> {
        let rings = cpus.iter().map(|&cpu| ring(pid, cpu, size)).collect::<Result<_, _>>()?;
        Ok(Self { rings, names: SymbolNames::default() })
    }

    /// The samples since the last reading, in the order of time.
    pub(crate) fn read(&mut self) -> Vec<Event> {
        let mut records = Vec::new();
        for ring in &mut self.rings {
            while let Some(record) = ring.next_record() {
                records.extend(parse(record.ty(), record.misc(), &record.to_contiguous()));
            }
        }
        records.sort_by_key(|(time, _)| *time);
        records.into_iter().filter_map(|(time, what)| self.names.take(time, what)).collect()
    }
}

fn ring(pid: Option<i32>, cpu: usize, size: usize) -> Result<Sampler, Refusal> {
    let mut event = ring::event(Software::CPU_CLOCK, pid, cpu);
    event
        .mmap(true)
        .mmap2(true)
        .exclude_kernel(true)
        .sample_period(EVERY)
        .sample(SampleFlag::TID | SampleFlag::TIME | SampleFlag::CALLCHAIN);
    ring::opened(&mut event, size)
}

/// A report of a ring.
#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    Mapped {
        pid: i32,
        map: Map,
    },
    Forked {
        pid: i32,
        parent: i32,
    },
    Executed {
        pid: i32,
    },
    Exited {
        pid: i32,
    },
    /// A sample: the addresses, the innermost first.
    Sampled {
        pid: i32,
        tid: i32,
        addresses: Vec<u64>,
    },
}

/// A file that is mapped into the memory of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Map {
    start: u64,
    end: u64,
    /// The offset of `start` in the file.
    offset: u64,
    file: Arc<str>,
    /// The device, the inode and its generation, which distinguish files of the same path.
    identity: (u64, u64, u64),
}

/// One record's body, as perf_event_open(2) lays it out.
fn parse(kind: u32, misc: u16, body: &[u8]) -> Option<(u64, What)> {
    let body = Body(body);
    let pid = body.u32(0)? as i32;
    if kind == SAMPLE {
        let count = usize::try_from(body.u64(16)?).ok()?.min(body.0.len() / 8);
        let addresses = (0..count).filter_map(|index| body.u64(24 + 8 * index)).filter(|&address| address < MARKS);
        let addresses = addresses.take(DEEPEST).collect();
        return Some((body.u64(8)?, What::Sampled { pid, tid: body.u32(4)? as i32, addresses }));
    }
    let what = match kind {
        // pid, tid, address, length, offset, device (2), inode, generation, protection, flags, file
        MMAP2 if body.u32(56)? & PROT_EXEC != 0 => {
            let start = body.u64(8)?;
            let device = u64::from(body.u32(32)?) << 32 | u64::from(body.u32(36)?);
            What::Mapped {
                pid,
                map: Map {
                    start,
                    end: start.saturating_add(body.u64(16)?),
                    offset: body.u64(24)?,
                    file: body.text(64)?.into(),
                    identity: (device, body.u64(40)?, body.u64(48)?),
                },
            }
        }
        // pid, ppid, tid, ptid, time: a process's first thread has its number.
        FORK if body.u32(8)? as i32 == pid => What::Forked { pid, parent: body.u32(4)? as i32 },
        EXIT if body.u32(8)? as i32 == pid => What::Exited { pid },
        COMM if misc & MISC_COMM_EXEC != 0 => What::Executed { pid },
        _ => return None,
    };
    Some((body.time()?, what))
}

/// A path, and the device, inode and generation of the file there.
type MappedFile = (Arc<str>, (u64, u64, u64));

/// The maps of processes, and the symbols of files.
#[derive(Default)]
struct SymbolNames {
    maps: HashMap<i32, Arc<Vec<Map>>>,
    parents: HashMap<i32, i32>,
    files: HashMap<MappedFile, Symbols>,
    generated: GeneratedCode,
    /// The names as people read them, by the names of the symbol tables.
    names: HashMap<String, Arc<str>>,
    stacks: HashMap<Vec<Arc<str>>, Frames>,
}

impl SymbolNames {
    fn take(&mut self, time: u64, what: What) -> Option<Event> {
        match what {
            What::Mapped { pid, map } => {
                let maps = Arc::make_mut(self.maps.entry(pid).or_default());
                // A new mapping replaces older ones at its addresses, and only there: node maps its own file into the middle of the memory
                // for the code that it generates.
                *maps = maps.iter().flat_map(|known| known.outside(map.start, map.end)).collect();
                maps.push(map);
            }
            What::Forked { pid, parent } => {
                if pid != parent {
                    self.parents.insert(pid, parent);
                }
                if let Some(maps) = self.maps.get(&parent).filter(|_| pid != parent).cloned() {
                    self.maps.insert(pid, maps);
                }
            }
            What::Executed { pid } => {
                self.maps.remove(&pid);
                self.generated.forget(pid);
            }
            What::Exited { pid } => {
                self.generated.forget(pid);
                self.maps.remove(&pid);
                self.parents.remove(&pid);
            }
            What::Sampled { pid, tid, addresses } => {
                // All but the innermost one are addresses to which a function returns.
                let named =
                    addresses.iter().enumerate().rev().map(|(depth, &address)| self.name(pid, address, depth > 0));
                let named: Vec<Arc<str>> = named.collect();
                // Without frame pointers, a stack leads into data.
                let outer = named.iter().take(named.len().saturating_sub(1)).take_while(|name| &***name == UNKNOWN);
                let frames = named[outer.count()..].to_vec();
                let known = self.stacks.get(&frames).cloned();
                let stack = known.unwrap_or_else(|| {
                    let stack: Frames = frames.clone().into();
                    self.stacks.insert(frames, Arc::clone(&stack));
                    stack
                });
                return Some(Event { time, pid, tid, what: event::What::Sampled { frames: stack } });
            }
        }
        None
    }

    /// The function at an address, or if it is unknown, the file. `returns` says that a function returns there.
    fn name(&mut self, pid: i32, address: u64, returns: bool) -> Arc<str> {
        let maps = self.maps.get(&pid);
        let map = maps.and_then(|maps| maps.iter().find(|map| (map.start..map.end).contains(&address)));
        let Some(map) = map else { return interned(&mut self.names, UNKNOWN) };
        // Code that a program generated, and the vdso, are in no file.
        if !map.file.starts_with('/') || map.file.starts_with("//") {
            if map.file.starts_with("[vdso]") {
                return interned(&mut self.names, "[vdso]");
            }
            let function = self.generated.function(pid, address).unwrap_or("[generated code]");
            return interned(&mut self.names, function);
        }
        let key = (Arc::clone(&map.file), map.identity);
        if !self.files.contains_key(&key) {
            if self.files.len() >= FILES {
                self.files.clear();
            }
            // A short process may have ended by now. Those that started it mostly have the same root directory.
            let mut alive = std::iter::successors(Some(pid), |pid| self.parents.get(pid).copied()).take(ANCESTORS);
            if let Some(symbols) = alive.find_map(|pid| Symbols::of(pid, &map.file)) {
                self.files.insert(key.clone(), symbols);
            }
        }
        let symbols = self.files.get(&key);
        let offset = address - map.start + map.offset;
        if returns && symbols.is_some_and(|symbols| !symbols.may_return_to(offset)) {
            return interned(&mut self.names, UNKNOWN);
        }
        let function = symbols.and_then(|symbols| symbols.function(offset));
        match function {
            Some(function) => interned(&mut self.names, function),
            None => {
                let file = format!("[{}]", map.file.rsplit('/').next().unwrap_or_default());
                interned(&mut self.names, &file)
            }
        }
    }
}

/// The shared name that people read for the name of a symbol table. A name in brackets stays as it is.
fn interned(names: &mut HashMap<String, Arc<str>>, name: &str) -> Arc<str> {
    if let Some(known) = names.get(name) {
        return Arc::clone(known);
    }
    let shown: Arc<str> = demangled(name).into();
    names.insert(name.to_string(), Arc::clone(&shown));
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(list: &[u32]) -> Vec<u8> {
        list.iter().flat_map(|number| number.to_ne_bytes()).collect()
    }

    fn longs(list: &[u64]) -> Vec<u8> {
        list.iter().flat_map(|number| number.to_ne_bytes()).collect()
    }

    /// The layout of perf_event_open(2): "pid, tid, time, nr, ips[nr]" with these sample flags.
    #[test]
    fn a_sample_has_addresses_without_marks() {
        let user = u64::MAX - 511;
        let body = [numbers(&[7, 8]), longs(&[99, 3, user, 0x1000, 0x2000])].concat();
        let sampled = What::Sampled { pid: 7, tid: 8, addresses: vec![0x1000, 0x2000] };
        assert_eq!(parse(SAMPLE, 0, &body), Some((99, sampled)));
        assert_eq!(parse(SAMPLE, 0, &body[..20]), None);
    }

    #[test]
    fn a_mapped_file_has_its_place() {
        let id = [numbers(&[7, 7]), longs(&[99])].concat();
        let body = [
            numbers(&[7, 7]),
            longs(&[0x1000, 0x500, 0x40]),
            numbers(&[8, 1]),
            longs(&[42, 0]),
            numbers(&[5, 2]),
            b"/a\0\0\0\0\0\0".to_vec(),
            id,
        ]
        .concat();
        let Some((99, What::Mapped { pid: 7, map })) = parse(MMAP2, 0, &body) else { panic!("a map") };
        assert_eq!((map.start, map.end, map.offset, &*map.file), (0x1000, 0x1500, 0x40, "/a"));
    }

    /// The test program has its own symbols, which the compiler mangled.
    #[test]
    fn functions_have_the_names_of_their_authors() {
        let (pid, path) = (std::process::id() as i32, std::env::current_exe().unwrap());
        let file: Arc<str> = path.to_str().unwrap().into();
        let symbols = Symbols::of(pid, &file).unwrap();
        let (_, offset) = symbols.any("7Symbols4read17h").unwrap();
        let mut names = SymbolNames::default();
        // The child has ended: no process has this number.
        let (child, maps) = (i32::MAX, Map { start: 0x1000, end: u64::MAX, offset: 0, file, identity: (0, 0, 0) });
        names.take(1, What::Forked { pid: child, parent: pid });
        names.take(2, What::Mapped { pid: child, map: maps });
        let sampled = names.take(3, What::Sampled { pid: child, tid: child, addresses: vec![0x1000 + offset + 3] });
        let Some(Event { what: event::What::Sampled { frames }, .. }) = sampled else { panic!("a sample") };
        assert_eq!(&*frames[0], "buildscope_observe::symbols::Symbols::read");
    }

    /// The mappings of node 24 with `--perf-basic-prof`: memory for generated code, and then a part of the program's file within it.
    #[test]
    fn a_mapping_replaces_others_only_at_its_addresses() {
        let map = |start, end, offset, file: &str| Map { start, end, offset, file: file.into(), identity: (0, 0, 0) };
        let places = |known: &Map, start, end| -> Vec<_> {
            known.outside(start, end).map(|map| (map.start, map.end, map.offset)).collect()
        };
        let whole = map(100, 200, 7, "//anon");
        assert_eq!(places(&whole, 140, 150), [(100, 140, 7), (150, 200, 57)]);
        assert_eq!(places(&whole, 100, 150), [(150, 200, 57)]);
        assert_eq!(places(&whole, 150, 900), [(100, 150, 7)]);
        assert_eq!(places(&whole, 100, 200), []);
        assert_eq!(places(&whole, 200, 300), [(100, 200, 7)]);
        assert_eq!(places(&whole, 0, 100), [(100, 200, 7)]);
        let mut names = SymbolNames::default();
        names.take(1, What::Mapped { pid: 7, map: whole });
        names.take(2, What::Mapped { pid: 7, map: map(140, 150, 0, "/nowhere/node") });
        let mut name = |address| names.name(7, address, false).to_string();
        assert_eq!(
            [99, 120, 145, 160, 200].map(&mut name),
            ["[unknown]", "[generated code]", "[node]", "[generated code]", "[unknown]"]
        );
    }

    #[test]
    fn a_child_has_the_maps_of_its_parent_until_it_executes() {
        let mut names = SymbolNames::default();
        let map = Map { start: 16, end: 32, offset: 0, file: "/nowhere/lib.so".into(), identity: (0, 0, 0) };
        names.take(1, What::Mapped { pid: 7, map });
        names.take(2, What::Forked { pid: 8, parent: 7 });
        let frames = |names: &mut SymbolNames| {
            let sample = What::Sampled { pid: 8, tid: 8, addresses: vec![20, 99] };
            let Some(Event { what: event::What::Sampled { frames }, .. }) = names.take(3, sample) else {
                panic!("a sample")
            };
            frames.iter().map(|frame| frame.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(frames(&mut names), ["[lib.so]"], "what is outside of it is in no file");
        names.take(4, What::Executed { pid: 8 });
        assert_eq!(frames(&mut names), ["[unknown]"]);
    }
}

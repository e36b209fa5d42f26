//! The names of a layer that is being made.
//!
//! *Takes* numbers of entries in a list, *gives* the number of a path, and what is in a directory. *Must never know* what the entries
//! are. A name takes about ten bytes: its path is in the list.

use buildscope_storage::EntryList;
use hashbrown::HashTable;
use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The numbers of entries by path, each path once.
#[derive(Default)]
pub(super) struct PathNumbers {
    numbers: HashTable<u32>,
    hasher: RandomState,
    /// The entries that were added in each directory, as numbers of runs.
    directories: BTreeMap<PathBuf, Vec<usize>>,
    /// Entries that were added one after the other in one directory. Some of them are replaced.
    runs: Vec<Range<u32>>,
    /// The directory of the last entry. Most entries are in the same one as the entry before.
    last: PathBuf,
}

impl PathNumbers {
    pub(super) fn len(&self) -> usize {
        self.numbers.len()
    }

    /// The number of the entry at `path`.
    pub(super) fn get(&self, list: &EntryList, path: &Path) -> Option<u32> {
        let path = path.as_os_str().as_bytes();
        self.numbers.find(self.hasher.hash_one(path), |number| bytes(list, *number) == path).copied()
    }

    /// Adds the last entry of the list. It replaces one with the same path.
    pub(super) fn insert(&mut self, list: &EntryList, number: u32) {
        let path = list.get(number as usize).path();
        let directory = path.parent().unwrap_or(Path::new(""));
        if directory.as_os_str() != self.last.as_os_str() || self.runs.is_empty() {
            directory.clone_into(&mut self.last);
            self.directories.entry(directory.to_owned()).or_default().push(self.runs.len());
            self.runs.push(number..number);
        }
        if let Some(run) = self.runs.last_mut() {
            run.end = number + 1;
        }
        let path = path.as_os_str().as_bytes();
        let hash = self.hasher.hash_one(path);
        match self.numbers.find_mut(hash, |other| bytes(list, *other) == path) {
            Some(old) => *old = number,
            None => {
                let hash_of = |other: &u32| self.hasher.hash_one(bytes(list, *other));
                self.numbers.insert_unique(hash, number, hash_of);
            }
        }
    }

    /// Removes an entry, if it was not replaced.
    pub(super) fn remove(&mut self, list: &EntryList, number: u32) {
        let hash = self.hasher.hash_one(bytes(list, number));
        if let Ok(entry) = self.numbers.find_entry(hash, |other| *other == number) {
            entry.remove();
        }
    }

    /// Removes the entry at `path` and all below it. The time depends on their number only: each entry is removed once.
    pub(super) fn remove_below(&mut self, list: &EntryList, path: &Path) {
        if let Some(number) = self.get(list, path) {
            self.remove(list, number);
        }
        // The order of paths is by component: what is below a path follows it.
        let below = self.directories.range(path.to_owned()..).take_while(|(directory, _)| directory.starts_with(path));
        let below: Vec<PathBuf> = below.map(|(directory, _)| directory.clone()).collect();
        for directory in below {
            for run in self.directories.remove(&directory).unwrap_or_default() {
                self.runs[run].clone().for_each(|number| self.remove(list, number));
            }
            if directory == self.last {
                self.last = PathBuf::from("/");
            }
        }
    }

    /// All numbers, in no particular order.
    pub(super) fn iter(&self) -> impl Iterator<Item = u32> {
        self.numbers.iter().copied()
    }

    /// The directories in which entries were added.
    pub(super) fn directories(&self) -> impl Iterator<Item = &Path> {
        self.directories.keys().map(PathBuf::as_path)
    }

    /// The entries in a directory that were not replaced or removed.
    pub(super) fn inside(&self, list: &EntryList, directory: &Path) -> impl Iterator<Item = u32> {
        let runs = self.directories.get(directory).into_iter().flatten();
        runs.flat_map(|run| self.runs[*run].clone()).filter(|number| self.counts(list, *number))
    }

    fn counts(&self, list: &EntryList, number: u32) -> bool {
        self.numbers.find(self.hasher.hash_one(bytes(list, number)), |other| *other == number).is_some()
    }
}

fn bytes(list: &EntryList, number: u32) -> &[u8] {
    list.get(number as usize).path_bytes()
}

//! The space that the files of repositories may take.

use super::command::Git;
use buildscope_storage::{Allowance, MAX_NAMES};
use std::io;
use std::path::Path;

/// The space that the files of a repository and its submodules take. As with an archive, it must not be far more than the size of what was
/// fetched: a repository of a few kilobytes can name one tree ten times, and this in ten trees.
#[derive(Default)]
pub(super) struct Space {
    fetched: u64,
    files: u64,
    names: u64,
}

impl Space {
    /// Adds the files of these commits, none of which is checked out yet. A commit that does not exist has none.
    ///
    /// # Errors
    /// If all files so far take too much space.
    pub(super) fn add(&mut self, git: &Git, dir: &Path, commits: &[&str]) -> Result<(), String> {
        let counts = git.run(dir, &["count-objects", "--verbose"])?;
        let kilobytes = counts.lines().filter_map(|line| {
            let (name, count) = line.split_once(": ")?;
            ["size", "size-pack"].contains(&name).then(|| count.parse::<u64>().ok())?
        });
        self.fetched = self.fetched.saturating_add(kilobytes.sum::<u64>().saturating_mul(1024));
        commits.iter().try_for_each(|commit| {
            git.entries(dir, commit, |entry| {
                self.files = self.files.saturating_add(entry.size);
                Allowance::of(self.fetched).take(self.files)?;
                self.names += entry.path.len() as u64;
                if self.names > MAX_NAMES {
                    return Err(io::Error::other(format!("its names have more than {} MiB", MAX_NAMES >> 20)));
                }
                Ok(())
            })
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::fs::{self, File};

    /// Creates trees in which one text of 2 MiB has ten names, ten of these trees, and so on: 20 MiB, 200 MiB, 2 GiB, 20 GiB.
    /// Returns their ids.
    pub(in super::super) fn growing_trees(dir: &Path, levels: usize) -> Vec<String> {
        let git = Git::default();
        let run = |arguments: &[&str]| git.run(dir, arguments).unwrap().trim().to_owned();
        run(&["init", "--quiet", "--initial-branch=main"]);
        fs::write(dir.join("text"), vec![b'a'; 2 << 20]).unwrap();
        let mut entry = format!("100644 blob {}", run(&["hash-object", "-w", "text"]));
        let mut trees = Vec::new();
        for _ in 0..levels {
            let entries: Vec<String> = (0..10).map(|name| format!("{entry}\t{name}\n")).collect();
            fs::write(dir.join("entries"), entries.concat()).unwrap();
            let mut make = git.command(dir, &["mktree"]);
            make.stdin(File::open(dir.join("entries")).unwrap());
            trees.push(super::super::command::finish(&mut make).unwrap().trim().to_owned());
            entry = format!("040000 tree {}", trees[trees.len() - 1]);
        }
        trees
    }

    #[test]
    fn a_repository_that_grows_without_end_is_an_error() {
        let origin = tempfile::tempdir().unwrap();
        let trees = growing_trees(origin.path(), 4);
        let add = |tree: &str| Space::default().add(&Git::default(), origin.path(), &[tree]);
        for (tree, fits) in trees.iter().zip([true, true, false, false]) {
            assert_eq!(add(tree).is_ok(), fits, "{tree}");
        }
        assert!(add(&trees[3]).unwrap_err().contains("decompression bomb"));
    }

    /// 200 MiB fit five times into 1 GiB.
    #[test]
    fn repositories_share_the_space() {
        let origin = tempfile::tempdir().unwrap();
        let trees = growing_trees(origin.path(), 2);
        let mut space = Space::default();
        let mut add = || space.add(&Git::default(), origin.path(), &[&trees[1]]);
        let fits = (0..8).map(|_| add().is_ok()).collect::<Vec<_>>();
        assert_eq!(fits, [true, true, true, true, true, false, false, false]);
    }
}

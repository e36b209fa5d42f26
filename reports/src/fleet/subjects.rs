//! Finds builds of the same Dockerfile.
//!
//! *Takes* a record and the file that it came from. *Gives* the name of its Dockerfile: the recorded one, or for logs, which
//! do not name theirs, the first log with mostly the same steps.

use buildscope_record::{Options, Record};
use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher as _, RandomState};

/// Names the Dockerfiles of builds.
#[derive(Debug, Default)]
pub struct Subjects {
    groups: Vec<LogGroup>,
    /// The groups that have a step, by the step's hash.
    by_step: HashMap<u64, Vec<usize>>,
    hasher: RandomState,
}

/// Logs of one Dockerfile.
#[derive(Debug)]
struct LogGroup {
    name: String,
    /// The number of different steps in its first log.
    steps: usize,
}

/// The Dockerfile that a record names, with its target.
pub fn recorded_subject(options: &Options) -> Option<String> {
    Some(options.dockerfile.clone()? + &target(options))
}

fn target(options: &Options) -> String {
    options.target.as_ref().map(|target| format!(" ({target})")).unwrap_or_default()
}

impl Subjects {
    /// The name of the Dockerfile of a record that came from `file`.
    pub fn name(&mut self, record: &Record, file: &str) -> String {
        match recorded_subject(&record.options) {
            Some(name) => name,
            None => self.similar(record, format!("{file}{}", target(&record.options))),
        }
    }

    /// The group that has more than half of the steps too, or a new one.
    fn similar(&mut self, record: &Record, name: String) -> String {
        let hash = |step: &buildscope_record::Step| self.hasher.hash_one(&step.text);
        let steps: BTreeSet<u64> = record.steps.iter().map(hash).collect();
        let mut shared: HashMap<usize, usize> = HashMap::new();
        for group in steps.iter().filter_map(|step| self.by_step.get(step)).flatten() {
            *shared.entry(*group).or_default() += 1;
        }
        let best = shared.into_iter().max_by_key(|&(group, count)| (count, std::cmp::Reverse(group)));
        match best {
            Some((group, count)) if 2 * count > steps.len().min(self.groups[group].steps) => {
                self.groups[group].name.clone()
            }
            _ => {
                for step in &steps {
                    self.by_step.entry(*step).or_default().push(self.groups.len());
                }
                self.groups.push(LogGroup { name: name.clone(), steps: steps.len() });
                name
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::Synthetic;

    fn log(steps: &[&str]) -> Record {
        let mut build = Synthetic::default();
        let stage = build.stage("app");
        for step in steps {
            build.step(stage, step, 0..100);
        }
        build.with(|record| record.options.dockerfile = None);
        build.finish(100)
    }

    #[test]
    fn logs_with_mostly_the_same_steps_are_of_one_dockerfile() {
        let mut subjects = Subjects::default();
        let mut name = |steps: &[&str], file: &str| subjects.name(&log(steps), file);
        assert_eq!(name(&["FROM alpine", "COPY . .", "RUN make"], "ci/1.log"), "ci/1.log");
        // One of three steps was changed, and one was added.
        assert_eq!(name(&["FROM alpine", "COPY . .", "RUN make all", "RUN check"], "ci/2.log"), "ci/1.log");
        // The base image alone does not identify a Dockerfile.
        assert_eq!(name(&["FROM alpine", "RUN other"], "ci/3.log"), "ci/3.log");
        assert_eq!(name(&["FROM node", "RUN npm ci"], "ci/4.log"), "ci/4.log");
        assert_eq!(name(&["FROM node", "RUN npm ci"], "other/5.log"), "ci/4.log");
    }

    #[test]
    fn a_recorded_dockerfile_is_the_name() {
        let mut record = log(&["FROM alpine"]);
        record.options.dockerfile = Some("/src/Dockerfile".into());
        record.options.target = Some("test".into());
        assert_eq!(Subjects::default().name(&record, "a.json"), "/src/Dockerfile (test)");
    }
}

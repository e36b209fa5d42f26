//! Reads the records of builds and adds them up, on all processors.
//!
//! The builds are divided into chunks of one Dockerfile, in the order of time. A thread holds the records of one chunk one after
//! the other, so the memory does not depend on the number of builds.

use super::sources::UnreadBuild;
use crate::write_message;
use buildscope_reports::fleet::Fleet;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// The builds of a chunk. The build before each chunk is read twice.
const CHUNK: usize = 64;

/// The shared state of the threads.
struct StepWork<'b> {
    builds: &'b [UnreadBuild],
    chunks: Vec<Range<usize>>,
    /// The number of the chunk to take next.
    next: AtomicUsize,
    sum: Mutex<ChunkSum>,
}

/// The sum of the first chunks, and the sums of chunks that were done before those in front of them.
#[derive(Default)]
struct ChunkSum {
    total: Fleet,
    chunks: usize,
    waiting: BTreeMap<usize, Fleet>,
    /// The builds that were read, and when that was said last.
    read: usize,
    said: Option<Instant>,
}

/// Adds up builds that are sorted by Dockerfile and time. A record that cannot be read is named and left out.
pub(super) fn sum(builds: &[UnreadBuild]) -> Fleet {
    let work = StepWork { builds, chunks: chunks(builds), next: AtomicUsize::new(0), sum: Mutex::default() };
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(work.chunks.len());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| work.run());
        }
    });
    work.sum.into_inner().total
}

/// The chunks of builds that are of one Dockerfile.
fn chunks(builds: &[UnreadBuild]) -> Vec<Range<usize>> {
    let mut chunks: Vec<Range<usize>> = Vec::new();
    for at in 0..builds.len() {
        let open = chunks.last_mut().filter(|chunk| chunk.len() < CHUNK && builds[chunk.start].name == builds[at].name);
        match open {
            Some(chunk) => chunk.end = at + 1,
            None => chunks.push(at..at + 1),
        }
    }
    chunks
}

impl StepWork<'_> {
    /// Takes one chunk after the other until all are taken.
    fn run(&self) {
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(chunk) = self.chunks.get(number) else { return };
            let fleet = self.chunk(chunk.clone());
            self.sum.lock().add(number, fleet);
        }
    }

    fn chunk(&self, chunk: Range<usize>) -> Fleet {
        let mut fleet = Fleet::default();
        let name = &self.builds[chunk.start].name;
        // The last one before the chunk that can be read.
        let before = self.builds[..chunk.start].iter().rev().take_while(|build| build.name == *name);
        if let Some(record) = before.filter_map(|build| build.read().ok()).next() {
            fleet.compare_with(name, record);
        }
        for build in &self.builds[chunk] {
            match build.read() {
                Ok(record) => fleet.add(name, record),
                Err(error) => write_message(&format!("warning: {error}: left out")),
            }
            self.sum.lock().one_read(self.builds.len());
        }
        fleet
    }
}

impl ChunkSum {
    fn add(&mut self, number: usize, fleet: Fleet) {
        self.waiting.insert(number, fleet);
        while let Some(fleet) = self.waiting.remove(&self.chunks) {
            self.total.append(fleet);
            self.chunks += 1;
        }
    }

    /// Counts a build, and reports the progress once a second.
    fn one_read(&mut self, of: usize) {
        self.read += 1;
        if self.said.get_or_insert_with(Instant::now).elapsed() >= Duration::from_secs(1) {
            write_message(&format!("read {} of {of} builds", self.read));
            self.said = Some(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sources::of_files;
    use super::*;
    use buildscope_record::{Cache, Record, StepKey};
    use buildscope_reports::synthetic::Synthetic;

    /// A build whose RUN has other inputs each time.
    fn record(dockerfile: &str, number: u64) -> Record {
        let mut build = Synthetic::default();
        let stage = build.stage("app");
        build.step(stage, "RUN make", 0..500 + number);
        build.with(|record| {
            record.options.dockerfile = Some(dockerfile.to_owned());
            record.started = Some(format!("2026-11-28T{:02}:{:02}:00Z", number / 60, number % 60));
            let (key, inputs) = (StepKey::of(number.to_string()), [("file:a.c".to_owned(), number.to_string())].into());
            record.steps[0].cache = Some(Cache { key, inputs, miss: None, removed: None });
        });
        build.finish(500 + number)
    }

    #[test]
    fn chunks_on_several_threads_give_the_sum_of_all_builds() {
        let folder = tempfile::tempdir().unwrap();
        let (mut expected, count) = (Fleet::default(), 2 * CHUNK as u64 + 3);
        for number in 0..count {
            for dockerfile in ["a/Dockerfile", "b/Dockerfile"] {
                let record = record(dockerfile, number);
                // The names do not sort as the times do.
                let name = format!("{}-{number}.json", (number * 7_919) % 1_000);
                let path = folder.path().join(dockerfile.replace('/', "-") + &name);
                record.write(std::fs::File::create(path).unwrap()).unwrap();
                expected.add(dockerfile, record);
            }
        }
        std::fs::write(folder.path().join("torn.json"), "{\"schema\":2,\"options\":{},\"steps\":[").unwrap();
        let report = sum(&of_files(&[folder.path().to_owned()]).unwrap()).report();
        assert_eq!(report, expected.report());
        assert_eq!(report.files[0].misses, 2 * (count - 1), "each build is compared with the one before");
    }
}

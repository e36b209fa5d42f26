//! Contexts of the corpus's workloads.

use buildscope_workloads::Corpus;

/// The context of a workload. It is removed on drop.
pub(crate) fn context(workload: &str) -> tempfile::TempDir {
    let corpus = Corpus::open(concat!(env!("CARGO_MANIFEST_DIR"), "/../workloads/corpus"))
        .expect("the corpus is next to this crate");
    let folder = tempfile::tempdir().expect("a temporary directory");
    corpus.load(workload).and_then(|found| found.materialise(folder.path())).expect("a valid workload");
    folder
}

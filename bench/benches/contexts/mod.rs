//! Contexts of the corpus's workloads.

use buildscope_workloads::Corpus;

/// A workload's context, removed when it is dropped.
pub(crate) fn context(workload: &str) -> tempfile::TempDir {
    let corpus =
        Corpus::open(concat!(env!("CARGO_MANIFEST_DIR"), "/../workloads/corpus")).expect("it is beside this crate");
    let folder = tempfile::tempdir().expect("a temporary directory");
    corpus.load(workload).and_then(|found| found.materialise(folder.path())).expect("the corpus is whole");
    folder
}

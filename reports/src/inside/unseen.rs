//! Sentences about what is unknown of a step's processes. Each view shows them.

use buildscope_record::{Folded, Processes};

/// Sentences about what could not be observed, or was not kept.
pub(crate) fn unseen(seen: &Processes) -> Vec<String> {
    let mut unseen = seen.unseen.clone();
    // A sentence about processes among them says more.
    let told = format!("the kernel dropped {} events", seen.lost);
    if seen.lost > 0 && !unseen.iter().any(|sentence| sentence.contains(&told)) {
        unseen.push(format!("{} events that the kernel dropped: times near them may be wrong", seen.lost));
    }
    let folded = folded(seen);
    if folded > 0 {
        unseen.push(format!("{folded} short processes one by one: only their totals were kept"));
    }
    unseen
}

/// The number of processes that are kept as totals only.
pub(crate) fn folded(seen: &Processes) -> u64 {
    seen.folded.iter().map(Folded::processes).sum()
}

/// The name of a total.
pub(crate) fn total_name(folded: &Folded) -> String {
    format!("{} ×{}", folded.program, folded.count)
}

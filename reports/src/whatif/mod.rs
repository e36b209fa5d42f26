//! What if: the build replayed under other resources.
//!
//! *Takes* a record and a scenario. *Gives* the wall time that the replay predicts, and the drift of the replay of the
//! record as it was. *Must never know* how a build is done: it moves what was measured, under the same needs, with
//! finite slots, exclusive locks and processors that the steps share.
//!
//! What it cannot see it says in its caveats: steps share more than processors (disk, memory bandwidth), a cache that
//! is warm in one order is cold in another, and a step that was never contended may scale otherwise than assumed.

mod model;
mod page;
mod prediction;
mod rank;
mod replay;
mod scenario;
mod share;
mod total;

pub use prediction::{MAX_DRIFT, Prediction, replayed, whatif};
pub use rank::{Change, Ranking};
pub use scenario::{Scenario, ScenarioError, Selector};

pub(crate) use page::{PageWhatIf, page_whatif};
pub(crate) use rank::{ChangeKind, RankedChange, RankedChanges, rank};

#[cfg(test)]
mod tests;

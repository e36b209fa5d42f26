//! What-if: the build replayed with other resources.
//!
//! *Takes* a record and a scenario. *Gives* the wall time that the replay predicts, and the drift: the error of the replay of the record as
//! it was. *Must never know* how a build runs: it reschedules the measured work, with the same dependencies, finite slots, exclusive locks
//! and shared processors, on one machine or on [several](machines).
//!
//! Each prediction lists what it does not model: steps share more than processors (disk, memory bandwidth), the page cache
//! depends on the order of the steps, and a step that never competed for processors may scale differently than assumed.

mod baseline;
mod bounds;
mod drag;
mod load;
mod machines;
mod model;
mod order;
mod page;
mod prediction;
mod profile;
mod rank;
mod replay;
mod scenario;
mod share;
mod total;

pub use baseline::MAX_DRIFT;
pub use bounds::Bounds;
pub use machines::{
    Bandwidth, BaseImages, Here, InvalidBandwidth, MachineUse, Machines, OnMachines, Processors, Stay, Verdict,
};
pub use prediction::{Prediction, whatif};
pub use rank::{Change, Ranking};
pub use scenario::{Scenario, ScenarioError, Selector};

pub(crate) use baseline::Baseline;
pub(crate) use bounds::bounds;
pub(crate) use model::Model;
pub(crate) use page::{PageWhatIf, page_whatif};
pub(crate) use rank::{ChangeKind, RankedChange, RankedChanges, rank};

#[cfg(test)]
mod known;
#[cfg(test)]
mod tests;

//! Runs: each workload built n times by each subject in each cache state, in a random order that a
//! seed gives, every result checked.
//!
//! *Takes* workloads and subjects. *Gives* a [`Run`]: a folder with `run.json` (environment, order,
//! raw samples) and a build record a sample. *Must never know* how samples are judged or exported.

mod calls;
mod case;
mod child;
mod error;
mod measure;
mod model;
mod order;
mod peer;
mod place;
mod proof;
mod state;
mod verify;

pub use calls::{Calls, countable};
pub use case::{Case, Subject, Way};
pub use error::RunError;
pub use measure::{Announce, Plan, Progress, measure};
pub use model::{CaseSamples, RUN_SCHEMA, Run, Sample};
pub use peer::{Peer, PeerError};
pub use proof::{Proof, ProofPlan, proof_table, prove, write_proofs};
pub use state::{PageCache, possible};
pub use verify::{Image, verify};

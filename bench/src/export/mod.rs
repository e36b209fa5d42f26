//! Formats of other tools. Only this folder knows them.
//!
//! *Takes* a run. *Gives* text. *Must never know* how a run was measured. Samples with a wrong result are excluded
//! from all statistics; outliers are included.
//! CSV is the exception: it lists every sample with its fault.

pub mod bencher;
pub mod csv;
pub mod github_action;
pub mod hyperfine_v1;
pub mod hyperfine_v2;
pub mod markdown;
pub mod otava;
#[cfg(test)]
pub(crate) mod sample;

//! Other tools' formats: only this folder knows them.
//!
//! *Takes* a run. *Gives* text. *Must never know* how a run was measured.

pub mod hyperfine_v1;

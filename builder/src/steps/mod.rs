//! One node to its effect: run, copy, add, workdir.
//!
//! *Takes* an operation of the plan, the layers below it and what it may read. *Gives* a layer and
//! an account. *Must never know* the schedule.

pub mod copy;
pub mod run;
pub mod workdir;

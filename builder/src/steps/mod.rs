//! Executes one step: RUN, COPY, ADD, WORKDIR.
//!
//! *Takes* an operation of the plan, the layers below it and the sources it may read. *Gives* a layer and, for RUN, the
//! exit of the process. *Must never know* the schedule.

mod accounts;
pub mod copy;
pub mod run;
pub mod workdir;

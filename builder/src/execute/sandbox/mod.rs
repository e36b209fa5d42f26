//! A process in a box.
//!
//! *Takes* a [`StepSpec`]. *Gives* its exit and its account. *Must never know* Dockerfiles, layers
//! or drivers: file systems come as detached mounts. The only room with `unsafe`.

mod spec;

pub use spec::*;

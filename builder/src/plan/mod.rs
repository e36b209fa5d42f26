//! Instructions to graph.
//!
//! *Takes* parsed instructions, build arguments and the configurations of base images. *Gives* a
//! [`Plan`]: one graph of fully expanded steps, pruned to the target, with cache keys. *Must never
//! know* slots, drivers or processes, nor read a file.

mod graph;

pub use graph::*;

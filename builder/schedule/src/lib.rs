//! Runs a function for each node of a directed acyclic graph, in the order of its edges.
//!
//! *Takes* a directed graph, a concurrency limit and a function from node to future. *Gives* the
//! functions' results, or the first failure, once everything that was running has ended. *Must
//! never know* Dockerfiles, layers or processes: it sees nodes, edges, groups and slots.
//!
//! The crate does not depend on the builder, as moby's proposal for a DAG builder (issue 32550) asked.
//!
//! # Start here
//!
//! ```
//! use buildscope_schedule::{Dag, Limit, run};
//! use petgraph::graph::DiGraph;
//!
//! let mut graph = DiGraph::<&str, ()>::new();
//! let (left, right, both) = (graph.add_node("left"), graph.add_node("right"), graph.add_node("both"));
//! graph.extend_with_edges([(left, both), (right, both)]);
//! let dag = Dag::new(&graph)?;
//!
//! let runtime = tokio::runtime::Builder::new_current_thread().build()?;
//! let lengths = runtime.block_on(run(&dag, Limit::of(2), &(), |turn| {
//!     let name = graph[turn.node];
//!     async move { Ok::<_, std::convert::Infallible>(name.len()) }
//! }))?;
//! assert_eq!(lengths, [4, 5, 4]);
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod budget;
mod dag;
mod policy;
mod run;

pub use budget::{Admitted, Budget, PATIENCE};
pub use buildscope_record::Policy;
pub use dag::{Cycle, Dag};
pub use policy::order_edges;
pub use run::{Limit, NodeFailure, Observer, Turn, run};

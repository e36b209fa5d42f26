//! What is collected of processes.

/// The data that are collected of each process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Collect {
    /// Times, waits and usage.
    Processes,
    /// Also samples of the running functions.
    Stacks,
}

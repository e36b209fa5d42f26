//! Blocking work inside asynchronous tasks.

/// Runs work that blocks its thread; the runtime moves its other tasks to other threads.
pub(super) fn blocking<T>(work: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(work)
}

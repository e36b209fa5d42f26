//! What happens to the threads of a step, from any source.

use std::sync::Arc;

/// Functions, the outermost first.
pub(crate) type Frames = Arc<[Arc<str>]>;

/// Something that happened to a thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// On the monotonic clock, in nanoseconds.
    pub(crate) time: u64,
    pub(crate) pid: i32,
    pub(crate) tid: i32,
    pub(crate) what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// This process started it. A process that starts a thread is its own parent.
    Forked {
        parent: i32,
    },
    /// Its process executed a program of this name (up to 15 bytes).
    Executed {
        name: String,
    },
    Exited,
    /// It came onto a processor.
    In,
    /// It left its processor; `wanted` says that it could have gone on.
    Out {
        wanted: bool,
    },
    /// These functions ran.
    Sampled {
        frames: Frames,
    },
}

//! Events of the threads of a step, from any source.

use std::sync::Arc;

/// The functions of a stack, the outermost first.
pub(crate) type Frames = Arc<[Arc<str>]>;

/// An event of a thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// The time on the monotonic clock, in nanoseconds.
    pub(crate) time: u64,
    pub(crate) pid: i32,
    pub(crate) tid: i32,
    pub(crate) what: What,
}

/// The kind of event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// The thread was started by this process. A process that starts a thread is its own parent.
    Forked {
        parent: i32,
    },
    /// The process executed a program of this name (up to 15 bytes).
    Executed {
        name: String,
    },
    /// The thread's name says that it works on the tasks of a build.
    WorksOnTasks,
    Exited,
    /// The thread got a processor.
    In,
    /// The thread left its processor; `wanted` says that it could have continued.
    Out {
        wanted: bool,
    },
    /// A sample of the running functions.
    Sampled {
        frames: Frames,
    },
}

//! A server of a build.

use crate::images::CasBlobs;
use buildscope_record::DiffId;
use buildscope_remote::Client;
use parking_lot::Mutex;
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::Duration;

/// A server.
pub(super) struct Machine {
    pub(super) client: Client,
    pub(super) blobs: CasBlobs,
    /// The number of steps that this build runs there.
    pub(super) running: AtomicUsize,
    /// It has failed. No step is sent to it any more.
    pub(super) failed: AtomicBool,
    /// The layers that were sent there, and how long the bytes took.
    pub(super) sent: Mutex<Sent>,
}

/// What was sent to a server in this build.
#[derive(Default)]
pub(super) struct Sent {
    pub(super) layers: HashSet<DiffId>,
    pub(super) bytes: u64,
    pub(super) time: Duration,
}

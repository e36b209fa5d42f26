//! A server of a build: the steps and the layers that it has, and the rate of the link to it.

use super::Description;
use super::link_rates::LinkRates;
use super::starts::Starts;
use crate::images::CasBlobs;
use buildscope_record::{Candidate, DiffId};
use buildscope_remote::{Client, RemoteError, RemoteOptions};
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// The number of sent bytes from which on the rate of a link is known.
const LEAST: u64 = 1 << 20;
/// The rate of a link until it is known, in bytes per second: 200 Mbit/s. If it is too low, a step waits for a slot where its data is. If
/// it is too high, large layers move over a slow link, which costs more.
const ASSUMED_RATE: f64 = 25e6;

/// A server.
pub(super) struct Machine {
    pub(super) client: Client,
    pub(super) blobs: CasBlobs,
    /// The number of steps that this build runs there, or will.
    steps: AtomicUsize,
    /// The number of processors of its worker; 0 until the account of a step contains it.
    processors: AtomicUsize,
    /// Whether the server has failed. No further step is sent to it.
    failed: AtomicBool,
    /// Whether a long wait for one of its workers was reported.
    reported_queue: AtomicBool,
    link: Mutex<MachineLink>,
    /// The shortest time of a question and its answer, in nanoseconds; `u64::MAX` until it is known.
    trip: AtomicU64,
    pub(super) starts: Starts,
}

/// The link to a server, and the layers of the server.
#[derive(Default)]
struct MachineLink {
    /// The rate in bytes per second that an earlier build measured.
    known: Option<f64>,
    /// The layers on the server, or on the way to it.
    layers: HashSet<DiffId>,
    /// The layers on the way, with the bytes that still have to cross links.
    coming: HashMap<DiffId, f64>,
    /// The number of sent bytes.
    sent: u64,
    /// The time in which bytes were sent.
    busy: Duration,
    /// The number of current transfers.
    sending: u32,
    /// The last start or end of a transfer.
    changed: Option<Instant>,
}

/// A step that a server has, for its load.
pub(super) struct Load<'m> {
    pub(super) machine: &'m Machine,
    /// Its layers that the server did not have.
    coming: Vec<DiffId>,
}

/// A transfer to a server, for the rate of its link.
pub(super) struct Transfer<'m>(&'m Machine);

impl Machine {
    /// Prepares the connection. `known` has the rates of links that earlier builds measured.
    pub(super) fn new(options: &RemoteOptions, known: &LinkRates) -> Result<Self, RemoteError> {
        let client = Client::new(options.clone())?;
        let blobs = CasBlobs::new(client.clone());
        let (steps, processors) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let link = Mutex::new(MachineLink { known: known.of(&client.address().to_string()), ..MachineLink::default() });
        let (failed, reported_queue) = (AtomicBool::new(false), AtomicBool::new(false));
        let trip = AtomicU64::new(u64::MAX);
        let starts = Starts::default();
        Ok(Self { client, blobs, steps, processors, failed, reported_queue, link, trip, starts })
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// Notes that a long wait for a worker is reported. Returns whether it is the first one.
    pub(super) fn report_queue(&self) -> bool {
        !self.reported_queue.swap(true, Ordering::Relaxed)
    }

    /// Notes that the server has failed. Returns whether it is the first time.
    pub(super) fn fail(&self) -> bool {
        !self.failed.swap(true, Ordering::Relaxed)
    }

    /// The known facts for the placement of a step. `slots` is the number of steps that it runs at a time, if the user set it; otherwise
    /// the number of processors of its worker, or of this machine until that is known. A layer that is not on this machine (`is_here`)
    /// crosses two links.
    pub(super) fn load(
        &self,
        description: &Description,
        slots: Option<usize>,
        is_here: &impl Fn(DiffId) -> bool,
    ) -> Candidate {
        let link = self.link.lock();
        let lacks = description.layers().filter(|(layer, _)| !link.layers.contains(layer));
        let lacking: f64 = lacks.map(|layer| crossing(layer, is_here)).sum();
        let awaits = lacking > 0.0 || description.layers().any(|(layer, _)| link.coming.contains_key(&layer));
        let before: f64 = if awaits { link.coming.values().sum() } else { 0.0 };
        Candidate {
            steps: self.steps.load(Ordering::Relaxed),
            slots: Some(slots.unwrap_or_else(|| self.processors())),
            lacking,
            transfer: (lacking + before) * 1e9 / link.rate(),
            ..Candidate::default()
        }
    }

    /// The time in which that many bytes cross the link, in nanoseconds.
    pub(super) fn transfer_time(&self, bytes: f64) -> f64 {
        bytes * 1e9 / self.link.lock().rate()
    }

    /// Notes how long a question and its answer took.
    pub(super) fn note_trip(&self, time: Duration) {
        self.trip.fetch_min(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// The time of a round trip, if it is known.
    pub(super) fn trip(&self) -> Option<Duration> {
        Some(self.trip.load(Ordering::Relaxed)).filter(|&trip| trip < u64::MAX).map(Duration::from_nanos)
    }

    /// The rate of its link in bytes per second, if this build has measured it.
    pub(super) fn measured_rate(&self) -> Option<f64> {
        self.link.lock().measured()
    }

    fn processors(&self) -> usize {
        match self.processors.load(Ordering::Relaxed) {
            0 => std::thread::available_parallelism().map_or(1, NonZeroUsize::get),
            processors => processors,
        }
    }

    /// Notes the number of processors of its worker.
    pub(super) fn note_processors(&self, processors: usize) {
        self.processors.store(processors, Ordering::Relaxed);
    }

    /// Notes a layer that a step has made there.
    pub(super) fn note_layer(&self, layer: DiffId) {
        self.link.lock().layers.insert(layer);
    }

    /// Gives it a step, whose layers are on the way from then on.
    pub(super) fn take(&self, description: &Description, is_here: &impl Fn(DiffId) -> bool) -> Load<'_> {
        self.steps.fetch_add(1, Ordering::Relaxed);
        let mut link = self.link.lock();
        let new: Vec<_> = description.layers().filter(|(layer, _)| link.layers.insert(*layer)).collect();
        link.coming.extend(new.iter().map(|&layer| (layer.0, crossing(layer, is_here))));
        Load { machine: self, coming: new.into_iter().map(|(layer, _)| layer).collect() }
    }

    /// Starts a transfer.
    pub(super) fn transfer(&self) -> Transfer<'_> {
        self.link.lock().change(1);
        Transfer(self)
    }
}

impl Load<'_> {
    /// Whether the step brings this layer to the server.
    pub(super) fn brings(&self, layer: DiffId) -> bool {
        self.coming.contains(&layer)
    }

    /// Notes that the layers of the step have arrived.
    pub(super) fn arrived(&mut self) {
        let arrived = std::mem::take(&mut self.coming);
        self.machine.link.lock().coming.retain(|layer, _| !arrived.contains(layer));
    }
}

impl Drop for Load<'_> {
    fn drop(&mut self) {
        self.arrived();
        self.machine.steps.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Transfer<'_> {
    /// Counts bytes that have arrived.
    pub(super) fn sent(self, bytes: u64) {
        self.0.link.lock().sent += bytes;
    }
}

impl Drop for Transfer<'_> {
    fn drop(&mut self) {
        self.0.link.lock().change(-1);
    }
}

/// The bytes of a layer that have to cross links on its way to a server: one that is not on this machine is fetched first.
fn crossing((layer, size): (DiffId, u64), is_here: &impl Fn(DiffId) -> bool) -> f64 {
    if is_here(layer) { size as f64 } else { 2.0 * size as f64 }
}

impl MachineLink {
    /// Counts a transfer that starts (1) or ends (-1).
    fn change(&mut self, by: i32) {
        let now = Instant::now();
        if let Some(since) = self.changed.filter(|_| self.sending > 0) {
            self.busy += now - since;
        }
        self.sending = self.sending.saturating_add_signed(by);
        self.changed = Some(now);
    }

    /// The rate that this build measured, in bytes per second.
    fn measured(&self) -> Option<f64> {
        (self.sent >= LEAST).then(|| (self.sent as f64 / self.busy.as_secs_f64()).max(1.0))
    }

    /// The rate in bytes per second.
    fn rate(&self) -> f64 {
        self.measured().or(self.known).unwrap_or(ASSUMED_RATE)
    }
}

//! Delivery while steps run: which layers an image and its caches will certainly have, and the threads that deliver them.
//!
//! *Takes* the ends of steps. *Gives* the drafts of outputs. The threads have the lowest priority and use idle processors only
//! ([`Pace`]), so that they never delay a step.

use super::destinations::Destinations;
use super::part::Part;
use super::solver::Solver;
use crate::images::{CacheMode, Draft, EarlyDelivery, OriginalBlob, Pace};
use buildscope_record::{DiffId, Probe, StepId};
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Steps that run at least this long make early delivery worth its threads. A build that finds everything in the cache ends before.
const BEGIN_AFTER: Duration = Duration::from_millis(20);
/// The time that a failed build waits for its open uploads to be cancelled. A registry forgets the others after some time.
const PATIENCE: Duration = Duration::from_secs(10);
/// The priority of the threads (setpriority(2)): the lowest.
const PRIORITY: i32 = 19;

/// The early delivery of one part of a build.
pub(super) struct Early {
    delivery: EarlyDelivery,
    destinations: Destinations,
    layers: Mutex<Layers>,
    workers: Mutex<Vec<DeliveryWorker>>,
}

/// The layers that are certain so far.
struct Layers {
    /// The steps of each image, lowest first.
    chains: Vec<Vec<StepId>>,
    /// The image whose layers are not all certain yet, how many of its steps have ended, and how many of its layers are in the list.
    at: (usize, usize, usize),
    /// The layers of the images, in order.
    of_images: Arc<LayerList>,
    /// The layers of all steps, as they end.
    of_steps: Arc<LayerList>,
}

/// A layer that will be delivered, and its blob if it is of the base image.
type Deliverable = (DiffId, Option<OriginalBlob>);

/// A list that grows until it is closed.
#[derive(Default)]
struct LayerList {
    state: Mutex<(Vec<Deliverable>, bool)>,
    changed: Condvar,
}

/// A thread that delivers to one destination.
struct DeliveryWorker {
    /// The number of the output; `None` for a cache.
    output: Option<usize>,
    draft: mpsc::Receiver<Draft>,
}

/// The output or cache that a worker delivers to.
#[derive(Clone, Copy)]
enum Recipient {
    Output(usize),
    Cache(usize),
}

impl Early {
    /// Prepares the early delivery of a part. Without outputs and caches there is nothing to deliver.
    pub(super) fn new(solver: &Solver, part: &Part, destinations: &Destinations, probe: &Probe) -> Option<Self> {
        let Destinations { names, outputs, caches } = destinations;
        if outputs.is_empty() && caches.iter().all(|cache| cache.options().is_none()) {
            return None;
        }
        let delivery = EarlyDelivery {
            store: part.cache.store.clone(),
            names: names.clone(),
            epoch: part.runner.epoch,
            registries: part.runner.images.registries().cloned(),
            imported: Arc::clone(&part.cache.imported),
            prepared: Arc::clone(&part.prepared),
            pace: Arc::new(Pace::alongside_steps()),
            probe: probe.clone(),
        };
        let layers = Layers {
            chains: part.targets.iter().map(|target| solver.ctx.plan.chain(*target).collect()).collect(),
            at: (0, 0, 0),
            of_images: Arc::default(),
            of_steps: Arc::default(),
        };
        Some(Self {
            delivery,
            destinations: destinations.clone(),
            layers: Mutex::new(layers),
            workers: Mutex::default(),
        })
    }

    /// Notes that a step has ended with a result.
    pub(super) fn ended(&self, solver: &Solver, part: &Part, step: StepId) {
        let mut layers = self.layers.lock();
        layers.note(solver, part, step);
        let (of_images, of_steps) = (Arc::clone(&layers.of_images), Arc::clone(&layers.of_steps));
        drop(layers);
        let mut workers = self.workers.lock();
        if workers.is_empty() && of_images.len() + of_steps.len() > 0 {
            let outputs = (0..self.destinations.outputs.len()).map(Recipient::Output);
            let caches = (0..self.destinations.caches.len()).map(Recipient::Cache);
            for recipient in outputs.chain(caches) {
                let list = match recipient {
                    Recipient::Cache(number) if self.destinations.caches[number].mode() == CacheMode::Max => &of_steps,
                    Recipient::Output(_) | Recipient::Cache(_) => &of_images,
                };
                workers.push(self.start(recipient, Arc::clone(list)));
            }
        }
    }

    fn start(&self, recipient: Recipient, list: Arc<LayerList>) -> DeliveryWorker {
        let (delivery, destinations) = (self.delivery.clone(), self.destinations.clone());
        let (send, draft) = mpsc::channel();
        let work = move || {
            let draft = deliver(&delivery, &destinations, recipient, &list);
            // The scratch directory is removed with the last use of the store, and the build may end as soon as it has the draft.
            drop((delivery, destinations, list));
            if let Some(draft) = draft {
                // The build may have given up waiting.
                let _ = send.send(draft);
            }
        };
        std::thread::spawn(work);
        DeliveryWorker { output: if let Recipient::Output(number) = recipient { Some(number) } else { None }, draft }
    }

    /// Lifts the limits of the pace: no step runs any more.
    pub(super) fn hurry(&self) {
        self.delivery.pace.hurry();
    }

    /// Ends early delivery. The delivery completes the drafts. Returns the draft of each output.
    pub(super) fn finish(&self) -> Vec<Option<Draft>> {
        self.hurry();
        self.layers.lock().close();
        let mut drafts: Vec<Option<Draft>> = self.destinations.outputs.iter().map(|_| None).collect();
        for worker in std::mem::take(&mut *self.workers.lock()) {
            // A thread that failed sends nothing.
            let draft = worker.draft.recv().ok();
            if let Some(number) = worker.output {
                drafts[number] = draft;
            }
        }
        drafts
    }

    /// Ends early delivery without a result: the image will not exist. Nothing of it is left, unless a registry does not answer for
    /// [`PATIENCE`].
    pub(super) fn abandon(&self) {
        self.delivery.pace.stop();
        self.layers.lock().close();
        let until = Instant::now() + PATIENCE;
        for worker in std::mem::take(&mut *self.workers.lock()) {
            let _ = worker.draft.recv_timeout(until.saturating_duration_since(Instant::now()));
        }
        let (done, cancelled) = mpsc::channel::<()>();
        let prepared = Arc::clone(&self.delivery.prepared);
        std::thread::spawn(move || {
            prepared.cancel_uploads();
            drop(done);
        });
        let _ = cancelled.recv_timeout(until.saturating_duration_since(Instant::now()));
    }
}

impl Drop for Early {
    /// Ends threads that nothing waits for.
    fn drop(&mut self) {
        if !self.workers.get_mut().is_empty() {
            self.delivery.pace.stop();
            self.layers.get_mut().close();
        }
    }
}

impl Layers {
    fn note(&mut self, solver: &Solver, part: &Part, step: StepId) {
        let results = &solver.ctx.results;
        let own = results.finished(step).and_then(|result| result.layer);
        self.of_steps.extend(own.map(|layer| (layer.diff_id, None)));
        while let Some(chain) = self.chains.get(self.at.0) {
            let (image, ended, listed) = self.at;
            let more = chain[ended..].iter().take_while(|step| results.finished(**step).is_some()).count();
            let ended = ended + more;
            let Some(result) = ended.checked_sub(1).and_then(|last| results.finished(chain[last])) else { return };
            let base = result.base.and_then(|(_, manifest)| part.runner.images.resolved(&manifest));
            let of_base = |number| base.as_ref()?.original(number);
            let new = result.layers.iter().enumerate().skip(listed);
            self.of_images.extend(new.map(|(number, diff_id)| (*diff_id, of_base(number))));
            if ended < chain.len() {
                self.at = (image, ended, result.layers.len());
                return;
            }
            self.at = (image + 1, 0, 0);
        }
    }

    fn close(&self) {
        self.of_images.close();
        self.of_steps.close();
    }
}

impl LayerList {
    fn len(&self) -> usize {
        self.state.lock().0.len()
    }

    fn extend(&self, layers: impl IntoIterator<Item = Deliverable>) {
        self.state.lock().0.extend(layers);
        self.changed.notify_all();
    }

    fn close(&self) {
        self.state.lock().1 = true;
        self.changed.notify_all();
    }

    /// The layer at a position; `None` if there is none yet, or if the list is closed.
    fn get(&self, at: usize) -> Option<Deliverable> {
        let (layers, closed) = &*self.state.lock();
        layers.get(at).filter(|_| !closed).cloned()
    }

    /// Waits until the list has more than `seen` layers, and returns their number; `None` if it is closed.
    fn wait(&self, seen: usize) -> Option<usize> {
        let mut state = self.state.lock();
        while !state.1 && state.0.len() <= seen {
            self.changed.wait(&mut state);
        }
        (!state.1).then_some(state.0.len())
    }
}

/// Delivers the layers of the list until it is closed; `None` if an error occurred, which the delivery will report.
fn deliver(
    delivery: &EarlyDelivery,
    destinations: &Destinations,
    recipient: Recipient,
    list: &LayerList,
) -> Option<Draft> {
    delivery.pace.rest(BEGIN_AFTER).ok()?;
    // Threads inherit the priority. Those of the pool, which steps use, must start before it is lowered.
    rayon::current_num_threads();
    // If this fails, the pace still limits the work.
    let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), PRIORITY);
    let (mut next, mut seen) = (0, 0);
    seen = list.wait(seen)?;
    let mut draft = match recipient {
        Recipient::Output(number) => delivery.begin(&destinations.outputs[number])?,
        Recipient::Cache(number) => delivery.begin_cache(&destinations.caches[number])?,
    };
    loop {
        while let Some((diff_id, of_base)) = list.get(next) {
            // A layer of a base image may be there when the next step has ended.
            if !delivery.add(&mut draft, diff_id, of_base.as_ref()).ok()? {
                break;
            }
            next += 1;
        }
        match list.wait(seen) {
            Some(more) => seen = more,
            None => return Some(draft),
        }
    }
}

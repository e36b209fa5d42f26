//! The servers of a build: chooses one for each step, sends it what it lacks, and takes the result.

use super::elsewhere::{ask_all, cached_elsewhere};
use super::layers::{KeptLayers, LayerFiles};
use super::link_rates::LinkRates;
use super::local_slots::LocalSlots;
use super::machine::{Load, Machine};
use super::program::{self, OwnProgram};
use super::{
    ACCOUNT, Account, DESCRIPTION, DescribedWork, Description, FailureKind, LAYER, LAYERS, PROGRAM, RemoteRequest,
    SMALL_LAYER,
};
use crate::images::ImageError;
use buildscope_record::{
    BlobDigest, Candidate, DiffId, Mean, Phase, Probe, Quantity, StepId, StrandStep, Strands, best_machine,
};
use buildscope_remote::{
    Action, Blob, CacheUse, Content, Finished, Input, LONG_QUEUE, PreparedAction, RemoteError, Upload,
};
use buildscope_storage::Layer;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The number of executions of an action on one server if blobs are missing there, its worker fails, or its cached result cannot be used.
const ROUNDS: u32 = 3;
/// The largest message of a failed command that is shown, in bytes.
const LARGEST_MESSAGE: u64 = 16 << 10;
/// Blobs of a step up to this size, in bytes, are sent without asking whether the server has them.
const SMALL: u64 = 64 << 10;
/// The largest account that is read, in bytes.
const LARGEST_ACCOUNT: u64 = 128 << 20;
/// The longest name of a worker that is shown, in bytes.
const LONGEST_NAME: usize = 255;
/// The time that a worker may need in addition to the time limit of a step, for fetching layers and sending the result.
const SLACK: Duration = Duration::from_secs(600);

/// The servers of a build.
pub(crate) struct Machines {
    machines: Vec<Arc<Machine>>,
    request: RemoteRequest,
    /// The directory in which the digests of this program and the rates of links are kept.
    digests: PathBuf,
    layers: KeptLayers,
    local: Option<Arc<LocalSlots>>,
    /// The number of steps that each server runs at a time, if the number of those of the build is limited.
    slots: Option<usize>,
    /// The length of the RUN steps that ran there, in nanoseconds.
    length: Mutex<Mean>,
    /// The size of the layers that were made there, in bytes.
    result: Mutex<Mean>,
    /// The index of the server of each strand. Locked while a step is placed: each step sees those that were placed
    /// before it.
    strands: Mutex<Strands<usize>>,
    /// The layers of this machine about which all servers were asked. Locked until they have answered.
    asked: tokio::sync::Mutex<HashSet<DiffId>>,
    /// What went wrong on servers, by step.
    failures: Mutex<BTreeMap<StepId, Vec<String>>>,
    /// Shows a warning.
    warn: Box<dyn Fn(String) + Send + Sync>,
}

/// A step that another machine has run.
pub(crate) struct Away {
    pub(crate) account: Account,
    /// The machine, as the server or the account names it.
    pub(crate) machine: String,
    /// Whether the result is from the server's action cache.
    pub(crate) is_cached: bool,
    /// The time at which the action was sent, and the time at which its result arrived.
    pub(crate) times: (Instant, Instant),
    /// The time that it waited for a worker.
    pub(crate) queued: Duration,
}

/// The blobs that are sent for a step.
struct Package<'a> {
    id: StepId,
    description: &'a Description,
    action: PreparedAction,
    step: Upload,
    program: OwnProgram,
    files: &'a dyn LayerFiles,
}

impl Package<'_> {
    /// The content of a small layer.
    fn read(&self, layer: DiffId) -> Result<Vec<u8>, ImageError> {
        let mut content = Vec::new();
        let read = self.files.open(layer)?.take(SMALL_LAYER + 1).read_to_end(&mut content);
        read.map_err(ImageError::file("read", Path::new(&layer.to_string())))?;
        Ok(content)
    }

    /// The blobs that describe the action and the step.
    fn own(&self) -> impl Iterator<Item = &Upload> {
        self.action.uploads.iter().chain([&self.step])
    }
}

impl Machines {
    /// Prepares the connections. `steps` are the steps of the build. `jobs` is the limit of steps of the build that
    /// run at once, 0 if there is none. The directory `digests` keeps the digests of
    /// this program and the rates of links. `warn` shows a warning.
    pub(crate) fn new(
        request: &RemoteRequest,
        steps: &[StrandStep],
        jobs: usize,
        digests: PathBuf,
        warn: impl Fn(String) + Send + Sync + 'static,
    ) -> Result<Self, ImageError> {
        let rates = LinkRates::read(&digests);
        let machine = |options| Machine::new(options, &rates).map(Arc::new);
        let machines = request.servers.iter().map(machine).collect::<Result<Vec<_>, _>>()?;
        let local = request.local_jobs.map(|jobs| LocalSlots::new(jobs.get()));
        let away = jobs.saturating_sub(local.as_ref().map_or(0, |slots| slots.most())).max(1);
        let slots = (jobs > 0).then(|| away.div_ceil(machines.len().max(1)));
        Ok(Self {
            machines,
            request: request.clone(),
            digests,
            layers: KeptLayers::default(),
            local,
            slots,
            length: Mutex::default(),
            result: Mutex::default(),
            strands: Mutex::new(Strands::new(steps)),
            asked: tokio::sync::Mutex::default(),
            failures: Mutex::default(),
            warn: Box::new(warn),
        })
    }

    /// The slots of this machine, if it has some.
    pub(crate) fn local(&self) -> Option<&Arc<LocalSlots>> {
        self.local.as_ref()
    }

    /// The time after which a step would start on the server that it would go to.
    pub(crate) fn expected_start(&self, step: StepId, description: &Description, files: &dyn LayerFiles) -> Duration {
        let best = self.best(step, description, files, &self.strands.lock());
        let start = best.map_or(f64::INFINITY, |(_, candidate)| candidate.start(self.length.lock().get()));
        Duration::try_from_secs_f64(start / 1e9).unwrap_or(Duration::MAX)
    }

    pub(crate) fn fallback(&self) -> super::Fallback {
        self.request.fallback
    }

    pub(crate) fn cache_mounts(&self) -> super::CacheMounts {
        self.request.cache_mounts
    }

    /// Waits until the servers have taken the cancellations of the actions that the build does not need any more.
    pub(crate) async fn finish_cancellations(&self) {
        for machine in &self.machines {
            machine.client.finish_cancellations().await;
        }
    }

    /// The time of a round trip to the server that is farthest away; zero until one is known.
    pub(crate) fn round_trip(&self) -> Duration {
        self.machines.iter().filter_map(|machine| machine.trip()).max().unwrap_or_default()
    }

    /// The layers that are on servers.
    pub(crate) fn layers(&self) -> &KeptLayers {
        &self.layers
    }

    /// Runs a step on the best server, or takes its result from there. A server that fails is not used again in this build.
    ///
    /// # Errors
    /// The error of the last server.
    pub(crate) async fn run(
        &self,
        step: StepId,
        description: &Description,
        files: &dyn LayerFiles,
        cache: CacheUse,
        probe: &Probe,
    ) -> Result<Away, ImageError> {
        let program = tokio::task::block_in_place(|| program::own(&self.digests))?;
        let described = Upload::bytes(description.to_bytes());
        let action = self.action(description, &described, &program).prepare();
        let package = Package { id: step, description, action, step: described, program, files };
        self.ask_for_layers(description, files).await;
        let mut last = None;
        while let Some((machine, mut load)) = self.choose(step, description, files) {
            match self.run_on(machine, &mut load, &package, cache, probe).await {
                Err(ImageError::Remote(error)) => {
                    self.note_failure(step, &error);
                    if machine.fail() && self.machines.iter().any(|other| !other.has_failed()) {
                        (self.warn)(format!("{} is not used again in this build: {error}", machine.client.address()));
                    }
                    last = Some(*error);
                }
                done => return done,
            }
        }
        let none =
            || RemoteError::Invalid { what: "no server is left", reason: "all have failed in this build".into() };
        Err(last.unwrap_or_else(none).into())
    }

    /// Notes what went wrong on a server for a step.
    pub(crate) fn note_failure(&self, step: StepId, error: &dyn std::fmt::Display) {
        let (mut failures, text) = (self.failures.lock(), error.to_string());
        let of_step = failures.entry(step).or_default();
        // An error that ends the last attempt of a server is noted by each who sees it.
        if of_step.last() != Some(&text) {
            of_step.push(text);
        }
    }

    /// What went wrong on servers for a step, oldest first.
    pub(crate) fn failures(&self, step: StepId) -> Vec<String> {
        self.failures.lock().get(&step).cloned().unwrap_or_default()
    }

    /// The server that a step goes to, by its index.
    fn best(
        &self,
        step: StepId,
        description: &Description,
        files: &dyn LayerFiles,
        strands: &Strands<usize>,
    ) -> Option<(usize, Candidate)> {
        let is_here = |layer| files.is_here(layer);
        let result = self.result.lock().get().unwrap_or_default();
        let candidate = |(index, machine): (usize, &Arc<Machine>)| {
            let load = machine.load(description, self.slots, &is_here);
            // A result that another server needs comes here first.
            let (partner, meeting) = (strands.partner(step, index), machine.transfer_time(2.0 * result));
            match description.work {
                DescribedWork::Run(_) => {
                    (index, Candidate { partner, meeting, reserved: strands.reserved(step, index), ..load })
                }
                // Its result is small, and goes where the next one is.
                DescribedWork::Copy(_) => (index, load),
            }
        };
        let usable = self.machines.iter().enumerate().filter(|(_, machine)| !machine.has_failed());
        best_machine(usable.map(candidate), self.length.lock().get())
    }

    /// Finds which servers have the layers of a step that this machine has, of base images for example. One question for each layer.
    async fn ask_for_layers(&self, description: &Description, files: &dyn LayerFiles) {
        if self.machines.len() < 2 {
            return;
        }
        let mut asked = self.asked.lock().await;
        // A small layer is sent without a question.
        let large = description.layers().filter(|(_, size)| *size > SMALL_LAYER);
        let new = large.filter(|(layer, _)| files.is_here(*layer) && asked.insert(*layer));
        let layers: BTreeMap<Blob, DiffId> = new.map(|(layer, size)| (blob_of(layer, size), layer)).collect();
        if !layers.is_empty() {
            let wanted: Vec<Blob> = layers.keys().copied().collect();
            ask_all(&self.machines, &wanted, |server, blob| self.machines[server].note_layer(layers[blob])).await;
        }
    }

    /// Gives a step to a server.
    fn choose(
        &self,
        step: StepId,
        description: &Description,
        files: &dyn LayerFiles,
    ) -> Option<(&Arc<Machine>, Load<'_>)> {
        let mut strands = self.strands.lock();
        let (index, _) = self.best(step, description, files, &strands)?;
        strands.put(step, index);
        let machine = &self.machines[index];
        Some((machine, machine.take(description, &|layer| files.is_here(layer))))
    }

    fn action(&self, description: &Description, step: &Upload, program: &OwnProgram) -> Action {
        let file = |path: String, blob| Input { path, blob, executable: false };
        let layer = |(layer, size): (DiffId, u64)| file(format!("{LAYERS}/{}", layer.hex()), blob_of(layer, size));
        let mut inputs: Vec<Input> = description.layers().map(layer).collect();
        inputs.push(file(DESCRIPTION.into(), step.blob));
        inputs.extend(program.inputs());
        Action {
            arguments: [&format!("./{PROGRAM}"), "runner", "--step", DESCRIPTION].map(str::to_owned).into(),
            environment: Vec::new(),
            inputs,
            outputs: vec![LAYER.into(), ACCOUNT.into()],
            properties: self.request.properties.clone(),
            timeout: description.timeout().map(|timeout| timeout + SLACK),
        }
    }

    async fn run_on(
        &self,
        machine: &Arc<Machine>,
        load: &mut Load<'_>,
        package: &Package<'_>,
        mut cache: CacheUse,
        probe: &Probe,
    ) -> Result<Away, ImageError> {
        let (client, inline) = (&machine.client, [ACCOUNT.to_owned()]);
        let action = package.action.digest;
        let asked = Instant::now();
        // These requests are sent at the same time, so that they take one round trip. Only the first is of use if there is a result.
        let look_up = async {
            match cache {
                CacheUse::Cached => {
                    let elsewhere = cached_elsewhere(&self.machines, machine, action, &inline);
                    let (found, elsewhere) = tokio::join!(client.cached(action, &inline), elsewhere);
                    found.map(|found| (found, elsewhere))
                }
                CacheUse::Fresh => Ok((None, None)),
            }
        };
        let (found, offered, executes) = tokio::join!(look_up, machine.offer(package, load), client.check_execution());
        let (found, elsewhere) = found?;
        if let Some((index, found)) = elsewhere.filter(|_| found.is_none())
            && let Ok(away) = self.take(&self.machines[index], found, asked, package.files).await
        {
            self.strands.lock().put(package.id, index);
            return Ok(away);
        }
        if let Some(found) = found {
            match self.take(machine, found, asked, package.files).await {
                Ok(away) if away.account.layer().is_some() => return Ok(away),
                // The result is a failure, or its files are gone.
                _ => cache = CacheUse::Fresh,
            }
        }
        executes?;
        let mut offered = Some(offered);
        for round in 1.. {
            let missing = match offered.take() {
                Some(offered) => offered?,
                None => machine.offer(package, load).await?,
            };
            machine.send(package, &missing, probe).await?;
            load.arrived();
            let sent = Instant::now();
            match client.execute(action, cache, &inline, &|| self.report_queue(machine)).await {
                // A server may keep the result of a failed action, and its own failures.
                Ok(finished) if finished.is_cached && finished.exit_code != 0 && round < ROUNDS => {
                    cache = CacheUse::Fresh;
                }
                Ok(finished) => match self.take(machine, finished, sent, package.files).await {
                    // The worker failed. Another one may run it, or the same one when the server has what it lacks.
                    Err(ImageError::Remote(error)) if round < ROUNDS => {
                        self.note_failure(package.id, &error);
                        cache = CacheUse::Fresh;
                    }
                    done => return done,
                },
                // A blob was evicted between the check and the execution.
                Err(error) if error.may_lack_blobs() && round < ROUNDS => self.note_failure(package.id, &error),
                Err(error) => return Err(error.into()),
            }
        }
        unreachable!("the last round returns")
    }

    /// Warns of a step that waits long for a worker, once for each server.
    fn report_queue(&self, machine: &Machine) {
        if machine.report_queue() {
            let (address, waited) = (machine.client.address(), LONG_QUEUE.as_secs());
            (self.warn)(format!(
                "a step has waited {waited} s for a worker of {address}: all of them are busy, or none may run it (see --remote-property)"
            ));
        }
    }

    /// Takes the result of an action. Its layer stays on the server; a small one that came with the result is kept here, too.
    async fn take(
        &self,
        machine: &Arc<Machine>,
        finished: Finished,
        sent: Instant,
        files: &dyn LayerFiles,
    ) -> Result<Away, ImageError> {
        let client = &machine.client;
        let account = machine.account(&finished).await?;
        let failed = |reason: String| RemoteError::Unsupported { address: client.address().clone(), reason };
        if let Some(failure) = account.failure.as_ref().filter(|failure| failure.kind == FailureKind::Machine) {
            return Err(failed(format!("the worker {} failed: {}", account.machine, failure.message)).into());
        }
        if let Some(Layer { diff_id, size, .. }) = account.layer() {
            let wanted = Blob { digest: diff_id.into(), size };
            let output = finished.outputs.get(LAYER).map(|output| output.blob);
            match output {
                Some(found) if found == wanted => {}
                Some(Blob { digest: found, .. }) => {
                    let address = client.address().clone();
                    return Err(RemoteError::Corrupt { address, wanted: wanted.digest, found }.into());
                }
                None => return Err(failed(format!("the action has no output `{LAYER}`")).into()),
            }
            // The server may have evicted files of a cached result.
            if finished.is_cached
                && let Some(Blob { digest, .. }) = client.missing(&[wanted]).await?.first()
            {
                return Err(RemoteError::Missing { address: client.address().clone(), blobs: vec![*digest] }.into());
            }
            if let Some(output) = finished.outputs.get(LAYER).filter(|output| output.contents.len() as u64 == size) {
                tokio::task::block_in_place(|| files.keep(diff_id, &output.contents));
            }
            self.layers.add(diff_id, size, machine);
            self.result.lock().add(size as f64);
        }
        if let Some(processors) = account.processors {
            machine.note_processors(processors.get());
        }
        // A server may name its workers as it likes, but not at any length.
        let named = !finished.worker.is_empty() && finished.worker.len() <= LONGEST_NAME;
        let worker = if named { &finished.worker } else { &account.machine };
        let times = finished.times;
        let queued = match (times.queued, times.started) {
            (Some(queued), Some(started)) => started.duration_since(queued).unwrap_or_default(),
            (None, Some(started)) if !finished.is_cached => machine.starts.waited(worker, sent, started),
            _ => Duration::ZERO,
        };
        if account.exit().is_some() && !finished.is_cached {
            let length = sent.elapsed().saturating_sub(queued);
            self.length.lock().add(length.as_nanos() as f64);
        }
        Ok(Away {
            machine: worker.clone(),
            account,
            is_cached: finished.is_cached,
            times: (sent, Instant::now()),
            queued,
        })
    }
}

/// A layer as a blob of a server.
fn blob_of(layer: DiffId, size: u64) -> Blob {
    Blob { digest: layer.into(), size }
}

impl Drop for Machines {
    fn drop(&mut self) {
        let measured = |machine: &Arc<Machine>| Some((machine.client.address().to_string(), machine.measured_rate()?));
        // A rate that cannot be kept is measured again.
        let _ = LinkRates::read(&self.digests).keep(self.machines.iter().filter_map(measured));
    }
}

impl Machine {
    /// Sends the small blobs of an action, and asks which of the others the server lacks. The two requests together take one round trip.
    async fn offer(&self, package: &Package<'_>, load: &Load<'_>) -> Result<BTreeSet<Blob>, ImageError> {
        let (mut small, asked): (Vec<_>, Vec<_>) = package.own().cloned().partition(|upload| upload.blob.size <= SMALL);
        let mut wanted: Vec<Blob> = asked.iter().map(|upload| upload.blob).collect();
        wanted.extend(package.program.blobs());
        for (layer, size) in package.description.layers() {
            if size <= SMALL_LAYER && load.brings(layer) && package.files.is_here(layer) {
                small.push(Upload::bytes(tokio::task::block_in_place(|| package.read(layer))?));
            } else {
                wanted.push(blob_of(layer, size));
            }
        }
        let ask = async {
            let asked = Instant::now();
            let missing = self.client.missing(&wanted).await?;
            self.note_trip(asked.elapsed());
            Ok::<_, RemoteError>(missing)
        };
        let (sent, missing) = tokio::join!(self.client.send(small), ask);
        sent?;
        Ok(missing?)
    }

    /// Sends those blobs of an action that the server lacks.
    async fn send(&self, package: &Package<'_>, missing: &BTreeSet<Blob>, probe: &Probe) -> Result<(), ImageError> {
        let Package { description, program, files, .. } = package;
        if missing.is_empty() {
            return Ok(());
        }
        let span = probe.phase(Phase::Push);
        span.detail(&self.client.address().to_string());
        let mut uploads: Vec<Upload> = package.own().filter(|upload| missing.contains(&upload.blob)).cloned().collect();
        let file = |blob, file| Upload { blob, content: Content::File(file) };
        uploads.extend(program.uploads().filter(|upload| missing.contains(&upload.blob)));
        for (layer, size) in description.layers() {
            let blob = blob_of(layer, size);
            if missing.contains(&blob) {
                let opened = tokio::task::block_in_place(|| files.open(layer))?;
                uploads.push(file(blob, Arc::new(opened)));
            }
        }
        let transfer = self.transfer();
        let bytes = self.client.send(uploads).await?;
        transfer.sent(bytes);
        span.quantity(Quantity::BytesRead, bytes);
        Ok(())
    }

    /// The standard error of an action's command, on one line.
    async fn stderr(&self, finished: &Finished) -> String {
        let mut text = finished.stderr.clone();
        if let Some(blob) = finished.stderr_blob.filter(|blob| text.is_empty() && blob.size <= LARGEST_MESSAGE) {
            // The message is only left out if it cannot be read.
            text = self.client.read(&[blob]).await.unwrap_or_default().remove(&blob.digest).unwrap_or_default();
        }
        let text = String::from_utf8_lossy(&text);
        // Without the frame of our messages.
        let words: Vec<&str> = text.split_whitespace().filter(|word| !matches!(*word, "×" | "│")).collect();
        if words.is_empty() { "it gave no reason".into() } else { words.join(" ") }
    }

    /// Reads the account of a finished action.
    async fn account(&self, finished: &Finished) -> Result<Account, RemoteError> {
        let failed = |reason: String| RemoteError::Unsupported { address: self.client.address().clone(), reason };
        let Some(output) = finished.outputs.get(ACCOUNT) else {
            let said = self.stderr(finished).await;
            return Err(failed(format!("the worker ran no step (exit code {}): {said}", finished.exit_code)));
        };
        let blob = output.blob;
        if blob.size > LARGEST_ACCOUNT {
            return Err(failed(format!("the account of the step has {} bytes", blob.size)));
        }
        let bytes = if !output.contents.is_empty() && BlobDigest::of(&output.contents) == blob.digest {
            output.contents.clone()
        } else {
            self.client.read(&[blob]).await?.remove(&blob.digest).unwrap_or_default()
        };
        Account::read(&bytes).map_err(failed)
    }
}

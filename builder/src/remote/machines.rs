//! The servers of a build: chooses one for each step, sends it what it lacks, and takes the result.

use super::layers::{KeptLayers, LayerFiles};
use super::local_slots::LocalSlots;
use super::machine::Machine;
use super::program::{self, Program};
use super::{ACCOUNT, Account, DESCRIPTION, Description, FailureKind, LAYER, LAYERS, PROGRAM, RemoteRequest};
use crate::images::{CasBlobs, ImageError};
use buildscope_record::{BlobDigest, DiffId, Phase, Probe, Quantity};
use buildscope_remote::{
    Action, Blob, CacheUse, Client, Content, Finished, Input, PreparedAction, RemoteError, Upload,
};
use buildscope_storage::Layer;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// The number of sent bytes from which on the rate of a link is known.
const LEAST: u64 = 1 << 20;
/// How often an action is executed on one server if blobs are missing there, or its cached result cannot be used.
const ROUNDS: u32 = 3;
/// The largest message of a failed command that is shown, in bytes.
const LARGEST_MESSAGE: u64 = 16 << 10;
/// The largest account that is read, in bytes.
const LARGEST_ACCOUNT: u64 = 128 << 20;
/// What a worker may need in addition to the time limit of a step: for fetching layers and sending the result.
const SLACK: Duration = Duration::from_secs(600);

/// The servers of a build.
pub(crate) struct Machines {
    machines: Vec<Arc<Machine>>,
    request: RemoteRequest,
    layers: KeptLayers,
    local: Option<Arc<LocalSlots>>,
}

/// A step that another machine has run.
pub(crate) struct Away {
    pub(crate) account: Account,
    /// The machine, as the server or the account names it.
    pub(crate) machine: String,
    /// Whether the result is from the server's action cache.
    pub(crate) is_cached: bool,
    /// When the action was sent, and when its result arrived.
    pub(crate) times: (Instant, Instant),
    /// How long it waited for a worker.
    pub(crate) queued: Duration,
}

/// What is sent for a step.
struct Package<'a> {
    description: &'a Description,
    action: PreparedAction,
    step: Upload,
    program: Program,
    files: &'a dyn LayerFiles,
}

/// A step that runs on a machine, for its load.
struct Load<'m>(&'m Arc<Machine>);

impl Drop for Load<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Machines {
    /// Prepares the connections.
    pub(crate) fn new(request: &RemoteRequest) -> Result<Self, ImageError> {
        let machine = |options: &buildscope_remote::RemoteOptions| {
            let client = Client::new(options.clone())?;
            let blobs = CasBlobs::new(client.clone());
            let (running, failed, sent) = (AtomicUsize::new(0), AtomicBool::new(false), Mutex::default());
            Ok::<_, RemoteError>(Arc::new(Machine { client, blobs, running, failed, sent }))
        };
        let machines = request.servers.iter().map(machine).collect::<Result<_, _>>()?;
        let local = request.local_jobs.map(|jobs| LocalSlots::new(jobs.get()));
        Ok(Self { machines, request: request.clone(), layers: KeptLayers::default(), local })
    }

    /// The slots of this machine, if it has some.
    pub(crate) fn local(&self) -> Option<&Arc<LocalSlots>> {
        self.local.as_ref()
    }

    /// How long the layers of a step need to the nearest server, by what was sent in this build. `None` if nothing was.
    pub(crate) fn transfer(&self, description: &Description) -> Option<Duration> {
        let usable = self.machines.iter().filter(|machine| !machine.failed.load(Ordering::Relaxed));
        let times = usable.filter_map(|machine| {
            let sent = machine.sent.lock();
            let lacks = description.layers().filter(|(layer, _)| {
                let made_there = self.layers.is_on(layer, machine);
                !made_there && !sent.layers.contains(layer)
            });
            let bytes: u64 = lacks.map(|(_, size)| size).sum();
            let rate = sent.bytes as f64 / sent.time.as_secs_f64();
            (sent.bytes >= LEAST).then(|| Duration::from_secs_f64(bytes as f64 / rate.max(1.0)))
        });
        times.min()
    }

    pub(crate) fn fallback(&self) -> super::Fallback {
        self.request.fallback
    }

    pub(crate) fn cache_mounts(&self) -> super::CacheMounts {
        self.request.cache_mounts
    }

    /// The layers that are on servers.
    pub(crate) fn layers(&self) -> &KeptLayers {
        &self.layers
    }

    /// Runs a step on the server with the fewest steps of this build, or takes its result from there. A server that fails is not
    /// used again in this build.
    ///
    /// # Errors
    /// The error of the last server.
    pub(crate) async fn run(
        &self,
        description: &Description,
        files: &dyn LayerFiles,
        cache: CacheUse,
        probe: &Probe,
    ) -> Result<Away, ImageError> {
        let program = tokio::task::block_in_place(program::own)?;
        let step = Upload::bytes(description.to_bytes());
        let action = self.action(description, &step, &program).prepare();
        let package = Package { description, action, step, program, files };
        let mut last = None;
        while let Some(load) = self.choose(description) {
            let machine = load.0;
            match self.run_on(machine, &package, cache, probe).await {
                Err(ImageError::Remote(error)) => {
                    machine.failed.store(true, Ordering::Relaxed);
                    last = Some(*error);
                }
                done => return done,
            }
        }
        let none = || RemoteError::Invalid { what: "no server is left", fault: "all have failed in this build".into() };
        Err(last.unwrap_or_else(none).into())
    }

    /// The server with the fewest steps of this build; of those the one that lacks the fewest bytes of the step's layers. For a short
    /// step the bytes come first.
    fn choose(&self, description: &Description) -> Option<Load<'_>> {
        let layers = || description.layers().map(|(layer, _)| layer);
        let usable = self.machines.iter().filter(|machine| !machine.failed.load(Ordering::Relaxed));
        let chosen = usable.min_by_key(|machine| {
            let (running, lacks) =
                (machine.running.load(Ordering::Relaxed) as u64, self.layers.elsewhere(layers(), machine));
            if description.is_short() { (lacks, running) } else { (running, lacks) }
        })?;
        chosen.running.fetch_add(1, Ordering::Relaxed);
        Some(Load(chosen))
    }

    fn action(&self, description: &Description, step: &Upload, program: &Program) -> Action {
        let file = |path: String, blob| Input { path, blob, executable: false };
        let layer = |(layer, size): (DiffId, u64)| {
            file(format!("{LAYERS}/{}", layer.hex()), Blob { digest: layer.into(), size })
        };
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
        package: &Package<'_>,
        mut cache: CacheUse,
        probe: &Probe,
    ) -> Result<Away, ImageError> {
        let (client, inline) = (&machine.client, [ACCOUNT.to_owned()]);
        let action = package.action.digest;
        let asked = Instant::now();
        if cache == CacheUse::Cached
            && let Some(found) = client.cached(action, &inline).await?
        {
            match self.take(machine, found, asked).await {
                Ok(away) if away.account.layer().is_some() => return Ok(away),
                // A result that failed, or whose files are gone.
                _ => cache = CacheUse::Fresh,
            }
        }
        client.check_execution().await?;
        for round in 1.. {
            machine.send(package, probe).await?;
            let sent = Instant::now();
            match client.execute(action, cache, &inline).await {
                // A server may keep the result of a failed action, and its own failures.
                Ok(finished) if finished.is_cached && finished.exit_code != 0 && round < ROUNDS => {
                    cache = CacheUse::Fresh;
                }
                Ok(finished) => return self.take(machine, finished, sent).await,
                // Evicted between the question and the execution.
                Err(RemoteError::Missing { .. }) if round < ROUNDS => {}
                Err(error) => return Err(error.into()),
            }
        }
        unreachable!("the last round returns")
    }

    /// Takes the result of an action. Its layer stays on the server.
    async fn take(&self, machine: &Arc<Machine>, finished: Finished, sent: Instant) -> Result<Away, ImageError> {
        let client = &machine.client;
        let account = machine.account(&finished).await?;
        let fault = |fault: String| RemoteError::Unsupported { address: client.address().clone(), fault };
        if let Some(failure) = account.failure.as_ref().filter(|failure| failure.kind == FailureKind::Machine) {
            return Err(fault(format!("the worker {} failed: {}", account.machine, failure.message)).into());
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
                None => return Err(fault(format!("the action has no output `{LAYER}`")).into()),
            }
            if let Some(Blob { digest, .. }) = client.missing(&[wanted]).await?.first() {
                return Err(RemoteError::Missing { address: client.address().clone(), blobs: vec![*digest] }.into());
            }
            self.layers.add(diff_id, size, machine);
        }
        let worker = if finished.worker.is_empty() { &account.machine } else { &finished.worker };
        let times = finished.times;
        let queued = times.queued.zip(times.started).and_then(|(queued, started)| started.duration_since(queued).ok());
        Ok(Away {
            machine: worker.clone(),
            account,
            is_cached: finished.is_cached,
            times: (sent, Instant::now()),
            queued: queued.unwrap_or_default(),
        })
    }
}

impl Machine {
    /// Sends what the server lacks of an action.
    async fn send(&self, package: &Package<'_>, probe: &Probe) -> Result<(), ImageError> {
        let Package { description, action, step, program, files } = package;
        let mut wanted: Vec<Blob> = action.uploads.iter().map(|upload| upload.blob).collect();
        wanted.push(step.blob);
        wanted.extend(program.blobs());
        wanted.extend(description.layers().map(|(layer, size)| Blob { digest: layer.into(), size }));
        let missing = self.client.missing(&wanted).await?;
        self.sent.lock().layers.extend(description.layers().map(|(layer, _)| layer));
        if missing.is_empty() {
            return Ok(());
        }
        let span = probe.phase(Phase::Push);
        span.detail(&self.client.address().to_string());
        span.quantity(Quantity::BytesRead, missing.iter().map(|blob| blob.size).sum());
        let own = action.uploads.iter().chain([step]).cloned();
        let mut uploads: Vec<Upload> = own.filter(|upload| missing.contains(&upload.blob)).collect();
        let file = |blob, file| Upload { blob, content: Content::File(file) };
        uploads.extend(program.uploads().filter(|upload| missing.contains(&upload.blob)));
        for (layer, size) in description.layers() {
            let blob = Blob { digest: layer.into(), size };
            if missing.contains(&blob) {
                let opened = tokio::task::block_in_place(|| files.open(layer))?;
                uploads.push(file(blob, Arc::new(opened)));
            }
        }
        let (bytes, begin) = (uploads.iter().map(|upload| upload.blob.size).sum::<u64>(), Instant::now());
        self.client.send(uploads).await?;
        let mut sent = self.sent.lock();
        (sent.bytes, sent.time) = (sent.bytes + bytes, sent.time + begin.elapsed());
        Ok(())
    }

    /// What the command of an action has written to its standard error, in one line.
    async fn stderr(&self, finished: &Finished) -> String {
        let mut text = finished.stderr.clone();
        if let Some(blob) = finished.stderr_blob.filter(|blob| text.is_empty() && blob.size <= LARGEST_MESSAGE) {
            // The message is only left out if it cannot be read.
            text = self.client.read(&[blob]).await.unwrap_or_default().remove(&blob.digest).unwrap_or_default();
        }
        let text = String::from_utf8_lossy(&text);
        // Without the frame that our messages have.
        let words: Vec<&str> = text.split_whitespace().filter(|word| !matches!(*word, "×" | "│")).collect();
        if words.is_empty() { "it says nothing".into() } else { words.join(" ") }
    }

    /// Reads the account of a finished action.
    async fn account(&self, finished: &Finished) -> Result<Account, RemoteError> {
        let fault = |fault: String| RemoteError::Unsupported { address: self.client.address().clone(), fault };
        let Some(output) = finished.outputs.get(ACCOUNT) else {
            let said = self.stderr(finished).await;
            return Err(fault(format!("the worker ran no step (exit code {}): {said}", finished.exit_code)));
        };
        let blob = output.blob;
        if blob.size > LARGEST_ACCOUNT {
            return Err(fault(format!("the account of the step has {} bytes", blob.size)));
        }
        let bytes = if !output.contents.is_empty() && BlobDigest::of(&output.contents) == blob.digest {
            output.contents.clone()
        } else {
            self.client.read(&[blob]).await?.remove(&blob.digest).unwrap_or_default()
        };
        Account::read(&bytes).map_err(fault)
    }
}

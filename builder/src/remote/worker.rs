//! The other machine's side: fetches the layers that it does not have, runs the step, and keeps the layers for the next one.

use super::account::{Account, FailureKind, PrintedLine};
use super::description::{DescribedRun, DescribedWork, Description, FORMAT};
use super::{DESCRIPTION, LAYERS};
use crate::images::{Blobs, CasBlobs, ImageError, ImageLayer, ensure_all};
use crate::steps::run::{NetworkMode, Networks, Ran, RunError, RunInput, Runner};
use buildscope_oci::{Descriptor, Encoding};
use buildscope_record::{DiffId, Probe};
use buildscope_remote::Client;
use buildscope_sandbox::{LogLine, Stream, Zygote};
use buildscope_storage::Store;
use parking_lot::Mutex;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use tokio_util::sync::CancellationToken;

/// The number of bytes of a step's output that an account has.
const LARGEST_OUTPUT: usize = 16 << 20;

/// A machine that runs steps which others describe. Its store keeps their layers.
pub struct Worker {
    store: Store,
    /// The process that steps are forked from.
    zygote: Arc<Zygote>,
    /// The name of the machine.
    machine: String,
    /// The networks of steps whose description names no network.
    networks: Arc<Networks>,
}

/// The source of layers that the store does not have.
#[derive(Debug)]
pub struct LayerOrigin(Box<dyn Blobs>);

impl LayerOrigin {
    /// A server.
    pub fn server(client: Client) -> Self {
        Self(Box::new(CasBlobs::new(client)))
    }

    /// An input root that another program has made.
    pub fn input_root(directory: &Path) -> Self {
        let origin = directory.join(LAYERS);
        Self(Box::new(Folder { name: origin.display().to_string(), origin }))
    }
}

impl Description {
    /// Reads a description.
    ///
    /// # Errors
    /// Fails if it is not one of this version.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let description: Self =
            serde_json::from_slice(bytes).map_err(|error| format!("{DESCRIPTION} is not valid: {error}"))?;
        if description.format != FORMAT {
            return Err(format!("{DESCRIPTION} has version {}; this program reads {FORMAT}", description.format));
        }
        Ok(description)
    }
}

impl Worker {
    /// A worker with this name of its machine.
    pub fn new(store: Store, zygote: Arc<Zygote>, machine: String) -> Self {
        Self { store, zygote, machine, networks: Arc::new(networks_of(NetworkMode::Default)) }
    }

    /// Its store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The name of its machine.
    pub fn machine(&self) -> &str {
        &self.machine
    }

    /// Prepares in the background what most steps need: a sandbox, an isolated network, and the storage driver. Needs a tokio runtime.
    pub fn prepare(&self) {
        self.zygote.prepare();
        let networks = Arc::clone(&self.networks);
        tokio::spawn(async move { networks.prepare().await });
        let store = self.store.clone();
        // The step reports an error.
        tokio::task::spawn_blocking(move || drop(store.choose_driver()));
    }

    /// Runs a step. Its layer is in the store afterwards. Returns the account, and the process id of the step's init for an observer
    /// of processes. An error is in the account.
    pub async fn run(
        &self,
        description: &Description,
        origin: &LayerOrigin,
        cancel: CancellationToken,
        probe: &Probe,
    ) -> (Account, Option<u32>) {
        let mut account = Account::of(self.machine.clone());
        if let Err(error) = tokio::task::block_in_place(|| self.fetch(description, origin, probe)) {
            account.failed(FailureKind::Machine, &error);
            return (account, None);
        }
        match &description.work {
            DescribedWork::Run(run) => self.run_process(run, &description.below, account, cancel, probe).await,
            DescribedWork::Copy(copy) => {
                let store = &self.store;
                account.copied(tokio::task::block_in_place(|| copy.make(&description.below, store, probe)));
                (account, None)
            }
        }
    }

    async fn run_process(
        &self,
        run: &DescribedRun,
        below: &[DiffId],
        mut account: Account,
        cancel: CancellationToken,
        probe: &Probe,
    ) -> (Account, Option<u32>) {
        let (op, options, origins) = run.step();
        let networks = match options.network {
            NetworkMode::Default => Arc::clone(&self.networks),
            other => Arc::new(networks_of(other)),
        };
        let network = match networks.of(&op).await {
            Ok(network) => network,
            Err(error) => {
                account.ended(Err(error));
                return (account, None);
            }
        };
        account.network = Some(network.kind());
        let find = |from: &crate::plan::CopyFrom| match from {
            crate::plan::CopyFrom::NamedContext(name) => origins.get(name).cloned(),
            _ => None,
        };
        let input = RunInput { op: &op, parent: below, network: &network, origin: &find };
        let output: Arc<Mutex<StepOutput>> = Arc::default();
        let log = || {
            *output.lock() = StepOutput::default();
            let (output, begin) = (Arc::clone(&output), Instant::now());
            move |line: LogLine<'_>| output.lock().add(line, begin)
        };
        let runner = Runner { store: &self.store, zygote: &self.zygote, options: &options, on_disk: false };
        let ran = runner.run_to_end(input, log, cancel, probe).await;
        let init = match &ran {
            Ok(Ran { exit, .. }) => exit.init,
            Err(RunError::Failed { exit, .. }) => exit.init,
            Err(_) => None,
        };
        account.ended(ran.map(|Ran { layer, exit }| (layer, exit)));
        account.lines = std::mem::take(&mut output.lock().lines);
        (account, init)
    }

    fn fetch(&self, description: &Description, origin: &LayerOrigin, probe: &Probe) -> Result<(), ImageError> {
        let layer = |(diff_id, size): (_, u64)| {
            let media = Encoding::Plain.oci_layer();
            ImageLayer {
                descriptor: Descriptor::new(&media, buildscope_record::BlobDigest::from(diff_id), size),
                diff_id,
            }
        };
        let layers: Vec<ImageLayer> = description.layers().map(layer).collect();
        ensure_all(&self.store, &*origin.0, &layers, probe).map(drop)
    }
}

/// The networks of a step. The build has the proxies, and warns.
fn networks_of(mode: NetworkMode) -> Networks {
    Networks::new(mode, &Default::default(), |_| {})
}

/// The output of a step.
#[derive(Default)]
struct StepOutput {
    lines: Vec<PrintedLine>,
    size: usize,
}

impl StepOutput {
    fn add(&mut self, line: LogLine<'_>, begin: Instant) {
        let at = line.at.saturating_duration_since(begin);
        let before = self.size;
        self.size += line.text.len() + 1;
        if self.size <= LARGEST_OUTPUT {
            self.lines.push(PrintedLine::of(line.stream, at, line.text));
        } else if before <= LARGEST_OUTPUT {
            let rest = format!("(the output beyond {} MiB is left out)", LARGEST_OUTPUT >> 20);
            self.lines.push(PrintedLine::of(Stream::Stderr, at, rest.as_bytes()));
        }
    }
}

/// The files of a directory, named by the digits of their digests.
#[derive(Debug)]
struct Folder {
    origin: PathBuf,
    name: String,
}

impl Blobs for Folder {
    fn open(&self, blob: &Descriptor) -> Result<Box<dyn Read + Send>, ImageError> {
        let path = self.origin.join(blob.digest.hex());
        Ok(Box::new(File::open(&path).map_err(ImageError::file("open", &path))?))
    }

    fn origin(&self) -> &str {
        &self.name
    }
}

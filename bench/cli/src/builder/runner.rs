//! `buildscope runner`: one step of another machine's build.

use super::{interrupt, scheduling, subscriber};
use crate::input::cannot_read;
use crate::output::write_file;
use crate::{Failure, Root, write_message, write_out};
use buildscope_builder::remote::{self, Account, Description, LayerOrigin, Worker};
use buildscope_observe::{Collect, Observer};
use buildscope_record::{Collector, Nanos, Phase, Probe, Trace};
use buildscope_remote::{ActionOutcome, Address, Blob, Client, Content, RemoteOptions, Upload};
use buildscope_sandbox::{self as sandbox, Zygote};
use buildscope_storage::{DriverChoice, Layer, Store, StoreOptions, SyncPolicy, spare_memory};
use clap::Args;
use miette::{IntoDiagnostic, WrapErr, miette};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Instant, SystemTime};
use tokio_util::sync::CancellationToken;

/// The variable that names this machine in records.
const MACHINE: &str = "BUILDSCOPE_MACHINE";

/// Run one step of a build on another machine, for a worker of the Remote Execution API
///
/// Without --step it is the runner of a worker of buildbox (`--buildbox-run`). Layers are kept in the store for later steps.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The description of the step. The input root is its directory, where the results are written
    #[arg(long, value_name = "FILE", conflicts_with = "action")]
    step: Option<PathBuf>,
    /// The action (a message of the Remote Execution API)
    #[arg(long, value_name = "FILE", requires = "remote")]
    action: Option<PathBuf>,
    /// Write the result of the action to this file
    #[arg(long, value_name = "FILE")]
    action_result: Option<PathBuf>,
    /// The server that has the action's files: grpc[s]://HOST:PORT, or unix:PATH
    #[arg(long, value_name = "ADDRESS")]
    remote: Option<String>,
    /// The instance of that server
    #[arg(long, value_name = "NAME", default_value = "")]
    instance: String,
    /// Print what this runner offers, and end
    #[arg(long)]
    capabilities: bool,
    #[command(flatten)]
    root: Root,
}

const EXAMPLES: &str = "Examples:
  buildbox-casd --bind 0.0.0.0:8980 \\
    --buildbox-run /usr/local/bin/buildbox-run-buildscope /var/cache/casd
      (a link of that name to buildscope is this command)
  buildscope runner --capabilities
  buildscope runner --step step.json";

/// The resources of this process for one step.
struct Machine {
    worker: Worker,
    collector: Collector,
    observer: Option<Observer>,
    runtime: tokio::runtime::Runtime,
    cancel: CancellationToken,
    began: (Instant, SystemTime),
}

/// Runs the step.
pub(super) fn run(arguments: Arguments, began: Instant) -> Result<(), Failure> {
    if arguments.capabilities {
        write_out("no-logs-capture\n");
        return Ok(());
    }
    let began = (began, SystemTime::now());
    match (&arguments.step, &arguments.action) {
        (Some(step), _) => described(step, &arguments.root, began),
        (None, Some(action)) => action_of_buildbox(action, &arguments, began),
        (None, None) => Err(Failure::usage(miette!("give the step (--step) or the action (--action) to run"))),
    }
}

/// Runs a step whose files another program has laid out.
fn described(step: &Path, root: &Root, began: (Instant, SystemTime)) -> Result<(), Failure> {
    let text = fs::read(step).into_diagnostic().wrap_err_with(|| cannot_read(step)).map_err(Failure::Usage)?;
    let description = Description::read(&text).map_err(|reason| Failure::usage(miette!("{reason}")))?;
    let directory = step.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // A worker without a home directory keeps no layers.
    let own = root.resolve().unwrap_or_else(|_| directory.join("store"));
    let machine = Machine::start(&own, began)?;
    let store = machine.worker.store().clone();
    let (account, used) = machine.run(&description, &LayerOrigin::input_root(directory), |_, _| Ok(()))?;
    used.end();
    if let Some(Layer { diff_id, .. }) = account.layer() {
        let (from, to) = (store.blobs().path(diff_id), directory.join(remote::LAYER));
        let copied = fs::copy(&from, &to).map(drop).into_diagnostic();
        copied.wrap_err_with(|| format!("cannot write {}", to.display())).map_err(Failure::Internal)?;
    }
    write_file(&directory.join(remote::ACCOUNT), account.to_bytes())?;
    match account.exit_code() {
        0 => Ok(()),
        code => {
            drop(store);
            if let Some(failure) = &account.failure {
                write_message(&failure.message);
            }
            std::process::exit(code)
        }
    }
}

/// Runs an action as a runner of buildbox: what it needs is in the worker's server, and so is its result afterwards.
fn action_of_buildbox(action: &Path, arguments: &Arguments, began: (Instant, SystemTime)) -> Result<(), Failure> {
    let read = fs::read(action).into_diagnostic().wrap_err_with(|| cannot_read(action));
    let action = read.map_err(Failure::Usage)?;
    let machine = Machine::start(&arguments.root.resolve()?, began)?;
    let client = client(arguments)?;
    let name = machine.worker.machine().to_owned();
    let mut outcome = match machine.act(&client, &action) {
        Ok(outcome) => outcome,
        Err(failure) => {
            let stderr = format!("buildscope runner: {failure}\n");
            ActionOutcome { exit_code: 1, stderr, ..ActionOutcome::default() }
        }
    };
    outcome.worker = name;
    outcome.times = Some((began.1, SystemTime::now()));
    match &arguments.action_result {
        Some(path) => fs::write(path, outcome.to_bytes()).map_err(Failure::internal),
        None => Ok(()),
    }
}

fn client(arguments: &Arguments) -> Result<Client, Failure> {
    let address = arguments.remote.as_deref().unwrap_or_default().parse::<Address>();
    let address = address.into_diagnostic().map_err(Failure::Usage)?.with_instance(&arguments.instance);
    Client::new(RemoteOptions::of(address)).map_err(Failure::internal)
}

/// The resources that a step has used.
struct Used {
    worker: Worker,
    runtime: tokio::runtime::Runtime,
}

impl Used {
    /// Ends the zygote and the network, and removes the scratch files. This takes a few milliseconds.
    fn end(self) {
        let Self { worker, runtime } = self;
        let _inside = runtime.enter();
        drop(worker);
    }
}

impl Machine {
    /// Prepares this process to run a step.
    fn start(root: &Path, began: (Instant, SystemTime)) -> Result<Self, Failure> {
        // Both must happen before any thread exists.
        sandbox::isolate_process().map_err(Failure::internal)?;
        let zygote = Arc::new(Zygote::start_for_one_step().map_err(Failure::internal)?);
        let observer = zygote.pid().and_then(|pid| Observer::start(pid, Collect::Processes, scheduling::set));
        let _ = subscriber::listen(true, None)?;
        let collector = Collector::start(began.0);
        // A layer that a power loss damages is fetched again.
        let options = StoreOptions {
            driver: DriverChoice::Auto,
            sync: SyncPolicy::Never,
            memory: Some(spare_memory()).filter(|bytes| *bytes > 0),
        };
        let store = Store::open(root, options).map_err(Failure::internal)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::internal)?;
        let cancel = CancellationToken::new();
        interrupt::watch(cancel.clone(), interrupt::GRACE).map_err(Failure::internal)?;
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let name = std::env::var(MACHINE).ok().filter(|name| !name.is_empty()).unwrap_or(host);
        // What the sandbox of the step is forked from has to be observed by then.
        observer.iter().for_each(Observer::wait_until_ready);
        let worker = Worker::new(store, zygote, name);
        runtime.block_on(async { worker.prepare() });
        Ok(Self { worker, collector, observer, runtime, cancel, began })
    }

    /// Runs the step. `deliver` takes the account before it is complete, to deliver the layer. Also returns what the step has used.
    fn run(
        self,
        description: &Description,
        origin: &LayerOrigin,
        deliver: impl FnOnce(&Account, &Probe) -> Result<(), Failure>,
    ) -> Result<(Account, Used), Failure> {
        let Self { worker, collector, observer, runtime, cancel, began } = self;
        let probe = collector.probe();
        // The start of this process is a part of the sandbox's setup.
        collector.interval(Phase::SandboxSetup, None, None, began.0, Instant::now());
        let (mut account, init) = runtime.block_on(worker.run(description, origin, cancel, &probe));
        let delivered = deliver(&account, &probe);
        let epoch = collector.epoch();
        let Trace { spans, .. } = collector.finish();
        let top = spans.iter().filter(|span| span.parent.is_none());
        account.phases = top.map(|span| (span.phase, span.start, span.end)).collect();
        let run = spans.iter().filter(|span| span.phase == Phase::Process).map(|span| (span.start, span.end)).max();
        let seen = observer.map(|observer| observer.finish(epoch)).unwrap_or_default();
        let of_step = seen.into_iter().find(|one| Some(one.init) == init);
        account.processes = of_step.zip(run).map(|(one, (start, end)): (_, (Nanos, Nanos))| {
            buildscope_record::Processes { start, end, ..one.processes }
        });
        delivered.map(|()| (account, Used { worker, runtime }))
    }

    /// Runs an action whose files are in a server, and sends the result there.
    fn act(self, client: &Client, action: &[u8]) -> Result<ActionOutcome, Failure> {
        let (asking, action) = (client.clone(), action.to_vec());
        let read = async move {
            let files = asking.top_files(&action).await?;
            let Some(step) = files.get(remote::DESCRIPTION).copied() else { return Ok(None) };
            asking.read(&[step]).await.map(|mut read| read.remove(&step.digest))
        };
        let text = client.wait(read).map_err(|error: buildscope_remote::RemoteError| Failure::internal(error))?;
        let text = text.ok_or_else(|| Failure::usage(miette!("this worker runs only steps of buildscope")))?;
        let description = Description::read(&text).map_err(|reason| Failure::usage(miette!("{reason}")))?;
        let store = self.worker.store().clone();
        let (mut outputs, mut uploads) = (Vec::new(), Vec::new());
        let (paths, small) = (&mut outputs, &mut uploads);
        // The store must not outlive the step here: its scratch files are removed with its last use.
        let deliver = move |account: &Account, probe: &Probe| {
            let Some(Layer { diff_id, size, .. }) = account.layer() else { return Ok(()) };
            let blob = Blob { digest: diff_id.into(), size };
            if size <= remote::SMALL_LAYER {
                let bytes = store.blobs().read(diff_id, remote::SMALL_LAYER).map_err(Failure::internal)?;
                paths.push((remote::LAYER.to_owned(), blob, bytes.clone()));
                small.push(Upload::bytes(bytes));
                return Ok(());
            }
            paths.push((remote::LAYER.to_owned(), blob, Vec::new()));
            let _span = probe.phase(Phase::Push);
            let file = store.blobs().open(diff_id).map_err(Failure::internal)?;
            let upload = Upload { blob, content: Content::File(Arc::new(file)) };
            let sender = client.clone();
            client.wait(async move { sender.upload(vec![upload]).await }).map_err(Failure::internal)
        };
        let (account, used) = self.run(&description, &LayerOrigin::server(client.clone()), deliver)?;
        let bytes = account.to_bytes();
        let upload = Upload::bytes(bytes.clone());
        outputs.push((remote::ACCOUNT.to_owned(), upload.blob, bytes));
        uploads.push(upload);
        let sender = client.clone();
        // The server waits for the end of this process, so both happen at the same time.
        let sent = std::thread::scope(|scope| {
            scope.spawn(|| used.end());
            client.wait(async move { sender.send(uploads).await })
        });
        sent.map_err(Failure::internal)?;
        Ok(ActionOutcome { exit_code: account.exit_code(), outputs, ..ActionOutcome::default() })
    }
}

//! The connection to a server.

use super::address::Transport;
use super::cas::batch_length;
use super::credentials::Headers;
use super::messages::capabilities_client::CapabilitiesClient;
use super::messages::{GetCapabilitiesRequest, ServerCapabilities};
use super::retry::retried;
use super::tls::TlsFiles;
use super::{Address, Blob, RemoteError, RemoteOptions};
use parking_lot::{Mutex, RwLock};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::{OnceCell, watch};
use tokio::task::JoinHandle;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};

/// The time limit for a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// Silent connections are probed by the kernel at this interval. HTTP/2 pings do not work: servers in C++ close a connection that sends
/// more than two of them in five minutes.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// The largest message that servers accept if they do not say otherwise: gRPC's default of 4 MiB.
const MESSAGE: u64 = 4 << 20;
/// The room in a message for everything but the content of blobs.
const OVERHEAD: u64 = 64 << 10;
/// The window of HTTP/2's flow control, in bytes. The default of 64 KiB would limit a link of 10 ms to 6 MB/s.
const WINDOW: u32 = 4 << 20;

/// The transport of a service: a channel with the headers of each call.
pub(crate) type Service = InterceptedService<Channel, Headers>;

/// A client of one server. It is cheap to clone, and connects with its first call.
#[derive(Clone, Debug)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    options: RemoteOptions,
    headers: Headers,
    connection: RwLock<Connection>,
    capabilities: OnceCell<ServerCapabilities>,
    /// Whether the server has answered.
    reached: AtomicBool,
    /// The cancellations of actions that are on their way.
    cancellations: Mutex<Vec<JoinHandle<()>>>,
    /// The large blobs that are on their way to the server, each with whether it has arrived.
    sending: Mutex<HashMap<Blob, watch::Receiver<bool>>>,
}

/// A channel, which connects again if its connection breaks, and the files of its certificates.
#[derive(Debug)]
struct Connection {
    service: Service,
    files: TlsFiles,
}

/// The runtime of all clients. Its thread starts with the first client.
pub(crate) fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        // Fails only if the process cannot have another thread.
        builder.worker_threads(1).thread_name("remote").enable_all().build().expect("a thread")
    })
}

impl Client {
    /// Prepares a client. No connection is made yet.
    ///
    /// # Errors
    /// Fails if a file of the options cannot be read, or a certificate or header is invalid.
    pub fn new(options: RemoteOptions) -> Result<Self, RemoteError> {
        let headers = Headers::of(&options)?;
        let connection = RwLock::new(Connection::new(&options, &headers, TlsFiles::read(&options)?)?);
        let (capabilities, reached) = (OnceCell::new(), AtomicBool::new(false));
        let (cancellations, sending) = (Mutex::default(), Mutex::default());
        let inner = Inner { options, headers, connection, capabilities, reached, cancellations, sending };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The address of the server.
    pub fn address(&self) -> &Address {
        &self.inner.options.address
    }

    /// The options of the connection.
    pub fn options(&self) -> &RemoteOptions {
        &self.inner.options
    }

    /// The large blobs that are on their way to the server, each with whether it has arrived.
    pub(crate) fn sending(&self) -> &Mutex<HashMap<Blob, watch::Receiver<bool>>> {
        &self.inner.sending
    }

    pub(crate) fn instance(&self) -> String {
        self.address().instance.clone()
    }

    /// The name of a resource for byte streams: `name` in the instance.
    pub(crate) fn resource(&self, name: &str) -> String {
        match self.instance() {
            none if none.is_empty() => name.to_owned(),
            instance => format!("{instance}/{name}"),
        }
    }

    pub(crate) fn service(&self) -> Service {
        self.inner.connection.read().service.clone()
    }

    /// Notes that the server has answered.
    pub(crate) fn note_answer(&self) {
        self.inner.reached.store(true, Ordering::Relaxed);
    }

    /// Notes a cancellation that is on its way.
    pub(crate) fn note_cancellation(&self, task: JoinHandle<()>) {
        self.inner.cancellations.lock().push(task);
    }

    /// The number of cancellations that are on their way.
    #[cfg(test)]
    pub(crate) fn cancellations(&self) -> usize {
        self.inner.cancellations.lock().len()
    }

    /// Waits until the server has taken the cancellations that are on their way, or does not answer.
    pub async fn finish_cancellations(&self) {
        let tasks = std::mem::take(&mut *self.inner.cancellations.lock());
        for task in tasks {
            // It has no result.
            let _ = task.await;
        }
    }

    /// Whether a call may succeed if it is sent again. A file may have a new token by then.
    pub(crate) fn may_succeed(&self, error: &RemoteError) -> bool {
        error.is_transient() || error.is_unauthenticated() && self.inner.options.token_file.is_some()
    }

    /// Adds the reason to the error of a failed connection, if TLS is the reason. If a certificate was renewed meanwhile, calls are
    /// sent with the new one, and the error stays as it is.
    pub(crate) async fn explained(&self, error: RemoteError) -> RemoteError {
        let (RemoteError::Unreachable { address, .. }, options) = (&error, self.options()) else { return error };
        // A server that answered without TLS does not require it.
        if !address.is_encrypted() && self.inner.reached.load(Ordering::Relaxed) || self.renew_connection() {
            return error;
        }
        let files = self.inner.connection.read().files.clone();
        match files.failure_reason(&options.address).await {
            Some(reason) => RemoteError::Tls { address: address.clone(), reason },
            None => error,
        }
    }

    /// Connects with other certificates if the files have some. Returns whether they have.
    fn renew_connection(&self) -> bool {
        let Inner { options, headers, connection, .. } = &*self.inner;
        // A file that is incomplete now is read again at the next error.
        let Ok(files) = TlsFiles::read(options) else { return false };
        if files == connection.read().files {
            return false;
        }
        let renewed = Connection::new(options, headers, files);
        renewed.map(|renewed| *connection.write() = renewed).is_ok()
    }

    /// Runs a call on the runtime of the clients and waits for its end. The thread of the caller may belong to another runtime.
    pub fn wait<T: Send + 'static>(&self, call: impl Future<Output = T> + Send + 'static) -> T {
        let (sender, receiver) = mpsc::sync_channel(1);
        let task = runtime().spawn(async move {
            // The receiver waits for it.
            let _ = sender.send(call.await);
        });
        match receiver.recv() {
            Ok(done) => done,
            // The task has panicked, and its message was printed.
            Err(_) => panic!("a remote call failed: {task:?}"),
        }
    }

    /// The capabilities of the server. They are requested once.
    pub async fn capabilities(&self) -> Result<&ServerCapabilities, RemoteError> {
        self.inner.capabilities.get_or_try_init(|| self.ask_capabilities()).await
    }

    /// Checks that the server answers: requests its capabilities again, once and without retries.
    pub(crate) async fn is_there(&self) -> Result<(), RemoteError> {
        let mut client = CapabilitiesClient::new(self.service());
        let request = GetCapabilitiesRequest { instance_name: self.instance() };
        self.in_time("asking for its capabilities", client.get_capabilities(request)).await.map(drop)
    }

    async fn ask_capabilities(&self) -> Result<ServerCapabilities, RemoteError> {
        let what = "asking for its capabilities";
        retried!(self, async {
            let mut client = CapabilitiesClient::new(self.service());
            let request = GetCapabilitiesRequest { instance_name: self.instance() };
            Ok(self.in_time(what, client.get_capabilities(request)).await?.into_inner())
        })
    }

    /// The number of bytes of content that a message with these blobs may have. The server is not asked if they fit into any message.
    pub(crate) async fn largest_batch(&self, blobs: &[Blob]) -> Result<u64, RemoteError> {
        if batch_length(blobs, OVERHEAD) == blobs.len() {
            return Ok(OVERHEAD);
        }
        let capabilities = self.capabilities().await?;
        let said = capabilities.cache_capabilities.as_ref().map_or(0, |cache| cache.max_batch_total_size_bytes);
        let said = u64::try_from(said).ok().filter(|said| *said > 0).unwrap_or(MESSAGE);
        Ok(said.clamp(2 * OVERHEAD, MESSAGE) - OVERHEAD)
    }

    /// Checks that the server can execute actions for this client.
    ///
    /// # Errors
    /// [`RemoteError::Unsupported`] if it cannot.
    pub async fn check_execution(&self) -> Result<(), RemoteError> {
        let capabilities = self.capabilities().await?;
        if capabilities.execution_capabilities.as_ref().is_some_and(|execution| execution.exec_enabled) {
            return Ok(());
        }
        let reason = "the server executes no actions (exec_enabled is false)".to_owned();
        Err(RemoteError::Unsupported { address: self.address().clone(), reason })
    }
}

impl Connection {
    fn new(options: &RemoteOptions, headers: &Headers, files: TlsFiles) -> Result<Self, RemoteError> {
        let endpoint = endpoint(options, &files)?;
        let channel = {
            let _inside = runtime().enter();
            endpoint.connect_lazy()
        };
        Ok(Self { service: InterceptedService::new(channel, headers.clone()), files })
    }
}

fn endpoint(options: &RemoteOptions, files: &TlsFiles) -> Result<Endpoint, RemoteError> {
    let uri = match &options.address.transport {
        Transport::Plain(authority) => format!("http://{authority}"),
        Transport::Tls(authority) => format!("https://{authority}"),
        Transport::Socket(path) => format!("unix:{}", path.display()),
    };
    let invalid = |what| move |error: tonic::transport::Error| RemoteError::Invalid { what, reason: causes(&error) };
    let endpoint = Endpoint::new(uri)
        .map_err(invalid("the address"))?
        .connect_timeout(CONNECT)
        .tcp_nodelay(true)
        .tcp_keepalive(Some(KEEP_ALIVE))
        .tcp_keepalive_interval(Some(KEEP_ALIVE))
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW);
    match options.address.host().filter(|_| options.address.is_encrypted()) {
        Some(host) => endpoint.tls_config(files.tonic(host)).map_err(invalid("TLS")),
        None => Ok(endpoint),
    }
}

fn causes(error: &dyn std::error::Error) -> String {
    let chain = std::iter::successors(Some(error), |error| error.source());
    chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

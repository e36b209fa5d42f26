//! A gRPC server in front of buildbox-casd, which has neither TLS nor credentials: it asks for certificates and tokens, and passes calls
//! on.

use parking_lot::Mutex;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::{HeaderMap, Request, Response};
use tonic::service::Routes;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Certificate, Channel, Endpoint, Identity, Server, ServerTlsConfig};
use tower::{Service as _, ServiceExt as _};

/// What the server asks of its clients.
#[derive(Clone, Default)]
pub(crate) struct Demands {
    /// The name of the server's certificate.
    pub(crate) certificate: Option<&'static str>,
    /// Whether clients need a certificate.
    pub(crate) clients: bool,
    /// The bearer token.
    pub(crate) token: Option<String>,
    /// The end of that token.
    pub(crate) expiry: Option<Expiry>,
    /// Methods whose first calls are passed on when all of them have come.
    pub(crate) at_once: &'static [&'static str],
}

/// A token that is replaced.
#[derive(Clone)]
pub(crate) struct Expiry {
    /// The number of calls after which the first token is not valid any more.
    pub(crate) after: usize,
    /// The second token.
    pub(crate) next: String,
    /// The file into which the second token is written when the first one is rejected.
    pub(crate) file: Option<PathBuf>,
}

/// A running server. It ends on drop.
pub(crate) struct Front {
    port: u16,
    state: Arc<FrontState>,
    runtime: Option<Runtime>,
}

struct FrontState {
    demands: Demands,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    calls: usize,
    rejected: usize,
    headers: HeaderMap,
    /// The method of each call.
    methods: Vec<String>,
    /// Whether a call was passed on although others had not come.
    was_alone: bool,
}

/// How long a call waits for others.
const LONGEST_WAIT: Duration = Duration::from_secs(120);

/// Certificates of two authorities, in a directory: `ca` has signed `server`, `elsewhere`, `expired`, `client` and `former`; `other` has
/// signed none of them.
pub(crate) struct Certificates(tempfile::TempDir);

impl Certificates {
    /// Makes them with openssl.
    pub(crate) fn new() -> Self {
        const CONFIGURATION: &str = "[ca]\ndefault_ca = own\n\
             [own]\ndatabase = index\nnew_certs_dir = .\nrand_serial = yes\ndefault_md = sha256\npolicy = any\n\
             [any]\ncommonName = supplied\n\
             [req]\ndistinguished_name = name\n[name]\n\
             [authority]\nbasicConstraints = critical,CA:TRUE\nkeyUsage = critical,keyCertSign\n";
        // Leaves: file, name, validity.
        const SCRIPT: &str = r#"
            new='openssl req -config openssl.cnf -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes'
            authority() { $new -x509 -extensions authority -days 2 -subj "/CN=$1" -keyout "$1.key" -out "$1.crt"; }
            leaf() {
              $new -subj "/CN=$1" -keyout "$1.key" -out "$1.csr"
              echo "subjectAltName=DNS:$2" > extensions
              openssl ca -config openssl.cnf -batch -notext -cert ca.crt -keyfile ca.key -in "$1.csr" -out "$1.crt" \
                -extfile extensions -startdate 20240101000000Z -enddate "$3"
            }
            : > index
            authority ca
            authority other
            leaf server localhost 20480101000000Z
            leaf elsewhere build.example 20480101000000Z
            leaf expired localhost 20240102000000Z
            leaf client client 20480101000000Z
            leaf former client 20240102000000Z"#;
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("openssl.cnf"), CONFIGURATION).unwrap();
        let made = Command::new("sh").args(["-ec", SCRIPT]).current_dir(folder.path()).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Self(folder)
    }

    /// The path of a file.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The path of a file as text.
    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// The flags of a client with the certificate `client`.
    pub(crate) fn client(&self) -> Vec<String> {
        let flag = |flag: &str, file: &str| [flag.to_owned(), self.text(file)];
        [flag("--remote-ca", "ca.crt"), flag("--remote-cert", "client.crt"), flag("--remote-key", "client.key")]
            .concat()
    }
}

impl Front {
    /// Starts a server in front of the one at `port` of this machine.
    pub(crate) fn start(port: u16, certificates: &Certificates, demands: Demands) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let own = listener.local_addr().unwrap().port();
        let tls = demands.certificate.map(|name| tls(certificates, name, demands.clients));
        let state = Arc::new(FrontState { demands, seen: Mutex::default() });
        let shared = Arc::clone(&state);
        runtime.spawn(async move {
            let behind = Endpoint::from_shared(format!("http://127.0.0.1:{port}")).unwrap().connect_lazy();
            let pass = move |request: Request<Body>| pass(Arc::clone(&shared), behind.clone(), request);
            let layer = tower::layer::layer_fn(move |_: Routes| tower::service_fn(pass.clone()));
            let server = match tls {
                Some(tls) => Server::builder().tls_config(tls).unwrap(),
                None => Server::builder(),
            };
            let incoming = TcpIncoming::from(tokio::net::TcpListener::from_std(listener).unwrap());
            server.layer(layer).add_routes(Routes::default()).serve_with_incoming(incoming).await.unwrap();
        });
        Self { port: own, state, runtime: Some(runtime) }
    }

    /// The address, by the name that the certificate `server` has.
    pub(crate) fn address(&self) -> String {
        let scheme = if self.state.demands.certificate.is_some() { "grpcs" } else { "grpc" };
        format!("{scheme}://localhost:{}", self.port)
    }

    /// The port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The number of calls that had no valid token.
    pub(crate) fn rejected(&self) -> usize {
        self.state.seen.lock().rejected
    }

    /// The number of calls of a method.
    pub(crate) fn calls(&self, method: &str) -> usize {
        self.state.seen.lock().methods.iter().filter(|called| *called == method).count()
    }

    /// Whether the calls that are [passed on at once](Demands::at_once) came without waiting for each other.
    pub(crate) fn were_at_once(&self) -> bool {
        let has = |method: &&str| self.calls(method) > 0;
        self.state.demands.at_once.iter().all(has) && !self.state.seen.lock().was_alone
    }

    /// A header of the last call.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let seen = self.state.seen.lock();
        seen.headers.get(name).map(|value| value.to_str().unwrap().to_owned())
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.runtime.take().into_iter().for_each(Runtime::shutdown_background);
    }
}

fn tls(certificates: &Certificates, name: &str, clients: bool) -> ServerTlsConfig {
    let read = |file: &str| fs::read(certificates.path(file)).unwrap();
    let identity = Identity::from_pem(read(&format!("{name}.crt")), read(&format!("{name}.key")));
    let config = ServerTlsConfig::new().identity(identity);
    if clients { config.client_ca_root(Certificate::from_pem(read("ca.crt"))) } else { config }
}

/// Passes a call on, if it has the token.
async fn pass(
    state: Arc<FrontState>,
    mut behind: Channel,
    request: Request<Body>,
) -> Result<Response<Body>, tonic::transport::Error> {
    let method = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
    state.seen.lock().methods.push(method.clone());
    if state.demands.at_once.contains(&method.as_str()) {
        state.wait_for_others().await;
    }
    match state.admitted(request.headers()) {
        Ok(()) => behind.ready().await?.call(request).await,
        Err(status) => Ok(status.into_http()),
    }
}

impl FrontState {
    /// Waits until each of the calls that are passed on at once has come.
    async fn wait_for_others(&self) {
        let have_come = || {
            let seen = self.seen.lock();
            self.demands.at_once.iter().all(|method| seen.methods.iter().any(|called| called == method))
        };
        let start = Instant::now();
        while !have_come() {
            if start.elapsed() > LONGEST_WAIT {
                self.seen.lock().was_alone = true;
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn admitted(&self, headers: &HeaderMap) -> Result<(), Status> {
        let mut seen = self.seen.lock();
        seen.calls += 1;
        seen.headers = headers.clone();
        let Some(mut valid) = self.demands.token.as_ref() else { return Ok(()) };
        let expiry = self.demands.expiry.as_ref().filter(|expiry| seen.calls > expiry.after);
        if let Some(expiry) = expiry {
            valid = &expiry.next;
        }
        let sent = headers.get("authorization").and_then(|value| value.to_str().ok());
        if sent == Some(&format!("Bearer {valid}")) {
            return Ok(());
        }
        seen.rejected += 1;
        if let Some(file) = expiry.and_then(|expiry| expiry.file.as_deref()) {
            replace(file, valid);
        }
        Err(Status::unauthenticated("the token is not valid"))
    }
}

/// Writes a file in one step.
fn replace(file: &Path, text: &str) {
    let new = file.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(new, file).unwrap();
}

//! Servers that ask for TLS, certificates and tokens.

use crate::front::{Certificates, Demands, Expiry, Front};
use crate::remote::{machine, step};
use crate::world::{World, flat};
use buildscope_remote::{Blob, Client, RemoteError, RemoteOptions, TlsError};
use buildscope_testing::{Casd, free_port, test};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};

/// Arguments as `World` takes them.
fn borrowed(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

/// The message of a build that fails because no server runs its steps.
fn message(world: &World, arguments: &[&str]) -> String {
    let built = world.build(&[arguments, &["--remote-fallback", "fail"]].concat());
    assert_eq!(built.output.status.code(), Some(1), "{}", built.stderr());
    flat(&built.output.stderr)
}

#[test(Program("buildbox-casd"), Program("openssl"), Root)]
fn a_build_runs_over_tls_with_a_certificate_and_a_token() {
    let (server, certificates) = (machine(), Certificates::new());
    let demands = Demands {
        certificate: Some("server"),
        clients: true,
        token: Some("correct-horse".into()),
        ..Demands::default()
    };
    let front = Front::start(server.port(), &certificates, demands);
    let world = World::new("FROM busybox\nRUN echo a > /a\nRUN cat /a > /b\n");
    let local = world.digest(&[]);
    world.forget();
    let token = certificates.text("token");
    fs::write(&token, "correct-horse\n").unwrap();
    let mut arguments = certificates.client();
    arguments.extend(["--remote".into(), front.address(), "--remote-token-file".into(), token.clone()]);
    arguments.extend(["--remote-header", "x-team=build", "--remote-fallback", "fail"].map(str::to_owned));
    assert_eq!(world.digest(&borrowed(&arguments)), local);
    assert_eq!((front.header("x-team").as_deref(), front.rejected()), (Some("build"), 0));
    // A cache on the same server takes the same credentials as options.
    let [ca, cert, key] = ["ca.crt", "client.crt", "client.key"].map(|file| certificates.text(file));
    let address = front.address();
    let cache =
        format!("type=reapi,url={address},ca={ca},cert={cert},key={key},token_file={token},header=x-team=cache");
    world.build(&["--cache-to", &cache]).record();
    assert_eq!((front.header("x-team").as_deref(), front.rejected()), (Some("cache"), 0));
}

/// A proxy of the server at `port` that ends each connection when the client has seen what the server asks for, before the server's
/// alert. Returns its port.
fn without_an_alert(port: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let mut server = TcpStream::connect(("127.0.0.1", port)).unwrap();
            let (mut from, mut to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut from, &mut to));
            // The first message is the ClientHello, the next one comes after the server's part of the handshake.
            let mut message = [0; 16 << 10];
            let length = client.read(&mut message).unwrap();
            server.write_all(&message[..length]).unwrap();
            let _ = client.read(&mut message);
            let _ = client.shutdown(Shutdown::Both);
        }
    });
    own
}

#[test(Program("openssl"))]
fn a_failed_handshake_names_the_server_the_reason_and_the_flag() {
    let certificates = Certificates::new();
    let front = |certificate, clients| {
        let demands = Demands { certificate: Some(certificate), clients, ..Demands::default() };
        Front::start(free_port(), &certificates, demands)
    };
    let (server, elsewhere) = (front("server", false), front("elsewhere", false));
    let (expired, strict) = (front("expired", false), front("server", true));
    let world = World::new("FROM busybox\nRUN echo a > /a\n");
    let file = |name: &str| certificates.text(name);
    let (ca, client) = (vec!["--remote-ca".to_owned(), file("ca.crt")], certificates.client());
    let mut former = client.clone();
    (former[3], former[5]) = (file("former.crt"), file("former.key"));
    for (front, arguments, reason, flag) in [
        (&server, vec!["--remote-ca".to_owned(), file("other.crt")], "no trusted authority", "--remote-ca"),
        (&server, vec![], "no trusted authority", "--remote-ca"),
        (&elsewhere, ca.clone(), "certificate is for build.example", "--remote"),
        (&expired, ca.clone(), "certificate has expired", "--remote"),
        (&strict, ca.clone(), "asks for a certificate of the client", "--remote-cert"),
        (&strict, former, "it has expired", "--remote-cert"),
    ] {
        let address = front.address();
        let said = message(&world, &[&borrowed(&arguments)[..], &["--remote", &address]].concat());
        for part in [&address, reason, flag] {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
    let silent = format!("grpcs://localhost:{}", without_an_alert(strict.port()));
    let said = message(&world, &[&borrowed(&ca)[..], &["--remote", &silent]].concat());
    assert!(
        said.contains(&silent) && said.contains("asks for a certificate") && said.contains("--remote-cert"),
        "{said}"
    );
    let plain = format!("grpc://localhost:{}", server.port());
    let said = message(&world, &["--remote", &plain]);
    assert!(said.contains(&plain) && said.contains("use grpcs://"), "{said}");
    // The step runs here by default, and the record says why.
    let record = world.build(&["--remote", &server.address()]).record();
    let why = step(&record, "RUN").ran_on.clone().unwrap().why_here.unwrap();
    assert!(why.contains("no trusted authority") && why.contains(&server.address()), "{why}");
}

#[test(Program("buildbox-casd"), Program("openssl"))]
fn a_server_without_tls_is_not_reached_over_tls() {
    let (server, certificates) = (Casd::start(), Certificates::new());
    let address = format!("grpcs://localhost:{}", server.port());
    let world = World::new("FROM busybox\nRUN echo a > /a\n");
    let said = message(&world, &["--remote", &address, "--remote-ca", &certificates.text("ca.crt")]);
    assert!(said.contains(&address) && said.contains("use grpc://"), "{said}");
}

#[test]
fn a_file_without_a_certificate_or_a_key_is_named() {
    let world = World::new("FROM busybox\nRUN echo a > /a\n");
    let path = world.path("empty.pem");
    fs::write(&path, "nothing\n").unwrap();
    let path = path.to_str().unwrap();
    let server = ["--remote", "grpcs://localhost:1"];
    for arguments in [vec!["--remote-ca", path], vec!["--remote-cert", path, "--remote-key", path]] {
        let built = world.build(&[&server[..], &arguments].concat());
        assert!(!built.output.status.success());
        let said = flat(&built.output.stderr);
        assert!(said.contains(path) && said.contains("no certificate"), "{said}");
    }
}

#[test(Program("buildbox-casd"), Program("openssl"), Root)]
fn a_token_that_expires_during_a_build_is_read_again() {
    let (server, certificates) = (machine(), Certificates::new());
    let world = World::new("FROM busybox\nRUN echo a > /a\nRUN cat /a > /b\n");
    let local = world.digest(&[]);
    let token = certificates.text("token");
    // The calls of such a build: a question for a result, blobs, an execution, downloads.
    for after in [0, 2, 5] {
        world.forget();
        fs::write(&token, "first").unwrap();
        let expiry = Expiry { after, next: format!("next-{after}"), file: Some(certificates.path("token")) };
        let demands = Demands { token: Some("first".into()), expiry: Some(expiry), ..Demands::default() };
        let front = Front::start(server.port(), &certificates, demands);
        let arguments = ["--remote", &front.address(), "--remote-token-file", &token, "--remote-fallback", "fail"];
        // Without the results of the builds before.
        assert_eq!(world.digest(&[&arguments[..], &["--no-cache"]].concat()), local, "after {after} calls");
        assert!(front.rejected() > 0, "after {after} calls");
    }
}

#[test(Program("buildbox-casd"), Program("openssl"), Root)]
fn a_token_that_stays_expired_ends_the_use_of_its_server() {
    let (server, certificates) = (machine(), Certificates::new());
    let world = World::new("FROM busybox\nRUN echo a > /a\nRUN cat /a > /b\n");
    let local = world.digest(&[]);
    let token = certificates.text("token");
    fs::write(&token, "first").unwrap();
    let demands = || {
        let expiry = Expiry { after: 6, next: "next".into(), file: None };
        Demands { token: Some("first".into()), expiry: Some(expiry), ..Demands::default() }
    };
    let front = Front::start(server.port(), &certificates, demands());
    world.forget();
    let arguments = ["--remote", &front.address(), "--remote-token-file", &token, "--no-cache"];
    assert_eq!(world.digest(&arguments), local);
    assert!(front.rejected() > 0);
    let front = Front::start(server.port(), &certificates, demands());
    let said = message(&world, &["--remote", &front.address(), "--remote-token-file", &token, "--no-cache"]);
    assert!(said.contains("expired") && said.contains("--remote-token-file"), "{said}");
    assert!(said.contains(&front.address()) && !said.contains("first"), "{said}");
}

#[test(Program("buildbox-casd"), Program("openssl"))]
fn a_certificate_that_is_renewed_is_used_for_the_next_connection() {
    let (server, certificates) = (Casd::start(), Certificates::new());
    let demands = Demands { certificate: Some("server"), clients: true, ..Demands::default() };
    let front = Front::start(server.port(), &certificates, demands);
    let copy = |name: &str| {
        for kind in ["crt", "key"] {
            fs::copy(certificates.path(&format!("{name}.{kind}")), certificates.path(&format!("own.{kind}"))).unwrap();
        }
    };
    copy("former");
    let mut options = RemoteOptions::of(front.address().parse().unwrap());
    options.authority = Some(certificates.path("ca.crt"));
    options.identity = Some((certificates.path("own.crt"), certificates.path("own.key")));
    let client = Client::new(options).unwrap();
    let asking = client.clone();
    let ask = move || {
        let client = asking.clone();
        asking.wait(async move { client.missing(&[Blob::of("a")]).await })
    };
    let error = ask().unwrap_err();
    assert!(matches!(error, RemoteError::Tls { reason: TlsError::RejectedIdentity(_), .. }), "{error}");
    copy("client");
    assert_eq!(ask().unwrap().into_iter().collect::<Vec<_>>(), [Blob::of("a")]);
}

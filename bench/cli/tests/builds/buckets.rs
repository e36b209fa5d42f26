//! Caches in a bucket, through a server of S3's protocol that runs here.

use crate::world::{World, flat, steps};
use buildscope_record::Outcome;
use buildscope_testing::{free_port, program, test, until};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

/// A server of S3's protocol with one bucket, `caches`. It ends with this value.
struct Server {
    child: Child,
    port: u16,
}

impl Server {
    fn start() -> Self {
        let port = free_port();
        let mut command = Command::new(program("moto_server").unwrap());
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]).stdout(Stdio::null()).stderr(Stdio::null());
        let server = Self { child: command.spawn().unwrap(), port };
        until("the server comes up", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        assert!(server.request("PUT /caches").starts_with("HTTP/1.1 200"));
        server
    }

    /// Sends a request without a body, and returns the answer.
    fn request(&self, line: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        write!(stream, "{line} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn cache(&self, more: &str) -> String {
        format!(
            "type=s3,bucket=caches,region=eu-west-1,endpoint_url=http://127.0.0.1:{},use_path_style=true,\
             access_key_id=key,secret_access_key=secret{more}",
            self.port
        )
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test(Program("moto_server"))]
fn a_cache_in_a_bucket_serves_another_store() {
    let server = Server::start();
    let dockerfile =
        "FROM busybox AS tools\nRUN echo tool > /tool\nFROM busybox\nCOPY --from=tools /tool /\nRUN cat /tool > /out\n";
    let here = World::new(dockerfile);
    let digest = here.digest(&["--cache-to", &server.cache(",mode=max,prefix=team/,name=main")]);
    let listed = server.request("GET /caches?list-type=2");
    assert!(listed.contains("team/manifests/main") && listed.contains("team/blobs/sha256:"), "{listed}");

    let there = World::new(dockerfile);
    let from = server.cache(",prefix=team/,name=main");
    let record = there.build(&["--cache-from", &from]).record();
    assert_eq!(steps(&record, Outcome::Executed), [""; 0], "all steps come from the bucket");
    assert_eq!(there.digest(&["--cache-from", &from]), digest);
}

#[test(Program("moto_server"))]
fn a_bucket_that_does_not_exist_is_named() {
    let server = Server::start();
    let world = World::new("FROM busybox\nRUN echo a > /a\n");
    let lost = server.cache("").replace("bucket=caches", "bucket=lost");
    let output = world.command(&["--cache-from", &lost]).output().unwrap();
    let stderr = flat(&output.stderr);
    assert!(output.status.success() && stderr.contains("s3://lost/manifests/buildkit"), "{stderr}");
    assert!(stderr.contains("404") && !stderr.contains("secret"), "{stderr}");
    let output = world.command(&["--cache-to", &lost]).output().unwrap();
    let stderr = flat(&output.stderr);
    assert!(!output.status.success() && stderr.contains("s3://lost/blobs/"), "{stderr}");
    assert!(world.command(&["--cache-to", &format!("{lost},ignore-error=true")]).output().unwrap().status.success());
}

#[test]
fn a_cache_that_is_not_supported_names_another() {
    let world = World::new("FROM busybox\n");
    for (cache, named) in
        [("type=gha", "actions/cache"), ("type=azblob,name=x", "type=registry"), ("type=s3", "bucket")]
    {
        let mut command = world.command(&["--cache-to", cache]);
        let output = command.env_remove("AWS_BUCKET").output().unwrap();
        let stderr = flat(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(named), "{stderr}");
    }
}

//! The docker daemon: loading images into it, and using its images as bases.

use crate::world::{World, member, steps};
use buildscope_record::{Outcome, Phase};
use buildscope_testing::{program, test, until};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixListener;
use std::process::{Child, Command, Stdio};

/// The test's own daemon, without networks. It is stopped and removed afterwards.
struct Daemon {
    child: Child,
    host: String,
    _folder: tempfile::TempDir,
}

impl Daemon {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let host = format!("unix://{}", path("sock"));
        let mut command = Command::new(program("dockerd").unwrap());
        command.args(["--iptables=false", "--bridge=none", "-H", &host, "--pidfile", &path("pid")]);
        command.args(["--data-root", &path("data"), "--exec-root", &path("exec")]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut daemon = Self { child, host, _folder: folder };
        until("dockerd comes up", || {
            if let Some(status) = daemon.child.try_wait().unwrap() {
                panic!("dockerd does not run here ({status})");
            }
            daemon.docker(&["version"]).0
        });
        daemon
    }

    /// Returns whether the client succeeded, and its output.
    fn docker(&self, args: &[&str]) -> (bool, String) {
        let run = Command::new(program("docker").unwrap()).args(["-H", &self.host]).args(args).output().unwrap();
        (run.status.success(), String::from_utf8_lossy(&run.stdout).trim().to_owned())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It unmounts its mounts and stops its containerd.
        let _ =
            rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), rustix::process::Signal::TERM);
        self.child.wait().unwrap();
    }
}

#[test(Docker)]
fn a_loaded_image_is_a_base_from_docker() {
    let daemon = Daemon::start();
    let world = World::new("FROM busybox\nENV A=1\nRUN echo hello > /f\nCMD [\"x\"]\n");
    let build = |world: &World, args: &[&str]| {
        let record = world.path("record.json");
        let mut command = world.command(&[&["--record", record.to_str().unwrap()], args].concat());
        let run = command.env("DOCKER_HOST", &daemon.host).output().unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        let record = buildscope_record::Record::read(std::fs::File::open(record).unwrap()).unwrap();
        (String::from_utf8_lossy(&run.stdout).trim().to_owned(), record)
    };
    let (id, _) = build(&world, &["-t", "team/app:1", "--load"]);
    let inspected = daemon.docker(&["image", "inspect", "-f", "{{.Id}} {{.Config.Env}}", "team/app:1"]).1;
    assert!(inspected.starts_with(&id) && inspected.contains("A=1"), "{id}: {inspected}");

    // The same from a file.
    let archive = world.path("image.tar");
    build(&world, &["-t", "team/app:2", "--output", &format!("type=docker,dest={}", archive.display())]);
    assert!(daemon.docker(&["load", "-i", archive.to_str().unwrap()]).1.contains("team/app:2"));

    // Another store, which does not have the image.
    let other = World::new("FROM team/app:1\nRUN cat /f > /g\n");
    let (_, record) = build(&other, &["--output", other.path("files").to_str().unwrap()]);
    assert_eq!(std::fs::read_to_string(other.path("files/g")).unwrap(), "hello\n");
    let pulled = |record: &buildscope_record::Record| record.spans.iter().any(|span| span.phase == Phase::Pull);
    assert!(pulled(&record));
    // The image is pulled once, until the name refers to another image.
    let (_, record) = build(&other, &[]);
    assert!(!pulled(&record) && steps(&record, Outcome::Executed).is_empty());
    world.write("Dockerfile", "FROM busybox\nRUN echo changed > /f\n");
    build(&world, &["-t", "team/app:1", "--load"]);
    build(&other, &["--output", other.path("files").to_str().unwrap()]);
    assert_eq!(std::fs::read_to_string(other.path("files/g")).unwrap(), "changed\n");
}

#[test(Docker)]
fn a_daemon_gets_only_the_layers_that_it_lacks() {
    let daemon = Daemon::start();
    let world = World::new("FROM busybox\nRUN head -c 3000000 /dev/urandom > /large\nCOPY f /f\n");
    let load = |name: &str, content: &str| {
        world.write("f", content);
        sent(&world, name, &daemon.host)
    };
    let whole = load("team/app:1", "one");
    let unchanged = |name: &str| sent(&world, name, &daemon.host);
    assert!(matches!(whole[..], [bytes] if bytes > 3_000_000), "{whole:?}");
    let id = |name: &str| daemon.docker(&["image", "inspect", "-f", "{{.Id}}", name]).1;
    assert_eq!((unchanged("team/app:1"), unchanged("app")), (vec![], vec![]));
    assert_eq!(id("team/app:1"), id("app:latest"), "a further name costs no transfer");
    // The same name, then one that the daemon does not know.
    for (name, content) in [("team/app:1", "two"), ("elsewhere.example:5000/app:2", "three")] {
        let part = load(name, content);
        assert!(matches!(part[..], [bytes] if bytes < 300_000), "{name}: {part:?}");
        let other = World::new(&format!("FROM {name}\nRUN wc -c < /large > /size\n"));
        let files = other.path("files");
        let mut command = other.command(&["--output", files.to_str().unwrap()]);
        let run = command.env("DOCKER_HOST", &daemon.host).output().unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        let read = |file: &str| std::fs::read_to_string(files.join(file)).unwrap();
        assert_eq!((read("f").as_str(), read("size").trim()), (content, "3000000"));
    }
    assert!(daemon.docker(&["image", "rm", "-f", "team/app:1", "app", "elsewhere.example:5000/app:2"]).0);
    daemon.docker(&["image", "prune", "-af"]);
    let again = load("team/app:1", "two");
    assert!(matches!(again[..], [bytes] if bytes > 3_000_000), "{again:?}");
}

/// Loads an image into a daemon. Returns how many bytes were sent, for each archive.
fn sent(world: &World, name: &str, host: &str) -> Vec<u64> {
    let record = world.path("record.json");
    let mut command = world.command(&["--record", record.to_str().unwrap(), "-t", name, "--load"]);
    let run = command.env("DOCKER_HOST", host).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let record = buildscope_record::Record::read(std::fs::File::open(record).unwrap()).unwrap();
    let spans =
        record.spans.iter().filter(|span| span.phase == Phase::Export && span.name.as_deref() == Some("docker"));
    spans.filter_map(|span| span.fields.get("bytes_written").copied()).collect()
}

/// A daemon that says that it has an image with the same layers, and does not load an archive without them.
#[test]
fn a_daemon_that_needs_all_layers_gets_them() {
    let world = World::new("FROM busybox\nRUN head -c 3000000 /dev/zero | tr '\\0' x > /large\nCOPY f /f\n");
    world.write("f", "one");
    let archive = world.path("image.tar");
    world.build(&["-o", &format!("type=oci,dest={}", archive.display())]).record();
    let document = |name: &str| -> serde_json::Value { serde_json::from_slice(&member(&archive, name)).unwrap() };
    let manifest = document("index.json")["manifests"][0]["digest"].as_str().unwrap().replace(':', "/");
    // The layers are not compressed, so these are the diff ids.
    let manifest = document(&format!("blobs/{manifest}"));
    let layers: Vec<_> = manifest["layers"].as_array().unwrap().iter().map(|layer| layer["digest"].clone()).collect();
    let socket = world.path("socket");
    let listener = UnixListener::bind(&socket).unwrap();
    let image =
        serde_json::json!({"Id": "sha256:other", "Os": "linux", "Architecture": "amd64", "RootFS": {"Layers": layers}});
    std::thread::spawn(move || {
        let mut failed = false;
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let (mut line, mut length) = (String::new(), 0);
            stream.read_line(&mut line).unwrap();
            let mut header = String::new();
            while stream.read_line(&mut header).unwrap() > 2 {
                length = header.strip_prefix("Content-Length: ").map_or(length, |value| value.trim().parse().unwrap());
                header.clear();
            }
            std::io::copy(&mut stream.by_ref().take(length), &mut std::io::sink()).unwrap();
            let body = match (line.contains("/images/load"), failed) {
                (true, false) => {
                    failed = true;
                    r#"{"error":"open layer: no such file or directory"}"#.to_owned()
                }
                (true, true) => r#"{"stream":"Loaded"}"#.to_owned(),
                (false, _) => image.to_string(),
            };
            // The client may be gone.
            let _ = write!(stream.get_mut(), "HTTP/1.0 200 OK\r\n\r\n{body}");
        }
    });
    let sent = sent(&world, "app:1", &format!("unix://{}", socket.display()));
    assert!(matches!(sent[..], [bytes] if bytes > 3_000_000), "{sent:?}");
}

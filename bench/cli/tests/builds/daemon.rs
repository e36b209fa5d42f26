//! The docker daemon: loading images into it, and using its images as bases.

use crate::world::{World, steps};
use buildscope_record::{Outcome, Phase};
use buildscope_testing::{program, test};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

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
        let begin = Instant::now();
        while !daemon.docker(&["version"]).0 {
            if let Some(status) = daemon.child.try_wait().unwrap() {
                panic!("dockerd does not run here ({status})");
            }
            assert!(begin.elapsed() < Duration::from_secs(60), "dockerd does not come up");
            std::thread::sleep(Duration::from_millis(100));
        }
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

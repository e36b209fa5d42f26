//! Servers that fail: the build has the same image, or says why it has none.

use crate::front::{Certificates, Demands, Front};
use crate::remote::{machine, ran_on, step};
use crate::world::{World, flat, steps};
use buildscope_record::Outcome;
use buildscope_testing::{Casd, free_port, in_time, test, undisturbed, until};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

/// An address at which nothing listens.
fn unused_address() -> String {
    format!("grpc://127.0.0.1:{}", free_port())
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let address = unused_address();
    let world = World::new("FROM busybox\nRUN echo a > /a\n");
    let local = world.digest(&[]);
    world.forget();
    assert_eq!(world.digest(&["--remote", &address]), local);
    world.forget();
    let built = world.build(&["--remote", &address]);
    let record = built.record();
    let why = step(&record, "RUN").ran_on.clone().unwrap().why_here.unwrap();
    assert!(why.contains(&address) && flat(&built.output.stderr).contains(&address), "{why}");
    world.forget();
    let built = world.build(&["--remote", &address, "--remote-fallback", "fail"]);
    assert_eq!(built.output.status.code(), Some(1));
    assert!(flat(&built.output.stderr).contains(&address), "{}", built.stderr());

    let cache = format!("type=reapi,url={address}");
    let built = world.build(&["--cache-from", &cache]);
    built.record();
    assert!(flat(&built.output.stderr).contains(&address), "{}", built.stderr());
    let built = world.build(&["--cache-to", &cache]);
    assert_eq!(built.output.status.code(), Some(1));
    let built = world.build(&["--cache-to", &format!("{cache},ignore-error=true")]);
    built.record();
}

#[test(Program("buildbox-casd"))]
fn a_server_without_executors_is_named() {
    let server = Casd::start();
    let world = World::new("FROM busybox\nRUN echo a > /a\n");
    let built = world.build(&["--remote", &server.address(), "--remote-fallback", "fail"]);
    assert_eq!(built.output.status.code(), Some(1));
    assert!(flat(&built.output.stderr).contains("executes no actions"), "{}", built.stderr());
}

#[test(Program("buildbox-casd"), Root)]
fn a_server_that_dies_during_a_step_is_replaced() {
    undisturbed(|factor| {
        let (mut first, second) = (machine(), machine());
        let dockerfile = format!("FROM busybox\nRUN echo start > /a; sleep {}\nRUN cat /a > /b\n", 3 * factor);
        let world = World::new(&dockerfile);
        let record = world.path("record.json");
        let both = [&first.address(), &second.address()].map(String::clone);
        let args = ["--remote", &both[0], "--remote", &both[1], "--remote-fallback", "fail", "--record"];
        let mut build = world.command(&[&args[..], &[record.to_str().unwrap()]].concat()).spawn().unwrap();
        // The step has begun when the worker has a store.
        until("a step comes", || first.store().join("tmp").exists());
        first.kill();
        assert!(build.wait().unwrap().success());
        let record = buildscope_record::Record::read(fs::File::open(&record).unwrap()).unwrap();
        assert_eq!(step(&record, "sleep").outcome, Outcome::Executed);
        assert!(ran_on(&record, "cat /a").is_some());
        // The step had not ended before.
        let failures = &step(&record, "sleep").ran_on.as_ref().unwrap().failures;
        in_time(failures.iter().any(|failure| failure.contains(&both[0])), failures)
    });
}

#[test(Program("buildbox-casd"), Root)]
fn a_layer_that_died_with_its_server_is_made_again() {
    let mut server = machine();
    let world = World::new("FROM busybox\nRUN echo made > /made\nRUN sleep 2; cat /made > /copy\n");
    let local = world.digest(&[]);
    world.forget();
    let address = server.address();
    let digest = std::thread::scope(|scope| {
        let build = scope.spawn(|| world.digest(&["--remote", &address]));
        // The base and the layer of the first step.
        let blobs = || fs::read_dir(server.store().join("blobs/sha256")).map_or(0, Iterator::count);
        until("a step comes", || blobs() >= 2 || build.is_finished());
        // The second step needs the layer that only the server has.
        std::thread::sleep(Duration::from_millis(500));
        server.kill();
        build.join().unwrap()
    });
    assert_eq!(digest, local);
}

#[test(Program("buildbox-casd"), Root)]
fn a_blob_that_the_server_evicted_is_sent_or_made_again() {
    let server = machine();
    let world = World::new(
        "FROM busybox AS made\nRUN echo made > /made\nFROM busybox\nCOPY --from=made /made /\nRUN cat /made > /b\n",
    );
    let remote = ["--remote", &server.address(), "--remote-fallback", "fail"];
    let record = world.build(&remote).record();
    let digest = world.digest(&remote);
    for step in &record.steps {
        let Some(layer) = step.layer.and_then(|layer| layer.digest) else { continue };
        // Not all of them are on the server.
        let _ = fs::remove_file(server.blob(&layer.hex()));
    }
    world.forget();
    assert_eq!(world.digest(&remote), digest);
}

/// The worker loses the layers that the server had when the build asked for them.
#[test(Program("buildbox-casd"), Root)]
fn a_blob_that_goes_before_the_worker_reads_it_is_sent_again() {
    let server = machine();
    let runner = server.folder().join("buildbox-run-buildscope");
    // The program knows by its name what it is.
    fs::create_dir(server.folder().join("own")).unwrap();
    fs::rename(&runner, server.folder().join("own/buildbox-run-buildscope")).unwrap();
    let script = format!(
        "#!/bin/sh\n[ \"$1\" = --capabilities ] || {{ mkdir {0}/came && find {0}/cache/cas/objects -type f -size +100k -delete; }}\n\
         exec {0}/own/buildbox-run-buildscope \"$@\"\n",
        server.folder().display(),
    );
    fs::write(&runner, script).unwrap();
    fs::set_permissions(&runner, fs::Permissions::from_mode(0o755)).unwrap();
    let world = World::new("FROM busybox\nRUN echo made > /made\n");
    let local = world.digest(&[]);
    world.forget();
    assert_eq!(world.digest(&["--remote", &server.address(), "--remote-fallback", "fail"]), local);
    assert!(server.folder().join("came").exists());
}

#[test(Program("buildbox-casd"), Program("openssl"), Root)]
fn a_step_of_a_cancelled_build_is_cancelled_on_its_server() {
    undisturbed(|factor| {
        let server = machine();
        let front = Front::start(server.port(), &Certificates::new(), Demands::default());
        // No other test has this time.
        let seconds = format!("13{:07}", std::process::id());
        let world = World::new(&format!("FROM busybox\nRUN sleep {seconds}\n"));
        let mut build = world.command(&["--remote", &front.address(), "--remote-fallback", "fail"]).spawn().unwrap();
        until("a step comes", || server.store().join("tmp").exists());
        // The name of the operation has come before the worker starts, or soon after.
        std::thread::sleep(Duration::from_millis(500) * factor);
        kill_process(Pid::from_child(&build), Signal::INT).unwrap();
        assert_eq!(build.wait().unwrap().code(), Some(130));
        in_time(front.calls("CancelOperation") == 1, front.calls("CancelOperation"))?;
        // The server asks its runner to end, with a signal that it has blocked for its own threads.
        until("the step ends", || !is_running(&["sleep", &seconds]));
        Ok(())
    });
}

/// Whether a process with these arguments runs.
fn is_running(arguments: &[&str]) -> bool {
    let wanted: String = arguments.iter().flat_map(|argument| [argument, "\0"]).collect();
    let all = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    all.into_iter()
        .any(|process| fs::read(process.path().join("cmdline")).is_ok_and(|found| found == wanted.as_bytes()))
}

#[test(Program("buildbox-casd"), Root)]
fn a_corrupt_blob_of_a_server_is_made_again() {
    let server = Casd::start();
    let world = World::new("FROM busybox\nRUN head -c 200000 /dev/urandom > /a\n");
    let cache = format!("type=reapi,url={}", server.address());
    world.build(&["--cache-to", &cache]).record();
    let mut changed = 0;
    for folder in fs::read_dir(server.blob("00aa").parent().unwrap().parent().unwrap()).unwrap() {
        for file in fs::read_dir(folder.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let mut bytes = fs::read(&path).unwrap();
            if bytes.len() > 100_000 {
                bytes[50_000] ^= 1;
                fs::remove_file(&path).unwrap();
                fs::write(&path, bytes).unwrap();
                changed += 1;
            }
        }
    }
    assert!(changed > 0);
    world.forget();
    let built = world.build(&[
        "--cache-from",
        &cache,
        "--output",
        &format!("type=oci,dest={}", world.path("out.tar").display()),
    ]);
    assert!(
        steps(&built.record(), Outcome::Executed).contains(&"RUN head -c 200000 /dev/urandom > /a"),
        "{}",
        built.stderr()
    );
    assert!(flat(&built.output.stderr).contains("corrupt"), "{}", built.stderr());
}

/// Passes connections on to a server, and stops to pass bytes when `stop` is true.
fn stalling(port: u16, after: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("grpc://127.0.0.1:{}", listener.local_addr().unwrap().port());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(client) = stream else { return };
            let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else { return };
            let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut from, &mut to));
            std::thread::spawn(move || pass(server, client, after));
        }
    });
    address
}

/// Passes the first bytes on, then nothing, while the connection stays open.
fn pass(mut from: TcpStream, mut to: TcpStream, mut left: usize) {
    let mut buffer = [0; 4096];
    while let Ok(read) = from.read(&mut buffer) {
        if read == 0 || read > left {
            break;
        }
        left -= read;
        if to.write_all(&buffer[..read]).is_err() {
            return;
        }
    }
    loop {
        std::thread::park();
    }
}

#[test(Program("buildbox-casd"), Root)]
fn a_network_that_stalls_does_not_stop_the_build() {
    let server = machine();
    let world = World::new("FROM busybox\nRUN echo a > /a\n");
    let local = world.digest(&[]);
    for after in [0, 100, 400] {
        world.forget();
        let address = stalling(server.port(), after);
        let digest = world.digest(&["--remote", &address, "--remote-timeout", "0.5"]);
        assert_eq!(digest, local, "after {after} bytes");
    }
}

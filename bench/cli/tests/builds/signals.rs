//! Ctrl-C, SIGTERM and a closed terminal during a build.

use crate::world::World;
use buildscope_testing::{in_time, test, undisturbed};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A server that accepts connections and never responds, and a Dockerfile that waits for it.
fn silent() -> (TcpListener, World) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let world = World::new(&format!("FROM scratch\nADD http://{}/f /\n", listener.local_addr().unwrap()));
    (listener, world)
}

/// A build that waits for such a server.
fn waiting() -> (Child, TcpStream, World) {
    let (listener, world) = silent();
    let child = world.command(&[]).stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    let (connection, _) = listener.accept().unwrap();
    (child, connection, world)
}

fn send(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

fn ended(child: &mut Child) -> (ExitStatus, Duration) {
    let start = Instant::now();
    (child.wait().unwrap(), start.elapsed())
}

#[test]
fn one_signal_ends_a_build_within_five_seconds() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        undisturbed(|_| {
            let (mut child, _connection, _world) = waiting();
            send(&child, signal);
            let (status, lasted) = ended(&mut child);
            assert_eq!(status.code(), Some(code));
            in_time(lasted < Duration::from_secs(5), lasted)
        });
    }
}

#[test]
fn a_second_signal_ends_a_build_at_once() {
    undisturbed(|_| {
        let (mut child, _connection, _world) = waiting();
        send(&child, Signal::INT);
        std::thread::sleep(Duration::from_millis(100));
        send(&child, Signal::INT);
        let (status, lasted) = ended(&mut child);
        assert_eq!(status.code(), Some(130));
        in_time(lasted < Duration::from_secs(1), lasted)
    });
}

/// git connects by programs of its own. Their connection ends with them; they would wait a minute for the server.
#[test(Program("git"))]
fn the_programs_of_git_end_with_the_build() {
    for signal in [Signal::INT, Signal::KILL] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let world = World::new(&format!("FROM scratch\nADD http://{}/a.git /\n", listener.local_addr().unwrap()));
        let mut child = world.command(&[]).stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        let (mut connection, _) = listener.accept().unwrap();
        send(&child, signal);
        child.wait().unwrap();
        connection.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut request = Vec::new();
        let end = connection.read_to_end(&mut request);
        assert!(!matches!(&end, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock), "{signal:?}: {end:?}");
    }
}

/// On a full disk the kernel sends SIGBUS when SQLite's shared memory is written.
#[test]
fn a_bus_error_is_an_error_about_the_disk() {
    let (listener, world) = silent();
    let child = world.command(&[]).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let _connection = listener.accept().unwrap();
    send(&child, Signal::BUS);
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    assert!(stderr.contains("the disk is full"), "{stderr}");
}

/// A build whose step runs until it is ended, started through `before`.
fn running(world: &World, before: &[&str]) -> Child {
    let build = world.command(&["--progress", "plain"]);
    let words: Vec<_> = before.iter().map(|word| word.as_ref()).chain([build.get_program()]).collect();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).args(build.get_args()).stdout(Stdio::null()).stderr(Stdio::piped());
    build.get_envs().for_each(|(name, value)| {
        assert!(value.is_none(), "a world only removes variables");
        command.env_remove(name);
    });
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    // The command's text comes before the step's output.
    assert!(lines.any(|line| line.unwrap().ends_with(" begun")), "the step did not begin");
    std::thread::spawn(move || lines.for_each(drop));
    child
}

/// A terminal that is closed sends SIGHUP, Ctrl-\ sends SIGQUIT, `ulimit -t` sends SIGXCPU. The codes are those of a shell: 128 and the
/// signal's number (signal(7)).
#[test(Root)]
fn each_signal_ends_a_running_step_and_leaves_nothing() {
    for (signal, code) in [
        (Signal::INT, 130),
        (Signal::TERM, 143),
        (Signal::HUP, 129),
        (Signal::QUIT, 131),
        (Signal::USR1, 138),
        (Signal::USR2, 140),
        (Signal::ALARM, 142),
        (Signal::XCPU, 152),
    ] {
        undisturbed(|_| {
            let world = World::new("FROM busybox\nRUN echo begun && sleep 1000\n");
            // A build in the background may have been started with signals ignored.
            let mut child = running(&world, &["env", "--default-signal"]);
            send(&child, signal);
            let (status, lasted) = ended(&mut child);
            assert_eq!(status.code(), Some(code), "{signal:?}");
            in_time(lasted < Duration::from_secs(4), (signal, lasted))?;
            let left: Vec<_> = std::fs::read_dir(world.store.join("tmp")).unwrap().flatten().collect();
            assert!(left.is_empty(), "{signal:?}: {left:?}");
            Ok(())
        });
    }
}

#[test(Root)]
fn a_build_under_nohup_outlives_its_terminal() {
    let world = World::new("FROM busybox\nRUN echo begun && sleep 1\n");
    let mut child = running(&world, &["nohup"]);
    send(&child, Signal::HUP);
    assert_eq!(ended(&mut child).0.code(), Some(0));
}

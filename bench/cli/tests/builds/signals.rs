//! Ctrl-C while the build waits for something that does not hear it.

use crate::world::World;
use buildscope_testing::test;
use rustix::process::{Pid, Signal, kill_process};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A build that waits for a server which accepts its connection and never responds.
fn waiting() -> (Child, TcpStream, World) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let world = World::new(&format!("FROM scratch\nADD http://{}/f /\n", listener.local_addr().unwrap()));
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
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let (mut child, _connection, _world) = waiting();
        send(&child, signal);
        let (status, lasted) = ended(&mut child);
        assert!(lasted < Duration::from_secs(5), "{lasted:?}");
        assert_eq!(status.code(), Some(code));
    }
}

#[test]
fn a_second_signal_ends_a_build_at_once() {
    let (mut child, _connection, _world) = waiting();
    send(&child, Signal::INT);
    std::thread::sleep(Duration::from_millis(100));
    send(&child, Signal::INT);
    let (status, lasted) = ended(&mut child);
    assert!(lasted < Duration::from_secs(1), "{lasted:?}");
    assert_eq!(status.code(), Some(130));
}

//! The networks of RUN steps: `--network` and `RUN --network`.

use crate::world::{Built, World, flat};
use buildscope_record::Network;
use buildscope_testing::test;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;

/// Prints the step's network namespace and whether the capability 13 (`CAP_NET_RAW`, linux/capability.h) is in its bounding set.
const SHOW: &str =
    "readlink /proc/self/ns/net; echo raw $(( 0x$(grep CapBnd /proc/self/status | cut -f 2) >> 13 & 1 ))";

/// The networks of the steps that ran a process, with the last lines of their output.
fn networks(built: &Built) -> Vec<(Network, Vec<String>)> {
    let record = built.record();
    record.steps.into_iter().filter_map(|step| Some((step.network?, step.log))).collect()
}

/// The network namespace of this process, which is the host's.
fn host() -> String {
    std::fs::read_link("/proc/self/ns/net").unwrap().display().to_string()
}

/// A `PATH` without connectors.
fn nothing() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test(Root, Program("slirp4netns"), Device("/dev/net/tun"))]
fn steps_share_one_isolated_network_by_default() {
    let world = World::new(&format!(
        "FROM busybox\nRUN {SHOW}\nRUN --network=none {SHOW}\nRUN --network=host {SHOW}\nRUN {SHOW} # again\n"
    ));
    for executor in ["native", "crun", "runc"].into_iter().filter(|name| crate::failures::installed(name)) {
        for flags in [&[][..], &["--network", "default"], &["--network", "isolated"]] {
            let flags = [flags, &["--no-cache", "--allow", "network.host", "--executor", executor]].concat();
            let built = world.build(&flags);
            let steps = networks(&built);
            let kinds: Vec<_> = steps.iter().map(|(network, _)| *network).collect();
            let expected = [Network::Isolated, Network::None, Network::Host, Network::Isolated];
            assert_eq!(kinds, expected, "{flags:?}");
            let namespaces: Vec<_> = steps.iter().map(|(_, log)| log[0].as_str()).collect();
            assert_eq!(namespaces[2], host(), "{flags:?}");
            assert!(!namespaces[..2].contains(&&*host()) && namespaces[0] != namespaces[1], "{namespaces:?}");
            assert_eq!(namespaces[0], namespaces[3], "{flags:?}");
            assert!(steps.iter().all(|(_, log)| log[1] == "raw 1"), "{flags:?}: {steps:?}");
            assert!(!built.stderr().contains("warning"), "{}", built.stderr());
        }
    }
}

/// A step reaches a port of the host's loopback only in the host's network.
#[test(Root, Program("slirp4netns"), Device("/dev/net/tun"))]
fn the_hosts_loopback_is_out_of_reach_by_default() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // Each connection is closed, which ends the step's `nc`.
    std::thread::spawn(move || listener.incoming().for_each(drop));
    let world = World::new(&format!(
        "FROM busybox\nARG limit=1\nRUN for host in 127.0.0.1 10.0.2.2; do nc -w $limit $host {port} < /dev/null && echo reached $host; done; true\n"
    ));
    for (network, expected) in [("default", &[][..]), ("none", &[]), ("host", &["reached 127.0.0.1"])] {
        // The server that can be reached may be slow.
        let limit = if expected.is_empty() { "limit=1" } else { "limit=10" };
        let built = world.build(&["--no-cache", "--network", network, "--build-arg", limit]);
        let log = networks(&built).remove(0).1;
        let reached: Vec<_> = log.iter().filter(|line| line.starts_with("reached")).collect();
        assert_eq!(reached, expected, "{network}: {log:?}");
    }
}

/// The server takes every request as a proxy does. Another port stays out of reach.
#[test(Root, Program("slirp4netns"), Device("/dev/net/tun"))]
fn a_proxy_on_the_hosts_loopback_is_forwarded() {
    let [proxy, other] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [port, closed] = [&proxy, &other].map(|listener| listener.local_addr().unwrap().port());
    std::thread::spawn(move || {
        for mut stream in proxy.incoming().flatten() {
            let mut request = String::new();
            BufReader::new(stream.try_clone().unwrap()).read_line(&mut request).unwrap();
            write!(stream, "HTTP/1.0 200 OK\r\nConnection: close\r\n\r\nproxied {request}").unwrap();
        }
    });
    let world = World::new(&format!(
        "FROM busybox\nENV all_proxy=http://127.0.0.1:{closed}\n\
         RUN wget -q -O - http://example.invalid/x; nc -w 1 127.0.0.1 {closed} < /dev/null && echo reached; true\n"
    ));
    for host in ["127.0.0.1", "localhost"] {
        let proxy = format!("http_proxy=http://{host}:{port}");
        let log = networks(&world.build(&["--no-cache", "--build-arg", &proxy])).remove(0).1;
        assert!(log.iter().any(|line| line.starts_with("proxied GET http://example.invalid/x")), "{log:?}");
        assert!(!log.contains(&"reached".to_owned()), "{log:?}");
    }
}

#[test(Root)]
fn without_a_connector_steps_have_the_hosts_network_without_raw_sockets() {
    let world = World::new(&format!("FROM busybox\nRUN {SHOW}\nRUN {SHOW} # again\n"));
    let path = nothing();
    let record = world.path("record.json");
    let output = world.command(&["--record", record.to_str().unwrap()]).env("PATH", path.path()).output().unwrap();
    let built = Built { output, record };
    for (network, log) in networks(&built) {
        assert_eq!((network, &*log[0], &*log[1]), (Network::HostWithoutRawSockets, &*host(), "raw 0"));
    }
    assert_eq!(built.stderr().matches("can reach its loopback services").count(), 1, "{}", built.stderr());
    assert!(built.stderr().contains("neither slirp4netns nor pasta is installed"), "{}", built.stderr());
}

#[test(Root)]
fn a_requested_isolated_network_needs_a_connector() {
    let world = World::new("FROM busybox\nRUN true\n");
    let path = nothing();
    let output = world.command(&["--network", "isolated"]).env("PATH", path.path()).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && stderr.contains("neither slirp4netns nor pasta is installed"), "{stderr}");
}

/// A connector that ends at once, as they do if `/dev/net/tun` cannot be used.
#[test(Root)]
fn a_connector_that_fails_counts_as_missing() {
    for connector in ["slirp4netns", "pasta"] {
        let path = nothing();
        std::os::unix::fs::symlink("/bin/false", path.path().join(connector)).unwrap();
        let world = World::new("FROM busybox\nRUN true\n");
        let record = world.path("record.json");
        let output = world.command(&["--record", record.to_str().unwrap()]).env("PATH", path.path()).output().unwrap();
        let built = Built { output, record };
        assert_eq!(networks(&built)[0].0, Network::HostWithoutRawSockets, "{connector}");
        // It was not waited for until it should have been ready.
        let said = flat(&built.output.stderr);
        assert!(said.contains("ended at once") && said.contains("/dev/net/tun"), "{connector}: {said}");
    }
}

/// The step's mounts do not say where the store is (proc_pid_mountinfo(5)).
#[test(Root)]
fn a_step_does_not_see_the_path_of_the_store() {
    let world = World::new(
        "FROM busybox AS other\nRUN echo o > /o\nFROM busybox\nCOPY f /\n\
         RUN --mount=type=bind,target=/c --mount=type=bind,from=other,target=/o --mount=type=tmpfs,target=/t cat /proc/self/mountinfo\n",
    );
    world.write("f", "f\n");
    let name = Path::new(&world.store).parent().unwrap().file_name().unwrap().to_str().unwrap().to_owned();
    let drivers = ["erofs", "overlay", "fuse-overlayfs"].into_iter();
    let drivers = drivers.filter(|driver| *driver != "fuse-overlayfs" || crate::failures::installed(driver));
    let driver = |driver| vec!["--driver", driver];
    for flags in drivers.map(driver).chain([vec!["--driver", "overlay", "--memory", "1g"]]) {
        world.forget();
        let record = world.build(&flags).record();
        let seen = &record.steps.iter().find(|step| step.text.contains("mountinfo")).unwrap().log;
        assert!(seen.len() > 10 && !seen.iter().any(|line| line.contains(&name)), "{flags:?}: {seen:#?}");
    }
}

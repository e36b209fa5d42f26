//! RUN: how a step's program is started, its output and its user.

use crate::limits::{HUNGRY, short_of_memory};
use crate::world::{World, executors, root, runtimes, steps};
use buildscope_record::Outcome;
use buildscope_testing::test;
use std::fs;

#[test]
fn a_script_with_a_shebang_is_executed_by_its_interpreter() {
    let world = World::new(
        "FROM busybox\nUSER 5\nRUN <<EOF\n#!/bin/cat\nshown\nEOF\n\
         RUN <<EOF\n#!/bin/sh -e\n[ \"$0 $(id -u)\" = '/dev/pipes/EOF 5' ]\nEOF\n",
    );
    let shown = world.build(&[]).stderr();
    assert!(shown.lines().any(|line| line.ends_with(" shown")), "{shown}");
    for runtime in runtimes() {
        world.build(&["--no-cache", "--executor", runtime]).record();
    }
}

#[test]
fn hard_links_of_lower_layers_stay_links() {
    // A change under one name does not affect the other names, under any driver.
    let dockerfile = "FROM busybox\nRUN mkdir /d && echo one > /d/a && ln /d/a /d/b\n\
        RUN cp -a /d /e && [ $(stat -c %h /e/a) = 2 ]\nRUN echo two >> /d/b\n\
        RUN [ \"$(cat /d/a) $(cat /d/b | tr '\\n' +) $(stat -c %h /d/b)\" = 'one one+two+ 1' ]\n";
    // Only root can mount EROFS.
    let drivers = if root() { &["erofs", "overlay", "copy"][..] } else { &["overlay", "copy"] };
    let world = World::new(dockerfile);
    let mut digests = drivers.iter().map(|driver| {
        world.forget();
        world.digest(&["--driver", driver])
    });
    let first = digests.next().unwrap();
    assert!(digests.all(|digest| digest == first));
}

/// A step writes as fast as it can and all of its output is read: every line is in order, and the builder's memory is
/// not larger than for a step without output.
#[test]
fn large_output_stays_in_order_with_little_memory() {
    use std::io::{BufRead, BufReader};
    let text = "x".repeat(90);
    // The step runs until its builder has been looked at.
    let gate = "until [ -e /gate/go ]; do sleep 0.02; done";
    let world = World::new(&format!(
        "FROM busybox\nRUN --mount=type=cache,id=gate,target=/gate yes {text} | head -n 1000000 | cat -n; echo e$(: end)nd; {gate}\n"
    ));
    let record = world.path("record.json");
    let mut command = world.command(&["--progress", "plain", "--record", record.to_str().unwrap()]);
    let piped = command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::piped());
    let mut child = piped.spawn().unwrap();
    let (mut seen, mut peak) = (0_u64, None);
    for line in BufReader::new(child.stderr.take().unwrap()).lines() {
        let line = line.unwrap();
        if line.ends_with(&text) && !line.contains("yes ") {
            let number = line.split_ascii_whitespace().rev().nth(1).unwrap();
            seen += 1;
            assert_eq!(number.parse(), Ok(seen), "{line}");
        } else if line.ends_with(" end") {
            let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
            let size = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
            peak = size.trim().trim_end_matches(" kB").parse::<u64>().ok();
            open_gate(&world);
        }
    }
    assert!(child.wait().unwrap().success());
    assert_eq!(seen, 1_000_000);
    let (peak, recorded) = (peak.unwrap(), fs::metadata(&record).unwrap().len());
    assert!(peak < 100 << 10 && recorded < 1 << 20, "{peak} kB of memory, {recorded} bytes of record");
}

/// Lets a step go on that waits for the file `go` in its only cache directory.
fn open_gate(world: &World) {
    let mut mounts = fs::read_dir(world.path("store/mounts")).unwrap().map(|entry| entry.unwrap().path());
    fs::write(mounts.find(|path| path.is_dir()).unwrap().join("go"), "").unwrap();
}

/// The step ends when its first line has been shown. If lines were held back, it would wait for ever.
#[test]
fn output_is_shown_while_the_step_runs() {
    use std::io::{BufRead, BufReader};
    let gate = "until [ -e /gate/go ]; do sleep 0.02; done";
    let world = World::new(&format!(
        "FROM busybox\nRUN --mount=type=cache,id=gate,target=/gate echo ready; {gate}; sleep 0.3; echo went; echo last >&2\n"
    ));
    for executor in executors() {
        world.forget();
        let mut command = world.command(&["--progress", "plain", "--timeout", "300", "--executor", executor]);
        let mut child =
            command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::piped()).spawn().unwrap();
        let mut times = Vec::new();
        for line in BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap) {
            let words: Vec<_> = line.split_ascii_whitespace().collect();
            // BuildKit's format: the step, seconds since its start, the line.
            if let [_, seconds, text @ ("ready" | "went" | "last")] = words[..] {
                times.push((text.to_owned(), seconds.parse::<f64>().unwrap()));
            }
            if words.last() == Some(&"ready") && times.len() == 1 {
                open_gate(&world);
            }
        }
        assert!(child.wait().unwrap().success(), "{executor}: {times:?}");
        let texts: Vec<_> = times.iter().map(|(text, _)| text.as_str()).collect();
        assert!(texts.len() == 3 && texts[0] == "ready" && texts[1..].contains(&"went"), "{executor}: {times:?}");
        assert!(times[1].1 >= times[0].1 + 0.25 && times[2].1 >= times[1].1, "{executor}: {times:?}");
    }
}

/// moby's rules for USER (`user.GetExecUser`); HOME of a step is that of its user. The supplementary groups include
/// the primary group (CVE-2022-2995), which `id` does not show.
#[test]
fn users_have_ids_groups_home_and_directory() {
    let world = World::new(
        "FROM busybox\n\
         RUN echo 'ann:x:77:78::/home/ann:/bin/sh' >> /etc/passwd && printf 'ann:x:78:\\nmore:x:80:bob,ann\\nother:x:81:\\n' >> /etc/group\n\
         USER ann\nRUN test \"$(id -u) $(id -g) $(id -G) $HOME\" = '77 78 78 80 /home/ann'\n\
         RUN grep -q '^Groups:.78 80 *$' /proc/self/status\n\
         USER 77\nRUN test \"$(id -u) $(id -g) $(id -G) $HOME\" = '77 78 78 80 /home/ann'\n\
         USER ann:other\nRUN test \"$(id -u) $(id -g) $(id -G) $HOME\" = '77 81 81 /home/ann'\n\
         USER 1234:80\nRUN test \"$(id -u) $(id -g) $(id -G) $HOME\" = '1234 80 80 /'\n\
         USER 4321\nRUN test \"$(id -u) $(id -g) $(id -G) $HOME\" = '4321 0 0 /'\n\
         USER ann\nWORKDIR /made/by/workdir\n\
         RUN test $(pwd) = /made/by/workdir && stat -c '%u %g %a' /made /made/by/workdir | sort -u > /tmp/x && grep -qx '77 78 755' /tmp/x && test $(wc -l < /tmp/x) = 1\n",
    );
    for executor in executors() {
        world.build(&["--no-cache", "--executor", executor]).record();
    }
}

#[test]
fn proxies_pass_through_without_affecting_the_key() {
    let world = World::new("FROM busybox\nRUN echo proxy is $HTTP_PROXY\n");
    let built = world.build(&["--build-arg", "HTTP_PROXY=http://a.invalid"]);
    built.record();
    assert!(built.stderr().contains("proxy is http://a.invalid"), "{}", built.stderr());
    let again = world.build(&["--build-arg", "HTTP_PROXY=http://b.invalid"]).record();
    assert_eq!(steps(&again, Outcome::Executed), [""; 0]);
}

#[test]
fn a_stock_runtime_gives_the_same_image() {
    let world = World::new(
        "FROM busybox\nRUN echo someone:x:77:78::/srv:/bin/sh >> /etc/passwd && mkdir -p /srv/a && echo x > /srv/a/f && chown -R someone /srv && chmod 4755 /srv/a/f\n\
         USER someone\nWORKDIR /srv/a\nRUN --mount=type=tmpfs,target=/t id > ids; pwd >> ids; umask >> ids; env | sort | grep -v -E '^(SHLVL|OLDPWD)=' >> ids\n\
         USER root\nRUN --network=none ls /sys/class/net > /nets && rm /srv/a/f\n",
    );
    let native = world.digest(&[]);
    for runtime in runtimes() {
        world.forget();
        assert_eq!(world.digest(&["--executor", runtime]), native, "{runtime}");
        let world = World::new(HUNGRY);
        let stderr = world.build(&["--memory", "24m", "--executor", runtime]).stderr();
        assert!(stderr.contains(short_of_memory()), "{runtime}: {stderr}");
    }
}

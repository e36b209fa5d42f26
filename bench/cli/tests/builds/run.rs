//! RUN: the inputs of a step, its limits, and what must not be visible afterwards.

use crate::world::{World, cgroups, member, root, steps};
use buildscope_record::{Outcome, WaitKind};
use buildscope_testing::{in_time, test, undisturbed};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::net::UnixListener;
use std::path::Path;

/// Files below a directory that contain these bytes.
fn holding(directory: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap().flatten() {
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        if kind.is_dir() {
            found.extend(holding(&path, text));
        } else if kind.is_file() && fs::read(&path).unwrap().windows(text.len()).any(|bytes| bytes == text.as_bytes()) {
            found.push(path.display().to_string());
        }
    }
    found
}

#[test]
fn secrets_are_visible_only_to_their_step() {
    // The step compares digests, so that the values are only in the secrets.
    let sum = |text: &str| buildscope_record::Digest::of(text).hex();
    let world = World::new(&format!(
        "FROM busybox\n\
         RUN --mount=type=secret,id=file,required sha256sum /run/secrets/file | grep -q {} && echo done > /file\n\
         RUN --mount=type=secret,id=var,env=TOKEN,required printf %s \"$TOKEN\" | sha256sum | grep -q {} && echo done > /var/token\n\
         RUN test ! -e /run/secrets && test -z \"$TOKEN\"\n",
        sum("hush-4711"),
        sum("hush-0815"),
    ));
    let secret = world.path("secret");
    let given = format!("id=file,src={}", secret.display());
    let output = format!("type=oci,dest={}", world.path("image.tar").display());
    let (trace, record) = (world.path("trace.json"), world.path("record.json"));
    let engine = world.path("engine.json");
    let [trace, record, engine] = [&trace, &record, &engine].map(|path| path.to_str().unwrap());
    let files = ["--trace", trace, "--record", record, "--engine-trace", engine, "--progress", "plain"];
    let args = [&["--secret", &given, "--secret", "id=var,env=VAR", "--output", &output][..], &files].concat();
    let run = |file: &str, var: &str| {
        fs::write(&secret, file).unwrap();
        let built = world.command(&args).env("VAR", var).output().unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        built
    };
    let built = run("hush-4711", "hush-0815");
    fs::remove_file(&secret).unwrap();
    let printed = [&built.stdout[..], &built.stderr].map(String::from_utf8_lossy).concat();
    for value in ["hush-4711", "hush-0815"] {
        // The store with its layers and cache, the record, both timelines, the image.
        assert_eq!(holding(&world.path(""), value), [""; 0]);
        assert!(!printed.contains(value), "{printed}");
    }
    // The values are not part of the key either: with other values, which would fail, nothing runs.
    run("another", "another");
    for runtime in runtimes() {
        world.forget();
        fs::write(&secret, "hush-4711").unwrap();
        let by_runtime = ["--executor", runtime];
        let built = world.command(&[&args[..], &by_runtime].concat()).env("VAR", "hush-0815").output().unwrap();
        assert!(built.status.success(), "{runtime}: {}", String::from_utf8_lossy(&built.stderr));
        fs::remove_file(&secret).unwrap();
        for value in ["hush-4711", "hush-0815"] {
            assert_eq!(holding(&world.path(""), value), [""; 0], "{runtime}");
        }
    }
}

#[test]
fn a_required_secret_or_agent_that_is_missing_fails_the_step() {
    let world = World::new("FROM busybox\nRUN --mount=type=secret,id=nowhere,required true\n");
    let stderr = world.build(&[]).stderr();
    assert!(stderr.contains("secret nowhere not found"), "{stderr}");
    let world = World::new("FROM busybox\nRUN --mount=type=ssh,required true\n");
    let stderr = world.build(&[]).stderr();
    assert!(stderr.contains("--ssh default"), "{stderr}");
}

#[test]
fn a_forwarded_agent_has_the_requested_owner_and_mode() {
    let world = World::new(
        "FROM busybox\nRUN --mount=type=ssh,uid=5,gid=6,mode=0620 stat -c '%F %a %u %g' $SSH_AUTH_SOCK | grep -qx 'socket 620 5 6'\n\
         RUN test ! -e /run/buildkit\n",
    );
    let socket = world.path("agent");
    let _agent = UnixListener::bind(&socket).unwrap();
    for executor in executors() {
        world
            .build(&["--no-cache", "--executor", executor, "--ssh", &format!("default={}", socket.display())])
            .record();
    }
}

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

#[test]
fn privileged_steps_need_allow() {
    let world = World::new("FROM busybox\nRUN --security=insecure mount -t tmpfs none /tmp && touch /tmp/x\n");
    let stderr = world.build(&[]).stderr();
    assert!(stderr.contains("--allow security.insecure"), "{stderr}");
    for executor in executors() {
        world.build(&["--no-cache", "--allow", "security.insecure", "--executor", executor]).record();
    }
    let world = World::new("FROM busybox\nRUN --network=host true\n");
    for refused in [&[][..], &["--network", "none"], &["--network", "default"], &["--allow", "security.insecure"]] {
        let stderr = world.build(refused).stderr();
        assert!(stderr.contains("--allow network.host"), "{refused:?}: {stderr}");
    }
    for allowed in [["--network", "host"], ["--allow", "network.host"]] {
        world.build(&[&allowed[..], &["--no-cache"]].concat()).record();
    }
    world.build(&["--no-cache", "--network", "none", "--allow", "network.host"]).record();
}

#[test]
fn the_number_of_processes_can_be_limited() {
    let world = World::empty();
    for executor in executors() {
        undisturbed(|factor| {
            // The shell is the fifth process. It waits, because a runtime is not counted once it has started the step.
            let nap = 0.5 * f64::from(factor);
            let forks = "for i in 1 2 3 4 5 6 7 8; do sleep 30 & echo started; done";
            world.write("Dockerfile", &format!("FROM busybox\nRUN sleep {nap}; {forks}\n"));
            let built = world.build(&["--no-cache", "--pids-limit", "5", "--executor", executor]);
            if !cgroups() {
                assert!(built.stderr().contains("--pids-limit: buildscope cannot use a cgroup"), "{}", built.stderr());
                return Ok(());
            }
            let record = built.read();
            let step = record.steps.iter().find(|step| step.exit_code.is_some()).unwrap();
            assert!(step.log.iter().any(|line| line.contains("can't fork")), "{executor}: {:?}", step.log);
            let started = step.log.iter().filter(|line| *line == "started").count();
            assert!(started <= 4, "{executor}: {:?}", step.log);
            in_time(started == 4, &step.log)
        });
    }
    world.write("Dockerfile", "FROM busybox\nRUN for i in 1 2 3 4 5 6 7 8; do sleep 30 & echo started; done\n");
    for any in ["-1", "0", "1000"] {
        if any != "1000" || cgroups() {
            let built = world.build(&["--no-cache", "--pids-limit", any]);
            assert!(built.output.status.success(), "{any}: {}", built.stderr());
        }
    }
    assert_eq!(world.build(&["--pids-limit", "-2"]).output.status.code(), Some(2));
}

#[test]
fn sizes_that_overflow_are_errors() {
    for size in ["99999999999999999999", "9223372036854775808", "8192p"] {
        let world = World::new(&format!("FROM busybox\nRUN --mount=type=tmpfs,target=/t,size={size} true\n"));
        let stderr = world.build(&[]).stderr();
        assert!(stderr.contains("invalid value") && stderr.contains("for size"), "{size}: {stderr}");
        for flag in ["--memory", "--shm-size"] {
            let built = world.build(&[flag, size]);
            assert!(built.output.status.code() == Some(2) && built.stderr().contains(flag), "{}", built.stderr());
        }
    }
    let world = World::new("FROM busybox\nRUN true\n");
    for wrong in [["--cpus", "0"], ["--cpus", "1e300"], ["--cpus", "nan"], ["--timeout", "1e300"], ["--timeout", "-1"]]
    {
        assert_eq!(world.build(&[&wrong.join("=")]).output.status.code(), Some(2), "{wrong:?}");
    }
}

const DEVICES: &[&str] = &["/dev/fuse", "/dev/net/tun", "/dev/kmsg", "/dev/loop-control"];

#[test(AnyDevice(DEVICES))]
fn devices_need_allow_and_exist_only_in_their_step() {
    let device = DEVICES.iter().find(|device| fs::File::open(device).is_ok()).unwrap();
    let world = World::new(&format!(
        "FROM busybox\nRUN --device={device} test -c {device} && echo seen > /seen\nRUN test ! -e {device}\n"
    ));
    let stderr = world.build(&[]).stderr();
    assert!(stderr.contains(&format!("--allow device={device}")), "{stderr}");
    let stderr = world.build(&["--allow", "device=/dev/other"]).stderr();
    assert!(stderr.contains(&format!("--allow device={device}")), "{stderr}");
    for executor in executors() {
        world.build(&["--no-cache", "--allow", &format!("device={device}"), "--executor", executor]).record();
    }
}

#[test(Program("ssh-keygen"), Program("ssh-add"), Program("ldd"))]
fn a_key_file_makes_an_agent() {
    let world = World::new("FROM busybox\nRUN --mount=type=ssh,required test -S $SSH_AUTH_SOCK\n");
    let key = world.path("key.pem");
    let keygen =
        std::process::Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status();
    assert!(keygen.unwrap().success());
    world.build(&["--ssh", &format!("default={}", key.display())]).record();
    asks_an_agent(&key);
    fs::write(&key, "not a key").unwrap();
    world.forget();
    let stderr = world.build(&["--ssh", &format!("default={}", key.display())]).stderr();
    assert!(stderr.contains("key.pem: ssh-add rejects the key"), "{stderr}");
}

/// In a step, OpenSSH's own client with its libraries asks the forwarded agent for its keys: as the user that owns
/// the socket, and as another user.
fn asks_an_agent(key: &Path) {
    let client = Path::new("/usr/bin/ssh-add");
    let needed = std::process::Command::new("ldd").arg(client).output().unwrap();
    assert!(needed.status.success(), "{needed:?}");
    let world = World::new(
        "FROM busybox\nCOPY tools /tools\nUSER 5\n\
         RUN --mount=type=ssh,uid=5,mode=0600 /tools/ld*.so* --library-path /tools /tools/ssh-add -l\n\
         USER 6\nRUN --mount=type=ssh,uid=5,mode=0600 ! /tools/ld*.so* --library-path /tools /tools/ssh-add -l\n",
    );
    world.write("tools/list", "");
    let libraries = String::from_utf8(needed.stdout).unwrap();
    let paths = libraries.split_ascii_whitespace().filter(|word| word.starts_with('/')).map(Path::new);
    for file in paths.chain([client]) {
        fs::copy(file, world.context().join("tools").join(file.file_name().unwrap())).unwrap();
    }
    let built = world.build(&["--ssh", &format!("default={}", key.display())]);
    built.record();
    let print = std::process::Command::new("ssh-keygen").arg("-lf").arg(key).output().unwrap();
    let print = String::from_utf8(print.stdout).unwrap();
    // Length and fingerprint; a comment follows.
    let known: Vec<_> = print.split_ascii_whitespace().take(2).collect();
    assert!(built.stderr().contains(&known.join(" ")), "{}", built.stderr());
}

/// A step that keeps a processor busy for a while.
const BUSY: &str = "FROM busybox\nRUN i=0; while [ $i -lt 1500000 ]; do i=$((i+1)); done\n";

#[test]
fn resource_use_of_a_step_is_recorded() {
    let record = World::new(BUSY).build(&[]).record();
    let step = record.steps.iter().find(|step| step.instruction.name() == "RUN").unwrap();
    let resources = step.resources.unwrap();
    assert!(resources.minor_faults > 0 && resources.processes == Some(1), "{resources:?}");
}

#[test(Cgroups, Pressure)]
fn resource_use_over_time_is_recorded() {
    let world = World::new(BUSY);
    let trace = world.path("trace.json");
    let record = world.build(&["--trace", trace.to_str().unwrap()]).record();
    let step = record.steps.iter().find(|step| step.instruction.name() == "RUN").unwrap();
    let counted = |name: &str| {
        let mine = record.counters.iter().find(|counter| counter.name == name && counter.step == Some(step.id));
        mine.map_or(0, |counter| counter.samples.len())
    };
    let trace = fs::read_to_string(trace).unwrap();
    for name in ["cpu.used", "memory.used", "cpu.pressure", "memory.pressure", "io.pressure"] {
        assert!(counted(name) > 0, "{name} of {:?}", record.counters);
        assert!(trace.contains(name), "{name} is in the timeline");
    }
}

#[test]
fn bind_mounts_show_sources_and_discard_changes() {
    let world = World::new(
        "FROM busybox AS stage\nRUN mkdir /out && echo staged > /out/file\nFROM busybox\n\
         RUN --mount=type=bind,target=/ctx test -e /ctx/kept && test ! -e /ctx/ignored && ! touch /ctx/new\n\
         RUN --mount=type=bind,from=stage,source=/out,target=/in,rw echo gone > /in/file && touch /in/more && ls /in\n\
         RUN --mount=type=bind,from=stage,source=/out/file,target=/one grep -q staged /one\n\
         RUN --mount=type=bind,source=absolute,target=/one test -s /one\n\
         RUN --mount=type=bind,source=sub/chain,target=/in test -s /in/kept\n\
         RUN --mount=type=tmpfs,target=/fresh,size=1m touch /fresh/x && ! head -c 2m /dev/zero > /fresh/y\n\
         RUN test ! -e /ctx && test ! -e /in && test ! -e /one && test ! -e /fresh\n",
    );
    world.write("kept", "kept");
    world.write("ignored", "ignored");
    world.write(".dockerignore", "ignored\n");
    world.write("sub/other", "");
    // The source may be a link, to a path from the root of the context, or to another link.
    for (target, link) in [("/kept", "absolute"), ("../up", "sub/chain"), (".", "up")] {
        std::os::unix::fs::symlink(target, world.context().join(link)).unwrap();
    }
    for executor in executors() {
        world.build(&["--no-cache", "--executor", executor]).record();
    }
    // The content of a mount is part of the key.
    assert_eq!(steps(&world.build(&[]).record(), Outcome::Executed), [""; 0]);
    world.write("kept", "changed");
    let again = world.build(&[]).record();
    assert!(steps(&again, Outcome::Executed)[0].contains("/ctx/kept"), "{:?}", steps(&again, Outcome::Executed));
}

/// Sources and targets that use `..` or links stay inside the context or image.
#[test]
fn mount_sources_and_targets_cannot_escape() {
    let world = World::empty();
    let outside = world.path("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("file"), "of-the-host").unwrap();
    let path = outside.display();
    world.write("kept", "kept");
    std::os::unix::fs::symlink(&outside, world.context().join("absolute")).unwrap();
    std::os::unix::fs::symlink("../outside", world.context().join("up")).unwrap();
    world.write(
        "Dockerfile",
        &format!(
            "FROM busybox AS stage\nRUN ln -s {path} /absolute && ln -s ../../../../../../../..{path} /up\nFROM stage\n\
             RUN --mount=type=bind,source=../../../../..,target=/m test -e /m/kept && test ! -e /m/outside && test ! -e /m/etc\n\
             RUN --mount=type=bind,from=stage,source=../../../..,target=/m test -e /m/bin/sh && test ! -e /m{path}\n\
             RUN --mount=type=tmpfs,target=/absolute/a --mount=type=cache,id=b,target=/up/b --mount=type=tmpfs,target=../../../../..{path}/c \
             touch {path}/a/x {path}/b/x {path}/c/x\n"
        ),
    );
    for executor in executors() {
        world.build(&["--no-cache", "--executor", executor]).record();
    }
    for source in [
        "source=absolute",
        "source=up",
        "source=absolute/file",
        "source=up/file",
        "from=stage,source=/absolute",
        "from=stage,source=/up/file",
    ] {
        world.write(
            "Dockerfile",
            &format!("FROM busybox AS stage\nRUN ln -s {path} /absolute && ln -s ../../../../../../../..{path} /up\nFROM busybox\n\
                RUN --mount=type=bind,{source},target=/m ls -lR /m; cat /m /m/file; true\n"),
        );
        let built = world.build(&[]);
        assert!(!built.stderr().contains("of-the-host"), "{source}: {}", built.stderr());
        if !source.contains("from=") {
            // The message is wrapped, with a line at its left.
            let said = built.stderr().replace('│', " ").split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(said.contains("leads out of it"), "{source}: {said}");
        }
    }
    let left: Vec<_> = fs::read_dir(&outside).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["file"]);
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

#[test]
fn cache_mounts_persist_and_locked_ones_wait() {
    undisturbed(|factor| {
        let run = "RUN --mount=type=cache,id=c,target=/c,sharing=locked";
        let nap = 0.4 * f64::from(factor);
        let world = World::new(&format!(
            "FROM busybox AS a\nARG ROUND\n{run} echo $ROUND-a >> /c/log && sleep {nap}\n\
             FROM busybox AS b\nARG ROUND\n{run} echo $ROUND-b >> /c/log && sleep {nap}\n\
             FROM busybox\nARG ROUND\nCOPY --from=a /etc/passwd /a\nCOPY --from=b /etc/passwd /b\n\
             RUN --mount=type=cache,id=c,target=/c wc -l < /c/log > /lines && echo round $ROUND has $(cat /lines)\n"
        ));
        let first = world.build(&["--build-arg", "ROUND=1", "--jobs", "4"]);
        let record = first.record();
        assert!(first.stderr().contains("round 1 has 2"), "{}", first.stderr());
        let second = world.build(&["--build-arg", "ROUND=2"]);
        second.record();
        assert!(second.stderr().contains("round 2 has 4"), "{}", second.stderr());
        let name = "cache-mount:c";
        let holders: Vec<_> = record.steps.iter().filter(|step| step.locks == [name]).collect();
        assert_eq!(holders.len(), 2, "{holders:?}");
        // One waits for the other, unless it starts when the other one has ended.
        let waited = |wait: &&buildscope_record::Wait| wait.name.as_deref() == Some(name);
        let wait = record.waits.iter().find(waited).ok_or("nothing waited for the lock")?;
        assert!(wait.kind == WaitKind::Lock && holders.iter().any(|step| step.id == wait.step), "{wait:?}");
        in_time((wait.end - wait.start).as_secs_f64() > nap / 2.0, wait)
    });
}

#[test]
fn cache_mounts_have_owner_mode_seed_and_privacy() {
    let meet = "--mount=type=cache,id=meet,target=/meet";
    let wait = "i=0; while test $(ls /meet | wc -l) -lt 2 && test $i -lt 3000; do sleep 0.1; i=$((i+1)); done";
    let world = World::new(&format!(
        "FROM busybox AS seed\nRUN mkdir /seed && echo seeded > /seed/file\n\
         FROM busybox AS one\n\
         RUN {meet} --mount=type=cache,id=p,target=/p,sharing=private touch /p/one /meet/one && {wait}; test $(ls /p | wc -l) = 1 && echo x > /a\n\
         FROM busybox AS two\n\
         RUN {meet} --mount=type=cache,id=p,target=/p,sharing=private touch /p/two /meet/two && {wait}; test $(ls /p | wc -l) = 1 && echo x > /b\n\
         FROM busybox\nCOPY --from=one /a /\nCOPY --from=two /b /\n\
         RUN --mount=type=cache,id=m,target=/c,mode=0750,uid=5,gid=6 stat -c '%a %u %g' /c | grep -qx '750 5 6'\n\
         RUN --mount=type=cache,id=f,target=/c,from=seed,source=/seed grep -qx seeded /c/file && echo more >> /c/file\n\
         RUN --mount=type=cache,id=f,target=/c,from=seed,source=/seed test $(wc -l < /c/file) = 2\n\
         RUN --mount=type=cache,id=m,target=/c,mode=0750,uid=5,gid=6,ro ! touch /c/new\n\
         RUN test ! -e /c && test ! -e /p && test ! -e /meet\n"
    ));
    for executor in executors() {
        world.forget();
        world.build(&["--jobs", "4", "--executor", executor]).record();
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

/// The stock runtimes that are installed.
fn runtimes() -> impl Iterator<Item = &'static str> {
    let installed =
        |name: &&str| ["/usr/bin", "/usr/sbin"].iter().any(|directory| Path::new(directory).join(name).exists());
    ["crun", "runc"].into_iter().filter(installed)
}

/// All executors that are available here.
fn executors() -> impl Iterator<Item = &'static str> {
    ["native"].into_iter().chain(runtimes())
}

/// A step that needs 200 MB.
const HUNGRY: &str = "FROM busybox\nRUN head -c 200m /dev/zero | tail -n 1 | wc -c | grep -q 209715200\n";

/// The message of a build with less memory. Without its own cgroup, buildscope cannot enforce the limit.
fn short_of_memory() -> &'static str {
    if cgroups() { "out of memory" } else { "--memory: buildscope cannot use a cgroup with that controller" }
}

#[test]
fn deaths_are_explained_and_recorded() {
    let world = World::new("FROM busybox\nRUN kill -9 $$\n");
    let built = world.build(&[]);
    assert!(built.stderr().contains("exit code: 137: killed by SIGKILL"), "{}", built.stderr());
    assert_eq!(built.read().steps.iter().find_map(|step| step.exit_code), Some(137));
    let world = World::new("FROM busybox\nRUN sleep 1000\n");
    let built = world.build(&["--timeout", "0.3"]);
    assert!(built.stderr().contains("--timeout allows"), "{}", built.stderr());
    let stderr = World::new(HUNGRY).build(&["--memory", "24m"]).stderr();
    assert!(stderr.contains(short_of_memory()), "{stderr}");
    let world = World::new("FROM busybox\nRUN i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done\n");
    let record = world.build(&[]).record();
    let resources = record.steps.iter().find_map(|step| step.resources).unwrap();
    assert!((resources.cpu_user + resources.cpu_system).0 > 10_000_000 && resources.peak_memory.0 > 0, "{resources:?}");
}

/// A fifth of a processor: all work takes five times as long, except for the share of the first period of 100 ms.
#[test]
fn processors_are_limited_as_requested() {
    let world = World::new("FROM busybox\nRUN i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done\n");
    let built = world.build(&["--cpus", "0.2"]);
    if !cgroups() {
        let refused = "--cpus: buildscope cannot use a cgroup with that controller";
        return assert!(built.stderr().contains(refused), "{}", built.stderr());
    }
    let record = built.record();
    let step = record.steps.iter().find(|step| step.instruction.name() == "RUN").unwrap();
    let used = step.resources.map(|used| (used.cpu_user + used.cpu_system).as_secs_f64()).unwrap();
    let lasted = (step.end.unwrap() - step.start.unwrap()).as_secs_f64();
    assert!(used > 0.1 && lasted > 4.0 * used - 0.1, "{used} s of CPU time in {lasted} s");
}

#[test]
fn hosts_and_limits_apply_without_a_trace() {
    let world = World::new(
        "FROM busybox\nRUN grep -q '10.9.8.7.*elsewhere' /etc/hosts && test $(ulimit -n) = 99 && df -k /dev/shm | grep -q ' 2048 '\n\
         RUN test -e /etc/hosts && echo x > /y\n",
    );
    let archive = world.path("image.tar");
    let output = format!("type=tar,dest={}", archive.display());
    let args = ["--add-host", "elsewhere:10.9.8.7", "--ulimit", "nofile=99", "--shm-size", "2m", "--output", &output];
    for executor in executors() {
        world.build(&[&args[..], &["--no-cache", "--executor", executor]].concat()).record();
        assert_eq!(member(&archive, "y"), b"x\n");
        assert!(!String::from_utf8_lossy(&fs::read(&archive).unwrap()).contains("10.9.8.7"), "{executor}");
    }
}

/// An ordinary user cannot create device nodes. Its steps do not see them, as with docker, BuildKit and buildah in a user namespace, but
/// the image has them in any case.
#[test]
fn device_nodes_of_a_base_are_in_the_image() {
    let world = World::new("FROM busybox\nADD devices.tar /opt/\nRUN touch /opt/new; ls /opt > /list\n");
    let mut archive = tar::Builder::new(Vec::new());
    for (name, kind) in [("null", tar::EntryType::Char), ("disk", tar::EntryType::Block)] {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(0o600);
        header.set_size(0);
        header.set_device_major(1).unwrap();
        header.set_device_minor(3).unwrap();
        archive.append_data(&mut header, name, std::io::empty()).unwrap();
    }
    fs::write(world.context().join("devices.tar"), archive.into_inner().unwrap()).unwrap();
    for driver in ["auto", "copy"] {
        let out = world.path("out.tar");
        let output = format!("type=tar,dest={}", out.display());
        let built = world.build(&["--driver", driver, "--no-cache", "--output", &output]);
        built.record();
        let mut files = tar::Archive::new(fs::File::open(&out).unwrap());
        let kinds: BTreeMap<String, tar::EntryType> = files
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| (entry.path().unwrap().display().to_string(), entry.header().entry_type()))
            .collect();
        assert_eq!(kinds["opt/null"], tar::EntryType::Char, "{driver}");
        assert_eq!(kinds["opt/disk"], tar::EntryType::Block, "{driver}");
        assert_eq!(kinds["opt/new"], tar::EntryType::Regular, "{driver}");
        let seen = String::from_utf8(member(&out, "list")).unwrap();
        let warned = built.stderr().contains("steps do not see device nodes of the image (`/opt/disk` and 1 more)");
        let expected = if root() { ("disk\nnew\nnull\n", false) } else { ("new\n", true) };
        assert_eq!((&*seen, warned), expected, "{driver}");
    }
}

/// The kernel adds the CPU time of reaped descendants, and so of the steps' processes.
#[test]
fn cpu_time_of_steps_counts_for_the_builder() {
    let world = World::new("FROM busybox\nRUN i=0; while [ $i -lt 400000 ]; do i=$((i+1)); done\n");
    let path = world.path("record.json");
    let build = world.command(&["--record", path.to_str().unwrap()]);
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", "\"$@\" && times", "sh"]).arg(build.get_program()).args(build.get_args());
    let run = shell.output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let record = buildscope_record::Record::read(fs::File::open(path).unwrap()).unwrap();
    let step = record.steps[1].resources.unwrap().cpu_user.as_secs_f64();
    let used = children_cpu(&String::from_utf8(run.stdout).unwrap());
    assert!(step > 0.05, "the loop takes time: {step}");
    assert!(used >= step - 0.01, "{used} s of the shell's children, {step} s of the step"); // times counts hundredths
}

/// User CPU time of a shell's exited children, from the second line of `times`: `0m0.520000s 0m0.040000s`.
fn children_cpu(times: &str) -> f64 {
    let children = times.lines().last().unwrap().split('s').next().unwrap();
    let (minutes, seconds) = children.split_once('m').unwrap();
    minutes.parse::<f64>().unwrap() * 60.0 + seconds.parse::<f64>().unwrap()
}

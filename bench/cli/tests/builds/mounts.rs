//! The mounts of a step: files of the context and of other stages, and caches.

use crate::world::{World, executors, steps};
use buildscope_record::{Outcome, WaitKind};
use buildscope_testing::{in_time, test, undisturbed};
use std::fs;

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

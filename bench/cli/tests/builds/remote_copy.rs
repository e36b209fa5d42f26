//! COPY from stages whose layers are on other machines.

use crate::remote::{machine, ran_on, step};
use crate::world::{World, flat};
use buildscope_record::{Outcome, Phase, Record};
use buildscope_testing::{in_time, test, undisturbed};

/// Whether the layer of a step is in the store of the builder.
fn is_here(world: &World, record: &Record, part: &str) -> bool {
    let digest = step(record, part).layer.unwrap().digest.unwrap();
    world.store.join("blobs/sha256").join(digest.hex()).exists()
}

#[test(Program("buildbox-casd"), Root)]
fn a_copy_from_a_stage_fetches_only_what_it_copies() {
    let server = machine();
    // Fetching the layer has to take longer than a round trip, which a busy machine makes long.
    undisturbed(|factor| {
        let world = World::new(&format!(
            "FROM busybox AS made\nRUN head -c {} /dev/urandom > /big; echo word > /word\n\
             FROM busybox AS between\nCOPY --from=made /big /between\n\
             FROM busybox\nCOPY --from=made /word /word\nCOPY --from=between /between /other\n\
             RUN wc -c < /other > /size; rm /other\n",
            24_000_000 * factor
        ));
        let remote = ["--remote", &server.address(), "--remote-fallback", "fail", "--no-cache"];
        let record = world.build(&remote).record();
        for part in ["made /big", "made /word", "/between /other"] {
            assert_eq!(step(&record, part).outcome, Outcome::Executed, "{part}");
            in_time(ran_on(&record, part) == Some("machine-1"), part)?;
        }
        assert!(!is_here(&world, &record, "urandom") && !is_here(&world, &record, "made /big"));
        assert!(is_here(&world, &record, "made /word") && is_here(&world, &record, "/between /other"));
        Ok(())
    });
}

#[test(Program("buildbox-casd"), Root)]
fn a_small_layer_comes_with_its_result() {
    let server = machine();
    let world = World::new("FROM busybox AS made\nRUN echo word > /word\nFROM busybox\nCOPY --from=made /word /word\n");
    let record = world.build(&["--remote", &server.address(), "--remote-fallback", "fail"]).record();
    assert_eq!((ran_on(&record, "echo word"), ran_on(&record, "made /word")), (Some("machine-1"), None));
    assert!(is_here(&world, &record, "echo word"));
    let mut pulls = record.spans.iter().filter(|span| span.phase == Phase::Pull);
    assert!(pulls.all(|span| span.name.as_deref() == Some("machine-1")), "only the worker fetched, the base image");
}

#[test(Program("buildbox-casd"), Root)]
fn the_layers_of_copies_that_follow_are_fetched_together() {
    let server = machine();
    let stage = |name| format!("FROM busybox AS {name}\nRUN head -c 100000 /dev/urandom > /{name}\n");
    let stages = ["one", "two", "three"].map(stage).concat();
    let world = World::new(&format!(
        "{stages}FROM busybox\nCOPY --from=one /one /\nENV A=1\nCOPY --from=two /two /\nRUN cat /one /two > /both\n\
         COPY --from=three /three /\n"
    ));
    // With stages as the unit, all three have ended before the first COPY.
    let flags = ["--remote", &server.address(), "--remote-fallback", "fail", "--granularity", "stages"];
    let record = world.build(&flags).record();
    let fetched = |part| {
        let copy = step(&record, part).id;
        let pulls = record.spans.iter().filter(|span| span.phase == Phase::Pull && span.step == Some(copy));
        pulls.map(|span| span.fields["bytes_read"] / 100_000).sum::<u64>()
    };
    assert_eq!(
        ["=one", "=two", "=three"].map(fetched),
        [2, 0, 3],
        "the last one also fetches the 200 kB of the RUN below it"
    );
}

#[test(Program("buildbox-casd"), Root)]
fn a_copy_on_another_machine_has_the_digest_of_a_local_one() {
    let server = machine();
    let world = World::new(
        "FROM busybox AS made\n\
         RUN mkdir -p /out/a/b /out/c; echo 1 > /out/a/b/one; echo 2 > /out/c/two.txt; echo 3 > /out/three.log; \
         ln /out/c/two.txt /out/hard; ln -s c/two.txt /out/soft; chmod 4755 /out/a/b/one; chown 7:8 /out/c; mkfifo /out/pipe; \
         head -c 8000000 /dev/zero > /out/zeros\n\
         RUN rm /out/three.log; echo 4 > /out/four.log\n\
         FROM busybox\nRUN mkdir -p /kept/c; echo old > /kept/c/two.txt; echo 'own:x:42:43::/:/bin/sh' >> /etc/passwd\n\
         WORKDIR /work\n\
         COPY --from=made /out /kept\nCOPY --from=made --chown=own --chmod=640 /out/c/*.txt relative/\n\
         COPY --from=made --link /out/soft /out/a /linked/\nCOPY --from=made /out/soft followed\nRUN cat followed > again\n",
    );
    let local = world.digest(&[]);
    world.forget();
    let remote = ["--remote", &server.address(), "--remote-fallback", "fail"];
    assert_eq!(world.digest(&remote), local);
    // The results of the server, without those of the store.
    world.forget();
    assert_eq!(world.digest(&remote), local);
}

#[test(Program("buildbox-casd"), Root)]
fn a_copy_of_a_file_that_is_not_there_fails_as_it_does_here() {
    let server = machine();
    let world = World::new(
        "FROM busybox AS made\nRUN mkdir /out; echo a > /out/result; head -c 8000000 /dev/zero > /zeros\n\
         FROM busybox\nCOPY --from=made /out/resalt /\n",
    );
    let said = |args: &[&str]| {
        world.forget();
        let built = world.build(&[args, &["--summary", "none"]].concat());
        assert_eq!(built.output.status.code(), Some(1), "{}", built.stderr());
        let said = flat(&built.output.stderr);
        said[said.find("`/out/resalt` not found").expect(&said)..].to_owned()
    };
    let local = said(&[]);
    assert!(local.contains("did you mean `out/result`"), "{local}");
    assert_eq!(said(&["--remote", &server.address(), "--remote-fallback", "fail"]), local);
}

#[test(Program("buildbox-casd"), Root)]
fn a_stage_that_ran_again_with_the_same_files_keeps_the_steps_after_its_copy() {
    let server = machine();
    let world = World::new(
        "FROM busybox AS made\nRUN cat /proc/sys/kernel/random/uuid > /other; echo same > /same\n\
         FROM busybox\nCOPY --from=made /same /same\nRUN cat /same > /after\n",
    );
    let remote = ["--remote", &server.address(), "--remote-fallback", "fail"];
    let first = world.build(&remote).record();
    let second = world.build(&[&remote[..], &["--no-cache-filter", "made"]].concat()).record();
    assert_ne!(step(&second, "uuid").layer, step(&first, "uuid").layer);
    assert_eq!(step(&second, "cat /same").outcome, Outcome::Cached);
    assert_eq!(step(&second, "COPY").layer, step(&first, "COPY").layer);
}

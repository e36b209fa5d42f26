//! Steps and caches on a server of the Remote Execution API: buildbox-casd with our runner.

use crate::digests::FILES;
use crate::front::{Certificates, Demands, Front};
use crate::world::{World, flat, steps};
use buildscope_record::{Outcome, Phase, Record, Step};
use buildscope_testing::{Casd, test};
use buildscope_workloads::{Category, Corpus};
use std::path::Path;

/// A server that runs steps with the program under test.
pub(crate) fn machine() -> Casd {
    Casd::executing(Path::new(env!("CARGO_BIN_EXE_buildscope")))
}

/// The step whose text contains `part`.
pub(crate) fn step<'r>(record: &'r Record, part: &str) -> &'r Step {
    record.steps.iter().find(|step| step.text.contains(part)).unwrap()
}

/// The machine that ran a step.
pub(crate) fn ran_on<'r>(record: &'r Record, part: &str) -> Option<&'r str> {
    step(record, part).ran_on.as_ref()?.machine.as_deref()
}

#[test(Program("buildbox-casd"))]
fn a_cache_on_a_server_serves_another_store() {
    let server = Casd::start();
    let dockerfile =
        "FROM busybox AS tools\nRUN echo tool > /tool\nFROM busybox\nCOPY --from=tools /tool /\nRUN cat /tool > /out\n";
    let cache = format!("type=reapi,url={}", server.address());
    let here = World::new(dockerfile);
    let digest = here.digest(&["--cache-to", &format!("{cache},mode=max")]);

    let there = World::new(dockerfile);
    let record = there.build(&["--cache-from", &cache]).record();
    assert_eq!(steps(&record, Outcome::Executed), [""; 0], "all steps come from the server");
    assert_eq!(there.digest(&["--cache-from", &cache]), digest);
    // The exports of several builds are in one cache.
    let other = World::new("FROM busybox\nRUN echo other > /other\n");
    other.build(&["--cache-to", &cache]).record();
    for world in [there, other] {
        world.forget();
        let record = world.build(&["--cache-from", &cache]).record();
        assert_eq!(steps(&record, Outcome::Executed), [""; 0]);
    }
}

/// Builds the quick workloads and those of small files, and with BUILDSCOPE_TEST_WHOLE_CORPUS also the large ones, which takes minutes.
#[test(Program("buildbox-casd"), Root)]
fn a_remote_build_has_the_digest_of_a_local_one() {
    let server = machine();
    let whole = std::env::var_os("BUILDSCOPE_TEST_WHOLE_CORPUS").is_some();
    let corpus = Corpus::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../workloads/corpus")).unwrap();
    let hermetic = corpus.all().unwrap().into_iter().filter(|workload| {
        let manifest = &workload.manifest;
        // A first build with arguments of its own needs more memory than most machines have. `stages-10000` takes minutes, and is
        // `stages-1000` on a larger scale.
        let fits = manifest.bake.is_none() && manifest.first.is_empty() && workload.name != "stages-10000";
        let small = manifest.quick && workload.name != "files" || FILES.contains(&&*workload.name);
        manifest.category != Category::Real && fits && (whole || small)
    });
    for workload in hermetic {
        let name = &workload.name;
        let world = World::empty();
        workload.materialise(&world.context()).unwrap();
        let local = world.digest(&[]);
        world.forget();
        let remote = world.digest(&["--remote", &server.address(), "--remote-fallback", "fail"]);
        assert_eq!(remote, local, "{name}");
    }
}

#[test(Program("buildbox-casd"), Root)]
fn the_record_has_the_phases_of_the_other_machine() {
    let server = machine();
    let world = World::new(
        "FROM busybox AS one\nRUN echo words; head -c 1000000 /dev/zero > /big\n\
         FROM busybox\nRUN echo small > /small\n",
    );
    let built = world.build(&["--remote", &server.address(), "--target", "one"]);
    let record = built.record();
    let run = step(&record, "RUN");
    assert_eq!(ran_on(&record, "RUN"), Some("machine-1"));
    assert_eq!(run.log, ["words"]);
    assert!(built.stderr().contains("words"), "{}", built.stderr());
    assert_eq!((run.exit_code, run.outcome), (Some(0), Outcome::Executed));
    let layer = run.layer.unwrap();
    assert_eq!(layer.files, 1, "the size and the files of the layer are known");
    assert!(layer.bytes.0 > 1_000_000);
    let spans = |phase| record.spans.iter().filter(move |span| span.step == Some(run.id) && span.phase == phase);
    let (start, end) = (run.start.unwrap(), run.end.unwrap());
    for phase in [Phase::Pull, Phase::Process, Phase::Diff, Phase::Push] {
        let of_machine = spans(phase).find(|span| span.name.as_deref() == Some("machine-1"));
        let span = of_machine.unwrap_or_else(|| panic!("no span of {phase}"));
        assert!(start <= span.start && span.start <= span.end && span.end <= end, "{phase}: {span:?}");
    }
    let processes = run.processes.as_ref().expect("the processes inside the step");
    assert!(processes.list.iter().any(|process| process.program == "sh"), "{processes:?}");
    assert_eq!(record.options.remote, [server.address()]);
}

#[test(Program("buildbox-casd"), Program("openssl"), Root)]
fn a_step_needs_few_round_trips() {
    let (server, certificates) = (machine(), Certificates::new());
    let at_once = &["GetActionResult", "FindMissingBlobs", "BatchUpdateBlobs", "GetCapabilities"];
    let front = Front::start(server.port(), &certificates, Demands { at_once, ..Demands::default() });
    let world = World::new("FROM busybox\nRUN echo one > /one\nRUN echo two > /two\nRUN echo three > /three\n");
    let record = world.build(&["--remote", &front.address(), "--remote-fallback", "fail"]).record();
    assert_eq!(ran_on(&record, "three"), Some("machine-1"));
    assert!(front.were_at_once(), "the questions for a result, for blobs and for capabilities, and the small blobs");
    let calls = |method| front.calls(method);
    assert_eq!(["GetActionResult", "FindMissingBlobs", "BatchUpdateBlobs", "Execute"].map(calls), [3; 4]);
}

#[test(Program("buildbox-casd"), Root)]
fn steps_go_where_their_data_is() {
    let servers = [machine(), machine()];
    let world = World::new(
        "FROM busybox AS made\nRUN head -c 4000000 /dev/urandom > /big\n\
         FROM made AS one\nRUN sleep 1; echo one > /one\nFROM made AS two\nRUN sleep 1; echo two > /two\n\
         FROM busybox\nCOPY --from=one /one /\nCOPY --from=two /two /\n",
    );
    let [one, two] = servers.each_ref().map(Casd::address);
    let remote = ["--remote", &one, "--remote", &two, "--remote-fallback", "fail", "--jobs", "8"];
    let record = world.build(&remote).record();
    let big = step(&record, "urandom").layer.unwrap().digest.unwrap();
    let holders = servers.iter().filter(|server| server.blob(&big.hex()).exists());
    assert_eq!(holders.count(), 1, "a slot is free on the machine that made the layer");
}

#[test(Program("buildbox-casd"), Root)]
fn a_layer_that_only_other_remote_steps_need_is_not_downloaded() {
    let server = machine();
    let world = World::new(
        "FROM busybox AS made\nRUN head -c 3000000 /dev/urandom > /big\nRUN wc -c < /big > /size\n\
         FROM busybox\nRUN --mount=from=made,source=/size,target=/size cat /size > /out\n",
    );
    let record = world.build(&["--remote", &server.address(), "--remote-fallback", "fail"]).record();
    let is_here = |part: &str| {
        let digest = step(&record, part).layer.unwrap().digest.unwrap();
        world.store.join("blobs/sha256").join(digest.hex()).exists()
    };
    assert!(!is_here("urandom"));
    assert!(is_here("wc -c"), "a small layer comes with its result");
    assert!(is_here("cat /size"), "the image's own layers are in the store");
}

#[test(Program("buildbox-casd"), Root)]
fn the_results_of_equal_steps_come_from_the_server() {
    let server = machine();
    let remote = ["--remote", &server.address()];
    let dockerfile = "FROM busybox\nRUN cat /proc/sys/kernel/random/uuid > /time\n";
    let (here, there) = (World::new(dockerfile), World::new(dockerfile));
    let first = here.build(&remote).record();
    let second = there.build(&remote).record();
    assert_eq!(step(&second, "uuid").outcome, Outcome::Cached);
    assert_eq!(step(&second, "uuid").layer, step(&first, "uuid").layer);
    there.forget();
    let third = there.build(&[&remote[..], &["--no-cache"]].concat()).record();
    assert_eq!(step(&third, "uuid").outcome, Outcome::Executed);
    assert_ne!(step(&third, "uuid").layer, step(&first, "uuid").layer);
}

/// Each server has its own action cache. The second build has one slot on each, so its steps may go to the other one.
#[test(Program("buildbox-casd"), Root)]
fn a_result_is_found_on_the_server_of_an_earlier_build() {
    let servers = [machine(), machine()];
    let [one, two] = servers.each_ref().map(Casd::address);
    let world = World::new("FROM busybox\nRUN echo one > /one\nRUN echo two > /two\n");
    let fail = ["--remote-fallback", "fail"];
    let record = world.build(&[&["--remote", &*two][..], &fail].concat()).record();
    assert_eq!(steps(&record, Outcome::Executed), ["RUN echo one > /one", "RUN echo two > /two"]);
    world.forget();
    // A step goes to the first of equal servers, which has no results.
    let record = world.build(&[&["--remote", &*one, "--remote", &*two][..], &fail].concat()).record();
    assert_eq!(steps(&record, Outcome::Executed), [""; 0]);
}

#[test(Program("buildbox-casd"), Root)]
fn a_failure_is_not_taken_from_the_servers_cache() {
    let server = machine();
    let world = World::new("FROM busybox\nRUN echo tried at $(cat /proc/sys/kernel/random/uuid); exit 7\n");
    let remote = ["--remote", &server.address(), "--remote-fallback", "fail"];
    let run = || {
        let built = world.build(&remote);
        assert_eq!(built.output.status.code(), Some(1), "{}", built.stderr());
        let message = flat(&built.output.stderr);
        assert!(message.contains("did not complete successfully: exit code: 7"), "{message}");
        step(&built.read(), "exit 7").log.clone()
    };
    let (first, second) = (run(), run());
    assert!(first[0].starts_with("tried at"), "{first:?}");
    assert_ne!(first, second, "it ran again");
}

#[test(Program("buildbox-casd"), Root)]
fn steps_with_something_of_this_machine_stay_here() {
    let server = machine();
    let world = World::new(
        "FROM busybox\n\
         RUN --mount=type=secret,id=word,required=true cat /run/secrets/word | wc -c > /a\n\
         RUN --mount=type=cache,target=/cache echo b > /cache/b\n\
         RUN --network=host echo c > /c\n\
         RUN --security=insecure echo d > /d\n\
         RUN echo e > /e\n",
    );
    std::fs::write(world.path("word"), "correct horse battery").unwrap();
    let secret = format!("id=word,src={}", world.path("word").display());
    let allow = ["--allow", "network.host,security.insecure"];
    let args = ["--remote", &server.address(), "--secret", &secret];
    let record = world.build(&[&args[..], &allow].concat()).record();
    for (part, why) in [
        ("type=secret", "a secret"),
        ("type=cache", "a cache mount"),
        ("--network=host", "the network of this machine"),
        ("--security=insecure", "--security=insecure"),
    ] {
        let machine = step(&record, part).ran_on.clone().unwrap();
        assert!(machine.machine.is_none() && machine.why_here.unwrap().contains(why), "{part}");
    }
    assert_eq!(ran_on(&record, "echo e"), Some("machine-1"));
    let mut grep = std::process::Command::new("grep");
    let found = grep.args(["-r", "-l", "correct horse battery"]).arg(server.folder()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&found.stdout), "", "the secret is not on the server");
}

#[test(Program("buildbox-casd"), Root)]
fn a_bake_runs_its_steps_on_other_machines() {
    let server = machine();
    let world = World::new("FROM busybox\nARG WORD\nRUN echo $WORD > /word\n");
    world.write(
        "docker-bake.json",
        r#"{"group": {"default": {"targets": ["a", "b"]}}, "target": {"a": {"args": {"WORD": "a"}}, "b": {"args": {"WORD": "b"}}}}"#,
    );
    let record = world.path("record.json");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_buildscope"));
    command.arg("bake").arg("--root").arg(&world.store).current_dir(world.context());
    command.args(["--remote", &server.address(), "--remote-fallback", "fail", "--record"]).arg(&record);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let record = Record::read(std::fs::File::open(&record).unwrap()).unwrap();
    let away = record.steps.iter().filter(|step| step.ran_on.as_ref().is_some_and(|ran_on| ran_on.is_away()));
    assert_eq!(away.count(), 2);
}

#[test(Program("buildbox-casd"), Root)]
fn cache_mounts_of_workers_are_used_on_request() {
    let server = machine();
    let mount = "--mount=type=cache,id=kept,target=/cache,uid=5,mode=0750,sharing=locked";
    let dockerfile = |count: u32| {
        format!(
            "FROM busybox AS seed\nRUN echo seed > /seed\nFROM busybox\nARG COUNT={count}\n\
             RUN {mount} ls -ld /cache | cut -c1-10 > /mode; cat /cache/* > /before || true; echo $COUNT >> /cache/all\n\
             RUN --mount=type=cache,from=seed,target=/seeded cat /seeded/seed > /seed\n"
        )
    };
    let remote = ["--remote", &server.address(), "--remote-fallback", "fail", "--remote-cache-mounts", "worker"];
    for (count, before) in [(1, ""), (2, "1\n"), (3, "1\n2\n")] {
        // Each build is one of another machine.
        let world = World::new(&dockerfile(count));
        let out = world.path("out");
        let output = format!("type=local,dest={}", out.display());
        let record = world.build(&[&remote[..], &["--output", &output]].concat()).record();
        assert_eq!(ran_on(&record, "id=kept"), Some("machine-1"));
        let read = |name: &str| std::fs::read_to_string(out.join(name)).unwrap();
        assert_eq!((read("mode").as_str(), read("before").as_str()), ("drwxr-x---\n", before));
        assert_eq!(read("seed"), "seed\n");
    }
    // A step that runs here has the cache of this machine.
    let world = World::new(&dockerfile(4));
    let record = world.build(&remote[..4]).record();
    let why = step(&record, "id=kept").ran_on.clone().unwrap().why_here.unwrap();
    assert!(why.contains("--remote-cache-mounts"), "{why}");
    assert_eq!(ran_on(&record, "echo seed"), Some("machine-1"));
}

#[test(Program("buildbox-casd"), Root)]
fn local_slots_come_first_and_the_rest_goes_away() {
    let server = machine();
    let step_of = |n: u32| format!("FROM busybox AS s{n}\nRUN sleep 1; echo {n} > /out\n");
    let copies: String = (0..5).map(|n| format!("COPY --from=s{n} /out /{n}\n")).collect();
    let world = World::new(&format!("{}FROM scratch\n{copies}", (0..5).map(step_of).collect::<String>()));
    let remote = ["--remote", &server.address(), "--remote-fallback", "fail", "--jobs", "5"];
    let record = world.build(&[&remote[..], &["--remote-local-jobs", "2"]].concat()).record();
    let runs: Vec<&Step> = record.steps.iter().filter(|step| step.text.contains("sleep")).collect();
    let here: Vec<&Step> = runs.into_iter().filter(|step| !step.ran_on.as_ref().unwrap().is_away()).collect();
    assert!(here.len() >= 2, "{} steps ran here", here.len());
    for step in &here {
        let why = step.ran_on.clone().unwrap().why_here.unwrap();
        assert!(why.contains("local slot"), "{why}");
    }
    let sent =
        record.spans.iter().filter(|span| span.phase == Phase::Push && span.name.as_deref() == Some(&server.address()));
    let bytes: Vec<u64> = sent.filter_map(|span| span.fields.get("bytes_read").copied()).collect();
    let most = *bytes.iter().max().unwrap();
    assert!(
        bytes.iter().sum::<u64>() < 2 * most,
        "steps that start together send the program and the base once: {bytes:?}"
    );
    let ran_here = || {
        let processes = record.spans.iter().filter(|span| span.phase == Phase::Process);
        processes.filter(|span| here.iter().any(|step| Some(step.id) == span.step))
    };
    for span in ran_here() {
        let at_once = ran_here().filter(|other| other.start <= span.start && span.start < other.end).count();
        assert!(at_once <= 2, "{at_once} steps ran here at a time");
    }
}

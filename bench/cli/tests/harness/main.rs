//! The harness through its command line, as a user runs it, with a corpus of two tiny workloads. Needs root.

use buildscope_testing::{test, until};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::process::{Command, Output};

fn main() -> ExitCode {
    buildscope_testing::main()
}

/// A corpus, a root and a folder for runs, removed at the end.
struct World(tempfile::TempDir);

impl World {
    fn new() -> Self {
        let world = Self(tempfile::tempdir().unwrap());
        world.workload(
            "right",
            "FROM busybox\nCOPY word /\nRUN cat /word /word > /twice\n",
            "[expect.files]\n\"/twice\" = { size = 8 }\n",
        );
        world.workload("wrong", "FROM busybox\nCOPY word /\n", "[expect]\nabsent = [\"/word\"]\n");
        world
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn workload(&self, name: &str, dockerfile: &str, expect: &str) {
        let folder = self.path("corpus").join(name);
        fs::create_dir_all(&folder).unwrap();
        let head = "category = \"shape\"\nwhy = \"It is here to test the harness itself.\"\nscenarios = [\"cold\", \"warm\", \"edit\", \"base\", \"imported\"]\nbases = [\"busybox\"]\n";
        let edit = "[[edit]]\nscenario = \"edit\"\npath = \"word\"\nwrite = \"no{n}\\n\"\n";
        fs::write(folder.join("workload.toml"), format!("{head}{edit}{expect}")).unwrap();
        fs::write(folder.join("Dockerfile"), dockerfile).unwrap();
        fs::write(folder.join("word"), "one\n").unwrap();
    }

    /// Measures a workload into the folder `run`. The options are separated by spaces.
    fn bench(&self, options: &str, more: &[&str]) -> Output {
        let words: Vec<_> = ["bench"].into_iter().chain(options.split(' ')).chain(more.iter().copied()).collect();
        self.buildscope(&[&words[..], &["--out", "run"]].concat())
    }

    fn buildscope(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_buildscope"));
        command
            .args(arguments)
            .current_dir(self.0.path())
            .env("BUILDSCOPE_ROOT", self.path("root"))
            .env("BUILDSCOPE_CORPUS", self.path("corpus"));
        command.output().unwrap()
    }
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn a_run_is_saved_exported_compared_and_listed() {
    let world = World::new();
    let bench = |out: &str| {
        let arguments = [
            "bench",
            "right",
            "--policies",
            "serial,instructions",
            "--caches",
            "cold,warm,edit",
            "--runs",
            "2",
            "--out",
            out,
            "--export-json",
            "h.json",
        ];
        let output = world.buildscope(&arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let table = bench("one");
    assert!(
        table.contains("right edit buildscope instructions") && table.contains("n too small to show anything"),
        "{table}"
    );

    // Six cases of two samples, each with a readable record.
    let run = json(&world.path("one/run.json"));
    let cases = run["cases"].as_array().unwrap();
    assert_eq!((cases.len(), run["canary"].as_array().unwrap().len()), (6, 2));
    let record = world.path("one").join(cases[0]["samples"][0]["record"].as_str().unwrap());
    assert!(world.buildscope(&["explain", record.to_str().unwrap()]).status.success());
    // An edit runs the copy again; a warm build runs nothing.
    let executed = |case: &Value| {
        let record = json(&world.path("one").join(case["samples"][1]["record"].as_str().unwrap()));
        record["steps"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|step| step["outcome"] == "executed" && step["instruction"] != "FROM")
            .count()
    };
    let of = |cache: &str| cases.iter().find(|case| case["scenario"] == cache).unwrap();
    assert_eq!((executed(of("cold")), executed(of("edit")), executed(of("warm"))), (2, 2, 0));

    let results = json(&world.path("h.json"))["results"].as_array().unwrap().clone();
    assert!(
        results
            .iter()
            .all(|result| result["times"].as_array().unwrap().len() == 2 && result["median"].as_f64() > Some(0.0))
    );

    bench("two");
    // Two samples per case show nothing, and no exact quantity has changed.
    let compared = world.buildscope(&["compare", "one", "two"]);
    assert!(compared.status.success(), "{}", String::from_utf8_lossy(&compared.stdout));
    let listed = world.buildscope(&["history", "list"]);
    assert_eq!(String::from_utf8(listed.stdout).unwrap().lines().count(), 2);
    assert!(world.buildscope(&["report", "two", "-o", "two.html"]).status.success());
    assert!(fs::read_to_string(world.path("two.html")).unwrap().contains("<svg"));
    // Contexts and stores were removed.
    assert_eq!(fs::read_dir(world.path("root/bench")).unwrap().count(), 0);
}

/// The quality of the predictions is checked at night, on a quiet machine.
#[test]
fn predictions_are_compared_with_builds() {
    let world = World::new();
    let output = world.buildscope(&["bench", "--verify", "right", "--runs", "1", "--out", "proof"]);
    assert!(output.status.success(), "{output:?}");
    let proofs = json(&world.path("proof/proof.json"));
    let of = |kind: &str| proofs.as_array().unwrap().iter().filter(|proof| proof["kind"] == kind).count();
    assert_eq!((of("policy"), of("slots")), (2, 2));
    assert!(
        of("delay") >= 5,
        "a RUN and a COPY have a process, a sandbox, a snapshot and a copy, and are kinds of steps"
    );
    assert_eq!(of("stub"), 1, "an export can be left out");
    assert!(proofs.as_array().unwrap().iter().all(|proof| proof["measured"].as_f64() > Some(0.0)));
    assert!(String::from_utf8_lossy(&output.stdout).contains("predictions: median error"));
    let again = world.buildscope(&["bench", "--verify", "--again", "proof"]);
    let printed = |output: &std::process::Output| String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(printed(&again), printed(&output), "the same predictions from the saved records");
    let nothing = world.buildscope(&["bench", "--verify", "--again", "root"]);
    assert_eq!((nothing.status.code(), printed(&nothing).as_str()), (Some(2), ""));
    assert!(!world.path("root/bench").exists() || fs::read_dir(world.path("root/bench")).unwrap().count() == 0);
}

#[test]
fn wrong_images_are_excluded_from_statistics() {
    let world = World::new();
    let output = world.bench("wrong --policies stages --caches cold --runs 1", &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("/word should not be there"));
    let run = json(&world.path("run/run.json"));
    assert!(run["cases"][0]["samples"][0]["fault"].is_string());
}

/// A baseline binary without the needed features fails before anything is timed; the other binary is still measured.
#[test]
fn a_failing_binary_does_not_stop_the_others() {
    let world = World::new();
    let base = world.path("base");
    fs::write(&base, "#!/bin/sh\necho no such syntax >&2\nexit 1\n").unwrap();
    fs::set_permissions(&base, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let binaries = [format!("base={}", base.display()), format!("head={}", env!("CARGO_BIN_EXE_buildscope"))];
    let options = "right --policies serial --caches cold,edit --runs 2 --gate --calls 0 --judgement judgement.md";
    let output = world.bench(options, &["--binary", &binaries[0], "--binary", &binaries[1]]);
    let printed = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{printed}");
    assert!(printed.contains("no such syntax"), "{printed}");
    let run = json(&world.path("run/run.json"));
    let good = |builder: &str| {
        let cases = run["cases"].as_array().unwrap().iter().filter(|case| case["subject"]["builder"] == builder);
        let samples = cases.flat_map(|case| case["samples"].as_array().unwrap());
        samples.filter(|sample| sample["fault"].is_null()).count()
    };
    assert_eq!((good("base"), good("head")), (0, 4));
    let judgement = fs::read_to_string(world.path("judgement.md")).unwrap();
    assert!(judgement.starts_with("**No build times could be compared.**"), "{judgement}");
    assert!(judgement.contains("Of 2 of 2 cases one side has no good build."), "{judgement}");
    // If no binary can build, nothing can be measured.
    let alone = world.bench("right --policies serial --caches cold --runs 2", &["--binary", &binaries[0]]);
    assert_eq!(alone.status.code(), Some(3), "{}", String::from_utf8_lossy(&alone.stderr));
}

/// Only quick workloads are measured twice; without quick workloads, all are measured twice.
#[test]
fn quick_workloads_measure_the_base_twice() {
    let world = World::new();
    world.workload("long", "FROM busybox\nCOPY word /\n", "[expect.files]\n\"/word\" = { size = 4 }\n");
    let binary = format!("base={}", env!("CARGO_BIN_EXE_buildscope"));
    let measured = |workloads: &str| {
        let options = format!("{workloads} --policies serial --caches cold --runs 1 --aa --calls 0 --no-history");
        let output = world.bench(&options, &["--binary", &binary]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let run = json(&world.path("run/run.json"));
        let cases = run["cases"].as_array().unwrap().iter();
        let name = |case: &Value| format!("{} {}", case["workload"], case["subject"]["builder"]).replace('"', "");
        cases.map(name).collect::<Vec<_>>()
    };
    assert_eq!(measured("long right"), ["long base", "long again", "right base", "right again"]);
    let manifest = world.path("corpus/right/workload.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, format!("quick = true\n{text}")).unwrap();
    assert_eq!(measured("long right"), ["long base", "right base", "right again"]);
}

/// Twenty-five cold builds of 16 MB each in 400 MB: the results of early builds must be removed for the later ones.
#[test]
fn a_long_run_does_not_fill_the_disk() {
    struct Mounted(std::path::PathBuf);
    impl Drop for Mounted {
        fn drop(&mut self) {
            let _ = Command::new("umount").arg("-l").arg(&self.0).status();
        }
    }
    let world = World::new();
    let step = "FROM busybox\nRUN head -c 8000000 /dev/urandom > /f\n";
    world.workload("large", step, "[expect.files]\n\"/f\" = { size = 8000000 }\n");
    let root = Mounted(world.path("root"));
    fs::create_dir(&root.0).unwrap();
    let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=200m", "tmpfs"]).arg(&root.0).status();
    assert!(mount.unwrap().success(), "as root");
    let output = world.bench("large --policies serial --caches cold --runs 24", &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn an_interrupted_run_keeps_its_samples() {
    let world = World::new();
    let (run, timings) = (world.path("run/run.json"), world.path("h.json"));
    let mut bench = Command::new(env!("CARGO_BIN_EXE_buildscope"));
    bench.args(["bench", "right", "--policies", "serial", "--caches", "warm", "--runs", "100000", "--out", "run"]);
    bench.arg("--export-json").arg(&timings).current_dir(world.0.path());
    bench.env("BUILDSCOPE_ROOT", world.path("root")).env("BUILDSCOPE_CORPUS", world.path("corpus"));
    let mut bench = bench.spawn().unwrap();
    until("the first sample is there", || timings.exists() || bench.try_wait().unwrap().is_some());
    let sent = Command::new("kill").args(["-INT", &bench.id().to_string()]).status().unwrap();
    let status = bench.wait().unwrap();
    assert!(sent.success() && status.code() == Some(130), "the run did not end as interrupted: {status}");
    let kept = json(&run);
    let samples = kept["cases"][0]["samples"].as_array().unwrap();
    assert!(
        kept["interrupted"] == true && !samples.is_empty() && samples.iter().all(|sample| sample["fault"].is_null())
    );
    assert_eq!(json(&timings)["results"][0]["times"].as_array().unwrap().len(), samples.len());
    assert_eq!(fs::read_dir(world.path("root/bench")).unwrap().count(), 0, "contexts and stores were not removed");
}

#[test]
fn impossible_measurements_are_usage_errors() {
    let world = World::new();
    for arguments in [
        &["bench", "nowhere"][..],
        &["bench", "right", "--caches", "lukewarm"],
        &["bench", "right", "--runs", "0"],
        &["bench", "--gate"],
    ] {
        assert_eq!(world.buildscope(arguments).status.code(), Some(2), "{arguments:?}");
    }
}

/// A build on a changed base runs the dependent steps; one with an imported cache runs nothing, in an initially empty
/// store.
#[test]
fn cache_states_have_their_effect() {
    let world = World::new();
    let output = world.bench("right --policies instructions --caches base,imported --runs 2", &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let run = json(&world.path("run/run.json"));
    let outcomes = |case: usize, round: usize| {
        let record = run["cases"][case]["samples"][round]["record"].as_str().unwrap();
        let record = json(&world.path("run").join(record));
        let steps = record["steps"].as_array().unwrap().iter();
        let work = steps.filter(|step| step["instruction"] != "FROM");
        work.map(|step| step["outcome"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(run["cases"][0]["scenario"], "base");
    for round in 0..2 {
        assert!(outcomes(0, round).contains(&"executed".to_owned()), "{:?}", outcomes(0, round));
        assert_eq!(outcomes(1, round), ["cached", "cached"]);
    }
}

/// Another builder's build is explained from its log with times; here a script prints docker's output.
#[test]
fn a_peer_is_explained_from_its_log() {
    let world = World::new();
    let script = "talk={context};for line in 'Step 1/2 : FROM busybox' ' ---> aaaaaaaaaaaa' 'Step 2/2 : RUN sleep 1' \
        ' ---> Running in bbbbbbbbbbbb';do echo \"$line\";done;sleep 0.3;echo ' ---> cccccccccccc';\
        echo 'Successfully built cccccccccccc'";
    let peer = format!("talker={script}");
    let output = world.bench("right --policies instructions --caches cold --runs 1", &["--peer", &peer]);
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{table}{}", String::from_utf8_lossy(&output.stderr));
    let run = json(&world.path("run/run.json"));
    let record = json(&world.path("run").join(run["cases"][1]["samples"][0]["record"].as_str().unwrap()));
    let step = &record["steps"][1];
    assert_eq!(step["text"], "RUN sleep 1");
    let lasted = step["end"].as_u64().unwrap() - step["start"].as_u64().unwrap();
    assert!(lasted >= 250_000_000, "{lasted} ns of a sleep of 0.3 s");
    let line = table.lines().rfind(|line| line.starts_with("right cold talker")).unwrap();
    assert!(line.contains("RUN sleep 1"), "{table}");
}

/// The head is a shell that executes the base: it starts one more program and is otherwise equal. The gate reports
/// that one call, and nothing for the base measured twice.
#[test(Root, Program("strace"))]
fn the_gate_counts_system_calls() {
    let world = World::new();
    let base = env!("CARGO_BIN_EXE_buildscope");
    let head = world.path("head");
    fs::write(&head, format!("#!/bin/sh\nexec {base} \"$@\"\n")).unwrap();
    fs::set_permissions(&head, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let binaries = [format!("base={base}"), format!("head={}", head.display())];
    let options = "right --policies serial --caches cold,edit --runs 2 --aa --gate --judgement judgement.md";
    let output = world.bench(options, &["--binary", &binaries[0], "--binary", &binaries[1]]);
    let printed = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{printed}");
    assert!(!printed.contains("this run is void"), "{printed}");
    let run = json(&world.path("run/run.json"));
    let execs = |builder: &str| {
        let cases = run["cases"].as_array().unwrap().iter().filter(|case| case["subject"]["builder"] == builder);
        let counts = cases.flat_map(|case| case["calls"].as_array().unwrap());
        counts.map(|calls| calls["execs"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    let (base, head) = (execs("base"), execs("head"));
    assert_eq!((base.len(), base[0], base.clone()), (4, base[1], execs("again")));
    assert!(base.iter().zip(&head).all(|(base, head)| base + 1 == *head), "{base:?} {head:?}");
    let judgement = fs::read_to_string(world.path("judgement.md")).unwrap();
    let change = format!("right cold head serial`: system calls, execs: {} to {}", base[0], base[0] + 1);
    assert!(judgement.contains(&change) && judgement.matches("system calls").count() == 2, "{judgement}");
}

/// This binary starts one more program when it builds as `again`, so it differs from itself: the run is void, and the
/// output says so.
#[test(Root, Program("strace"))]
fn a_run_whose_base_differs_from_itself_is_void() {
    let world = World::new();
    let base = world.path("base");
    let buildscope = env!("CARGO_BIN_EXE_buildscope");
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *-again-*) exec sh -c 'exec \"$0\" \"$@\"' {buildscope} \"$@\";; esac\nexec {buildscope} \"$@\"\n"
    );
    fs::write(&base, script).unwrap();
    fs::set_permissions(&base, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let binary = format!("base={}", base.display());
    let options = "right --policies serial --caches cold --runs 1 --aa --calls 2 --judgement judgement.md";
    let output = world.bench(options, &["--binary", &binary]);
    let printed = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{printed}");
    assert!(printed.contains("this run is void"), "{printed}");
    let judgement = fs::read_to_string(world.path("judgement.md")).unwrap();
    assert!(judgement.starts_with("**Void") && judgement.contains("right cold again"), "{judgement}");
    // The history ignores its times.
    let history = world.buildscope(&["history", "list"]);
    assert!(history.status.success() && history.stdout.is_empty(), "{history:?}");
}

#[test]
fn a_directory_is_measured_cold_warm_and_after_an_edit() {
    let world = World::new();
    let folder = world.path("mine");
    fs::create_dir_all(folder.join("src")).unwrap();
    fs::write(folder.join("README.md"), "needed\n").unwrap();
    fs::write(folder.join(".dockerignore"), "left-out\n").unwrap();
    fs::write(folder.join("left-out"), "x\n").unwrap();
    let dockerfile = "FROM busybox\nARG WORD=none\nCOPY . /all\nRUN test ! -e /all/left-out && test -e /all/README.md && test $WORD = given\n";
    fs::write(folder.join("Dockerfile"), dockerfile).unwrap();
    fs::write(folder.join("src/main.c"), "int main;\n").unwrap();
    let bench = |more: &[&str]| {
        let first = ["bench", "mine", "--runs", "1", "--edit", "src/main.c", "--out", "run"];
        world.buildscope(&[&first[..], more].concat())
    };
    let output = bench(&["--", "--build-arg", "WORD=given"]);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{stderr}");
    assert!(stderr.contains("mine: the state `edit` appends a line to src/main.c"), "{stderr}");
    let run = json(&world.path("run/run.json"));
    let cases: Vec<_> = run["cases"].as_array().unwrap().iter().map(|case| case["scenario"].clone()).collect();
    assert_eq!(cases, ["cold", "warm", "edit"]);
    assert_eq!(fs::read_to_string(folder.join("src/main.c")).unwrap(), "int main;\n", "the files of the user stay");
    let wrong = world.buildscope(&["bench", "./mine", "--edit", "nothing.c"]);
    assert_eq!(wrong.status.code(), Some(2));
}

//! Applies advice that has a diff: the resulting Dockerfile passes the check, builds, and gives the same files.

use crate::world::World;
use buildscope_reports::advise::Advice;
use buildscope_reports::explain;
use buildscope_testing::test;
use buildscope_workloads::Corpus;
use std::path::Path;

/// The files below `/out` in the image, with mode, owner and content.
fn files(world: &World, args: &[&str]) -> Vec<(String, u32, u64, String)> {
    use std::io::Read;
    let tar = world.path("out.tar");
    let output = format!("type=tar,dest={}", tar.display());
    world.build(&[args, &["--output", &output]].concat()).record();
    let mut archive = tar::Archive::new(std::fs::File::open(&tar).unwrap());
    let mut found = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().to_string_lossy().into_owned();
        if path.trim_start_matches('/').starts_with("out/") && entry.header().entry_type().is_file() {
            let mut text = String::new();
            let (mode, owner) = (entry.header().mode().unwrap(), entry.header().uid().unwrap());
            entry.read_to_string(&mut text).unwrap();
            found.push((path, mode, owner, text));
        }
    }
    found.sort();
    assert!(!found.is_empty());
    found
}

/// Builds, applies the advice of that rule, and builds again.
fn take(world: &World, dockerfile: &str, rule: &str) -> (Advice, String) {
    let record = world.build(&["--no-cache"]).record();
    let explanation = explain(&record);
    let advice = &explanation.advice;
    let found = advice.iter().find(|advice| advice.rule == rule);
    let advice = found.unwrap_or_else(|| panic!("no {rule} in {advice:#?}")).clone();
    assert!(
        (advice.gain.0 > 0 || rule == "cache-mount") && !advice.caveat.is_empty() && advice.line.is_some(),
        "{advice:?}"
    );
    let before = files(world, &[]);
    let better = advice.applied(dockerfile, &explanation.steps).expect("the diff applies");
    world.write("Dockerfile", &better);
    let mut check = std::process::Command::new(env!("CARGO_BIN_EXE_buildscope"));
    let checked = check.arg("check").arg("--root").arg(&world.store).arg(world.context()).output().unwrap();
    assert_ne!(checked.status.code(), Some(3), "{better}{}", String::from_utf8_lossy(&checked.stderr));
    let printed = String::from_utf8_lossy(&checked.stdout).into_owned() + &String::from_utf8_lossy(&checked.stderr);
    assert!(!printed.contains("error"), "{better}{printed}");
    assert_eq!(files(world, &[]), before, "{better}");
    (advice, better)
}

/// A replacement for npm that installs what package.json lists.
const NPM: &str = "#!/bin/sh\nset -e\nsleep 0.3\nmkdir -p /out\ncase $1 in\nci) cat package.json > /out/installed ;;\nrun) cat app.js > /out/built ;;\nesac\n";

fn node(dockerfile: &str) -> World {
    let world = World::new(dockerfile);
    world.write("npm", NPM);
    world.write("package.json", "{}");
    world.write("app.js", "one");
    world
}

#[test]
fn an_install_before_the_sources_stays_cached() {
    let dockerfile =
        "FROM busybox\nCOPY --chmod=755 npm /bin/npm\nWORKDIR /app\nCOPY . .\nRUN npm ci\nRUN npm run build\n";
    let world = node(dockerfile);
    let (_, better) = take(&world, dockerfile, "copy-before-install");
    assert!(better.contains("COPY package.json ./\nRUN npm ci\nCOPY . .\n"), "the lock file does not exist: {better}");
    world.write("app.js", "two");
    let record = world.build(&[]).record();
    let ran = record.steps.iter().filter(|step| step.outcome == buildscope_record::Outcome::Executed);
    let ran: Vec<_> = ran.map(|step| step.text.as_str()).collect();
    assert_eq!(ran, ["COPY . .", "RUN npm run build"]);
}

#[test]
fn an_install_gets_its_own_layer_and_a_cache() {
    let dockerfile = "FROM busybox\nCOPY --chmod=755 npm /bin/npm\nWORKDIR /app\nCOPY package.json app.js ./\nRUN npm ci && npm run build\n";
    let world = node(dockerfile);
    let (_, better) = take(&world, dockerfile, "split-run");
    assert!(better.ends_with("RUN npm ci\nRUN npm run build\n"), "{better}");
    // This npm waits for no network, so there is nothing to save. Where that is not known, the advice has no number.
    let of = |flags: &[&str]| {
        let explanation = explain(&world.build(flags).record());
        let found = explanation.advice.iter().find(|advice| advice.rule == "cache-mount").cloned();
        found.map(|advice| (advice.gain.0, advice.applied(&better, &explanation.steps).unwrap()))
    };
    assert_eq!(of(&["--no-cache"]), None);
    let (gain, cached) = of(&["--no-cache", "--no-processes"]).unwrap();
    assert!(gain == 0 && cached.contains("RUN --mount=type=cache,target=/root/.npm npm ci\n"), "{gain} {cached}");
    let before = files(&world, &[]);
    world.write("Dockerfile", &cached);
    assert_eq!(files(&world, &[]), before);
}

#[test]
fn chown_becomes_an_option_of_copy() {
    let dockerfile = "FROM busybox\nCOPY src /out\nRUN chown -R 1000:1000 /out\n";
    let world = World::new(dockerfile);
    for number in 0..300 {
        world.write(&format!("src/{number}"), &"x".repeat(20_000));
    }
    let (_, better) = take(&world, dockerfile, "recursive-chown");
    assert_eq!(better, "FROM busybox\nCOPY --chown=1000:1000 src /out\nRUN chown 1000:1000 /out\n");
}

/// A pair from the corpus: applying the advice to the bad form gives the image of the good form.
#[test]
fn advice_turns_the_bad_form_into_the_good_one() {
    let corpus = Corpus::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../workloads/corpus")).unwrap();
    let world = |name: &str| {
        let world = World::empty();
        corpus.load(name).unwrap().materialise(&world.context()).unwrap();
        world
    };
    let (bad, good) = (world("chown"), world("chown-good"));
    let record = bad.build(&["--no-cache"]).record();
    let explanation = explain(&record);
    let advice = explanation.advice.iter().find(|advice| advice.rule == "recursive-chown").unwrap();
    let dockerfile = std::fs::read_to_string(bad.context().join("Dockerfile")).unwrap();
    bad.write("Dockerfile", &advice.applied(&dockerfile, &explanation.steps).unwrap());
    // The directory itself may have been there before: it keeps a chown of its own.
    let better = std::fs::read_to_string(bad.context().join("Dockerfile")).unwrap();
    assert!(better.ends_with("RUN chown 1000:1000 /src\n"), "{better}");
    bad.write("Dockerfile", better.trim_end_matches("RUN chown 1000:1000 /src\n"));
    assert_eq!(bad.digest(&[]), good.digest(&[]));
}

#[test]
fn a_copied_git_directory_is_excluded() {
    let world = World::new("FROM scratch\nCOPY . /src\n");
    world.write("main.c", "int main;");
    world.write(".git/objects/pack", &"x".repeat(3_000_000));
    let record = world.build(&["--no-cache"]).record();
    let of =
        |path: &str| record.context.iter().find(|entry| entry.path == path).map(|entry| (entry.files, entry.bytes.0));
    assert_eq!((of(".git"), of("main.c")), (Some((1, 3_000_000)), Some((1, 9))));
    let advice = explain(&record).advice.into_iter().find(|advice| advice.rule == "dockerignore").unwrap();
    assert!(advice.text.contains("3.00 MB in 1 files") && advice.line == Some(2), "{advice:?}");
    world.write(".dockerignore", &(advice.diff[0].trim_start_matches('+').to_owned() + "\n"));
    let again = world.build(&["--no-cache"]).record();
    assert!(!again.context.iter().any(|entry| entry.path == ".git"));
    assert!(!explain(&again).advice.iter().any(|advice| advice.rule == "dockerignore"));
}

#[test]
fn small_runs_are_joined() {
    let lines: String = (0..12).map(|number| format!("RUN echo {number} > /out/{number}\n")).collect();
    let dockerfile = format!("FROM busybox\nRUN mkdir /out\n{lines}");
    let world = World::new(&dockerfile);
    let (_, better) = take(&world, &dockerfile, "many-small-runs");
    assert!(
        better.starts_with("FROM busybox\nRUN mkdir /out \\\n    && echo 0 > /out/0 \\\n    && echo 1"),
        "{better}"
    );
    assert_eq!(better.matches("RUN ").count(), 1, "{better}");
}

#[test]
fn parts_of_the_context_get_their_own_stages() {
    let part = |name: &str| format!("RUN cd {name} && sleep 0.2 && cat in > ../{name}.built\n");
    let dockerfile = format!(
        "FROM busybox\nWORKDIR /out\nCOPY . .\n{}{}RUN cat one.built two.built > both\n",
        part("one"),
        part("two")
    );
    let world = World::new(&dockerfile);
    world.write(".dockerignore", "Dockerfile\n");
    world.write("main", "main");
    world.write("one/in", "1");
    world.write("two/in", "2");
    let (advice, better) = take(&world, &dockerfile, "independent-parts");
    assert!(better.contains("FROM common AS two\nCOPY two two/\nRUN cd two && "), "{better}");
    // The prediction holds: the build is about that much shorter, and an edit elsewhere reruns neither part.
    assert!(advice.gain.as_millis_f64() > 150.0, "{advice:?}");
    world.write("main", "another main");
    let record = world.build(&[]).record();
    let ran = record.steps.iter().filter(|step| step.outcome == buildscope_record::Outcome::Executed);
    assert!(!ran.clone().any(|step| step.text.contains("sleep")), "{:?}", ran.collect::<Vec<_>>());
}

/// The patch of `explain --patch` keeps comments, continuations and order, and `git apply` takes it.
#[test(Program("git"))]
fn a_patch_applies_with_git() {
    let dockerfile = "FROM busybox\nCOPY --chmod=755 npm /bin/npm\n# the project\nWORKDIR /app\nCOPY . .\n\nRUN \\\n    # exactly what the lock file says\n    npm ci \\\n    --omit=dev\nRUN npm run build # last\n";
    let world = node(dockerfile);
    let record = world.path("build.json");
    std::fs::copy(world.build(&["--no-cache"]).record, &record).unwrap();
    let before = files(&world, &[]);
    let (patch, context) = (world.path("advice.patch"), world.context());
    let run = |program: &str, args: &[&std::ffi::OsStr]| {
        let output = std::process::Command::new(program).args(args).current_dir(&context).output().unwrap();
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let said = run(
        env!("CARGO_BIN_EXE_buildscope"),
        &[
            "explain".as_ref(),
            record.as_os_str(),
            "--dockerfile".as_ref(),
            "Dockerfile".as_ref(),
            "--patch".as_ref(),
            patch.as_os_str(),
        ],
    );
    assert!(said.contains("copy-before-install (line 7)"), "{said}");
    run("git", &["apply".as_ref(), patch.as_os_str()]);
    let better = std::fs::read_to_string(context.join("Dockerfile")).unwrap();
    let middle = better.contains("# the project\nWORKDIR /app\nCOPY package.json ./\n\nRUN ");
    assert!(
        middle && better.contains(" \\\n    # exactly what"),
        "{better}\n{}",
        std::fs::read_to_string(&patch).unwrap()
    );
    assert!(better.contains("    --omit=dev\nCOPY . .\nRUN npm run build # last\n"), "{better}");
    assert_eq!(files(&world, &[]), before, "{better}");
}

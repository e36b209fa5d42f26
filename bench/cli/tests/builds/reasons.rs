//! Why steps of real builds missed the cache.

use crate::world::World;
use buildscope_record::Record;
use buildscope_reports::explain_with;
use buildscope_reports::misses::{Cause, Miss};
use buildscope_testing::test;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};

const DOCKERFILE: &str =
    "FROM busybox\nCOPY cfg.json /\nCOPY src /src\nRUN cat /src/a.txt > /out\nRUN echo last > /last\n";

fn world() -> World {
    let world = World::new(DOCKERFILE);
    world.write("cfg.json", "{}");
    world.write("src/a.txt", "a");
    world
}

/// Gives all files of the context times that no earlier build has seen, as a fresh checkout does.
fn check_out_again(world: &World) {
    for file in ["cfg.json", "src/a.txt"] {
        let later = SystemTime::now() + Duration::from_secs(100);
        fs::File::options().write(true).open(world.context().join(file)).unwrap().set_modified(later).unwrap();
    }
}

fn misses(now: &Record, before: &Record) -> Vec<Miss> {
    explain_with(now, std::slice::from_ref(before)).misses
}

/// The texts of the steps and the causes.
fn causes(world: &World, before: &Record, args: &[&str]) -> Vec<(String, Cause)> {
    let now = world.build(args).record();
    let found = misses(&now, before);
    found.into_iter().map(|miss| (now.steps[miss.step.index()].text.clone(), miss.cause)).collect()
}

#[test]
fn a_fresh_checkout_changes_only_times() {
    let world = world();
    let before = world.build(&[]).record();
    check_out_again(&world);
    let mut found = causes(&world, &before, &[]);
    found.sort();
    assert_eq!(found, [("COPY cfg.json /".into(), Cause::Times), ("COPY src /src".into(), Cause::Times)]);
}

#[test]
fn a_fresh_checkout_does_not_hide_the_instruction_that_was_inserted() {
    let world = world();
    let before = world.build(&[]).record();
    check_out_again(&world);
    world.write("Dockerfile", &DOCKERFILE.replace("COPY cfg", "RUN true > /new\nCOPY cfg"));
    let now = world.build(&[]).record();
    let found = misses(&now, &before);
    assert_eq!(found.len(), 1, "{found:?}");
    let miss = &found[0];
    assert_eq!((now.steps[miss.step.index()].text.as_str(), &miss.cause), ("RUN true > /new", &Cause::New));
    assert_eq!(miss.caused.len(), 4, "{}", miss.sentence);
}

#[test]
fn a_file_is_named_also_under_a_bind_mount() {
    let dockerfile =
        "FROM busybox\nRUN --mount=type=bind,source=src,target=/m cat /m/a.txt > /out\nRUN echo last > /last\n";
    let world = world();
    world.write("Dockerfile", dockerfile);
    let before = world.build(&[]).record();
    world.write("src/a.txt", "changed");
    let found = causes(&world, &before, &[]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(matches!(&found[0].1, Cause::Files(files) if files.len() == 1 && files[0].ends_with("a.txt")), "{found:?}");
}

#[test]
fn a_mode_is_named_with_its_path() {
    let world = world();
    let path = world.context().join("src/a.txt");
    let mode = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    mode(0o644);
    let before = world.build(&[]).record();
    mode(0o755);
    let found = causes(&world, &before, &[]);
    let expected = Cause::Metadata(vec!["mode of `src/a.txt` (0644, now 0755)".into()]);
    assert_eq!(found, [("COPY src /src".into(), expected)]);
}

#[test]
fn removed_and_moved_instructions_are_named() {
    let world = world();
    let before = world.build(&[]).record();
    world.write("Dockerfile", &DOCKERFILE.replace("COPY cfg.json /\n", ""));
    let found = causes(&world, &before, &[]);
    assert_eq!(found, [("COPY src /src".into(), Cause::Removed("COPY cfg.json /".into()))]);
    let moved = "FROM busybox\nCOPY src /src\nCOPY cfg.json /\nRUN cat /src/a.txt > /out\nRUN echo last > /last\n";
    world.forget();
    world.write("Dockerfile", moved);
    let found = causes(&world, &before, &[]);
    assert_eq!(found, [("COPY src /src".into(), Cause::Moved("COPY cfg.json /".into()))]);
}

#[test]
fn one_argument_and_no_cache_are_one_sentence_each() {
    let world = World::new("FROM busybox\nARG V\nRUN echo 1 > /1\nRUN echo 2 > /2\nRUN echo 3 > /3\n");
    let before = world.build(&["--build-arg", "V=1"]).record();
    let found = misses(&world.build(&["--build-arg", "V=2"]).record(), &before);
    let sentences: Vec<_> = found.iter().map(|miss| miss.sentence.as_str()).collect();
    assert_eq!(sentences.len(), 1, "{sentences:?}");
    assert!(
        sentences[0].starts_with("build argument `V` changed for 3 steps from `RUN echo 1 > /1` on: "),
        "{sentences:?}"
    );
    let found = misses(&world.build(&["--build-arg", "V=1", "--no-cache"]).record(), &before);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].sentence.starts_with("`--no-cache` ignored the results of "), "{}", found[0].sentence);
}

#[test]
fn stages_that_are_not_looked_up_say_so() {
    let world = World::new("FROM busybox AS a\nRUN echo 1 > /1\nFROM busybox\nCOPY --from=a /1 /1\n");
    let before = world.build(&[]).record();
    let found = misses(&world.build(&["--no-cache-filter", "a"]).record(), &before);
    let run = found.iter().find(|miss| miss.cause == Cause::Unasked(vec!["a".into()])).unwrap();
    assert!(run.sentence.contains("`--no-cache-filter` ignored"), "{}", run.sentence);
}

#[test]
fn a_changed_base_is_named_with_its_digests() {
    let world = World::new("FROM base\nRUN echo a > /a\nRUN echo b > /b\n");
    let base = |word: &str| {
        let dir = world.path(word);
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("Dockerfile"), format!("FROM busybox\nRUN echo {word} > /word\n")).unwrap();
        let layout = world.path(&format!("{word}.oci"));
        let output = format!("type=oci,tar=false,dest={}", layout.display());
        let built = world.command_on(&["--output", &output], &[dir.to_str().unwrap()]).output().unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        format!("base=oci-layout://{}", layout.display())
    };
    let (one, two) = (base("one"), base("two"));
    let before = world.build(&["--build-context", &one]).record();
    let now = world.build(&["--build-context", &two]).record();
    let found = misses(&now, &before);
    assert_eq!(found.len(), 1, "{found:?}");
    let (miss, step) = (&found[0], &now.steps[found[0].step.index()]);
    assert_eq!(step.instruction.name(), "FROM");
    let Cause::Base { image, before, now } = &miss.cause else { panic!("{miss:?}") };
    assert!(image == "base" && before != now && before.starts_with("sha256:"), "{miss:?}");
    assert!(miss.sentence.contains("the base image `base` is sha256:"), "{}", miss.sentence);
}

#[test]
fn a_setting_before_a_step_is_named_and_not_its_text() {
    let file = |user: &str, folder: &str| {
        format!("FROM busybox\nWORKDIR {folder}\nRUN echo 1 > one\nUSER {user}\nRUN id -u > /tmp/user\n")
    };
    let world = World::new(&file("5", "/w"));
    let before = world.build(&[]).record();
    world.write("Dockerfile", &file("6", "/w"));
    let user = Cause::Setting { before: Some("USER 5".into()), now: Some("USER 6".into()) };
    assert_eq!(causes(&world, &before, &[]), [("RUN id -u > /tmp/user".into(), user)]);
    // The steps that follow a changed directory are counted with it.
    world.write("Dockerfile", &file("5", "/v"));
    let found = causes(&world, &before, &[]);
    assert_eq!(found, [("WORKDIR /v".into(), Cause::Instruction)]);
}

#[test]
fn files_of_mounts_and_patterns_are_named_by_their_paths() {
    let world = World::new(
        "FROM busybox\nCOPY *.txt /\nRUN --mount=type=bind,source=lib,target=/lib2 cat /lib2/x > /x\nCOPY <<EOF /h\none\nEOF\n",
    );
    world.write("a.txt", "a");
    world.write("b.txt", "b");
    world.write("lib/x", "1");
    let before = world.build(&[]).record();
    world.write("lib/x", "2");
    let files = |names: &[&str]| Cause::Files(names.iter().map(|name| (*name).to_owned()).collect());
    assert_eq!(causes(&world, &before, &[])[0].1, files(&["lib/x"]));
    world.write("lib/x", "1");
    world.write("b.txt", "c");
    assert_eq!(causes(&world, &before, &[])[0].1, files(&["b.txt"]));
}

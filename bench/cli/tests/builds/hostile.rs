//! What comes from outside, and machines at their limits: credentials and control sequences in texts, archives that grow,
//! full standard output, few file descriptors, read-only stores.

use crate::world::{Built, World};
use buildscope_testing::test;
use std::fs::{self, File};
use std::process::{Command, Output, Stdio};

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Everything that a build shows and records.
fn shown(built: &Built) -> String {
    text(&built.output) + &fs::read_to_string(&built.record).unwrap()
}

#[test]
fn a_failed_download_shows_no_credentials() {
    let world = World::new("FROM busybox\nADD http://me:SECRET1@127.0.0.1:1/f?token=SECRET2&part=1 /f\n");
    for progress in ["plain", "rawjson"] {
        let built = world.build(&["--progress", progress]);
        assert!(!built.output.status.success());
        let shown = shown(&built);
        assert!(shown.contains("http://me:xxxxx@127.0.0.1:1/f?token=xxxxx&part=1"), "{shown}");
        assert!(!shown.contains("SECRET"), "{shown}");
    }
}

#[test]
fn a_failed_checkout_shows_no_credentials() {
    let world = World::empty();
    let record = world.path("record.json");
    let context = ["https://SECRET@127.0.0.1:1/a.git"];
    let output = world.command_on(&["--record", record.to_str().unwrap()], &context).output().unwrap();
    let shown = text(&output) + &fs::read_to_string(record).unwrap_or_default();
    assert!(!output.status.success() && shown.contains("https://xxxxx@127.0.0.1:1/a.git"), "{shown}");
    assert!(!shown.contains("SECRET"), "{shown}");
}

#[test]
fn the_output_of_a_step_shows_no_credentials() {
    let world = World::new("FROM busybox\nRUN echo fetching https://me:SECRET@host/a.git; exit 3\n");
    let built = world.build(&["--progress", "plain"]);
    let shown = shown(&built);
    assert!(shown.contains("fetching https://me:xxxxx@host/a.git") && !shown.contains("SECRET"), "{shown}");
    assert_eq!(built.read().steps.last().unwrap().log, ["fetching https://me:xxxxx@host/a.git"]);
}

#[test(Program("script"))]
fn a_terminal_gets_no_control_sequences_of_a_step() {
    let world = World::new(
        "FROM busybox\nRUN printf '\\033]0;OWNED\\007\\033[2J\\342\\200\\256x \\033[32mgreen\\033[0m\\n'; sleep 0.3; exit 3\n",
    );
    for progress in ["plain", "tty"] {
        let build = world.command(&["--progress", progress]);
        let words = std::iter::once(build.get_program()).chain(build.get_args());
        let line: Vec<String> = words.map(|word| format!("'{}'", word.to_str().unwrap())).collect();
        let output = Command::new("script").args(["-qec", &line.join(" "), "/dev/null"]).stdin(Stdio::null()).output();
        let shown = String::from_utf8_lossy(&output.unwrap().stdout).into_owned();
        assert!(shown.contains("\\u{1b}]0;OWNED\\u{7}\\u{1b}[2J\\u{202e}x"), "{progress}: {shown:?}");
        assert!(shown.contains("\x1b[32mgreen"), "{progress}: {shown:?}");
        for sequence in ["\x1b]0;OWNED", "\x1b[2J\u{202e}", "\u{202e}"] {
            assert!(!shown.contains(sequence), "{progress}: {shown:?}");
        }
    }
}

/// A title, a bidirectional mark and a C1 control.
const CONTROLS: &str = "\u{1b}]0;OWNED\u{7}\u{202e}x\u{9b}2J";

/// Whether a text has characters that act on a terminal, other than new lines and tabs.
fn acts(text: &str) -> bool {
    text.contains(|c: char| buildscope_record::acts_on_view(c))
}

#[test]
fn a_log_file_gets_no_control_sequences() {
    let world =
        World::new(&format!("FROM busybox\nLABEL a=\"{CONTROLS}\"\nRUN printf '\\033[2J10%%\\r20%%'; exit 3\n"));
    let built = world.build(&["--progress", "plain", "--no-cache-filter", CONTROLS]);
    assert!(!acts(&built.stderr()) && built.stderr().contains("\\u{1b}]0;OWNED"), "{:?}", built.stderr());
    let record = fs::read_to_string(built.record).unwrap();
    assert!(!acts(&record) && record.contains("\\u202e"), "{record}");
}

#[test]
fn an_invalid_command_line_is_quoted_without_control_sequences() {
    let world = World::new("FROM scratch\n");
    for flags in [["--cpus", CONTROLS], ["--progress", CONTROLS], ["--call", CONTROLS]] {
        let output = world.command(&flags).env("CLICOLOR_FORCE", "1").output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let shown = text(&output).replace("\u{1b}[", "");
        assert!(!acts(&shown) && shown.contains("\\u{202e}x\\u{9b}2J"), "{shown:?}");
    }
}

#[test(Program("zstd"))]
fn an_archive_of_add_that_grows_without_end_is_an_error() {
    let world = World::new("FROM scratch\nADD bomb.tar.zst /\n");
    let zeros = world.path("zeros");
    File::create(&zeros).unwrap().set_len(1300 << 20).unwrap();
    let (folder, archive) = (zeros.parent().unwrap(), world.context().join("bomb.tar.zst"));
    let made = Command::new("tar").arg("-C").arg(folder).arg("--zstd").arg("-cf").arg(&archive).arg("zeros").status();
    assert!(made.unwrap().success() && archive.metadata().unwrap().len() < 1 << 20);
    let built = world.build(&[]);
    assert!(!built.output.status.success() && built.stderr().contains("decompression bomb"), "{}", built.stderr());
}

#[test]
fn endless_files_are_errors() {
    let world = World::new("FROM busybox\nRUN --mount=type=secret,id=s true\n");
    let zero = "/dev/zero";
    let secret = world.command(&["--secret", "id=s,src=/dev/zero"]);
    let mut check = Command::new(secret.get_program());
    let mut explain = Command::new(secret.get_program());
    check.args(["check", "-f", zero]);
    explain.args(["explain", zero]);
    for (mut command, code, said) in [
        (world.command(&["-f", zero]), 2, "larger than 16 MiB"),
        (secret, 1, "larger than 500 KiB"),
        (check, 2, "larger than 16 MiB"),
        (explain, 2, "larger than 256 MiB"),
    ] {
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{}", text(&output));
        assert!(text(&output).contains(said), "{}", text(&output));
    }
}

#[test]
fn a_full_standard_output_is_an_error() {
    let world = World::new("FROM busybox\nRUN true\n");
    let record = world.build(&[]).record;
    let program = world.command(&[]).get_program().to_owned();
    let full = || Stdio::from(File::options().write(true).open("/dev/full").unwrap());
    let mut explain = Command::new(program);
    explain.arg("explain").arg(record);
    let mut help = Command::new(world.command(&[]).get_program());
    help.arg("--help");
    for command in [&mut explain, &mut help, &mut world.command(&["-q"])] {
        let output = command.stdout(full()).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(3), "{}", text(&output));
        assert!(text(&output).contains("cannot write to standard output"), "{}", text(&output));
    }
}

#[test]
fn too_few_file_descriptors_are_an_error() {
    let world = World::new("FROM busybox\nRUN true\n");
    let build = world.command(&[]);
    // With 16 the runtime would panic, and with 38 the step would have the host's network.
    for limit in [16, 38] {
        let mut limited = Command::new("sh");
        let script = format!("ulimit -n {limit}; exec \"$@\"");
        limited.args(["-c", &script, "sh"]).arg(build.get_program()).args(build.get_args());
        let output = limited.output().unwrap();
        assert_eq!(output.status.code(), Some(3), "{}", text(&output));
        assert!(
            text(&output).contains("limit of open files") && !text(&output).contains("panicked"),
            "{}",
            text(&output)
        );
    }
}

/// A store that is mounted read-only for as long as this value lives.
struct ReadOnly<'w>(&'w World);

impl<'w> ReadOnly<'w> {
    fn of(world: &'w World) -> Self {
        let mount = |arguments: &[&str]| {
            let status = Command::new("mount").args(arguments).arg(&world.store).status().unwrap();
            assert!(status.success(), "mount {arguments:?}");
        };
        mount(&["--bind", world.store.to_str().unwrap()]);
        mount(&["-o", "remount,ro,bind"]);
        Self(world)
    }
}

impl Drop for ReadOnly<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0.store).status();
    }
}

#[test(Root)]
fn a_read_only_store_serves_what_it_has() {
    let world = World::new("FROM busybox\nRUN echo made > /made\nCOPY f /f\n");
    world.write("f", "x");
    let digest = world.digest(&[]);
    let read_only = ReadOnly::of(&world);
    assert_eq!(world.digest(&["--expect-cached"]), digest);
    // These outputs write nothing that must be in the store. It does not have this image, whose times are not fixed.
    for output in [format!("type=local,dest={}", world.path("files").display()), "type=image".into()] {
        let built = world.build(&["--output", &output]);
        assert!(built.output.status.success(), "{output}: {}", built.stderr());
    }
    assert_eq!(fs::read_to_string(world.path("files/made")).unwrap(), "made\n");
    let program = world.command(&[]).get_program().to_owned();
    let usage = Command::new(program).args(["store", "du", "--root"]).arg(&world.store).output().unwrap();
    assert!(usage.status.success() && text(&usage).contains("layer"), "{}", text(&usage));
    world.write("f", "y");
    let built = world.build(&["--output", "type=cacheonly"]);
    assert!(!built.output.status.success() && built.stderr().contains("is read-only"), "{}", built.stderr());
    drop(read_only);
    assert_ne!(world.digest(&[]), digest);
}

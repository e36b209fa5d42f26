//! Contexts other than local directories: git repositories, archives, standard input.

use crate::web::Web;
use crate::world::{World, steps};
use buildscope_record::Outcome::Executed;
use buildscope_record::Record;
use buildscope_testing::{free_port, test, until};
use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

pub(crate) fn git(dir: &Path, args: &[&str]) {
    let identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "protocol.file.allow=always"];
    let run = Command::new("git").args(identity).args(args).current_dir(dir).output().unwrap();
    assert!(run.status.success(), "{args:?}: {}", String::from_utf8_lossy(&run.stderr));
}

/// Makes a directory a repository with one commit of all its files.
pub(crate) fn commit_all(directory: &Path) {
    git(directory, &["init", "--quiet", "--initial-branch=main"]);
    git(directory, &["add", "."]);
    git(directory, &["commit", "--quiet", "-m", "1"]);
}

/// As the files in `docs/ci` do it: a CI service keeps only what is in the working directory.
#[test]
fn a_store_within_the_context_is_not_part_of_it() {
    let world = World::new("FROM busybox\nCOPY . /app\nRUN ls -A /app > /list\n");
    let (context, store) = (world.context(), world.context().join(".buildscope"));
    let build = |more: &[&str]| {
        let record = world.path("within.json");
        let mut command = world.command(&["--root", store.to_str().unwrap(), "--record", record.to_str().unwrap()]);
        let output = command.args(more).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Record::read(fs::File::open(record).unwrap()).unwrap()
    };
    let files = world.path("files");
    let output = format!("type=local,dest={}", files.display());
    assert_eq!(steps(&build(&["--output", &output]), Executed).len(), 2);
    assert_eq!(fs::read_to_string(files.join("list")).unwrap(), "Dockerfile\n");
    assert_eq!(steps(&build(&[]), Executed), [""; 0]);

    let mut bench = Command::new(env!("CARGO_BIN_EXE_buildscope"));
    bench.args(["bench", ".", "--runs", "1", "--caches", "cold", "--root", ".buildscope"]).current_dir(&context);
    let output = bench.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// `git daemon` on loopback for all repositories below a directory. Other protocols would need a web server.
pub(crate) struct Daemon {
    child: Child,
    pub(crate) port: u16,
}

impl Daemon {
    pub(crate) fn start(root: &Path) -> Self {
        let port = free_port();
        let mut command = Command::new("git");
        command.args(["daemon", "--reuseaddr", "--export-all", "--listen=127.0.0.1"]);
        command.arg(format!("--port={port}")).arg(format!("--base-path={}", root.display())).arg(root);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        until("git daemon comes up", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        Self { child, port }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // `git` runs the daemon as its child and forwards this signal to it.
        let _ =
            rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), rustix::process::Signal::TERM);
        self.child.wait().unwrap();
    }
}

/// Builds from a context other than the world's own, into `out`.
fn build(world: &World, args: &[&str], stdin: Option<&[u8]>) -> Output {
    let mut command = world.command_on(&["--output", world.path("out").to_str().unwrap()], &[]);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A build that fails early does not read its input; the test sees that in the output.
    let _ = child.stdin.take().unwrap().write_all(stdin.unwrap_or_default());
    child.wait_with_output().unwrap()
}

fn built(world: &World, args: &[&str], stdin: Option<&[u8]>) {
    let output = build(world, args, stdin);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn refused(world: &World, args: &[&str], stdin: Option<&[u8]>) -> String {
    let output = build(world, args, stdin);
    assert_eq!(output.status.code(), Some(1), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    // Messages are wrapped at the width of a terminal.
    String::from_utf8_lossy(&output.stderr).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn read(world: &World, file: &str) -> String {
    fs::read_to_string(world.path("out").join(file)).unwrap()
}

/// The tar of a directory's files, as `tar` writes it.
fn tar(dir: &Path, args: &[&str]) -> Vec<u8> {
    let run = Command::new("tar").arg("-C").arg(dir).args(["-cf", "-"]).args(args).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    run.stdout
}

const COPY_ALL: &str = "FROM scratch\nCOPY . /\n";

#[test]
fn git_contexts_have_references_directories_and_submodules() {
    let world = World::empty();
    let (origin, module) = (world.path("repos/app"), world.path("repos/module"));
    for (repository, file) in [(&module, "m"), (&origin, "sub/f")] {
        let path = repository.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "one").unwrap();
        commit_all(repository);
    }
    let daemon = Daemon::start(&world.path("repos"));
    let address = |name: &str| format!("git://127.0.0.1:{}/{name}", daemon.port);
    fs::write(origin.join("Dockerfile"), COPY_ALL).unwrap();
    fs::write(origin.join("sub/Dockerfile"), COPY_ALL).unwrap();
    fs::write(origin.join("sub/.dockerignore"), "Dockerfile\n.dockerignore\n").unwrap();
    git(&origin, &["submodule", "--quiet", "add", &address("module"), "sub/module"]);
    git(&origin, &["add", "."]);
    git(&origin, &["commit", "--quiet", "-m", "2"]);
    git(&origin, &["tag", "v1"]);
    fs::write(origin.join("sub/f"), "two").unwrap();
    git(&origin, &["commit", "--quiet", "-am", "3"]);

    let app = address("app");
    built(&world, &[&format!("{app}#v1:sub")], None);
    assert_eq!((read(&world, "f"), read(&world, "module/m")), ("one".into(), "one".into()));
    assert!(!world.path("out/Dockerfile").exists() && !world.path("out/module/.git").exists());
    built(&world, &[&app], None);
    assert_eq!((read(&world, "sub/f"), read(&world, "sub/module/m")), ("two".into(), "one".into()));
    assert!(!world.path("out/.git").exists());
    // The same commit gives the same files, times included: nothing is copied again.
    let record = world.path("record");
    built(&world, &["--record", record.to_str().unwrap(), &app], None);
    let record = buildscope_record::Record::read(fs::File::open(record).unwrap()).unwrap();
    assert_eq!(steps(&record, Executed), [""; 0]);
    built(&world, &["--build-arg", "BUILDKIT_CONTEXT_KEEP_GIT_DIR=1", &app], None);
    assert!(world.path("out/.git/HEAD").exists());

    // As a named context, and with one of its files as the Dockerfile.
    world.write("Dockerfile", "FROM scratch\nCOPY --from=code f /named\n");
    let context = world.context();
    built(&world, &["--build-context", &format!("code={app}#main:sub"), context.to_str().unwrap()], None);
    assert_eq!(read(&world, "named"), "two");
    built(&world, &["-f", "sub/Dockerfile", &format!("{app}#v1")], None);
    assert!(refused(&world, &[&format!("{app}#nowhere")], None).contains("nowhere"));
    assert!(refused(&world, &[&format!("{app}#main:absent")], None).contains("no directory `absent`"));
}

#[test]
fn archives_come_from_urls_contexts_and_standard_input() {
    let world = World::new("FROM scratch\nCOPY f d /\n");
    world.write("f", "hello");
    world.write("d/.dockerignored", "x");
    world.write("other", "FROM scratch\nCOPY f /renamed\n");
    world.write("Dockerfile.from", "FROM scratch\nCOPY --from=files f /far\n");
    let context = world.context();
    let plain = tar(&context, &["."]);
    built(&world, &["-"], Some(&plain));
    assert_eq!((read(&world, "f"), read(&world, ".dockerignored")), ("hello".into(), "x".into()));
    for flag in ["-z", "-j", "-J", "--zstd", "--format=v7"] {
        built(&world, &["-f", "other", "-"], Some(&tar(&context, &[flag, "."])));
        assert_eq!(read(&world, "renamed"), "hello");
        fs::remove_file(world.path("out/renamed")).unwrap();
    }
    // Input other than an archive is a Dockerfile without a context.
    built(&world, &["-"], Some(b"FROM scratch AS one\nWORKDIR /made\n"));
    assert!(world.path("out/made").is_dir());
    assert!(refused(&world, &["-"], Some(b"FROM scratch\nCOPY f /\n")).contains("`f`"));

    let web = Web::serving([("/a.tar", plain.clone()), ("/Dockerfile", b"FROM scratch\nWORKDIR /web\n".to_vec())]);
    built(&world, &["-f", "other", &web.address("/a.tar")], None);
    assert_eq!(read(&world, "renamed"), "hello");
    built(&world, &[&web.address("/Dockerfile")], None);
    assert!(world.path("out/web").is_dir());
    let (file, directory) = (world.path("a.tar"), context.to_str().unwrap());
    fs::write(&file, plain).unwrap();
    for files in [file.to_str().unwrap(), &web.address("/a.tar")] {
        let named = format!("files={files}");
        let dockerfile = context.join("Dockerfile.from");
        built(&world, &["--build-context", &named, "-f", dockerfile.to_str().unwrap(), directory], None);
        assert_eq!(read(&world, "far"), "hello");
    }
    // A local Dockerfile with a remote context.
    built(&world, &["-f", "-", &web.address("/a.tar")], Some(b"FROM scratch\nCOPY f /mixed\n"));
    assert_eq!(read(&world, "mixed"), "hello");
    assert!(refused(&world, &[&web.address("/none.tar")], None).contains("404"));
    let scratch = fs::read_dir(world.store.join("tmp")).unwrap().map(|entry| entry.unwrap().file_name());
    let left: Vec<_> = scratch.filter(|name| Path::new(name).extension() != Some(OsStr::new("lock"))).collect();
    assert!(left.is_empty(), "{left:?}");
}

/// As `-f <(command)` in a shell: what was read from a pipe cannot be read again.
#[test]
fn the_dockerfile_may_be_a_pipe() {
    let world = World::empty();
    world.write("f", "hello");
    let context = world.context();
    built(&world, &["-f", "/dev/stdin", context.to_str().unwrap()], Some(b"FROM scratch\nCOPY f /piped\n"));
    assert_eq!(read(&world, "piped"), "hello");
}

#[test]
fn archives_cannot_escape_the_context() {
    let world = World::empty();
    let outside = world.path("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret"), "secret").unwrap();
    world.write("Dockerfile", COPY_ALL);
    world.write("f", "x");
    let context = world.context();

    let up = tar(&context, &["-P", "--transform=s,^f$,../../escaped,", "Dockerfile", "f"]);
    assert!(refused(&world, &["-"], Some(&up)).contains("leads out of the archive"));
    // A link, then a file through it.
    std::os::unix::fs::symlink(&outside, context.join("link")).unwrap();
    let through = tar(&context, &["-P", "--transform=s,^f$,link/escaped,", "Dockerfile", "link", "f"]);
    assert!(refused(&world, &["-"], Some(&through)).contains("link/escaped"));
    assert!(!outside.join("escaped").exists());
    // A hard link to a file outside.
    fs::hard_link(outside.join("secret"), context.join("one")).unwrap();
    fs::hard_link(outside.join("secret"), context.join("two")).unwrap();
    let target = format!("--transform=flags=h;s,^one$,{},", outside.join("secret").display());
    let hard = tar(&context, &["-P", &target, "Dockerfile", "one", "two"]);
    refused(&world, &["-"], Some(&hard));
    // The Dockerfile and the ignore file may be links, but not to the outside.
    for name in ["Dockerfile", ".dockerignore"] {
        let _ = fs::remove_file(context.join(name));
        std::os::unix::fs::symlink(outside.join("secret"), context.join(name)).unwrap();
        let refused = refused(&world, &["-"], Some(&tar(&context, &["--exclude=link", "."])));
        assert!(refused.contains("outside the context"), "{refused}");
        fs::remove_file(context.join(name)).unwrap();
        world.write("Dockerfile", COPY_ALL);
    }
    let pipe = context.join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    assert!(refused(&world, &["-"], Some(&tar(&context, &["pipe"]))).contains("device or a pipe"));
    // 1.3 GB of zeros in some 40 KB.
    fs::File::create(context.join("zeros")).unwrap().set_len(1300 << 20).unwrap();
    let bomb = tar(&context, &["--zstd", "Dockerfile", "zeros"]);
    assert!(bomb.len() < 1 << 20, "{}", bomb.len());
    assert!(refused(&world, &["-"], Some(&bomb)).contains("decompression bomb"));
}

#[test]
fn a_repository_and_a_file_of_the_context_are_added_in_one_instruction() {
    let world = World::empty();
    let origin = world.path("repos/app");
    fs::create_dir_all(&origin).unwrap();
    for name in ["one", "two"] {
        fs::write(origin.join(name), name).unwrap();
    }
    commit_all(&origin);
    let daemon = Daemon::start(&world.path("repos"));
    world.write("local", "of the context");
    let add = format!("FROM scratch\nADD git://127.0.0.1:{}/app#main local /to/\n", daemon.port);
    world.write("Dockerfile", &add);
    world.build(&["--output", world.path("out").to_str().unwrap()]).record();
    assert_eq!(["to/one", "to/two", "to/local"].map(|name| read(&world, name)), ["one", "two", "of the context"]);
}

/// The configuration of the user and of the system, templates, hooks, filters and `GIT_*` have no effect on a checkout.
#[test]
fn a_checkout_does_not_depend_on_this_machines_git_configuration() {
    let world = World::empty();
    let origin = world.path("repos/app");
    fs::create_dir_all(&origin).unwrap();
    fs::write(origin.join("lf.txt"), "one\ntwo\n").unwrap();
    commit_all(&origin);
    let daemon = Daemon::start(&world.path("repos"));

    let (home, ran) = (world.path("home"), world.path("hook-ran"));
    let hook = home.join("template/hooks/post-checkout");
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    fs::create_dir_all(home.join("config/git")).unwrap();
    fs::write(&hook, format!("#!/bin/sh\ntouch {}\n", ran.display())).unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(home.join("config/git/attributes"), "*.txt filter=shout\n").unwrap();
    let config = format!(
        "[user]\nname = Host Person\nemail = host@example.invalid\n[core]\nautocrlf = true\nhooksPath = {hooks}\n\
         [init]\ntemplateDir = {template}\n[filter \"shout\"]\nsmudge = tr a-z A-Z\n",
        hooks = hook.parent().unwrap().display(),
        template = home.join("template").display()
    );
    fs::write(home.join(".gitconfig"), &config).unwrap();
    fs::write(home.join("system"), config).unwrap();
    world.write(
        "Dockerfile",
        &format!(
            "FROM scratch\nADD git://127.0.0.1:{0}/app#main /g/\nADD --keep-git-dir=true git://127.0.0.1:{0}/app#main /k/\n",
            daemon.port
        ),
    );
    let digest = |store: &str, prepare: &dyn Fn(&mut Command)| {
        let out = world.path(store);
        let mut command = world.command_on(&["--no-cache", "--output", out.to_str().unwrap()], &[]);
        command.arg(world.context());
        prepare(&mut command);
        let run = command.output().unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        let index = fs::read(out.join("k/.git/index")).unwrap();
        assert!(!out.join("k/.git/logs").exists() && !out.join("k/.git/hooks").exists());
        (fs::read_to_string(out.join("g/lf.txt")).unwrap(), index)
    };
    let plain = digest("plain", &|_| {});
    assert_eq!(plain.0, "one\ntwo\n");
    let configured = digest("configured", &|command| {
        command.env("HOME", &home).env("XDG_CONFIG_HOME", home.join("config"));
        command.env("GIT_CONFIG_SYSTEM", home.join("system")).env("GIT_AUTHOR_NAME", "Host Person");
        command.env("GIT_TEMPLATE_DIR", home.join("template")).env("GIT_DIR", "/nonexistent");
    });
    assert_eq!(configured, plain);
    assert!(!ran.exists(), "a hook of this machine ran");
}

#[test]
fn a_source_behind_a_link_that_leaves_the_context_says_so() {
    let world = World::empty();
    std::os::unix::fs::symlink("/etc", world.context().join("out")).unwrap();
    fs::create_dir(world.context().join("d")).unwrap();
    std::os::unix::fs::symlink("../../up", world.context().join("d/up")).unwrap();
    for (link, to) in [("root", "/"), ("etc", "/etc"), ("circle", "circle"), ("inside", "/d")] {
        std::os::unix::fs::symlink(to, world.context().join(link)).unwrap();
    }
    let _socket = std::os::unix::net::UnixListener::bind(world.context().join("socket")).unwrap();
    for (source, expected) in [
        ("out/passwd", "the link `out` leads out of it, to `/etc`"),
        ("d/up", "the link `d/up` leads out of it, to `../../up`"),
        ("root/etc/passwd", "the link `root` leads out of it, to `/`"),
        ("etc/passwd", "the link `etc` leads out of it, to `/etc`"),
        ("etc/no-such", "the link `etc` leads out of it, to `/etc`"),
        ("etc/pass*", "the link `etc` leads out of it, to `/etc`"),
        ("circle/a", "too many levels of symbolic links"),
        ("inside/no-such", "`inside/no-such` not found in the build context"),
        ("socket", "is a socket, which an image cannot contain"),
        ("missing", "`missing` not found in the build context"),
    ] {
        world.write("Dockerfile", &format!("FROM scratch\nCOPY {source} /a\n"));
        let stderr = world.build(&[]).stderr().replace("\n  │ ", " ");
        let words = stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains(expected) && !words.contains("ignore file"), "{source}: {stderr}");
    }
}

/// Names of files are bytes, and so are the patterns and comments about them.
#[test]
fn comments_and_ignore_patterns_may_have_any_byte() {
    use std::os::unix::ffi::OsStrExt;
    let world = World::empty();
    let write = |name: &[u8], text: &[u8]| {
        fs::write(world.context().join(std::ffi::OsStr::from_bytes(name)), text).unwrap();
    };
    write(b"Dockerfile", b"FROM scratch\n# auteur: Ren\xe9\nCOPY . /c/\n");
    write(b".dockerignore", b"# \xe9t\xe9\nno\xe9*\nDockerfile\n.dockerignore\n");
    write(b"no\xe9x", b"");
    write(b"yes\xe9", b"");
    let out = world.path("out");
    world.build(&["--output", out.to_str().unwrap()]).record();
    let names: Vec<_> = fs::read_dir(out.join("c")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, [std::ffi::OsStr::from_bytes(b"yes\xe9")]);
    write(b"Dockerfile", b"FROM scratch\nCOPY yes\xe9 /c/\n");
    let stderr = world.build(&[]).stderr();
    assert!(stderr.contains("line 2 has the byte 0xe9"), "{stderr}");
    write(b"Dockerfile", b"\xff\xfeF\0R\0");
    let stderr = world.build(&[]).stderr();
    assert!(stderr.contains("UTF-16"), "{stderr}");
}

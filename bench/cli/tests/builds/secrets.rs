//! Secrets and SSH agents: only the steps that ask for them see them.

use crate::world::{World, executors, runtimes};
use buildscope_testing::test;
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

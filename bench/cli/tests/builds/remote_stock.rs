//! Workers that know nothing of buildscope: they lay out the input root of an action and run its command.

use crate::remote::{ran_on, step};
use crate::world::{World, flat};
use buildscope_testing::{Casd, test};

/// A `bwrap` that finds the input root and the command among its arguments.
const ARGUMENTS: &str = r#"#!/bin/sh
while :; do
  case $1 in
    --bind) test "$3" != / || root=$2; shift 3 ;;
    --setenv | --ro-bind | --dev-bind) shift 3 ;;
    --unshare-* | --die-with-parent) shift ;;
    --*) shift 2 ;;
    *) break ;;
  esac
done
"#;

/// Runs the command as root of this machine, in the input root.
const PLAIN: &str = r#"cd "$root" && exec "$@""#;

/// The same, with the input root as root directory, which has only the files of the action, and lacks /sys.
const CHROOT: &str = r#"exec unshare --mount sh -ec 'cd "$0"; mkdir -p proc dev tmp; for name in proc dev; do mount --rbind /$name $name; done
  unset BUILDSCOPE_ROOT; exec chroot . "$@"' "$root" "$@""#;

const DOCKERFILE: &str = "FROM busybox AS made\n\
     RUN mkdir /out; echo words > /out/one; chown 7:8 /out/one; chmod 4755 /out/one; head -c 32000000 /dev/zero > /out/zeros\n\
     FROM busybox\nCOPY --from=made /out/one /one\nRUN --mount=from=made,target=/made wc -c < /made/out/zeros > /size\n";

/// A worker that cannot run steps.
const BROKEN: &str = "#!/bin/sh\necho 'there is no place' >&2\necho 'for steps' >&2\nexit 3\n";

fn builds_as_here(run: &str) {
    let server = Casd::with_stock_worker(&format!("{ARGUMENTS}{run}\n"));
    let world = World::new(DOCKERFILE);
    let local = world.digest(&[]);
    world.forget();
    let remote = ["--remote", &server.address(), "--remote-fallback", "fail"];
    assert_eq!(world.digest(&remote), local, "{}", server.log());
    let record = world.build(&[&remote[..], &["--no-cache"]].concat()).record();
    for part in ["chown 7:8", "COPY", "wc -c"] {
        assert!(ran_on(&record, part).is_some(), "{part}");
    }
    assert_eq!(step(&record, "wc -c").exit_code, Some(0));
}

#[test(Program("buildbox-casd"), Root)]
fn a_worker_that_runs_commands_in_the_input_root_runs_steps() {
    builds_as_here(PLAIN);
}

#[test(Program("buildbox-casd"), Root)]
fn a_worker_whose_root_directory_is_the_input_root_runs_steps() {
    builds_as_here(CHROOT);
}

#[test(Program("buildbox-casd"), Root)]
fn the_message_of_a_worker_that_cannot_run_steps_is_shown() {
    let server = Casd::with_stock_worker(BROKEN);
    let built = World::new("FROM busybox\nRUN echo a > /a\n").build(&[
        "--remote",
        &server.address(),
        "--remote-fallback",
        "fail",
    ]);
    assert_eq!(built.output.status.code(), Some(1));
    let said = flat(&built.output.stderr);
    assert!(said.contains("exit code 3") && said.contains("there is no place for steps"), "{said}");
}

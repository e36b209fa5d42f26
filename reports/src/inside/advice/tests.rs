use super::builds::with_jobs;
use super::*;
use crate::inside::{Activity, ActivityRow, ProgramRow, Spent};
use buildscope_record::{Blocked, Observed, Synced};
use std::rc::Rc;

fn row(text: &str, wall: u64, spent: Spent, cpu: u64) -> CommandRow {
    CommandRow { wall: Nanos(wall), cpu: Nanos(cpu), spent, processes: 1, ..CommandRow::of(RowKind::Command, text) }
}

fn inside(rows: Vec<CommandRow>) -> Inside {
    let wall = rows.iter().map(|row| row.wall).sum();
    Inside {
        observed: Observed::Events,
        resolution: Nanos::ZERO,
        wall,
        rows,
        processes: 1,
        unseen: Vec::new(),
        savings: Default::default(),
    }
}

/// The suggestions for these rows, on a machine with eight processors.
fn all_of(rows: Vec<CommandRow>, variables: &[(&str, &str)], syncs: bool) -> Vec<Finding> {
    let variables = variables.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    let around = Surroundings {
        home: Some("/root".into()),
        root: true,
        variables: Rc::new(variables),
        ..Surroundings::default()
    };
    let host = StepHost { processors: 8, syncs, around: &around };
    findings(StageStep { before: &[], inside: &inside(rows), after: &[] }, host)
}

fn one(row: &CommandRow) -> Finding {
    all_of(vec![row.clone()], &[], true).pop().unwrap()
}

fn found(row: CommandRow) -> Vec<(&'static str, u64)> {
    all_of(vec![row], &[], true).into_iter().map(|finding| (finding.rule, finding.gain.0)).collect()
}

const SECOND: u64 = 1_000_000_000;

fn waits(blocked: Blocked) -> Spent {
    Spent { processor: Nanos(SECOND), blocked, ..Spent::default() }
}

fn dpkg(synced: Option<Synced>) -> ProgramRow {
    ProgramRow { program: "dpkg".into(), count: 3, time: Nanos(1), cpu: Nanos(1), synced }
}

#[test]
fn waits_of_package_managers_are_found() {
    let network = Blocked { network: Nanos(7 * SECOND), ..Blocked::default() };
    assert_eq!(found(row("apt-get update", 8 * SECOND, waits(network), SECOND)), [("package-lists", 7 * SECOND)]);
    let mut install = row(
        "apt-get install -y gcc",
        4 * SECOND,
        waits(Blocked { disk: Nanos(3 * SECOND), ..Blocked::default() }),
        SECOND,
    );
    assert_eq!(found(install.clone()), [], "nothing says that it was dpkg that waited");
    install.programs.push(dpkg(None));
    assert_eq!(all_of(vec![install.clone()], &[], false), []);
    assert_eq!(found(install), [("unsafe-io", 3 * SECOND)]);
    assert_eq!(
        found(row("apt-get update", SECOND, waits(Blocked { network: Nanos(SECOND / 10), ..Blocked::default() }), 1)),
        []
    );
}

/// The option leaves out the syncs of files, and not those of the database. Another program's syncs stay, too.
#[test]
fn only_syncs_of_files_are_gained() {
    let disk = Blocked { disk: Nanos(9 * SECOND), ..Blocked::default() };
    let mut install = row("apt-get install -y postgresql", 10 * SECOND, waits(disk), SECOND);
    let synced = |files, database| Some(Synced { files: Nanos(files * SECOND), database: Nanos(database * SECOND) });
    install.programs = vec![dpkg(synced(3, 2)), ProgramRow { program: "initdb".into(), ..dpkg(synced(4, 0)) }];
    let finding = one(&install);
    assert_eq!((finding.rule, finding.gain), ("unsafe-io", Nanos(3 * SECOND)));
    assert!(finding.caveat.ends_with("which took 2.00 s"), "{}", finding.caveat);
    install.programs[0] = dpkg(synced(0, 5));
    assert_eq!(found(install), []);
}

#[test]
fn a_change_is_suggested_only_where_it_works() {
    let disk = Blocked { disk: Nanos(3 * SECOND), ..Blocked::default() };
    let mut install = row("apt-get install -y gcc", 4 * SECOND, waits(disk), SECOND);
    install.programs.push(dpkg(None));
    let change = |text: &str| one(&CommandRow { text: text.into(), ..install.clone() }).change;
    let option = "apt-get -o Dpkg::Options::=--force-unsafe-io";
    let expected = |old: &str, rest: &str| Some((old.to_owned(), format!("{option} {rest}")));
    assert_eq!(change("apt-get install -y gcc"), expected("apt-get install", "install"));
    assert_eq!(
        change("DEBIAN_FRONTEND=noninteractive apt-get -qy upgrade"),
        expected("apt-get -qy upgrade", "-qy upgrade")
    );
    assert_eq!(change("apt-get $options install gcc"), None);
    assert_eq!(
        change("apt install gcc"),
        Some(("apt install".into(), "apt -o Dpkg::Options::=--force-unsafe-io install".into()))
    );
    assert_eq!(change("dpkg -i /a.deb"), Some(("dpkg -i".into(), "dpkg --force-unsafe-io -i".into())));
    for with_it in [&*format!("{option} install gcc"), "eatmydata apt-get install gcc"] {
        install.text = with_it.into();
        assert_eq!(found(install.clone()), []);
    }
}

fn does(text: &str, wall: u64, activity: Activity) -> CommandRow {
    let time = Nanos(wall * SECOND);
    let done = ActivityRow { activity, count: 1, wall: time, time, network: Nanos::ZERO, cpu: time };
    CommandRow { activities: vec![done], ..row(text, wall * SECOND, Spent::default(), 0) }
}

fn found_in(rows: Vec<CommandRow>) -> Vec<(&'static str, u64)> {
    all_of(rows, &[], true).into_iter().map(|finding| (finding.rule, finding.gain.0 / SECOND)).collect()
}

#[test]
fn advice_depends_on_the_order_of_commands() {
    let install = || does("npm ci", 9, Activity::Unpack);
    let prune = || does("npm prune --omit=dev", 3, Activity::Unpack);
    assert_eq!(found_in(vec![install(), prune()]), [("install-then-prune", 3)]);
    assert_eq!(found_in(vec![prune(), install()]), []);
    let (test, link) = (|| does("./run-tests", 5, Activity::Test), || does("gcc -o x *.o", 4, Activity::Link));
    assert_eq!(found_in(vec![test(), link()]), [("tests-first", 4)]);
    assert_eq!(found_in(vec![link(), test()]), []);
}

/// Two packages without a wheel took 19.8 s, and with wheels in a cache mount 3.9 s.
#[test]
fn a_cache_of_wheels_saves_all_but_the_installation() {
    let done = |activity, seconds: u64| ActivityRow {
        activity,
        count: 1,
        wall: Nanos(seconds * SECOND),
        time: Nanos(seconds * SECOND),
        network: Nanos::ZERO,
        cpu: Nanos::ZERO,
    };
    let compiles = |text: &str| {
        let activities =
            [(Activity::Compile, 5), (Activity::Configure, 2), (Activity::Download, 1), (Activity::Unpack, 2)];
        let activities = activities.map(|(activity, seconds)| done(activity, seconds)).to_vec();
        CommandRow { activities, ..row(text, 20 * SECOND, Spent::default(), 0) }
    };
    let finding = one(&compiles("pip install --no-cache-dir ujson"));
    assert_eq!(finding.gain, Nanos(16 * SECOND));
    assert!(finding.text.contains("/root/.cache/pip`, without `--no-cache-dir`)"), "{}", finding.text);
    let finding = one(&compiles("uv pip install ujson"));
    assert!(finding.text.contains("keep uv's wheels in a cache mount (`--mount=type=cache,target=/root/.cache/uv`)"));
    assert!(one(&compiles("sudo python3 -m pip install uv install")).text.contains("pip's wheels"));
    for without in
        ["python setup.py install", "pip install .", "echo pip install ujson", "pip list", "pip install -e ./a ../b"]
    {
        assert_eq!(found(compiles(without)), [], "{without}");
    }
    let unset = all_of(vec![compiles("pip install ujson")], &[("PIP_NO_CACHE_DIR", "1")], true);
    assert!(unset[0].text.contains("/root/.cache/pip`, without `PIP_NO_CACHE_DIR`)"), "{}", unset[0].text);
}

/// pip 23.0 has made no wheel when it has run `setup.py install`, so a cache mount alone saves no compilation.
#[test]
fn without_the_package_wheel_a_cache_has_no_wheels() {
    let time = Nanos(4 * SECOND);
    let done = |activity| ActivityRow { activity, count: 1, wall: time, time, network: Nanos::ZERO, cpu: time };
    let mut pip = row("pip install --no-cache-dir simplejson==3.8.2", 12 * SECOND, Spent::default(), 0);
    pip.activities = [Activity::Compile, Activity::Download, Activity::Plan].map(done).to_vec();
    let text =
        "/v/bin/python3 -u -c \\nexec(compile('''\\n# This is <pip-setuptools-caller> -- a caller that pip uses…";
    let mut setup = CommandRow { wall: time, ..CommandRow::of(RowKind::Process, text) };
    setup.activities = vec![done(Activity::Compile)];
    pip.inner = vec![setup.clone()];
    assert!(one(&pip).text.contains("without `--no-cache-dir`"), "it makes wheels");
    setup.activities.push(done(Activity::Unpack));
    pip.inner = vec![setup];
    let finding = one(&pip);
    assert!(finding.text.contains("install it before"), "{}", finding.text);
    assert_eq!((finding.gain, finding.cache), (Nanos(8 * SECOND), None));
}

#[test]
fn a_make_of_one_job_is_found() {
    let busy = Spent { processor: Nanos(8 * SECOND), ..Spent::default() };
    let compiled = ActivityRow {
        activity: Activity::Compile,
        count: 84,
        wall: Nanos(8 * SECOND),
        time: Nanos(8 * SECOND),
        network: Nanos::ZERO,
        cpu: Nanos(8 * SECOND),
    };
    let mut make = row("make all", 8 * SECOND, busy, 8 * SECOND);
    make.activities.push(compiled);
    assert_eq!(found(make.clone()), [("make-jobs", 7 * SECOND)]);
    // Two at a time, which share a processor with other programs.
    let mut two = make.clone();
    two.activities[0].time = Nanos(16 * SECOND);
    assert_eq!(found(two), []);
    assert_eq!(one(&make).change.unwrap().1, "make -j\"$(nproc)\" all");
    make.text = "make -j4 all".into();
    assert_eq!(found(make.clone()), []);
    make.text = "cmake --build out --target all".into();
    let finding = one(&make);
    assert_eq!(finding.change.unwrap().1, "cmake --build out --parallel \"$(nproc)\" --target all");
    assert!(finding.text.ends_with("`cmake --build out --parallel \"$(nproc)\" --target all`"), "{}", finding.text);
    make.text = "cmake --build out --parallel 2".into();
    assert_eq!(found(make), []);
    assert_eq!(with_jobs("cmake --build \"$out\""), None);
    let new = |command: &str| with_jobs(command).map(|(_, new)| new);
    assert_eq!(new("cmake --build .").as_deref(), Some("cmake --build . --parallel \"$(nproc)\""));
    assert_eq!(new("CC=gcc-12 nice make -C lib all").as_deref(), Some("CC=gcc-12 nice make -j\"$(nproc)\" -C lib all"));
    for uncertain in ["(cd a && make)", "sh -c 'make'", "CFLAGS=\"-g make\" make", "echo a make"] {
        assert_eq!(with_jobs(uncertain), None, "{uncertain}");
    }
}

/// Words that are arguments of another program, packages for example, are not commands.
#[test]
fn a_suggestion_is_about_a_program_that_runs() {
    let network = Blocked { network: Nanos(7 * SECOND), ..Blocked::default() };
    let waiting = |text: &str| found(row(text, 8 * SECOND, waits(network), SECOND));
    for fetches in [
        "curl -fsSL https://a/b",
        "env A=b wget https://a/b",
        "git -c a.b=c clone https://a/b",
        "sh -c 'curl https://a/b'",
    ] {
        assert_eq!(waiting(fetches), [("download", 7 * SECOND)], "{fetches}");
    }
    for other in [
        "apt-get install -y curl git",
        "apk add --no-cache curl git wget",
        "npm install -g make",
        "git push origin main",
        "curl -T file https://a/b",
        "apt-get install update-notifier",
        "echo apt-get update",
    ] {
        assert_eq!(waiting(other), [], "{other}");
    }
    let lists = |text: &str, folder: &str| {
        let finding = one(&row(text, 8 * SECOND, waits(network), SECOND));
        assert!(finding.rule == "package-lists" && finding.text.contains(folder), "{}", finding.text);
    };
    lists("apk update", "target=/etc/apk/cache,sharing=locked");
    lists("sudo apt-get -qq -o A::B=c update", "target=/var/lib/apt/lists,sharing=locked");
    lists("dnf makecache", "target=/var/cache/dnf,sharing=locked");
    lists("dnf5 -q makecache", "target=/var/cache/libdnf5,sharing=locked");
    lists("microdnf makecache", "target=/var/cache/yum,sharing=locked");
    lists("zypper -n refresh", "target=/var/cache/zypp,sharing=locked");
    lists("pacman -Syy", "target=/var/lib/pacman/sync,sharing=locked");
    // The lists of another root, lists that are not kept, and a setting.
    for other in ["apk --root /x update", "apk --no-cache update", "pacman -Sy --root /x", "npm config set a b"] {
        assert_eq!(found(row(other, 8 * SECOND, waits(network), SECOND)), [], "{other}");
    }
}

/// The commands of a subshell and the processes of a script have rows of their own.
#[test]
fn commands_within_a_command_are_found() {
    let network = Blocked { network: Nanos(7 * SECOND), ..Blocked::default() };
    let place = |column| SourcePlace { line: 2, column, end_line: 2, end_column: column + 9 };
    let update = row("apt-get update", 8 * SECOND, waits(network), SECOND);
    let other = row("sleep 1", SECOND, Spent::default(), 0);
    let mut whole = row("(sleep 1; apt-get update)", 9 * SECOND, waits(network), SECOND);
    whole.source = Some(place(5));
    whole.inner = vec![other.clone(), CommandRow { source: Some(place(15)), ..update.clone() }];
    let found = all_of(vec![whole.clone()], &[], true);
    assert_eq!(found.iter().map(|one| (one.rule, one.place)).collect::<Vec<_>>(), [("package-lists", Some(place(15)))]);
    // Of a script, the place of its call is known.
    whole.text = "./install.sh".into();
    whole.inner = [other, update].map(|row| CommandRow { kind: RowKind::Process, ..row }).to_vec();
    let found = all_of(vec![whole], &[], true);
    assert_eq!(found.iter().map(|one| (one.rule, one.place)).collect::<Vec<_>>(), [("package-lists", Some(place(5)))]);
}

#[test]
fn jobs_may_be_set_in_other_ways() {
    let time = Nanos(8 * SECOND);
    let compiled =
        ActivityRow { activity: Activity::Compile, count: 6, wall: time, time, network: Nanos::ZERO, cpu: time };
    let make = |text: &str| {
        let mut row = row(text, 20 * SECOND, Spent { processor: time, ..Spent::default() }, 8 * SECOND);
        row.activities.push(compiled.clone());
        row
    };
    // Six units, so six at a time; the other twelve seconds of the command remain.
    assert_eq!(found(make("make")), [("make-jobs", 8 * SECOND / 6 * 5)]);
    for parallel in ["make -kj4", "make -sj", "MAKEFLAGS=-j8 make", "gmake --jobs=3", "echo make"] {
        assert_eq!(found(make(parallel)), [], "{parallel}");
    }
    assert_eq!(found(make("make -Cproject -fjobs.mk")).len(), 1);
    assert_eq!(all_of(vec![make("make")], &[("MAKEFLAGS", "-j4")], true), []);
    assert_eq!(all_of(vec![make("make")], &[("MAKEFLAGS", "j4")], true), []);
    assert_eq!(all_of(vec![make("make")], &[("MAKEFLAGS", "CC=jcc -s")], true).len(), 1);
    assert_eq!(all_of(vec![make("cmake --build b")], &[("CMAKE_BUILD_PARALLEL_LEVEL", "2")], true), []);
}

/// What another RUN of the stage installed or delays counts, too.
#[test]
fn commands_of_other_steps_are_compared() {
    let around = Surroundings::default();
    let host = StepHost { processors: 8, syncs: true, around: &around };
    let of = |text: &str, activity| inside(vec![does(text, 5, activity)]);
    let (install, build) = (of("npm ci", Activity::Unpack), of("npm run build", Activity::Compile));
    let rules = |before: &[&Inside], this: &Inside, after: &[&Inside]| -> Vec<_> {
        findings(StageStep { before, inside: this, after }, host).into_iter().map(|one| one.rule).collect()
    };
    let prune = of("npm prune --omit=dev", Activity::Unpack);
    assert_eq!(rules(&[&install, &build], &prune, &[]), ["install-then-prune"]);
    assert_eq!(rules(&[&build], &prune, &[&install]), [""; 0]);
    for other in
        ["npm install -g pnpm", "npm ci --omit=dev", "NODE_ENV=production npm ci", "pnpm install", "npm run install"]
    {
        assert_eq!(rules(&[&of(other, Activity::Unpack)], &prune, &[]), [""; 0], "{other}");
    }
    // Without an option, npm and pnpm delete only what no package needs.
    for other in ["npm prune", "pnpm prune", "npm prune --production=false", "npm prune --omit=optional"] {
        assert_eq!(rules(&[&install], &of(other, Activity::Unpack), &[]), [""; 0], "{other}");
    }
    for other in ["npm prune --omit dev", "NODE_ENV=production npm prune", "npm prune --production"] {
        assert_eq!(rules(&[&install], &of(other, Activity::Unpack), &[]), ["install-then-prune"], "{other}");
    }
    let pnpm = of("pnpm install --frozen-lockfile", Activity::Unpack);
    assert_eq!(rules(&[&pnpm], &of("pnpm prune --prod", Activity::Unpack), &[]), ["install-then-prune"]);
    let yarn = of("yarn install --production", Activity::Unpack);
    assert_eq!(rules(&[&of("yarn --frozen-lockfile", Activity::Unpack)], &yarn, &[]), ["install-then-prune"]);
    assert_eq!(rules(&[&of("yarn --prod", Activity::Unpack)], &yarn, &[]), [""; 0]);
    assert_eq!(rules(&[], &of("./run-tests", Activity::Test), &[&build]), ["tests-first"]);
    assert_eq!(rules(&[&build], &of("./run-tests", Activity::Test), &[]), [""; 0]);
}

//! What the processes of tools do, and how many units they work on.

use super::*;

/// Processes of `make -j2 CC="ccache gcc"` with ccache 4.7: cold, it has the source preprocessed and then compiled; warm, it starts nothing.
#[test]
fn a_unit_that_a_cache_has_is_compiled_once_or_taken_from_it() {
    let with = |words: &str, mut process: Process| {
        process.arguments = words.split(' ').map(str::to_owned).collect();
        process
    };
    let cold = vec![
        process(None, "sh", 10_000, 990_000, 20_000),
        process(Some(0), "make", 20_000, 980_000, 10_000),
        with("ccache gcc -O2 -c -o a.o a.c", process(Some(1), "ccache", 30_000, 900_000, 10_000)),
        with("gcc -O2 -E a.c", process(Some(2), "gcc", 40_000, 200_000, 10_000)),
        with("cc1 -E -quiet a.c", process(Some(3), "cc1", 50_000, 190_000, 140_000)),
        with("gcc -O2 -c -o a.o a.i", process(Some(2), "gcc", 210_000, 800_000, 10_000)),
        with("cc1 -fpreprocessed a.i -quiet", process(Some(5), "cc1", 220_000, 700_000, 480_000)),
        with("as --64 -o a.o /tmp/a.s", process(Some(5), "as", 700_000, 790_000, 90_000)),
    ];
    let warm = vec![
        process(None, "sh", 10_000, 990_000, 20_000),
        process(Some(0), "make", 20_000, 980_000, 10_000),
        with("ccache gcc -O2 -c -o a.o a.c", process(Some(1), "ccache", 30_000, 100_000, 10_000)),
        with("gcc -O2 -c -o b.o b.c", process(Some(1), "gcc", 110_000, 200_000, 10_000)),
    ];
    // The arguments of programs that end at once are not read.
    let short = |parent| {
        [
            process(Some(parent), "ccache", 210_000, 220_000, 10_000),
            process(Some(parent), "c++", 230_000, 240_000, 10_000),
        ]
    };
    let unread = [warm.clone(), short(1).to_vec(), short(0).to_vec()].concat();
    for (list, units) in [(cold, 1), (warm, 2), (unread, 3)] {
        let found = inside(&record("make", list).steps[0], Nanos::ZERO).unwrap();
        let compiled = found.rows[0].activities.iter().find(|done| done.activity == Activity::Compile).unwrap();
        assert_eq!(compiled.count, units);
    }
}

/// Processes of a `configure` of autoconf 2.71: most are kept as totals, and one that it starts only compiles an example.
#[test]
fn a_configure_lasts_from_its_start_to_its_end() {
    let list = vec![
        process(None, "sh", 10_000, 990_000, 20_000),
        process(Some(0), "configure", 20_000, 920_000, 10_000),
        process(Some(1), "cc1", 40_000, 200_000, 150_000),
        process(Some(1), "curl", 300_000, 350_000, 10_000),
    ];
    let mut record = record("./configure", list);
    let sed = Folded {
        parent: Some(1),
        program: "sed".into(),
        count: 900,
        start: Nanos(30_000),
        end: Nanos(910_000),
        duration: Nanos(90_000),
        ..Folded::default()
    };
    record.steps[0].processes.as_mut().unwrap().folded.push(sed);
    // It waits for its children almost always.
    let waits = Timeline { every: Nanos(100_000), states: "wwwwwwwww".into() };
    record.steps[0].processes.as_mut().unwrap().list[1].timeline = Some(waits);
    let wall = |record: &Record| {
        let found = inside(&record.steps[0], Nanos::ZERO).unwrap();
        let of = |activity| found.rows[0].activities.iter().find(|done| done.activity == activity).unwrap().wall;
        (of(Activity::Configure), of(Activity::Download))
    };
    assert_eq!(wall(&record), (Nanos(850_000), Nanos(50_000)), "900,000 without the download");
}

/// The client of `gradle -q` waits for its daemon, also when that does nothing. Neither prints a line.
#[test]
fn a_client_that_waits_for_its_daemon_compiles_while_that_runs() {
    let java = |parent, main: &str, start, end, cpu| Process {
        arguments: ["java", main].map(String::from).to_vec(),
        ..process(Some(parent), "java", start, end, cpu)
    };
    let waits = Timeline { every: Nanos(100_000), states: "wwwwwwwww".into() };
    let list = vec![
        process(None, "sh", 10_000, 990_000, 20_000),
        Process { timeline: Some(waits), ..java(0, "org.gradle.launcher.GradleMain", 20_000, 920_000, 0) },
        java(1, "org.gradle.launcher.daemon.bootstrap.GradleDaemon", 100_000, 500_000, 400_000),
    ];
    let record = record("gradle -q test", list);
    let found = inside(&record.steps[0], Nanos::ZERO).unwrap();
    let compile = found.rows[0].activities.iter().find(|done| done.activity == Activity::Compile).unwrap();
    assert_eq!(compile.wall, Nanos(400_000));
}

/// dpkg unpacks for 800 ms, in 600 of which a dpkg-deb gives it the files. Both are a row: each has its part of the time, and of the phase.
#[test]
fn a_phase_is_no_longer_than_its_row() {
    let mut list = vec![
        ms(None, "sh", 0, 1000, 0),
        ms(Some(0), "apt-get", 0, 1000, 0),
        ms(Some(1), "dpkg", 100, 900, 800),
        ms(Some(2), "dpkg-deb", 200, 800, 600),
    ];
    list[2].arguments = ["dpkg", "--unpack", "x.deb"].map(String::from).to_vec();
    let found = inside(&long("apt-get install x", list).steps[0], Nanos::ZERO).unwrap();
    let unpacks = |row: &CommandRow| {
        let done = row.activities.iter().find(|done| done.activity == Activity::Unpack);
        (row.text.clone(), row.wall.0 / 1_000_000, done.map_or(0, |done| done.wall.0 / 1_000_000))
    };
    let install = &found.rows[0];
    assert_eq!(unpacks(install), ("apt-get install x".into(), 1000, 800));
    let dpkg = install.inner.iter().find(|row| row.text.starts_with("dpkg --unpack")).unwrap();
    let parts: Vec<_> = dpkg.inner.iter().map(unpacks).collect();
    assert_eq!(parts, [("dpkg-deb".into(), 600, 600), ("dpkg itself".into(), 200, 200)]);
}

/// A build script of libz-sys starts `cc` for its library, and rustc to examine the compiler.
#[test]
fn a_build_script_examines_the_machine_and_builds_a_library() {
    let list = vec![
        process(None, "sh", 10_000, 990_000, 20_000),
        process(Some(0), "cargo", 20_000, 980_000, 10_000),
        process(Some(1), "build-script-bu", 30_000, 900_000, 10_000),
        process(Some(2), "rustc", 40_000, 140_000, 100_000),
        process(Some(2), "cc", 150_000, 800_000, 10_000),
        process(Some(4), "cc1", 160_000, 700_000, 540_000),
        process(Some(2), "configure", 810_000, 890_000, 10_000),
        process(Some(6), "cc1", 820_000, 880_000, 60_000),
    ];
    let found = inside(&record("cargo build", list).steps[0], Nanos::ZERO).unwrap();
    let done = |activity| found.rows[0].activities.iter().find(|done| done.activity == activity).unwrap();
    // `cc` does what its parent does.
    assert_eq!((done(Activity::Compile).count, done(Activity::Compile).wall), (1, Nanos(540_000)));
    assert_eq!(done(Activity::Configure).count, 1, "that of libz-sys, with its configure");
}

/// Process tree of meson-python 0.22 under pip 23: the backend has no hook for the metadata, so the package is built for it. What meson
/// compiles to examine the machine is not a unit.
#[test]
fn what_a_hook_of_a_build_backend_compiles_is_compiling() {
    let hook = "/usr/lib/python3/dist-packages/pip/_vendor/pyproject_hooks/_in_process/_in_process.py";
    let mut list = vec![
        process(None, "sh", 0, 990_000, 0),
        process(Some(0), "pip", 0, 980_000, 10_000),
        process(Some(1), "python3", 100_000, 900_000, 10_000),
        process(Some(2), "meson", 110_000, 200_000, 10_000),
        process(Some(3), "cc1", 120_000, 150_000, 30_000),
        process(Some(2), "ninja", 200_000, 890_000, 10_000),
        process(Some(5), "cc1", 210_000, 500_000, 290_000),
        process(Some(5), "cc1", 500_000, 880_000, 380_000),
    ];
    let words = |text: &str| text.split(' ').map(String::from).collect();
    list[1].arguments = words("/usr/bin/python3 /usr/bin/pip install ./pkg");
    list[2].arguments = words(&format!("/usr/bin/python3 {hook} prepare_metadata_for_build_wheel /tmp/x"));
    list[3].arguments = words("meson setup /app/pkg /app/pkg/.mesonpy-x");
    let record = record("pip install ./pkg", list);
    let Some(inside) = inside(&record.steps[0], Nanos(0)) else { panic!("one step") };
    let of = |activity| inside.rows[0].activities.iter().find(|done| done.activity == activity).unwrap();
    assert_eq!((of(Activity::Compile).count, of(Activity::Compile).wall), (2, Nanos(670_000)));
}

/// dh_auto_build drives make and its compilers; rustc forks before it executes the linker, which may take so long that the copy is kept; and
/// cargo asks it for its version, which is so short that the arguments are not read.
#[test]
fn drivers_and_forked_copies_are_not_units() {
    let mut list = vec![
        process(None, "sh", 10_000, 990_000, 20_000),
        process(Some(0), "dh_auto_build", 20_000, 420_000, 40_000),
        process(Some(1), "make", 30_000, 410_000, 10_000),
        process(Some(2), "gcc", 40_000, 300_000, 10_000),
        process(Some(3), "cc1", 50_000, 200_000, 150_000),
        process(Some(3), "as", 200_000, 290_000, 90_000),
        process(Some(2), "clang", 300_000, 400_000, 100_000),
        process(Some(0), "rustc", 430_000, 900_000, 400_000),
        process(Some(7), "rustc", 500_000, 510_000, 10_000),
        process(Some(0), "rustc", 910_000, 912_000, 2_000),
    ];
    list[8].forked = true;
    list[7].arguments = ["rustc", "x.rs"].map(String::from).to_vec();
    // A script: the kernel starts `env`, which starts its interpreter.
    list.extend(
        [("tsc", 930_000, 940_000), ("node", 940_000, 980_000)]
            .map(|(program, start, end)| process(Some(0), program, start, end, end - start)),
    );
    list[11].replaces = Some(10);
    list[11].arguments = ["node", "/app/node_modules/.bin/tsc"].map(String::from).to_vec();
    // A static library, as CMake 3.25 makes it.
    let arguments = ["cmake", "-E", "cmake_link_script"].map(String::from).to_vec();
    list.push(Process { arguments, ..process(Some(0), "cmake", 980_000, 989_000, 1_000) });
    list.extend(
        [("ar", 981_000), ("ranlib", 985_000)].map(|(program, at)| process(Some(12), program, at, at + 3_000, 3_000)),
    );
    let record = record("dh_auto_build; rustc x.rs; tsc; cmake -E cmake_link_script", list);
    let Some(inside) = inside(&record.steps[0], Nanos(0)) else { panic!("one step") };
    let compiled =
        |row: &CommandRow| row.activities.iter().find(|done| done.activity == Activity::Compile).map(|done| done.count);
    let counts: Vec<_> = inside.rows[..3].iter().map(compiled).collect();
    assert_eq!(counts, [Some(2), Some(1), Some(1)]);
    let linked = inside.rows[3].activities.iter().find(|done| done.activity == Activity::Link).map(|done| done.count);
    assert_eq!(linked, Some(1));
}

/// For each package, dpkg starts dpkg-split, dpkg-deb with tar for the package's scripts, and dpkg-deb for its files.
#[test]
fn a_package_is_one_unit_of_unpacking() {
    let mut list =
        vec![process(None, "sh", 10_000, 990_000, 20_000), process(Some(0), "dpkg", 20_000, 980_000, 40_000)];
    list[1].arguments = ["dpkg", "--unpack", "a.deb", "b.deb"].map(String::from).to_vec();
    for start in [30_000, 500_000] {
        let parent = list.len() as u32 + 1;
        let mut tar = process(Some(parent), "tar", start + 40_000, start + 50_000, 10_000);
        tar.arguments = ["tar", "-x", "-m", "-f", "-"].map(String::from).to_vec();
        list.push(process(Some(1), "dpkg-split", start, start + 10_000, 10_000));
        list.push(process(Some(1), "dpkg-deb", start + 30_000, start + 60_000, 20_000));
        list.push(tar);
        list.push(process(Some(1), "dpkg-deb", start + 70_000, start + 90_000, 20_000));
    }
    let record = record("dpkg --unpack a.deb b.deb", list);
    let Some(inside) = inside(&record.steps[0], Nanos(0)) else { panic!("one step") };
    assert_eq!((inside.rows[0].activities[0].activity, inside.rows[0].activities[0].count), (Activity::Unpack, 2));
}

/// Process tree of pnpm 12, which leaves a shell that waits for its end. What that shell does is not a script of a package.
#[test]
fn a_shell_that_waits_for_the_end_of_pnpm_does_nothing() {
    let mut list = vec![
        process(None, "sh", 0, 990_000, 0),
        process(Some(0), "pnpm", 0, 980_000, 10_000),
        process(Some(1), "sh", 500_000, 980_000, 10_000),
        process(Some(1), "sh", 500_000, 600_000, 90_000),
    ];
    let words = |text: &str| text.split('|').map(String::from).collect();
    list[1].arguments = words("pnpm|install|--frozen-lockfile");
    list[2].arguments = words("sh|-c|trap '' INT TERM HUP\ngroups=' '\nwhile read -r line; do\n");
    list[3].arguments = words("sh|-c|node install.js");
    let record = record("pnpm install --frozen-lockfile", list);
    let Some(inside) = inside(&record.steps[0], Nanos(0)) else { panic!("one step") };
    let scripts = inside.rows[0].activities.iter().find(|done| done.activity == Activity::Scripts).unwrap();
    assert_eq!((scripts.count, scripts.wall), (1, Nanos(100_000)));
}

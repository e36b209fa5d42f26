use super::*;
use buildscope_record::{OutputLine, StepId};

mod silent;

/// A second.
const S: u64 = 1_000_000_000;

fn step(text: &str, end: u64, lines: &[(u64, &str)]) -> Step {
    let output = lines.iter().map(|&(at, text)| OutputLine { at: Nanos(at), text: text.into() }).collect();
    Step { start: Some(Nanos(0)), end: Some(Nanos(end)), output, ..Step::of(StepId(0), "RUN", format!("RUN {text}")) }
}

type Row = (String, u64, Vec<(Activity, u64)>);

/// The rows as (text, time, activities).
fn rows(step: &Step) -> Vec<Row> {
    let inside = of_output(step).expect("an inside");
    assert_eq!(inside.rows.iter().map(|row| row.wall).sum::<Nanos>(), inside.wall);
    assert_eq!(inside.observed, Observed::Inferred);
    let activities = |row: &CommandRow| row.activities.iter().map(|done| (done.activity, done.time.0)).collect();
    inside.rows.iter().map(|row| (row.text.clone(), row.wall.0, activities(row))).collect()
}

#[test]
fn lines_of_apt_divide_an_install() {
    let lines = [
        (5, "Get:1 http://example.com/debian bookworm InRelease [151 kB]"),
        (30, "Fetched 9000 kB in 2s (4000 kB/s)"),
        (30, "Reading package lists..."),
        (50, "Building dependency tree..."),
        (50, "Get:1 http://example.com/debian bookworm/main amd64 gcc amd64 12 [1 kB]"),
        (60, "Selecting previously unselected package gcc."),
        (80, "Setting up gcc (12) ..."),
    ];
    use Activity::{Download, Plan, Scripts, Unpack};
    assert_eq!(
        rows(&step("apt-get update && apt-get install -y gcc", 100, &lines)),
        [
            ("apt-get update".into(), 50, vec![(Download, 30), (Plan, 20)]),
            ("apt-get install -y gcc".into(), 50, vec![(Unpack, 20), (Scripts, 20), (Download, 10)]),
        ]
    );
}

#[test]
fn tools_with_different_names_are_distinguished() {
    let lines = [
        (10, "Collecting flask"),
        (40, "Successfully installed flask-3.0"),
        (90, "added 200 packages, and audited 201 packages in 5s"),
    ];
    use Activity::{Download, Plan, Unpack};
    assert_eq!(
        rows(&step("pip install flask; npm ci", 100, &lines)),
        [
            ("pip install flask".into(), 40, vec![(Unpack, 30), (Plan, 10)]),
            ("npm ci".into(), 50, vec![(Unpack, 50)]),
            ("unattributed".into(), 10, vec![]),
        ]
    );
    assert_eq!(rows(&step("./build.sh", 20, &[(5, "Collecting flask")]))[0].2, [(Download, 15)]);
}

#[test]
fn a_shell_trace_has_the_start_of_each_command() {
    let lines = [(1, "+ apt-get update"), (40, "+ apt-get install -y gcc"), (70, "+ rm -rf /var/lib/apt/lists")];
    let rows =
        rows(&step("set -x; apt-get update && apt-get install -y gcc && rm -rf /var/lib/apt/lists", 100, &lines));
    let walls: Vec<_> = rows.iter().map(|(text, wall, _)| (&text[..7], *wall)).collect();
    assert_eq!(walls, [("apt-get", 39), ("apt-get", 30), ("rm -rf ", 30), ("unattri", 1)]);
}

/// Lines of CMake 3.25 with ninja 1.11, which prints the line of a command at its end.
#[test]
fn lines_belong_to_the_command_that_prints_them() {
    let lines = [
        (5, "-- The C compiler identification is GNU 12.2.0"),
        (10, "-- Build files have been written to: /app/out"),
        (30, "[1/3] Building C object CMakeFiles/app.dir/main.c.o"),
        (50, "[2/3] Building C object CMakeFiles/parts.dir/part0.c.o"),
        (60, "[3/3] Linking C executable app"),
        (62, "Test project /app/out"),
        (90, "100% tests passed, 0 tests failed out of 1"),
    ];
    use Activity::{Compile, Configure, Link, Test};
    assert_eq!(
        rows(&step("cmake -G Ninja -B out && cmake --build out && ctest --test-dir out", 100, &lines)),
        [
            ("cmake -G Ninja -B out".into(), 10, vec![(Configure, 10)]),
            ("cmake --build out".into(), 52, vec![(Compile, 40), (Link, 10)]),
            ("ctest --test-dir out".into(), 38, vec![(Test, 28)]),
        ]
    );
}

/// Lines of npm 9 with jest 29 and webpack 5.
#[test]
fn a_line_names_its_script_and_its_tool() {
    let lines = [
        (10, "> app@1.0.0 build"),
        (10, "> tsc -p ."),
        (30, "> app@1.0.0 test"),
        (30, "> jest"),
        (60, "PASS ./sum.test.js"),
        (95, "webpack 5.91.0 compiled successfully in 2455 ms"),
    ];
    use Activity::{Compile, Scripts, Test};
    assert_eq!(
        rows(&step("npm run build && npm test && npx webpack", 95, &lines)),
        [
            ("npm run build".into(), 30, vec![(Compile, 20), (Scripts, 10)]),
            ("npm test".into(), 30, vec![(Test, 30)]),
            ("npx webpack".into(), 35, vec![(Compile, 35)]),
        ]
    );
}

/// Lines of pip 23 and pytest 8.
#[test]
fn a_tool_that_has_ended_leaves_its_lines_to_the_next_command() {
    let lines = [
        (10, "Collecting flask"),
        (20, "Installing collected packages: flask"),
        (30, "Successfully installed flask-3.0"),
        (35, "Collecting pytest"),
        (50, "Successfully installed pytest-8.0"),
        (60, "============================= test session starts =============================="),
        (90, "============================== 1 passed in 0.46s ==============================="),
    ];
    use Activity::{Download, Plan, Test, Unpack};
    assert_eq!(
        rows(&step("pip install flask && pip install pytest && pytest", 90, &lines)),
        [
            ("pip install flask".into(), 30, vec![(Download, 10), (Unpack, 10), (Plan, 10)]),
            ("pip install pytest".into(), 20, vec![(Unpack, 15), (Plan, 5)]),
            ("pytest".into(), 40, vec![(Test, 40)]),
        ]
    );
}

/// Lines of go 1.19, whose times are 1.2 s and 0.3 s: before its tests run, they are compiled.
#[test]
fn a_line_with_the_length_of_what_ended_begins_there() {
    use Activity::{Compile, Test};
    let lines = [(9 * S, "ok  \texample.com/m/pkg/a\t1.200s"), (10 * S, "ok  \texample.com/m/pkg/b\t0.300s")];
    let tested = vec![(Compile, 8 * S + S / 2), (Test, S + S / 2)];
    let step = |text: &str| step(text, 10 * S, &lines);
    assert_eq!(rows(&step("CGO_ENABLED=0 go test ./...")), [("CGO_ENABLED=0 go test ./...".into(), 10 * S, tested)]);
    let both = 8 * S - S / 5;
    let expected: [Row; 2] = [
        ("go build ./... && go test ./...".into(), both, vec![(Compile, both)]),
        ("go test ./...".into(), 2 * S + S / 5, vec![(Test, S + S / 2), (Compile, S - S * 3 / 10)]),
    ];
    assert_eq!(rows(&step("go build ./... && go test ./...")), expected, "go build prints nothing");
}

/// Lines of cargo 1.96: a test runs after the line that other commands print last.
#[test]
fn each_of_two_test_commands_has_its_lines() {
    let lines = [
        (10, "   Compiling a v0.1.0 (/app/a)"),
        (20, "    Finished `test` profile [unoptimized + debuginfo] target(s) in 0.10s"),
        (21, "     Running unittests src/lib.rs (target/debug/deps/a-81c8f77a8a4f1a75)"),
        (40, "   Compiling b v0.1.0 (/app/b)"),
        (50, "    Finished `test` profile [unoptimized + debuginfo] target(s) in 0.10s"),
        (51, "     Running tests/it.rs (/t/debug/deps/it-1fd3aa9c3ad3b4b1)"),
    ];
    use Activity::{Compile, Plan, Test};
    assert_eq!(
        rows(&step("cargo test -p a && cargo test -p b", 80, &lines)),
        [
            ("cargo test -p a".into(), 40, vec![(Test, 19), (Compile, 10), (Plan, 10)]),
            ("cargo test -p b".into(), 40, vec![(Test, 29), (Compile, 10)]),
        ]
    );
}

#[test]
fn a_command_that_prints_nothing_does_what_it_is_for() {
    use Activity::{Compile, Configure, Pack};
    assert_eq!(
        rows(&step("rm -rf out; go build -o out .", 10, &[])),
        [("go build -o out .".into(), 10, vec![(Compile, 10)])]
    );
    for unknown in ["go build -o out . && ./out", "mvn -q test", "make -s"] {
        assert_eq!(of_output(&step(unknown, 10, &[])), None, "{unknown}");
    }
    let lines = [(4, "The Meson build system"), (6, "Found ninja-1.11.1 at /usr/bin/ninja")];
    assert_eq!(
        rows(&step("rm -rf b && meson setup b && meson install -C b", 10, &lines)),
        [("meson setup b".into(), 6, vec![(Configure, 6)]), ("meson install -C b".into(), 4, vec![(Pack, 4)]),],
        "setup has printed its last line"
    );
}

#[test]
fn output_of_no_known_tool_says_nothing() {
    assert_eq!(of_output(&step("./x", 10, &[(1, "hello")])), None);
}

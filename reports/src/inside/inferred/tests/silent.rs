use super::*;
use crate::inside::has_command;

/// tsc prints nothing, and jest 29 its first line when it is done: it says that it took 8.5 s then, without its own start.
#[test]
fn a_silent_command_and_the_start_of_the_next_one_are_one_row() {
    let lines =
        [(90 * S, "PASS ./sum.test.js"), (91 * S, "Test Suites: 1 passed, 1 total"), (91 * S, "Time:        8.5 s")];
    assert_eq!(
        rows(&step("npx tsc -p . && npx jest", 92 * S, &lines)),
        [
            ("npx tsc -p . && npx jest".into(), 82 * S + S / 2, vec![]),
            ("npx jest".into(), 8 * S + S / 2, vec![(Activity::Test, 8 * S + S / 2)]),
            ("unattributed".into(), S, vec![]),
        ]
    );
}

#[test]
fn silent_commands_that_do_the_same_have_its_phase() {
    use Activity::{Compile, Unpack};
    assert_eq!(
        rows(&step("gcc -c a.c && gcc -c b.c", 9, &[])),
        [("gcc -c a.c && gcc -c b.c".into(), 9, vec![(Compile, 9)])]
    );
    let lines = [(5, "added 3 packages in 4s")];
    assert_eq!(
        rows(&step("npm ci && npx tsc -p a && npx tsc -p b", 20, &lines)),
        [("npm ci".into(), 5, vec![(Unpack, 5)]), ("npx tsc -p a && npx tsc -p b".into(), 15, vec![(Compile, 15)])]
    );
}

#[test]
fn a_silent_command_at_the_end_has_the_time_after_the_last_line() {
    let lines = [(5, "added 3 packages in 4s")];
    use Activity::{Compile, Unpack};
    assert_eq!(
        rows(&step("node --version && npm ci && rm -rf /tmp/x && npx tsc -p .", 20, &lines)),
        [("npm ci".into(), 5, vec![(Unpack, 5)]), ("npx tsc -p .".into(), 15, vec![(Compile, 15)])]
    );
    assert_eq!(
        rows(&step("npm ci && npm run --silent build", 20, &lines)),
        [("npm ci".into(), 5, vec![(Unpack, 5)]), ("npm run --silent build".into(), 15, vec![])],
        "a script may do anything"
    );
}

/// Lines of npm 9 with mocha 10. `npm ci --silent` prints nothing, and no line of a test.
#[test]
fn an_install_runs_no_tests() {
    let lines = [(60 * S, "  1 passing (1s)")];
    assert_eq!(
        rows(&step("npm ci --silent && npm run --silent build && npm test --silent", 60 * S, &lines)),
        [
            ("npm ci --silent && npm run --silent build && npm test --silent".into(), 59 * S, vec![]),
            ("npm test --silent".into(), S, vec![(Activity::Test, S)]),
        ]
    );
}

/// apt prints nothing at its end, and the script of Python prints nothing.
#[test]
fn a_tool_without_a_last_line_shares_the_time_with_silent_commands_after_it() {
    use Activity::{Plan, Scripts, Unpack};
    let lines = [(S, "Unpacking xz-utils (5.4.1) ..."), (2 * S, "Setting up xz-utils (5.4.1) ...")];
    let installs = |rest: &str| rows(&step(&format!("apt-get install -y xz-utils{rest}"), 9 * S, &lines));
    assert_eq!(
        installs(" && python3 wait.py"),
        [
            ("apt-get install -y xz-utils".into(), 2 * S, vec![(Unpack, S), (Plan, S)]),
            ("apt-get install -y xz-utils && python3 wait.py".into(), 7 * S, vec![]),
        ]
    );
    assert_eq!(
        installs(" && rm -rf /var/lib/apt/lists"),
        [("apt-get install -y xz-utils".into(), 9 * S, vec![(Scripts, 7 * S), (Unpack, S), (Plan, S)])],
        "removing takes a moment"
    );
    let tests = [&lines[..], &[(9 * S, "1 passed in 2.00s")]].concat();
    assert_eq!(
        rows(&step("apt-get install -y xz-utils && python3 wait.py && pytest -q", 9 * S, &tests)),
        [
            ("apt-get install -y xz-utils".into(), 2 * S, vec![(Unpack, S), (Plan, S)]),
            ("apt-get install -y xz-utils && python3 wait.py && pytest -q".into(), 5 * S, vec![]),
            ("pytest -q".into(), 2 * S, vec![(Activity::Test, 2 * S)]),
        ]
    );
}

/// Lines of npm 9 with jest 29: the script before it compiles until jest begins.
#[test]
fn what_a_line_began_goes_on_until_the_next_tool_began() {
    let lines = [
        (10 * S, "> app@1.0.0 build"),
        (10 * S, "> tsc -p ."),
        (90 * S, "PASS ./sum.test.js"),
        (90 * S, "Time:        8 s"),
    ];
    use Activity::{Compile, Scripts, Test};
    assert_eq!(
        rows(&step("npm run build && npx jest", 90 * S, &lines)),
        [
            ("npm run build".into(), 82 * S, vec![(Compile, 72 * S), (Scripts, 10 * S)]),
            ("npx jest".into(), 8 * S, vec![(Test, 8 * S)]),
        ]
    );
}

/// Lines of pip 23, which warns root even with `-q`, pytest 9 and unittest of Python 3.11.
#[test]
fn a_line_that_a_tool_prints_at_its_end_is_not_that_of_an_earlier_command() {
    let lines = [
        (22, "WARNING: Running pip as the 'root' user can result in broken permissions"),
        (28, "3 passed in 3.25s"),
        (31, "1 passed in 1.25s"),
        (33, "Ran 1 test in 1.203s"),
    ];
    use Activity::{Test, Unpack};
    assert_eq!(
        rows(&step("pip install -q flask pytest && pytest -q && pytest -q a && python3 -m unittest b", 33, &lines)),
        [
            ("pip install -q flask pytest".into(), 22, vec![(Unpack, 22)]),
            ("pytest -q".into(), 6, vec![(Test, 6)]),
            ("pytest -q a".into(), 3, vec![(Test, 3)]),
            ("python3 -m unittest b".into(), 2, vec![(Test, 2)]),
        ]
    );
}

/// Lines of uv 0.13. `uv venv` prints none about packages.
#[test]
fn lines_of_uv_belong_to_the_command_that_installs() {
    let lines = [
        (10, "Using CPython 3.11.2 interpreter at: /usr/bin/python"),
        (10, "Creating virtual environment at: .venv"),
        (50, "Resolved 17 packages in 875ms"),
        (80, "Prepared 17 packages in 1.95s"),
        (90, "Installed 17 packages in 382ms"),
    ];
    use Activity::{Configure, Download, Plan, Unpack};
    assert_eq!(
        rows(&step("uv venv && uv pip install -r requirements.txt", 95, &lines)),
        [
            ("uv venv".into(), 10, vec![(Configure, 10)]),
            ("uv pip install -r requirements.txt".into(), 80, vec![(Plan, 40), (Download, 30), (Unpack, 10)]),
            ("unattributed".into(), 5, vec![]),
        ]
    );
}

/// Lines of uv 0.13: bytecode is compiled after the last line of an install without it.
#[test]
fn the_first_line_after_an_end_is_that_of_the_next_command() {
    let one = |at| [(at, "Resolved 1 package in 3ms"), (at + 5, "Installed 1 package in 4ms")];
    let lines = [&one(10)[..], &[(30, "Bytecode compiled 9 files in 10ms")], &one(50)].concat();
    use Activity::{Compile, Plan, Unpack};
    assert_eq!(
        rows(&step("uv pip install --compile-bytecode a && uv pip install b", 55, &lines)),
        [
            ("uv pip install --compile-bytecode a".into(), 30, vec![(Compile, 15), (Plan, 10), (Unpack, 5)]),
            ("uv pip install b".into(), 25, vec![(Plan, 20), (Unpack, 5)]),
        ]
    );
}

/// Lines of yarn 1.22.
#[test]
fn what_a_script_runs_ends_with_yarn() {
    let lines = [(3, "yarn run v1.22.22"), (3, "$ tsc -p ."), (45, "Done in 45.34s."), (50, "$ mocha test.js")];
    use Activity::{Compile, Scripts, Test};
    assert_eq!(
        rows(&step("yarn build && yarn test", 60, &lines)),
        [("yarn build".into(), 45, vec![(Compile, 42), (Scripts, 3)]), ("yarn test".into(), 15, vec![(Test, 15)])]
    );
}

#[test]
fn a_row_of_several_commands_is_not_that_of_the_first() {
    let step = step("gcc -c a.c && gcc -c b.c", 9, &[]);
    assert!(!has_command(&step, "gcc -c a.c"), "it may be any part of the row");
}

/// Lines of pytest 9. A program of Python may run tests, too.
#[test]
fn a_line_of_a_test_is_rather_that_of_a_command_that_tests() {
    let lines = [(6 * S, "3 passed in 2s")];
    assert_eq!(
        rows(&step("python3 fetch.py && pytest -q", 6 * S, &lines)),
        [
            ("python3 fetch.py && pytest -q".into(), 4 * S, vec![]),
            ("pytest -q".into(), 2 * S, vec![(Activity::Test, 2 * S)]),
        ]
    );
}

/// Lines of bun 1.4.
#[test]
fn lines_of_bun_divide_its_commands() {
    let lines = [
        (0, "bun install v1.4.5 (a7733435c)"),
        (14, "144 packages installed [1388.00ms]"),
        (15, "$ tsc -p ."),
        (182, "bun test v1.4.5 (a7733435c)"),
        (195, "Ran 1 test across 1 file. [1273.00ms]"),
        (196, "Bundled 1 module in 28ms"),
    ];
    use Activity::{Compile, Scripts, Test, Unpack};
    assert_eq!(
        rows(&step("bun install && bun run build && bun test ./bun.test.js && bun build test.js", 196, &lines)),
        [
            ("bun install".into(), 14, vec![(Unpack, 14)]),
            ("bun run build".into(), 168, vec![(Compile, 167), (Scripts, 1)]),
            ("bun test ./bun.test.js".into(), 13, vec![(Test, 13)]),
            ("bun build test.js".into(), 1, vec![(Compile, 1)]),
        ]
    );
}

//! Infers the inside of a step from the times of the lines that tools print.
//!
//! A tool may print a line late, or not at all.

use super::doing::Doing;
use super::saving::Savings;
use super::shell::{self, Name, Unit};
use super::text::{UNATTRIBUTED, command_line, run_text};
use super::tools::{self, Says};
use super::{Activity, ActivityRow, CommandRow, Inside, RowKind};
use buildscope_record::{Blocked, Nanos, Observed, OutputLine, Step};
use std::collections::BTreeMap;

/// The meaning of a line: a command starts, or a tool does something.
struct LineMark {
    at: Nanos,
    says: Option<Says>,
    /// The command that printed the line, or that starts.
    unit: Option<usize>,
    /// Whether the command prints nothing after it.
    is_last: bool,
    /// How long the activity lasted that has ended, if the line says so.
    lasted: Option<Nanos>,
}

/// A command as the shell prints it before it runs it (`set -x`).
pub(super) fn traced(text: &str) -> Option<&str> {
    text.strip_prefix("+ ").filter(|command| !command.trim().is_empty())
}

/// Returns the rows of a step; `None` if no line is known, or the times of the step are unknown.
pub(super) fn of_output(step: &Step) -> Option<Inside> {
    let (start, end) = (step.start?, step.end?);
    let text = run_text(&step.text);
    let units = shell::units(text);
    let able: Vec<usize> = (0..units.len()).filter(|&unit| !units[unit].is_builtin()).collect();
    let command = |unit: usize| &text[units[unit].span.clone()];
    let slow: Vec<usize> = able.iter().copied().filter(|&unit| !tools::is_quick(command(unit))).collect();
    let marks = marks(&units, &able, text, &step.output, (start, end));
    let silent = |unit: usize| tools::silent_activity(command(unit));
    let only = slow.first().copied().filter(|_| slow.len() == 1);
    if end <= start || marks.is_empty() && only.and_then(silent).is_none() {
        return None;
    }
    let mut walls = vec![Nanos::ZERO; units.len()];
    let mut activities: Vec<BTreeMap<Activity, Nanos>> = vec![BTreeMap::new(); units.len()];
    let mut unattributed = Nanos::ZERO;
    let mut put = |unit: Option<usize>, activity: Option<Activity>, length: Nanos| match unit {
        Some(unit) => {
            walls[unit] += length;
            if let Some(activity) = activity {
                *activities[unit].entry(activity).or_default() += length;
            }
        }
        None => unattributed += length,
    };
    let ends = marks.iter().map(|mark| (mark.at, Some(mark))).chain([(end, None)]);
    let mut before: Option<&LineMark> = None;
    let mut doing = Doing::default();
    let mut at = start;
    for (time, mark) in ends {
        let length = time.saturating_sub(at);
        let ended = mark.and_then(|mark| match mark.says {
            Some(Says::Ended(activity)) => Some((mark, activity)),
            _ => None,
        });
        // The first command, and one that follows a tool's last line, runs until its own first line.
        let starts = mark.filter(|mark| mark.says.is_some()).filter(|mark| match before {
            Some(before) => before.is_last && before.unit != mark.unit,
            None => mark.unit == slow.first().copied(),
        });
        // After the end of an activity, the same command continues with the one that it interrupted, or with an unknown one.
        let begun = before.map(|mark| (mark.unit, doing.now()));
        let rest = match ended {
            Some((mark, activity)) => {
                let lasted = mark.lasted.map_or(length, |lasted| lasted.min(length));
                put(mark.unit, Some(activity), lasted);
                length - lasted
            }
            None => length,
        };
        // What a tool does before a line that says how long something lasted is not what the line says.
        let continues = || before.is_some_and(|before| before.unit == mark.and_then(|mark| mark.unit));
        let (unit, activity) = match (ended, starts, begun) {
            (Some((mark, _)), Some(_), _) => (mark.unit, mark.unit.and_then(silent)),
            (Some((mark, _)), None, Some((_, None))) if continues() => (mark.unit, mark.unit.and_then(silent)),
            (None, Some(mark), _) => (mark.unit, mark.unit.and_then(|unit| tools::first_activity(command(unit)))),
            (None, None, None) if mark.is_none() => (only, only.and_then(silent)),
            (None, None, Some((Some(done), _))) if mark.is_none() && before.is_some_and(|before| before.is_last) => {
                let mut after = slow.iter().copied().filter(|&unit| unit > done);
                match (after.next(), after.next()) {
                    (None, _) => (Some(done), None),
                    (Some(next), None) => (Some(next), silent(next)),
                    (Some(_), Some(_)) => (None, None),
                }
            }
            (_, None, begun) => begun.unwrap_or_default(),
        };
        put(unit, activity, rest);
        at = at.max(time);
        if let Some(mark) = mark {
            let same = before.is_some_and(|before| before.unit == mark.unit);
            doing = mark.says.map(|says| if same { doing } else { Doing::default() }.after(says)).unwrap_or_default();
            before = Some(mark);
        }
    }
    let mut rows: Vec<CommandRow> = units
        .iter()
        .zip(walls)
        .zip(activities)
        .map(|((unit, wall), activities)| row(text, unit, wall, activities))
        .filter(|row| row.wall > Nanos::ZERO)
        .collect();
    if unattributed > Nanos::ZERO {
        rows.push(unknown(CommandRow { wall: unattributed, ..CommandRow::of(RowKind::Unattributed, UNATTRIBUTED) }));
    }
    Some(Inside {
        observed: Observed::Inferred,
        resolution: Nanos::ZERO,
        wall: end - start,
        rows,
        processes: 0,
        unseen: vec!["the processes: times are inferred from the lines that tools print".into()],
        savings: Savings::default(),
    })
}

fn row(text: &str, unit: &Unit, wall: Nanos, activities: BTreeMap<Activity, Nanos>) -> CommandRow {
    let activities = activities.into_iter().filter(|(_, time)| *time > Nanos::ZERO);
    let activity =
        |(activity, time)| ActivityRow { activity, count: 0, wall: time, time, network: Nanos::ZERO, cpu: Nanos::ZERO };
    let mut activities: Vec<ActivityRow> = activities.map(activity).collect();
    activities.sort_by_key(|row| std::cmp::Reverse(row.time));
    unknown(CommandRow {
        wall,
        place: Some((unit.span.start, unit.span.end)),
        activities,
        ..CommandRow::of(RowKind::Command, command_line(&text[unit.span.clone()]))
    })
}

/// Removes the waits of a row: output does not show them.
fn unknown(mut row: CommandRow) -> CommandRow {
    row.spent.blocked = Blocked { unknown: row.wall, ..Blocked::default() };
    row
}

/// Returns the lines that show what runs. Commands run in the order of the text, so a line belongs to the first command, from the current
/// one on, that can have printed it.
fn marks(
    units: &[Unit],
    able: &[usize],
    text: &str,
    output: &[OutputLine],
    (start, end): (Nanos, Nanos),
) -> Vec<LineMark> {
    let only = (able.len() == 1).then(|| able[0]);
    let mut current: Option<usize> = None;
    // Whether the tool of the current command has printed its last line.
    let mut is_done = false;
    let mut marks = Vec::new();
    for line in output {
        let from = current.unwrap_or(0);
        let at = line.at.clamp(start, end);
        if let Some(command) = traced(&line.text) {
            let same = |&unit: &usize| common_words(&text[units[unit].span.clone()], command);
            let next = (from..units.len()).rev().max_by_key(same).filter(|unit| same(unit) > 0);
            if let Some(unit) = next {
                (current, is_done) = (Some(unit), false);
                marks.push(LineMark { at, says: None, unit: current, is_last: false, lasted: None });
            }
            continue;
        }
        let Some(line) = tools::line(&line.text) else { continue };
        let has = |unit: usize, word: &str| {
            let is =
                |one: &str| one.strip_suffix(word).is_some_and(|before| before.is_empty() || before.ends_with('/'));
            !word.is_empty() && text[units[unit].span.clone()].split_whitespace().any(is)
        };
        let is = |unit: usize, name: &str| {
            let mut words = name.split(' ');
            words.next().is_some_and(|program| starts(&units[unit], program)) && words.all(|word| has(unit, word))
        };
        let prints = |&unit: &usize| {
            let named = line.names.iter().any(|name| is(unit, name));
            named && !line.unless.split(' ').any(|word| has(unit, word))
        };
        let is_named = |&unit: &usize| line.word.as_ref().is_some_and(|word| has(unit, word));
        let opaque = |&unit: &usize| units[unit].names.iter().any(|name| matches!(name, Name::Any | Name::Given(_)));
        let begins = !matches!(line.says, Says::Ended(_)) && !line.follows;
        let after = if is_done && begins { (from + 1..units.len()).find(prints) } else { None };
        let next = (from..units.len()).find(is_named).or(after).or_else(|| (from..units.len()).find(prints));
        // A script may run any tool.
        let unit = next.or(current).or_else(|| able.iter().copied().find(opaque)).or(only);
        let repeats = unit.is_some_and(|unit| units[unit].repeats);
        is_done = !repeats && (line.last || is_done && unit == current);
        current = unit;
        let is_last = is_done && !line.follows;
        marks.push(LineMark { at, says: Some(line.says), unit, is_last, lasted: line.lasted });
    }
    marks
}

/// Whether a command starts a program of that name, or a version of it (`python3`, `python3.11`).
fn starts(unit: &Unit, name: &str) -> bool {
    let is = |one: &Name| match one {
        Name::Is(program) => program
            .name
            .strip_prefix(name)
            .is_some_and(|rest| !rest.starts_with(|next: char| next.is_alphabetic() || next == '-')),
        Name::Subshell(_) | Name::Any | Name::Given(_) => false,
    };
    let within = |one: &Name| matches!(one, Name::Subshell(names) if names.iter().any(is));
    unit.names.iter().any(|one| is(one) || within(one))
}

/// The number of words at the start that a trace line of the shell has in common with the text of a command.
fn common_words(text: &str, traced: &str) -> usize {
    let plain = |word: &str| word.trim_matches(['\'', '"']).to_owned();
    let pairs = text.split_whitespace().zip(traced.split_whitespace());
    pairs.take_while(|(one, other)| plain(one) == plain(other)).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use buildscope_record::StepId;

    fn step(text: &str, end: u64, lines: &[(u64, &str)]) -> Step {
        let output = lines.iter().map(|&(at, text)| OutputLine { at: Nanos(at), text: text.into() }).collect();
        Step {
            start: Some(Nanos(0)),
            end: Some(Nanos(end)),
            output,
            ..Step::of(StepId(0), "RUN", format!("RUN {text}"))
        }
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
            (5, "Get:1 http://deb.debian.org/debian bookworm InRelease [151 kB]"),
            (30, "Fetched 9000 kB in 2s (4000 kB/s)"),
            (30, "Reading package lists..."),
            (50, "Building dependency tree..."),
            (50, "Get:1 http://deb.debian.org/debian bookworm/main amd64 gcc amd64 12 [1 kB]"),
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
                ("npm ci".into(), 60, vec![(Unpack, 50)]),
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
        const S: u64 = 1_000_000_000;
        use Activity::{Compile, Test};
        let lines = [(9 * S, "ok  \texample.com/m/pkg/a\t1.200s"), (10 * S, "ok  \texample.com/m/pkg/b\t0.300s")];
        let tested = vec![(Compile, 8 * S + S / 2), (Test, S + S / 2)];
        let step = |text: &str| step(text, 10 * S, &lines);
        assert_eq!(
            rows(&step("CGO_ENABLED=0 go test ./...")),
            [("CGO_ENABLED=0 go test ./...".into(), 10 * S, tested)]
        );
        let expected: [Row; 2] = [
            ("go test ./...".into(), 2 * S + S / 5, vec![(Test, S + S / 2), (Compile, S - S * 3 / 10)]),
            ("unattributed".into(), 8 * S - S / 5, vec![]),
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
}

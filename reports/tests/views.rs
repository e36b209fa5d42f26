//! The views of the example records: their text as people see it, their timeline as Perfetto's importer takes it,
//! their JSON as its schema says.

use buildscope_record::{Blocked, Cause, Nanos, Record, StepId};
use buildscope_reports::render::{self, Account, Style};
use buildscope_reports::{Explanation, explain, json_schema};
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn example(name: &str) -> Record {
    Record::read(std::fs::File::open(home().join("record/tests/examples").join(name)).unwrap()).unwrap()
}

#[test]
fn text_of_the_parallel_diamond() {
    let explanation = explain(&example("diamond.instructions.json"));
    insta::assert_snapshot!(render::text(&explanation, Style::default()));
}

#[test]
fn text_of_the_serial_diamond_on_a_narrow_terminal() {
    let explanation = explain(&example("diamond.serial.json"));
    let text = render::text(&explanation, Style { width: 72, ..Style::default() });
    assert!(text.lines().all(|line| line.chars().count() <= 72), "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    for (name, width) in [("diamond.serial.json", 60), ("diamond.instructions.json", 60), ("diamond.serial.json", 140)]
    {
        let text = render::text(&explain(&example(name)), Style { width, ..Style::default() });
        assert!(text.lines().all(|line| line.chars().count() <= width), "{text}");
        assert_eq!(text.contains("when ("), width > 60);
    }
}

#[test]
fn a_long_stage_leaves_room_for_the_instruction() {
    let mut record = example("inside.json");
    for stage in &mut record.stages {
        stage.name = format!("stage-{}", "with-a-long-name-".repeat(6));
    }
    for width in [80, 100] {
        let text = render::text(&explain(&record), Style { width, ..Style::default() });
        let (_, inside) = text.split_once("Inside the steps\n").unwrap();
        let steps: Vec<_> =
            inside.lines().take_while(|line| !line.is_empty()).filter(|line| line.contains("stage-")).collect();
        assert!(!steps.is_empty() && steps.iter().all(|line| line.contains(": RUN ")), "{text}");
    }
}

/// Five steps of eight commands, whose times are all different, and sentences about what was not seen.
fn with_many_commands() -> Explanation {
    let mut explanation = explain(&example("inside.json"));
    let mut step = explanation.steps.iter().find(|step| step.inside.is_some()).unwrap().clone();
    explanation.wall = Nanos(0);
    explanation.steps.clear();
    explanation.path.clear();
    for number in 0..5u64 {
        let inside = step.inside.as_mut().unwrap();
        let mut row = inside.rows[0].clone();
        row.inner.clear();
        inside.rows = (0..8)
            .map(|at| {
                row.text = format!("command-{number}-{at}");
                row.wall = Nanos((40 + at * 7 % 8 + 8 * number) * 1_000_000_000);
                // Three waits of a fifth each, which need three lines of half a terminal of 80 columns.
                row.cpu = row.wall;
                row.spent.processor = Nanos(row.wall.0 / 5);
                row.spent.blocked = Blocked::default();
                for cause in [Cause::Disk, Cause::Lock, Cause::Network] {
                    row.spent.blocked[cause] = Nanos(row.wall.0 / 5);
                }
                row.clone()
            })
            .collect();
        inside.wall = inside.rows.iter().map(|row| row.wall).sum();
        inside.unseen = (0..3).map(|at| format!("{} {at}", "words that need several lines ".repeat(4))).collect();
        step.wall = inside.wall;
        step.id = StepId(u32::try_from(number).unwrap());
        explanation.wall += step.wall;
        explanation.steps.push(step.clone());
    }
    explanation
}

/// The section about the commands has fewer lines than the screen. It has the commands that cost most, and counts the others.
#[test]
fn the_commands_that_cost_most_fit_the_screen() {
    let explanation = with_many_commands();
    let walls = |text: &str| -> Vec<u64> {
        let rows = explanation.steps.iter().flat_map(|step| &step.inside.as_ref().unwrap().rows);
        let mut walls: Vec<_> =
            rows.filter(|row| text.split_whitespace().any(|word| word == row.text)).map(|row| row.wall.0).collect();
        walls.sort_unstable_by(|a, b| b.cmp(a));
        walls
    };
    let all = walls(&render::account(&explanation, Account::Commands, Style::default()));
    assert_eq!(all.len(), 40);
    // At most five commands of each of the four longest steps.
    let mut candidates: Vec<_> = all[..32].chunks(8).flat_map(|step| step[..5].to_vec()).collect();
    candidates.sort_unstable_by(|a, b| b.cmp(a));
    for (width, height) in [(100, 24), (80, 24), (60, 24), (40, 24), (80, 40), (80, 200)] {
        let text = render::text(&explanation, Style { width, height, ..Style::default() });
        let section = text.split("\n\n").find(|section| section.starts_with("Inside the steps\n")).unwrap();
        assert!(section.lines().count() < height, "{width} {height}\n{section}");
        assert!(section.lines().all(|line| line.chars().count() <= width), "{section}");
        let shown = walls(section);
        assert!(!shown.is_empty() && shown == candidates[..shown.len()], "{width} {height}\n{section}");
        let left_out: u64 = all.iter().sum::<u64>() - shown.iter().sum::<u64>();
        let said = format!("and {} shorter, {} (`--by commands` has all)", all.len() - shown.len(), Nanos(left_out));
        let joined = section.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(joined.contains(&said), "{said}\n{section}");
        // No wait is cut off.
        for wait in ["20 % disk", "20 % network", "20 % lock or pipe"] {
            assert_eq!(joined.matches(wait).count(), shown.len(), "{width} {height}\n{section}");
        }
    }
}

#[test]
fn processes_that_were_not_seen_are_not_counted() {
    let mut record = example("inside.json");
    for processes in record.steps.iter_mut().filter_map(|step| step.processes.as_mut()) {
        processes.list.clear();
        processes.folded.clear();
    }
    let text = render::text(&explain(&record), Style::default());
    let (_, inside) = text.split_once("Inside the steps\n").unwrap();
    assert!(!inside.contains("in 0 process"), "{text}");
}

#[test]
fn colours_do_not_change_the_text() {
    let explanation = explain(&example("diamond.serial.json"));
    let coloured = render::text(&explanation, Style { colours: true, ..Style::default() });
    let mut plain = String::new();
    let mut parts = coloured.split('\u{1b}');
    plain.push_str(parts.next().unwrap());
    parts.for_each(|part| plain.push_str(part.split_once('m').unwrap().1));
    let trimmed = |text: &str| text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
    assert_eq!(trimmed(&plain), trimmed(&render::text(&explanation, Style::default())));
    assert!(coloured.contains('\u{1b}'));
}

#[test]
fn the_group_rows_sum_to_the_wall_time() {
    for name in ["diamond.instructions.json", "diamond.serial.json"] {
        let explanation = explain(&example(name));
        assert_eq!(explanation.accounts.groups.iter().map(|row| row.wall.0).sum::<u64>(), explanation.wall.0);
        assert_eq!(explanation.steps.iter().map(|step| step.wall.0).sum::<u64>() + 2_500_000, explanation.wall.0);
    }
}

#[test]
fn json_satisfies_the_committed_schema() {
    let path = home().join("schema/explanation.v1.json");
    let now = serde_json::to_string_pretty(&json_schema()).unwrap() + "\n";
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(&path, &now).unwrap();
    }
    assert!(std::fs::read_to_string(&path).unwrap() == now, "run this test with UPDATE_SCHEMA=1");
    let explanation = explain(&example("diamond.serial.json"));
    let text = render::json(&explanation).unwrap();
    let value: Value = serde_json::from_str(&text).unwrap();
    jsonschema::validator_for(&json_schema()).unwrap().validate(&value).unwrap();
    assert_eq!(serde_json::from_str::<Explanation>(&text).unwrap(), explanation);
}

#[test]
fn trace_viewers_accept_the_timeline() {
    let records = ["diamond.instructions.json", "diamond.serial.json"].map(example);
    let explanations = records.each_ref().map(explain);
    let builds: Vec<_> = records.iter().zip(&explanations).collect();
    let trace = render::timeline(&builds);
    let events = trace["traceEvents"].as_array().unwrap();
    let of = |phase: &'static str| events.iter().filter(move |event| event["ph"] == phase);

    // Every event has its place; slices have an instant and a length.
    assert!(events.iter().all(|event| event["pid"].is_u64() && event["name"].is_string()));
    for slice in of("X") {
        assert!(slice["ts"].as_f64().unwrap() >= 0.0 && slice["dur"].as_f64().unwrap() >= 0.0 && slice["tid"].is_u64());
        let args = slice["args"].as_object().unwrap();
        assert!(args.iter().all(|(name, value)| value.is_number() || name == "stage"), "{slice}");
    }
    // Slices of one track nest: importers drop those that overlap.
    assert_slices_nest(events);
    let nanos = |value: &Value| (value.as_f64().unwrap() * 1e3).round() as u64;
    // A process a build, named; named tracks for the path and the slots.
    let names: HashSet<_> = of("M")
        .filter(|event| event["name"] == "thread_name")
        .map(|event| event["args"]["name"].as_str().unwrap())
        .collect();
    assert!(["build", "critical path", "slot 0", "slot 1"].iter().all(|name| names.contains(name)), "{names:?}");
    let processes =
        of("M").filter(|event| event["name"] == "process_name").map(|event| event["args"]["name"].as_str().unwrap());
    assert_eq!(
        processes.collect::<Vec<_>>(),
        ["buildscope instructions overlay cold", "buildscope serial overlay cold"]
    );
    // Each flow begins once and ends once, not before it begins, within its build; there is one an edge.
    let flows = |phase| of(phase).map(|event| (event["id"].as_u64().unwrap(), event)).collect::<HashMap<_, _>>();
    let (starts, ends) = (flows("s"), flows("f"));
    assert_eq!(starts.len(), records.iter().map(|record| record.edges.len()).sum::<usize>());
    for (id, start) in &starts {
        let end = ends[id];
        assert!(end["ts"].as_f64() >= start["ts"].as_f64() && end["pid"] == start["pid"] && end["bp"] == "e");
        assert!(["data", "order"].contains(&start["name"].as_str().unwrap()));
    }
    assert!(of("C").all(|event| event["args"].as_object().unwrap().values().all(Value::is_number)));
    assert!(of("C").any(|event| event["name"] == "steps"));
    // The critical path's slices fill the build.
    let path = of("X").filter(|slice| slice["pid"] == 1 && slice["cat"] == "path,phase");
    let path: u64 = path.map(|slice| nanos(&slice["dur"])).sum();
    assert!(path.abs_diff(records[0].wall.0) <= 100, "a length is exact to a nanosecond");
}

/// Slices of one track nest in the arithmetic of the readers, which add instants and lengths as doubles. They drop or misplace slices
/// that overlap by a rounding error.
fn assert_slices_nest(events: &[Value]) {
    let mut tracks: HashMap<(u64, u64), Vec<(f64, f64)>> = HashMap::new();
    for slice in events.iter().filter(|event| event["ph"] == "X") {
        let track = (slice["pid"].as_u64().unwrap(), slice["tid"].as_u64().unwrap());
        // As in a reader: the text of the number is read as a double.
        let number = |name: &str| slice[name].to_string().parse::<f64>().unwrap();
        assert!(number("dur") > 0.0, "closed before it is opened, if another one starts then: {slice}");
        tracks.entry(track).or_default().push((number("ts"), number("ts") + number("dur")));
    }
    for (track, mut slices) in tracks {
        slices.sort_by(|one, other| one.0.total_cmp(&other.0).then(other.1.total_cmp(&one.1)));
        let mut open: Vec<f64> = Vec::new();
        for (start, end) in slices {
            while open.last().is_some_and(|&last| last <= start) {
                open.pop();
            }
            assert!(open.last().is_none_or(|&last| end <= last), "{track:?}: {start}..{end} overlaps");
            open.push(end);
        }
    }
}

/// The instants of imported records are seldom whole microseconds.
#[test]
fn slices_of_imported_records_nest() {
    for sample in std::fs::read_dir(home().join("tests/samples")).unwrap() {
        let sample = sample.unwrap().path();
        if sample.ends_with("README.md") {
            continue;
        }
        let log = std::fs::read(sample).unwrap();
        let record = buildscope_reports::import::import(&log).unwrap();
        let trace = render::timeline(&[(&record, &explain(&record))]);
        assert_slices_nest(trace["traceEvents"].as_array().unwrap());
    }
}

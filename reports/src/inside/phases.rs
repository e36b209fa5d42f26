//! What a process did when: one thing, or several that the lines of its tool name.

use super::doing::Doing;
use super::tools::{Known, Says, line_of};
use super::{Activity, share::fit};
use buildscope_record::{Nanos, OutputLine, Process, Timeline};

/// A part of a process's life in which it did one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Phase {
    pub(super) activity: Activity,
    pub(super) start: Nanos,
    pub(super) end: Nanos,
}

/// What a line says at its time, and how long the activity lasted that has ended, if it says so.
struct Said {
    at: Nanos,
    says: Says,
    lasted: Option<Nanos>,
}

/// The phases of a process of which this is known.
pub(super) fn of(process: &Process, known: Known, output: &[OutputLine]) -> Vec<Phase> {
    let (start, end) = (process.start, process.end.max(process.start));
    let Some(family) = known.tells else { return vec![Phase { activity: known.activity, start, end }] };
    let during = output.iter().filter(|line| start < line.at && line.at < end);
    let said: Vec<Said> = during
        .filter_map(|line| line_of(family, &line.text).map(|(says, lasted)| Said { at: line.at, says, lasted }))
        .collect();
    let phases = match &said[..] {
        [] => vec![Phase { activity: known.activity, start, end }],
        said => divided(said, (start, end)),
    };
    match process.tasks {
        Some(tasks) => phases.into_iter().flat_map(|phase| prepared(phase, tasks)).collect(),
        None => phases,
    }
}

/// A phase of a program that worked on tasks from this time on. Gradle names a task at its end, so the first one seems to have all of the time
/// before it.
fn prepared(phase: Phase, tasks: Nanos) -> Vec<Phase> {
    if phase.activity == Activity::Plan || tasks <= phase.start || phase.end <= tasks {
        return vec![phase];
    }
    vec![Phase { activity: Activity::Plan, end: tasks, ..phase }, Phase { start: tasks, ..phase }]
}

/// A process's life, divided by what its lines say. Between the end of one thing and the beginning of another, and before the first, it
/// decides what to do next.
fn divided(said: &[Said], (start, end): (Nanos, Nanos)) -> Vec<Phase> {
    let mut phases: Vec<Phase> = Vec::new();
    let mut until = |activity, end| match phases.last_mut() {
        Some(last) if last.activity == activity => last.end = last.end.max(end),
        last => {
            let is_first = last.is_none();
            let start = last.map_or(start, |last| last.end);
            if is_first || start < end {
                phases.push(Phase { activity, start, end });
            }
        }
    };
    let mut doing = Doing::default();
    for &Said { at, says, lasted } in said {
        if let Some(lasted) = lasted {
            until(doing.now().unwrap_or(Activity::Plan), at.saturating_sub(lasted).max(start));
        }
        until(doing.until(says).unwrap_or(Activity::Plan), at);
        doing = doing.after(says);
    }
    until(doing.now().unwrap_or(Activity::Plan), end);
    phases
}

/// What a process did at an instant.
pub(super) fn at(phases: &[Phase], time: Nanos) -> Option<Activity> {
    phases.iter().rev().find(|phase| phase.start <= time).or(phases.first()).map(|phase| phase.activity)
}

/// An amount that a process spent, divided among its phases in proportion to the time in which it did what a letter of its timeline
/// says; without such a time, to their times. A wait for the network is rather that of a download.
pub(super) fn divide(amount: Nanos, process: &Process, phases: &[Phase], letters: &[char]) -> Vec<Nanos> {
    if let [_] = phases {
        return vec![amount];
    }
    let weights: Vec<Nanos> = phases.iter().map(|phase| spent(process, phase, letters)).collect();
    if weights.iter().any(|time| *time > Nanos::ZERO) {
        return fit(&weights, amount);
    }
    let downloads = |phase: &Phase| phase.activity == Activity::Download;
    let only_downloads = letters == ['n'] && phases.iter().any(downloads);
    let length = |phase: &Phase| {
        if only_downloads && !downloads(phase) { Nanos::ZERO } else { phase.end - phase.start }
    };
    fit(&phases.iter().map(length).collect::<Vec<_>>(), amount)
}

/// The time within a phase in which a process did what one of these letters says.
fn spent(process: &Process, phase: &Phase, letters: &[char]) -> Nanos {
    pieces(process, phase).filter(|(letter, _)| letters.contains(letter)).map(|(_, (from, to))| to - from).sum()
}

/// The times within a phase in which a process did more than wait for its children. A letter of the timeline says what it mostly did, so of
/// a shorter phase it says nothing.
pub(super) fn active(process: &Process, phase: &Phase) -> Vec<(Nanos, Nanos)> {
    let is_finer = |timeline: &Timeline| timeline.every < phase.end - phase.start;
    if !process.timeline.as_ref().is_some_and(is_finer) {
        return vec![(phase.start, phase.end)];
    }
    pieces(process, phase).filter(|(letter, _)| *letter != 'w').map(|(_, piece)| piece).collect()
}

/// The times in which a process did more than wait for other processes. Without a timeline, their length is right, and they are at its start.
pub(super) fn busy(process: &Process) -> Vec<(Nanos, Nanos)> {
    let (start, end) = (process.start, process.end.max(process.start));
    if process.timeline.is_none() {
        let blocked = process.time.blocked;
        return vec![(start, start + (end - start).saturating_sub(blocked.lock + blocked.child))];
    }
    let whole = Phase { activity: Activity::Plan, start, end };
    pieces(process, &whole).filter(|(letter, _)| !['w', 'l'].contains(letter)).map(|(_, piece)| piece).collect()
}

/// What the timeline of a process says of a phase, piece by piece.
fn pieces(process: &Process, phase: &Phase) -> impl Iterator<Item = (char, (Nanos, Nanos))> {
    let (every, states) = process.timeline.as_ref().map_or((Nanos::ZERO, ""), |line| (line.every, &*line.states));
    let (start, phase) = (process.start, *phase);
    (0..).zip(states.chars()).filter_map(move |(number, letter)| {
        let at = |number: u64| Nanos((start.0 + every.0 * number).clamp(phase.start.0, phase.end.0));
        let (from, to) = (at(number), at(number + 1));
        (from < to).then_some((letter, (from, to)))
    })
}

#[cfg(test)]
mod tests {
    use super::super::tools;
    use super::*;

    fn maven(timeline: &str) -> Process {
        let words = "java -classpath /usr/share/maven/boot/plexus-classworlds-2.x.jar package";
        Process {
            program: "java".into(),
            arguments: words.split(' ').map(str::to_owned).collect(),
            start: Nanos(100),
            end: Nanos(200),
            timeline: Some(Timeline { every: Nanos(10), states: timeline.into() }),
            ..Process::default()
        }
    }

    fn lines(lines: &[(u64, &str)]) -> Vec<OutputLine> {
        lines.iter().map(|&(at, text)| OutputLine { at: Nanos(at), text: text.into() }).collect()
    }

    /// Lines of Maven 3.8, and of another tool that runs meanwhile.
    #[test]
    fn lines_divide_the_life_of_one_process() {
        use Activity::{Compile, Plan, Test};
        let process = maven("ccccccnncc");
        let output = lines(&[
            (110, "[INFO] Scanning for projects..."),
            (130, "[INFO] --- maven-compiler-plugin:3.10.1:compile (default-compile) @ app ---"),
            (140, "Collecting flask"),
            (150, "[INFO] --- maven-surefire-plugin:2.22.3:test (default-test) @ app ---"),
            (250, "[INFO] --- maven-jar-plugin:3.3.0:jar (default-jar) @ app ---"),
        ]);
        let known = tools::known(&process).unwrap();
        let phases = of(&process, known, &output);
        let shown: Vec<_> = phases.iter().map(|phase| (phase.activity, phase.start.0, phase.end.0)).collect();
        assert_eq!(shown, [(Plan, 100, 130), (Compile, 130, 150), (Test, 150, 200)]);
        assert_eq!(at(&phases, Nanos(120)), Some(Plan));
        let divided = |amount, letters: &[char]| {
            divide(Nanos(amount), &process, &phases, letters).into_iter().map(|part| part.0).collect::<Vec<_>>()
        };
        assert_eq!(divided(80, &['c']), [30, 20, 30]);
        assert_eq!(divided(20, &['n']), [0, 0, 20]);
        assert_eq!(divided(100, &['d']), [30, 20, 50], "by their lengths");
        let quiet = of(&process, known, &[]);
        assert_eq!(quiet, [Phase { activity: Compile, start: Nanos(100), end: Nanos(200) }]);
    }

    /// Lines of Gradle 4.4. The first task ends at 170, and its workers start at 140.
    #[test]
    fn gradle_plans_until_its_workers_start() {
        use Activity::{Compile, Pack, Plan};
        let words =
            "java -classpath /usr/share/gradle/lib/gradle-launcher-4.4.1.jar org.gradle.launcher.GradleMain build";
        let arguments = words.split(' ').map(str::to_owned).collect();
        let process = Process { arguments, tasks: Some(Nanos(140)), ..maven("cccccccccc") };
        let shown = |process: &Process, output: &[OutputLine]| {
            let phases = of(process, tools::known(process).unwrap(), output);
            phases.iter().map(|phase| (phase.activity, phase.start.0, phase.end.0)).collect::<Vec<_>>()
        };
        let output = lines(&[(170, ":compileJava"), (180, ":jar")]);
        let expected = [(Plan, 100, 140), (Compile, 140, 170), (Pack, 170, 180), (Plan, 180, 200)];
        assert_eq!(shown(&process, &output), expected);
        assert_eq!(shown(&process, &[]), [(Plan, 100, 140), (Compile, 140, 200)]);
        let unnamed = Process { tasks: None, ..process };
        assert_eq!(shown(&unnamed, &output)[0], (Compile, 100, 170));
    }

    /// Lines of Maven 3.8: the compiler's plugin downloads what it needs and then compiles.
    #[test]
    fn what_a_download_interrupts_continues() {
        use Activity::{Compile, Download, Plan};
        let process = maven("cccccccccc");
        let output = lines(&[
            (110, "[INFO] Scanning for projects..."),
            (120, "[INFO] --- maven-compiler-plugin:3.10.1:compile (default-compile) @ app ---"),
            (130, "[INFO] Downloading from central: https://example.com/maven2/org/ow2/asm/asm/9.3/asm-9.3.pom"),
            (
                140,
                "[INFO] Downloaded from central: https://example.com/maven2/org/ow2/asm/asm/9.3/asm-9.3.pom (1.1 kB at 2 kB/s)",
            ),
            (190, "[INFO] BUILD SUCCESS"),
        ]);
        let phases = of(&process, tools::known(&process).unwrap(), &output);
        let shown: Vec<_> = phases.iter().map(|phase| (phase.activity, phase.start.0, phase.end.0)).collect();
        let expected =
            [(Plan, 100, 120), (Compile, 120, 130), (Download, 130, 140), (Compile, 140, 190), (Plan, 190, 200)];
        assert_eq!(shown, expected);
    }

    /// Lines of go 1.19: its tests took 30 and 10 of the time, and what comes before them is not known by lines.
    #[test]
    fn a_line_with_a_length_ends_no_more_than_that() {
        use Activity::{Plan, Test};
        let arguments = ["go", "test", "./..."].map(str::to_owned).to_vec();
        let process =
            Process { program: "go".into(), arguments, start: Nanos(0), end: Nanos(100_000_000), ..Process::default() };
        let output = lines(&[(70_000_000, "ok  \texample.com/a\t0.030s"), (90_000_000, "ok  \texample.com/b\t0.010s")]);
        let phases = of(&process, tools::known(&process).unwrap(), &output);
        let shown: Vec<_> = phases.iter().map(|phase| (phase.activity, phase.end.0 / 1_000_000)).collect();
        assert_eq!(shown, [(Plan, 40), (Test, 70), (Plan, 80), (Test, 90), (Plan, 100)]);
    }

    #[test]
    fn waits_for_children_are_not_activity() {
        let process = maven("ccwwwwcccc");
        let phase = Phase { activity: Activity::Plan, start: Nanos(105), end: Nanos(165) };
        let active: Vec<_> = active(&process, &phase).into_iter().map(|(from, to)| (from.0, to.0)).collect();
        assert_eq!(active, [(105, 110), (110, 120), (160, 165)]);
    }

    /// cargo 1.63 downloads in less time than a letter of a long process's timeline covers.
    #[test]
    fn a_phase_that_is_shorter_than_a_letter_has_its_time() {
        let states = Some(Timeline { every: Nanos(50), states: "ww".into() });
        let process = Process { start: Nanos(100), end: Nanos(200), timeline: states, ..Process::default() };
        let phase = |activity, start, end| Phase { activity, start: Nanos(start), end: Nanos(end) };
        let phases = [phase(Activity::Download, 110, 150), phase(Activity::Compile, 150, 200)];
        assert_eq!(active(&process, &phases[0]), [(Nanos(110), Nanos(150))]);
        assert_eq!(active(&process, &phase(Activity::Compile, 100, 200)), []);
        assert_eq!(divide(Nanos(9), &process, &phases, &['n']), [Nanos(9), Nanos(0)]);
        assert_eq!(divide(Nanos(9), &process, &phases, &['d']), [Nanos(4), Nanos(5)]);
    }

    #[test]
    fn a_process_that_does_one_thing_has_one_phase() {
        let process = Process { program: "cc1".into(), end: Nanos(9), ..Process::default() };
        let known = tools::known(&process).unwrap();
        let phase = Phase { activity: Activity::Compile, start: Nanos(0), end: Nanos(9) };
        assert_eq!(of(&process, known, &lines(&[(3, "Setting up gcc (12) ...")])), [phase]);
    }
}

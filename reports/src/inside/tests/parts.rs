//! The parts of a command: pipelines, loops, subshells, substitutions, and the processes of a program.

use super::*;

/// curl works 900 ms, tar 100 ms and waits for curl otherwise: they share the time as 9 to 1.
#[test]
fn waits_within_a_pipeline_are_not_time_of_its_parts() {
    let mut tar = ms(Some(0), "tar", 0, 1000, 100);
    tar.time.blocked = Blocked { lock: Nanos(900_000_000), ..Blocked::default() };
    let list = vec![ms(None, "sh", 0, 1000, 0), ms(Some(0), "curl", 0, 900, 90), tar];
    let Some(inside) = inside(&long("curl x | tar xz", list).steps[0], Nanos::ZERO) else { panic!("one step") };
    let parts: Vec<_> = inside.rows[0].inner.iter().map(|row| (&*row.text, row.wall.0 / 1_000_000)).collect();
    assert_eq!(parts, [("curl x", 900), ("tar xz", 100)]);
    assert_eq!(inside.rows[0].inner[0].place, Some((0, 6)));
}

/// Three turns of a loop with one command, and two of a loop with one pipeline.
#[test]
fn the_turns_of_a_loop_with_one_command_have_their_time() {
    let run = |argument: &str, start, end| Process {
        arguments: vec!["pip".into(), "install".into(), argument.into()],
        ..ms(Some(0), "pip", start, end, end - start)
    };
    let list = vec![ms(None, "sh", 0, 1000, 0), run("a", 0, 200), run("b", 200, 900), run("c", 900, 1000)];
    let text = "for i in a b c; do pip install $i; done";
    let turns = [row("pip install b", 700), row("pip install a", 200), row("pip install c", 100)];
    assert_eq!(parts(text, list.clone()), turns);
    assert_eq!(share_of(&long(text, list), "pip install"), 1.0, "its own row is that of the loop");

    // Between the turns, the shell computes.
    let mut shell = ms(None, "sh", 0, 1000, 100);
    shell.time.blocked.child = Nanos(900_000_000);
    let between = long(text, vec![shell, run("a", 0, 200), run("b", 300, 1000)]);
    let Some(between) = inside(&between.steps[0], Nanos::ZERO) else { panic!("one step") };
    let itself = between.rows[0].inner.last().map(|row| (&*row.text, row.wall, row.spent.processor));
    assert_eq!(itself, Some(("the shell itself", Nanos(100_000_000), Nanos(100_000_000))));

    let list = vec![
        ms(None, "sh", 0, 1000, 0),
        ms(Some(0), "curl", 0, 300, 300),
        ms(Some(0), "tar", 300, 500, 200),
        ms(Some(0), "curl", 500, 800, 300),
        ms(Some(0), "tar", 800, 1000, 200),
    ];
    let text = "for i in a b; do curl $i | tar x; done";
    assert_eq!(parts(text, list.clone()), [row("curl $i", 600), row("tar x", 400)]);
    assert_eq!(share_of(&long(text, list), "tar x"), 0.4);

    let copy = |start, end| Process { forked: true, ..ms(Some(0), "sh", start, end, 0) };
    let list = vec![
        ms(None, "sh", 0, 1000, 0),
        copy(0, 500),
        ms(Some(1), "curl", 0, 300, 300),
        ms(Some(1), "tar", 300, 500, 200),
        copy(500, 1000),
        ms(Some(4), "curl", 500, 800, 300),
        ms(Some(4), "tar", 800, 1000, 200),
    ];
    assert_eq!(parts("for i in a b; do (curl $i; tar x); done", list), [row("curl $i", 600), row("tar x", 400)]);
}

#[test]
fn the_commands_of_substitutions_have_their_time() {
    let list = vec![
        ms(None, "sh", 0, 1000, 0),
        ms(Some(0), "git", 0, 300, 300),
        Process { forked: true, ..ms(Some(0), "sh", 300, 700, 0) },
        ms(Some(2), "ls", 300, 400, 100),
        ms(Some(2), "sed", 400, 700, 300),
        Process { arguments: vec!["cc".into(), "1.2".into()], ..ms(Some(0), "cc", 700, 1000, 300) },
    ];
    let text = "cc $(git describe) \"$(ls; sed x)\"";
    let split = [row("git describe", 300), row("ls; sed x", 400), row("cc 1.2", 300)];
    assert_eq!(parts(text, list.clone()), split);
    let Some(whole) = inside(&long(text, list.clone()).steps[0], Nanos::ZERO) else { panic!("one step") };
    let inner = &whole.rows[0].inner;
    assert_eq!(inner.iter().map(|row| row.place).collect::<Vec<_>>(), [Some((5, 17)), Some((22, 31)), None]);
    let nested: Vec<_> = inner[1].inner.iter().map(|row| (&*row.text, row.wall.0 / 1_000_000)).collect();
    assert_eq!(nested, [("ls", 100), ("sed x", 300)]);
    let call = parts("f() { ls; sed x; cc $1; }; f $(git describe)", list.clone());
    assert_eq!(call, [row("git describe", 300), row("f", 700)]);
    // The order of a process substitution is not known: its processes are told apart by their programs.
    assert_eq!(
        parts("cc $(git describe) <(ls; sed x)", list),
        [row("cc 1.2", 300), row("git", 300), row("sed", 300), row("ls", 100)]
    );
}

#[test]
fn the_commands_of_a_subshell_have_their_time() {
    let list = vec![
        ms(None, "sh", 0, 1000, 0),
        Process { forked: true, ..ms(Some(0), "sh", 0, 1000, 0) },
        ms(Some(1), "make", 100, 600, 500),
        ms(Some(1), "cp", 600, 900, 300),
    ];
    assert_eq!(parts("(make; cp a b)", list), [row("make", 500), row("cp a b", 300), row("the shell itself", 200)]);
}

#[test]
fn the_commands_of_a_loop_have_the_sum_of_their_runs() {
    let list = vec![
        ms(None, "sh", 0, 1000, 0),
        ms(Some(0), "gcc", 0, 300, 300),
        ms(Some(0), "strip", 300, 400, 100),
        ms(Some(0), "gcc", 400, 900, 500),
        ms(Some(0), "strip", 900, 1000, 100),
    ];
    assert_eq!(parts("for i in a b; do gcc $i; strip $i; done", list), [row("gcc $i", 800), row("strip $i", 200)]);
}

/// Two compilers run at the same time from 100 to 500 ms, one of another directory from 500 to 900 ms.
#[test]
fn a_recursive_make_is_divided_by_directory() {
    let named =
        |process: Process, words: &str| Process { arguments: words.split(' ').map(str::to_owned).collect(), ..process };
    let list = vec![
        ms(None, "sh", 0, 1000, 0),
        named(ms(Some(0), "make", 0, 1000, 0), "make all"),
        named(ms(Some(1), "make", 100, 500, 0), "make -C lib"),
        named(ms(Some(1), "make", 100, 900, 0), "make -C bin"),
        ms(Some(2), "cc1", 100, 500, 400),
        ms(Some(3), "cc1", 100, 900, 800),
    ];
    assert_eq!(parts("make all", list), [row("make -C bin", 600), row("make -C lib", 200), row("make itself", 200)]);
}

/// In a loop of a second, most short processes are totals: 400 ms of date and 100 ms of cp.
#[test]
fn the_time_of_totals_belongs_to_the_commands_of_a_loop() {
    let list = vec![
        ms(None, "sh", 0, 1000, 0),
        ms(Some(0), "date", 0, 100, 100),
        ms(Some(0), "cp", 100, 300, 200),
        ms(Some(0), "date", 900, 1000, 100),
    ];
    let mut record = long("while test $i; do date; cp a b; done", list);
    let totals = |dates, copies| vec![total(Some(0), "date", dates), total(Some(0), "cp", copies)];
    let mut inner = |totals| {
        record.steps[0].processes.as_mut().unwrap().folded = totals;
        let Some(inside) = inside(&record.steps[0], Nanos::ZERO) else { panic!("one step") };
        let rows = &inside.rows[0].inner;
        rows.iter().map(|row| (row.text.clone(), row.wall.0 / 1_000_000, row.processes)).collect::<Vec<_>>()
    };
    let row = |text: &str, wall, processes| (text.to_owned(), wall, processes);
    let expected = [row("test $i", 100, 0), row("date", 600, 40_002), row("cp a b", 300, 10_001)];
    assert_eq!(inner(totals(40_000, 10_000)), expected);
    // Several at a time: there are 600 ms for the 900 of date and the 300 of cp.
    let expected = [row("date", 650, 90_002), row("cp a b", 350, 30_001)];
    assert_eq!(inner(totals(90_000, 30_000)), expected);
}

/// Of the processes of make, 300 ms of cc1 and 100 ms of as are totals.
#[test]
fn the_time_of_totals_belongs_to_the_programs_of_make() {
    let list = vec![
        ms(None, "sh", 0, 1000, 0),
        ms(Some(0), "make", 0, 1000, 100),
        ms(Some(1), "cc1", 0, 150, 150),
        ms(Some(1), "ld", 150, 350, 200),
    ];
    let mut record = long("make; true", list);
    let seen = record.steps[0].processes.as_mut().unwrap();
    seen.folded = vec![total(Some(1), "as", 10_000), total(Some(1), "cc1", 30_000)];
    let Some(inside) = inside(&record.steps[0], Nanos::ZERO) else { panic!("one step") };
    let rows = &inside.rows[0].inner;
    let rows: Vec<_> = rows.iter().map(|row| (&*row.text, row.wall.0 / 1_000_000, row.processes)).collect();
    assert_eq!(rows, [("cc1", 450, 30_001), ("ld", 200, 1), ("as", 100, 10_000), ("make itself", 250, 1)]);
}

/// A shell executes the last command of its text in its own place: the process has the name of the text, and the command a row.
#[test]
fn the_last_command_of_a_nested_shell_has_a_row() {
    let mut list = vec![
        process(None, "sh", 0, 900_000_000, 0),
        process(Some(0), "su", 0, 10_000_000, 0),
        process(Some(0), "sh", 10_000_000, 500_000_000, 0),
        process(Some(2), "cp", 20_000_000, 500_000_000, 0),
        process(Some(0), "rm", 500_000_000, 900_000_000, 0),
    ];
    list[2].replaces = Some(1);
    list[4].replaces = Some(2);
    for (number, text) in [(1, "su|-c|cp a b; rm -r c"), (2, "sh|-c|cp a b; rm -r c"), (3, "cp|a|b"), (4, "rm|-r|c")] {
        list[number].arguments = text.split('|').map(String::from).collect();
    }
    let mut record = record("su -c 'cp a b; rm -r c'", list);
    record.steps[0].processes.as_mut().unwrap().end = Nanos(900_000_000);
    let inside = inside(&record.steps[0], Nanos(0)).unwrap();
    let inner: Vec<_> = inside.rows[0].inner.iter().map(|row| (row.text.as_str(), row.kind)).collect();
    assert_eq!(inner, [("cp a b", RowKind::Process), ("rm -r c", RowKind::Process)]);
}

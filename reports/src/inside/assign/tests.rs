use super::score::SELF;
use super::*;
use crate::inside::shell::units;

/// Assigns children, which are given as names of programs with arguments. `&` before a name marks a process that executed nothing, and `+` a
/// copy of the shell that executed it after others.
fn assigned(text: &str, children: &[&str]) -> Vec<String> {
    let units = units(text);
    let words = |line: &&str| line.trim_start_matches(['&', '+']).split(' ').map(str::to_owned).collect::<Vec<_>>();
    let programs: Vec<Vec<String>> = children.iter().map(words).collect();
    let children: Vec<_> = children
        .iter()
        .zip(&programs)
        .map(|(line, words)| Child {
            program: &words[0],
            forked: line.starts_with('&'),
            copied: line.starts_with('+'),
            arguments: if *line == SELF { &[] } else { words },
        })
        .collect();
    let units = with_functions(units, &children);
    let of = |owner| match owner {
        Owner::Unit(unit) => text[units[unit].span.clone()].to_owned(),
        Owner::Several(first, last) => format!("? {}", &text[units[first].span.start..units[last].span.end]),
        Owner::Shell => "-".to_owned(),
    };
    assign(&units, &children, text).into_iter().map(of).collect()
}

/// A sampled build lacks the short processes.
#[test]
fn arguments_tell_commands_of_one_name_apart() {
    let text = "sleep 0.5 && while [ $i ]; do true; done; (sleep 0.3) && sh -c \"sleep 0.2; true\"";
    assert_eq!(
        assigned(text, &["sleep 0.5", "true", "&sh", "sleep 0.3", "sleep 0.2"])[3..],
        ["(sleep 0.3)", "sh -c \"sleep 0.2; true\""]
    );
    assert_eq!(assigned("test -f x && cp a b; cp 'c d' e; cp $x f", &["cp c d e"]), ["cp 'c d' e"]);
    assert_eq!(assigned("sleep 0.35; sleep 0.3", &["sleep 0.3"]), ["sleep 0.3"]);
    let text = "npm ci && $x && npm prune";
    assert_eq!(assigned(text, &["node /usr/bin/npm ci", "node /usr/bin/npm prune"]), ["npm ci", "npm prune"]);
}

#[test]
fn commands_of_one_name_come_in_their_order() {
    assert_eq!(
        assigned("apt-get update && apt-get install x && rm -rf y", &["apt-get", "apt-get", "rm"]),
        ["apt-get update", "apt-get install x", "rm -rf y"]
    );
    assert_eq!(
        assigned("gcc a | wc; gcc b | wc", &["gcc", "wc", "gcc", "wc"]),
        ["gcc a | wc", "gcc a | wc", "gcc b | wc", "gcc b | wc"]
    );
}

/// Processes of bash 5.2. The copy of the shell of the first substitution goes on after `sleep`; the one of the second executes its last command.
#[test]
fn a_copy_of_the_shell_executes_only_its_last_command() {
    let text = "f() { local x; x=$(sleep 0.2; echo 1); sleep 0.$x; }; f; y=$(f); (f)";
    assert_eq!(assigned(text, &["&bash", "sleep 0.1", "sleep 0.1", "&bash"]), ["f", "f", "y=$(f)", "(f)"]);
}

/// The first and the last process of two commands that may start anything are known, because each must have one.
#[test]
fn a_sourced_file_may_define_functions() {
    let text = ". /nvm.sh && nvm install 20 && npm ci";
    assert_eq!(
        assigned(text, &["uname", "curl -L x", "tar xz", "npm ci"]),
        [". /nvm.sh", "? . /nvm.sh && nvm install 20", "nvm install 20", "npm ci"]
    );
    assert_eq!(assigned(text, &["uname", "nvm install 20", "npm ci"]), [". /nvm.sh", "nvm install 20", "npm ci"]);
    let text = ". venv/bin/activate && pip install x && make";
    assert_eq!(assigned(text, &["uname", "pip install x", "make"]), [". venv/bin/activate", "pip install x", "make"]);
}

#[test]
fn commands_that_did_not_run_are_passed_over() {
    assert_eq!(assigned("test -f x && a || b; c", &["b", "c"]), ["b", "c"]);
    assert_eq!(assigned("if a; then b; else c; fi; d", &["a", "c", "d"]), ["a", "c", "d"]);
}

#[test]
fn loops_take_all_of_theirs() {
    assert_eq!(
        assigned("x; for i in 1 2 3; do gcc $i; done; gcc last", &["x", "gcc", "gcc", "gcc", "gcc"])[..4],
        ["x", "for i in 1 2 3; do gcc $i; done", "for i in 1 2 3; do gcc $i; done", "for i in 1 2 3; do gcc $i; done"]
    );
}

/// The loop runs once for each word.
#[test]
fn a_loop_over_words_of_the_text_has_as_many_processes() {
    let (first, second) = ("for i in 1 2 3; do sleep 0.$i; done", "for i in 1 2; do sleep 0.$i; done");
    let assigned = assigned(&format!("{first}; {second}"), &["sleep"; 5]);
    assert_eq!(assigned, [first, first, first, second, second]);
}

/// busybox executes `cat` and `sleep`, and runs `ls` and the sums in copies of its shell.
#[test]
fn loops_of_busybox_are_told_apart() {
    let assigned = |loops: [&str; 2], between: &str, children: &[&str]| {
        let text = format!("{}{between}; {}", loops[0], loops[1]);
        let owners = assigned(&text, children);
        let of = |owner: &String| loops.iter().position(|one| one == owner).map_or('?', |at| ['1', '2'][at]);
        owners.iter().map(of).collect::<String>()
    };
    let words = ["for f in 0.1 0.2; do sleep $f; md5sum x; done", "for f in 0.1 0.2; do sleep $f; sha1sum x; done"];
    let turn = ["sleep 0.1", "&sh", "sleep 0.2", "&sh"];
    assert_eq!(assigned(words, "", &[turn, turn].concat()), "11112222");
    let seven = ["for i in $(seq 3); do md5sum x; done", "for i in $(seq 4); do sha1sum x; done"];
    assert_eq!(assigned(seven, "", &["&sh"; 9]), "111122222", "the first one is `seq`");
    let many = ["for i in $(seq 20); do md5sum x; done", "for i in $(seq 30); do sha1sum x; done"];
    assert_eq!(assigned(many, "", &["&sh"; 52]), "1".repeat(21) + &"2".repeat(31));
    let exec = ["while read f; do cat $f; done", "while read f; do ls $f; done"];
    assert_eq!(assigned(exec, " < a", &["exe", "exe", "&sh"]), "112");
    let turns = ["while read f; do sleep 1; md5sum $f; done", "while read f; do sleep 1; sha1sum $f; done"];
    assert_eq!(assigned(turns, " < a", &["sleep 1", "&sh"].repeat(4)), "11????22", "whole turns");
}

/// Arguments, the order of a loop's body and the values of variables in the text say which command started a process.
#[test]
fn loops_leave_their_neighbours_what_is_theirs() {
    let loops = "l='a b'; m='c d e'; for f in $l; do cc $f; done; for g in $m; do cc $g; done";
    let (first, second) = ("for f in $l; do cc $f; done", "for g in $m; do cc $g; done");
    assert_eq!(assigned(loops, &["cc a", "cc b", "cc c", "cc d", "cc e"]), [first, first, second, second, second]);
    let bodies = "for f in $l; do cc $f; ar $f; done; for f in $l; do cc $f; ld $f; done";
    let (first, second) = ("for f in $l; do cc $f; ar $f; done", "for f in $l; do cc $f; ld $f; done");
    assert_eq!(
        assigned(bodies, &["cc a", "ar a", "cc b", "ar b", "cc a", "ld a", "cc b", "ld b"]),
        [first, first, first, first, second, second, second, second]
    );
    let functions = "f() { cc $1; cc done; }; f a; f b; cc done";
    assert_eq!(
        assigned(functions, &["cc a", "cc done", "cc b", "cc done", "cc done"]),
        ["f a", "f a", "f b", "f b", "cc done"]
    );
    let all = "f() { for x in \"$@\"; do cc $x; done; }; f a b; f c d; n=e; cc $n";
    assert_eq!(assigned(all, &["cc a", "cc b", "cc c", "cc d", "cc e"]), ["f a b", "f a b", "f c d", "f c d", "cc $n"]);
    let until = "until cc a; do cc b; done; for f in $l; do cc $f; done";
    let (first, second) = ("until cc a; do cc b; done", "for f in $l; do cc $f; done");
    assert_eq!(assigned(until, &["cc a", "cc c", "cc d"]), [first, second, second]);
    let named = "for f in a b; do cc $f; done; cc last";
    assert_eq!(
        assigned(named, &["cc a", "cc b", "cc last"]),
        ["for f in a b; do cc $f; done"; 2].into_iter().chain(["cc last"]).collect::<Vec<_>>()
    );
}

/// The first and the last process belong to commands that must run; which of them has the others is not known.
#[test]
fn what_nothing_distinguishes_belongs_to_all_that_may_have_it() {
    let loops = "for f in $l; do cc $f; done; for g in $m; do cc $g; done";
    let (first, second) = ("for f in $l; do cc $f; done", "for g in $m; do cc $g; done");
    let several = format!("? {loops}");
    assert_eq!(assigned(loops, &["cc"; 4]), [first, &several, &several, second]);
    assert_eq!(assigned(loops, &["cc"; 2]), [first, second]);
    let unknown = assigned(loops, &["cc", "cc", "lesspipe", "cc"]);
    assert_eq!(unknown, [first, &several, &several, second], "it belongs to the command that is running");
    let bodies = "for f in $l; do cc $f; ar x; done; for g in $m; do cc $g; ar x; done";
    let (first, second) = ("for f in $l; do cc $f; ar x; done", "for g in $m; do cc $g; ar x; done");
    let several = format!("? {bodies}");
    assert_eq!(
        assigned(bodies, &["cc", "ar", "cc", "ar", "cc", "ar"]),
        [first, first, &several, &several, second, second]
    );
    for branches in ["if [ $x ]; then cc $a; else cc $b; fi", "[ $x ] && cc $a || cc $b"] {
        let [one] = &assigned(&format!("{branches}; ld"), &["cc", "ld"])[..1] else { panic!("one") };
        assert!(one.starts_with("? cc $a") && one.ends_with("cc $b"), "{one}");
    }
    assert_eq!(assigned("case $x in y) cc a;; *) cc b;; esac; ld", &["cc b", "ld"])[0], "cc b");
    assert_eq!(assigned("cc $a; cc $b; cc $c", &["cc", "cc"]), ["cc $a", "cc $b"], "the last one was not reached");
}

/// In a loop, commands that must run come in turn.
#[test]
fn branches_of_a_loop_are_not_distinguished_by_their_order() {
    let repeated = |text: &str, children: &[&str]| {
        let units = units(text);
        let child = |program| Child { program, forked: false, copied: false, arguments: &[] };
        let children: Vec<_> = children.iter().copied().map(child).collect();
        assign_repeated(&units, &children, text)
    };
    let (unit, several) = (Owner::Unit, Owner::Several);
    // `[ … ]` is unit 1.
    let text = "x; if [ $y ]; then cc $a; else cc $b; fi; ld";
    let turn = [unit(0), several(2, 3), unit(4)];
    assert_eq!(repeated(text, &["x", "cc", "ld", "x", "cc", "ld"]), [turn, turn].concat());
    assert_eq!(repeated("if [ $y ]; then cc $a; else cc $b; fi", &["cc"; 3]), [several(1, 2); 3]);
    // The second one may be that of the first turn.
    assert_eq!(repeated("cc $a || cc $b", &["cc"; 3]), [unit(0), several(0, 1), several(0, 1)]);
    assert_eq!(repeated("cc $a; cc $b", &["cc"; 3]), [unit(0), unit(1), unit(0)]);
}

/// busybox makes no copy for a subshell at the end.
#[test]
fn a_subshell_at_the_end_has_its_programs() {
    let (copies, last) = ("for f in $l; do (cc $f; ar x); done", "(cc last; ar x)");
    let assigned = assigned(&format!("{copies}; {last}"), &["&sh", "&sh", "cc last", "ar x"]);
    assert_eq!(assigned, [copies, copies, last, last]);
}

/// Processes of bash 5.2: a copy for each turn, which executes its last command in its own place.
#[test]
fn a_copy_of_the_shell_is_a_whole_subshell() {
    let (copies, last) = ("for f in $l; do (sleep $f; sleep 0.05); done", "(sleep 0.2; sleep 0.05)");
    for words in ["0.1 0.12", "0.1 0.12 0.13"] {
        let turns = words.split(' ').count();
        let assigned = assigned(&format!("l='{words}'; {copies}; {last}"), &["+sleep 0.05"].repeat(turns + 1));
        assert_eq!(assigned, [vec![copies; turns], vec![last]].concat());
    }
}

/// The shell goes on without a branch.
/// Processes of bash 5.2, which makes a copy of itself for each of the two.
#[test]
fn a_subshell_before_others_has_one_process() {
    let text = "(git a; curl b) && { wget c; make d; } | sort";
    assert_eq!(
        assigned(text, &["&bash", "&bash", "sort"]),
        ["(git a; curl b)", "{ wget c; make d; } | sort", "{ wget c; make d; } | sort"]
    );
}

#[test]
fn commands_that_must_run_come_before_those_that_may() {
    for before in ["[ -f x ] && cc $a", "if test x; then cc $a; fi", "case $x in y) cc $a;; esac", "false || cc $a"] {
        assert_eq!(assigned(&format!("{before}; cc $b"), &["cc x"]), ["cc $b"], "{before}");
        assert_eq!(assigned(&format!("{before}; cc $b"), &["cc x", "cc y"])[1], "cc $b", "{before}");
    }
    assert_eq!(assigned("if [ x ]; then cc a; fi; n=b; cc $n", &["cc b"]), ["cc $n"]);
}

#[test]
fn each_command_has_a_process_if_there_are_enough() {
    assert_eq!(assigned("eval \"$x\"; $y; make", &["a", "b", "make"]), ["eval \"$x\"", "$y", "make"]);
}

#[test]
fn the_commands_of_a_loop_come_in_turn() {
    let text = "gcc $i; strip $i; cp $i x";
    let units = units(text);
    let child = |program| Child { program, forked: false, copied: false, arguments: &[] };
    let children = ["gcc", "strip", "cp", "gcc", "strip", "other", "gcc"].map(child);
    let assigned = assign_repeated(&units, &children, text);
    assert_eq!(assigned, [0, 1, 2, 0, 1, 1, 0].map(Owner::Unit));
    assert_eq!(assign_repeated(&units, &[child("other")], text), [Owner::Shell]);
}

#[test]
fn unknown_processes_belong_to_the_command_under_way() {
    assert_eq!(
        assigned("make -j$(nproc) && strip x", &["nproc", "make", "lesspipe", "strip"])[1..],
        ["make -j$(nproc)", "make -j$(nproc)", "strip x"]
    );
    assert_eq!(assigned("cd /x && export A=1", &["mystery"]), ["-"]);
    assert_eq!(assigned("python3 setup.py", &["python3.11"]), ["python3 setup.py"]);
}

#[test]
fn a_shell_that_runs_programs_itself_has_copies_of_itself() {
    // busybox runs dd and md5sum itself, and makes no copy for the last group.
    assert_eq!(
        assigned("sleep 1 && dd | md5sum && (sleep 2; true)", &["sleep", "&sh", "&sh", "sleep"]),
        ["sleep 1", "dd | md5sum", "dd | md5sum", "(sleep 2; true)"]
    );
    assert_eq!(assigned("wget x && tar xf y", &["&sh", "&sh"]), ["wget x", "tar xf y"]);
}

/// A signal may come at any time. Only a process that no other command may have is one of the trap's action.
#[test]
fn the_action_of_a_signals_trap_interrupts_a_command() {
    let text = "trap 'sleep 0.2' TERM; sleep 0.1; kill $$; sleep 0.3; sleep 0.4";
    let trap = "trap 'sleep 0.2' TERM";
    assert_eq!(
        assigned(text, &["sleep 0.1", "sleep 0.2", "sleep 0.3", "sleep 0.4"]),
        ["sleep 0.1", trap, "sleep 0.3", "sleep 0.4"]
    );
    let text = "clean() { rm -r \"$1\"; sync; }; trap 'clean /x' INT HUP; make; cp a b";
    assert_eq!(
        assigned(text, &["make", "rm -r /x", "sync", "cp a b"]),
        ["make", "trap 'clean /x' INT HUP", "trap 'clean /x' INT HUP", "cp a b"]
    );
    // The words of the text may have it, and so may an unknown command.
    assert_eq!(
        assigned("trap 'rm x' TERM; make; rm x; cp a b", &["make", "rm x", "cp a b"]),
        ["make", "rm x", "cp a b"]
    );
    assert_eq!(assigned("trap 'rm x' TERM; make; $y; cp a b", &["make", "rm x", "cp a b"]), ["make", "$y", "cp a b"]);
    assert_eq!(assigned("trap 'node a.js' TERM; npm ci", &["node"]), ["npm ci"], "its arguments are not known");
    assert_eq!(assigned("trap 'rm x' TERM; trap - TERM; make", &["make", "make"]), ["make", "make"]);
}

/// busybox runs `false` itself, so three turns of the first call only sleep.
#[test]
fn a_call_gives_a_function_its_command() {
    let text =
        "retry() { for i in 1 2 3; do \"$@\" && return; sleep 0.2; done; }; retry false || true; retry sleep 0.1";
    let children = ["sleep 0.2", "sleep 0.2", "sleep 0.2", "sleep 0.1"];
    assert_eq!(assigned(text, &children), ["retry false", "retry false", "retry false", "retry sleep 0.1"]);
}

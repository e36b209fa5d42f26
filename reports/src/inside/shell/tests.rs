use super::names::NAMES;
use super::*;

fn shown(text: &str) -> Vec<(String, String, bool)> {
    let name = |name: &Name| match name {
        Name::Is(program) => program.name.clone(),
        Name::Any | Name::Given(_) => "*".into(),
        Name::Subshell(_) => "( )".into(),
    };
    units(text)
        .iter()
        .map(|unit| {
            let names: Vec<_> = unit.names.iter().map(name).collect();
            (text[unit.span.clone()].to_owned(), names.join(" "), unit.repeats)
        })
        .collect()
}

fn row(text: &str, names: &str, repeats: bool) -> (String, String, bool) {
    (text.to_owned(), names.to_owned(), repeats)
}

#[test]
fn a_chain_is_its_commands() {
    let text = "set -eux; apt-get update && apt-get install -y --no-install-recommends gcc > /dev/null && rm -rf /x/*";
    assert_eq!(
        shown(text),
        [
            row("set -eux", "", false),
            row("apt-get update", "apt-get", false),
            row("apt-get install -y --no-install-recommends gcc > /dev/null", "apt-get", false),
            row("rm -rf /x/*", "rm", false),
        ]
    );
}

#[test]
fn pipelines_subshells_and_substitutions_start_what_is_in_them() {
    assert_eq!(shown("curl -L x | tar xz"), [row("curl -L x | tar xz", "curl tar", false)]);
    assert_eq!(shown("a && b; (c | d)"), [row("a", "a", false), row("b", "b", false), row("(c | d)", "( )", false)]);
    assert_eq!(shown("make -j\"$(nproc)\" all"), [row("make -j\"$(nproc)\" all", "nproc make", false)]);
    assert_eq!(shown("V=`uname -m` ./run"), [row("V=`uname -m` ./run", "uname run", false)]);
    assert_eq!(shown("echo a | sh"), [row("echo a | sh", "( ) sh", false)]);
}

#[test]
fn loops_and_functions_start_theirs_again_and_again() {
    assert_eq!(shown("while [ $i ]; do /bin/true; done"), [row("while [ $i ]; do /bin/true; done", "true", true)]);
    assert_eq!(
        shown("for i in a b; do gcc -c $i.c; done; make"),
        [row("for i in a b; do gcc -c $i.c; done", "gcc", true), row("make", "make", false)]
    );
    assert_eq!(shown("f() { cc $1; ld; }; f a; f b"), [row("f a", "cc ld", false), row("f b", "cc ld", false)]);
    assert_eq!(
        shown("f() { $1 x; \"$@\" && $y; }; f cc; f cd")[..2],
        [row("f cc", "cc cc *", false), row("f cd", "*", false)]
    );
    assert_eq!(shown("f() { while cc; do ld; done; }; f"), [row("f", "cc ld", true)]);
    assert_eq!(shown("f() { cc; f; }; f"), [row("f", "cc f", true)]);
    assert_eq!(shown(". ./env.sh; $CC x.c"), [row(". ./env.sh", "*", true), row("$CC x.c", "*", false)]);
}

fn inner(text: &str) -> Vec<String> {
    let units = units(text);
    let inner = units[0].inner.units().iter();
    inner.map(|unit| text[unit.span.clone()].to_owned()).collect()
}

#[test]
fn commands_within_a_command_are_known() {
    assert_eq!(inner("(cd x && make; make install)"), ["cd x", "make", "make install"]);
    assert_eq!(inner("curl -L x | tar xz"), ["curl -L x", "tar xz"]);
    assert_eq!(inner("for i in a b; do gcc $i; strip $i; done"), ["gcc $i", "strip $i"]);
    assert_eq!(inner("while read x; do cc $x; done"), ["read x", "cc $x"]);
    assert_eq!(inner("f() { cc $1; ld; }; f a"), ["cc $1", "ld"]);
    assert_eq!(inner("make"), Vec::<String>::new());
    assert_eq!(inner("x=$(git a) y=\"$(git b)\""), ["git a", "git b"]);
    assert_eq!(inner("cc $(a é | b) `c` \"$(d; d)\""), ["a é | b", "c", "d; d", "cc $(a é | b) `c` \"$(d; d)\""]);
    assert_eq!(inner("x=$(git a)"), Vec::<String>::new(), "it says what the command says");
    assert_eq!(inner("cc $(a) <(b)"), Vec::<String>::new(), "their order is not known");
    let nested = units("cc $(a) \"$(if b; then c; else d; e; fi)\"");
    assert_eq!(nested[0].inner.units().iter().map(|unit| unit.inner.units().len()).collect::<Vec<_>>(), [0, 4, 0]);
    assert_eq!(inner("f() { cc $1; ld; }; f $(a)"), ["a", "f $(a)"]);
    let nested = units("a | (b; (c; d))");
    let part = &nested[0].inner.units()[1];
    assert_eq!(part.inner.units().len(), 2);
    assert!(matches!(&part.inner.units()[1].inner, Inner::Subshell(units) if units.len() == 2));
}

/// Each calls the one before twice: the last would have 2^30 commands.
#[test]
fn functions_that_call_functions_stay_small() {
    let functions = (1..30).map(|n| format!("f{n}() {{ f{0}; f{0}; }}\n", n - 1)).collect::<String>();
    let text = format!("f0() {{ cc; }}\n{functions}f29\n");
    let units = units(&text);
    assert!(count(&units) <= 2 * COMMANDS && units[0].names.len() <= NAMES);
}

#[test]
fn background_jobs_are_subshells_or_programs() {
    assert_eq!(shown("serve 9 & test"), [row("serve 9", "serve", false), row("test", "", false)]);
    assert_eq!(shown("a | b & c"), [row("a | b", "a b", false), row("c", "c", false)]);
    for copy in ["a && b", "{ a; b; }", "while a; do b; done", "wait"] {
        let units = units(&format!("{copy} & c"));
        assert!(matches!(&units[0].names[..], [Name::Subshell(_)]) && units[0].background, "{copy}: {units:?}");
        assert!(!units[1].background);
    }
}

#[test]
fn substitutions_are_found_wherever_words_are() {
    assert_eq!(shown("case $(uname -m) in x) a;; esac"), [row("$(uname -m)", "uname", false), row("a", "a", false)]);
    assert_eq!(shown("[[ $(a) = \"$(b)\" ]]"), [row("[[ $(a) = \"$(b)\" ]]", "a b", false)]);
    assert_eq!(shown("cat <<X\n$(a)\nX\n")[0].1, "a cat");
    assert_eq!(shown("exec 3>x; command -v gcc && exec -a y gcc")[2], row("exec -a y gcc", "gcc", false));
    assert_eq!(shown("command -v gcc")[0].1, "");
}

#[test]
fn branches_count_as_their_commands() {
    assert_eq!(
        shown("if test -f x; then make; else { cmake . && ninja; }; fi"),
        [
            row("test -f x", "", false),
            row("make", "make", false),
            row("cmake .", "cmake", false),
            row("ninja", "ninja", false)
        ]
    );
}

#[test]
fn a_script_of_many_lines_is_read_as_a_whole() {
    let text =
        "#!/bin/bash\nset -e\n# comment é\ncat <<X > /f\nnot a command\nX\npip install x\nexec /usr/bin/true-ish\n";
    assert_eq!(
        shown(text),
        [
            row("set -e", "", false),
            row("cat <<X > /f", "cat", false),
            row("pip install x", "pip", false),
            row("exec /usr/bin/true-ish", "true-ish", false),
        ]
    );
}

/// Neither a path nor a function of the text is one of a sourced file, and a subshell keeps its functions for itself.
#[test]
fn commands_after_a_sourced_file_may_be_functions() {
    let sourced = |text: &str| -> Vec<bool> {
        let is = |unit: &Unit| matches!(unit.names.last(), Some(Name::Is(program)) if program.sourced);
        units(text).iter().map(is).collect()
    };
    assert_eq!(sourced("a; . /x; b; ./c; d=1 e"), [false, false, true, false, true]);
    assert_eq!(sourced("f() { g; }; eval \"$x\"; f"), [false, false]);
    assert_eq!(sourced("(. /x; a); b; eval 'c'; d"), [false; 4]);
}

#[test]
fn text_that_is_not_shell_is_one_command() {
    assert_eq!(shown("if then fi ((("), [row("if then fi (((", "*", true)]);
    assert_eq!(shown(&"(".repeat(100_000)).len(), 1);
    assert_eq!(shown(""), [row("", "*", true)]);
}

#[test]
fn the_action_of_a_trap_comes_last() {
    let text = "trap 'rm -rf x; sync' EXIT; make; make install";
    let trap = row("trap 'rm -rf x; sync' EXIT", "rm sync", true);
    assert_eq!(shown(text), [row("make", "make", false), row("make install", "make", false), trap]);
    let clean = shown("clean() { rm x; }; trap clean 0; make");
    assert_eq!(clean, [row("make", "make", false), row("trap clean 0", "rm", true)]);
    assert_eq!(shown("trap 'rm x' EXIT; make; trap - EXIT"), [row("make", "make", false)]);
    assert_eq!(shown("trap 'rm x' TERM; make")[0], row("trap 'rm x' TERM", "", false), "it may never come to that");
    assert_eq!(inner("(trap 'rm x' EXIT; make)"), ["make", "trap 'rm x' EXIT"]);
    assert_eq!(shown("(trap 'rm x' EXIT; make); ls").len(), 2, "a subshell has traps of its own");
}

/// `coproc` with a name, and loops of zsh without `do`: what the grammar does not accept is one row, and the commands around it have theirs.
#[test]
fn a_text_that_is_not_accepted_has_commands() {
    assert_eq!(
        shown("coproc X { a; b; }; c && d"),
        [row("{ a; b; }", "( )", false), row("c", "c", false), row("d", "d", false)]
    );
    assert!(units("coproc X { a; b; }; c")[0].background);
    assert_eq!(
        shown("a é; for i (1 2) b $i; if c; then d; fi; e"),
        [
            row("a é", "a", false),
            row("for i (1 2) b $i", "*", true),
            row("c", "c", false),
            row("d", "d", false),
            row("e", "e", false)
        ]
    );
    assert_eq!(
        shown("a 'b; c' >&2 # d; e\n{ f } always { g }; h & foreach i (1 2); i; end; j"),
        [
            row("a 'b; c'", "a", false),
            row("{ f } always { g }", "*", true),
            row("h", "h", false),
            row("foreach i (1 2); i; end", "*", true),
            row("j", "j", false)
        ]
    );
    assert!(units("a & for i (1) b; c")[0].background && !units("a && for i (1) b; c")[0].background);
    // Neither brackets that do not match nor heredocs are divided, and many attempts are not made.
    for whole in ["a; (b; c", "a; for i (1) b <<X\nX\n", &"for i (1) b;".repeat(600)] {
        assert_eq!(shown(whole).len(), 1, "{whole}");
    }
}

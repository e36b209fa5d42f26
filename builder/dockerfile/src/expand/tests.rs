use super::*;
use std::collections::BTreeMap;

fn expand(word: &str) -> Result<String, String> {
    let variables =
        BTreeMap::from([("A", "1".to_owned()), ("E", String::new()), ("P", "/usr/local/x.tar.gz".to_owned())]);
    Expander::new('\\').word(word, &variables).map_err(|error| error.to_string())
}

#[test]
fn modifiers_follow_the_reference() {
    for (word, expected) in [
        ("${A:-x}${E:-x}${N:-x}", "1xx"),
        ("${A-x}${E-x}${N-x}", "1x"),
        ("${A:+x}|${E:+x}|${N:+x}", "x||"),
        ("${A+x}|${E+x}|${N+x}", "x|x|"),
        ("${P#*/}", "usr/local/x.tar.gz"),
        ("${P##*/}", "x.tar.gz"),
        ("${P%.*}", "/usr/local/x.tar"),
        ("${P%%.*}", "/usr/local/x"),
        ("${P/l/L}", "/usr/Local/x.tar.gz"),
        ("${P//l/L}", "/usr/LocaL/x.tar.gz"),
        ("${N:-${E:-\"a b\"}}", "a b"),
        ("'$A'\"$A\"\\$A", "$A1$A"),
    ] {
        assert_eq!(expand(word).as_deref(), Ok(expected), "{word}");
    }
}

#[test]
fn errors_have_positions() {
    let at = |word| Expander::new('\\').word(word, &NoVariables).unwrap_err().at();
    assert_eq!(at("ab${c"), 2);
    assert_eq!(at("ab\"c"), 2);
    assert_eq!(at("x${y:?no}"), 1);
}

#[test]
fn deep_nesting_is_an_error() {
    let word = "${a:-".repeat(100_000);
    assert!(matches!(Expander::new('\\').word(&word, &NoVariables), Err(ExpandError::TooDeep { .. })));
}

#[test]
fn a_long_result_is_an_error() {
    let value = "x".repeat(MAX_LENGTH / 4);
    let variables = BTreeMap::from([("A", value), ("B", "b".repeat(2000))]);
    let expand = |word: &str| Expander::new('\\').word(word, &variables);
    assert_eq!(expand("$A$A$A$A").map(|text| text.len()), Ok(MAX_LENGTH));
    assert_eq!(expand("$A$A$A$A$B"), Err(ExpandError::TooLong { at: 8 }));
    assert_eq!(expand("\"$A$A$A${A}$A\""), Err(ExpandError::TooLong { at: 11 }));
    assert_eq!(expand("${A//x/12345}"), Err(ExpandError::TooLong { at: 0 }));
}

#[test]
fn an_expensive_pattern_is_an_error() {
    let variables = BTreeMap::from([("A", "x".repeat(MAX_LENGTH))]);
    let pattern = "*a".repeat(40);
    for word in [format!("${{A/{pattern}/y}}"), format!("${{A##{pattern}}}"), format!("${{A%{pattern}}}")] {
        let error = Expander::new('\\').word(&word, &variables).unwrap_err();
        assert_eq!(error, ExpandError::TooMuchWork { length: MAX_LENGTH, at: 0 });
    }
}

#[test]
fn a_backtick_can_be_the_escape() {
    assert_eq!(Expander::new('`').word("C:\\x`$A", &NoVariables).as_deref(), Ok("C:\\x$A"));
}

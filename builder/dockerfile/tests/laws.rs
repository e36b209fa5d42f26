//! Laws of the parser, on random texts that contain every construct of the language.

use buildscope_dockerfile::{self as dockerfile, Dockerfile, Expander, Syntax, expand::NoVariables, print};
use proptest::prelude::*;

/// Generates one line: any instruction, with quotes, escapes, heredocs, comments and unusual spaces.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("FROM alpine AS a\n".to_owned()),
        Just("FROM a\n".to_owned()),
        Just("ARG A=1 B=\"x y\" C\n".to_owned()),
        Just("ENV A=$A B=${A:-x} \\\n  C='q'\n".to_owned()),
        Just("ENV legacy form of it\n".to_owned()),
        Just("RUN --mount=type=cache,target=/c \\\n # inner comment\n\n make\n".to_owned()),
        Just("RUN [\"a\", \"b c\"]\n".to_owned()),
        Just("RUN <<EOF\ntext $A\nEOF\n".to_owned()),
        Just("COPY <<-'E' <<F /x/\n\ta\n\tE\nb\r\nF\n".to_owned()),
        Just("COPY --chown=1:2 --link \"a\" b* /x/\n".to_owned()),
        Just("ADD [\"a b\", \"/c\"]\r\n".to_owned()),
        Just("ONBUILD COPY --from=a /x /y\n".to_owned()),
        Just("HEALTHCHECK --interval=1m CMD a\n".to_owned()),
        Just("# comment\n".to_owned()),
        Just("\n".to_owned()),
        Just("  \t\n".to_owned()),
        Just("EXPOSE 80/udp $P\n".to_owned()),
        Just("LABEL a=\"b \\\" c\" d=e\n".to_owned()),
        Just("CMD echo \\\\\n".to_owned()),
        "(RUN|CMD|COPY|ENV|LABEL|USER|WORKDIR|VOLUME|SHELL|STOPSIGNAL|NONSENSE) [ -~]{0,40}\n",
        "RUN [a-z\\\\`$\"'<>#\u{c}\u{a0}é ]{0,30}\n",
    ]
}

fn text() -> impl Strategy<Value = String> {
    let head = prop_oneof![Just(""), Just("\u{feff}"), Just("# escape=`\n"), Just("# syntax=x\n# check=skip=all\n")];
    (head, prop::collection::vec(piece(), 0..12))
        .prop_map(|(head, pieces)| format!("{head}FROM scratch\n{}", pieces.concat()))
}

/// Returns the instructions of a file without their positions.
fn meaning(file: &Dockerfile<'_>) -> String {
    let mut text = String::new();
    for instruction in &file.instructions {
        text += &format!("{:?}\n", instruction.kind);
    }
    without(&without(&text, "Span { start: ", "}"), "lines: (", "blank_inside:")
}

/// Removes every passage between two marks, including the marks.
fn without(text: &str, from: &str, to: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(from) {
        out += &rest[..at];
        let end = rest[at..].find(to).unwrap_or(0) + to.len();
        rest = &rest[at + end..];
    }
    out + rest
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    /// The cheap test that rejects distant names never rejects the nearest one.
    #[test]
    fn the_closest_name_is_the_nearest(
        written in "[a-dA-D_1é]{1,7}",
        known in prop::collection::vec("[a-dA-D_1é]{1,7}", 0..12),
    ) {
        let lower = written.to_lowercase();
        let nearest = known
            .iter()
            .map(|name| (strsim::damerau_levenshtein(&lower, &name.to_lowercase()), name.as_str()))
            .filter(|(distance, name)| *distance <= (name.len().max(lower.len()) / 3).max(1))
            .min();
        let found = dockerfile::closest(&written, known.iter().map(String::as_str));
        prop_assert_eq!(found, nearest.map(|(_, name)| name));
    }

    #[test]
    fn printed_text_parses_to_the_same_instructions(text in text()) {
        if let Ok(file) = dockerfile::parse(&text) {
            let printed = print(&file);
            let again = dockerfile::parse(&printed).map_err(|diagnostics| TestCaseError::fail(format!("{diagnostics}\n{printed}")))?;
            prop_assert_eq!(meaning(&file), meaning(&again), "{}", &printed);
            prop_assert_eq!(&printed, &print(&again));
        }
    }

    /// Instructions, comments and directives follow one another. Only spaces and the byte order mark are between them.
    #[test]
    fn spans_tile_the_text(text in text()) {
        let (syntax, diagnostics) = Syntax::parse(&text);
        for span in diagnostics.iter().filter_map(|diagnostic| diagnostic.span) {
            prop_assert!(span.start <= span.end && span.range().end <= text.len());
        }
        if !diagnostics.is_empty() {
            return Ok(());
        }
        let inside = |span: &dockerfile::Span| syntax.nodes.iter().any(|node| node.span.start <= span.start && span.end <= node.span.end);
        let mut spans: Vec<_> = syntax.nodes.iter().map(|node| node.span).collect();
        spans.extend(syntax.comments.iter().filter(|span| !inside(span)));
        spans.extend(syntax.directives.iter().map(|directive| directive.span));
        spans.sort();
        let mut at = if text.starts_with('\u{feff}') { 3 } else { 0 };
        for span in spans {
            let span = span.range();
            prop_assert!(at <= span.start, "{at} {span:?}");
            let between = &text[at..span.start];
            // A comment within a continuation that ends with the file belongs to no node.
            let empty = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#') || matches!(line.trim(), "\\" | "`");
            prop_assert!(between.split('\n').all(empty), "{between:?}");
            at = span.end;
        }
        prop_assert!(text[at..].split('\n').all(|line| line.trim().is_empty() || matches!(line.trim(), "\\" | "`")), "{:?}", &text[at..]);
    }

    /// The instruction must be on one line, because the text of a continued word differs from its source.
    #[test]
    fn the_span_of_a_word_covers_its_text(words in prop::collection::vec("[!-~]{1,8}", 1..6)) {
        let line = format!("FROM x\nEXPOSE {}\n", words.join("  "));
        let (syntax, _) = Syntax::parse(&line);
        if let Some(dockerfile::Arguments::Words(found)) = syntax.nodes.get(1).map(|node| &node.arguments) {
            for word in found {
                prop_assert_eq!(&line[word.span.range()], &*word.text);
            }
        }
    }

    #[test]
    fn an_escaped_text_expands_to_itself(text in "[ -~]{0,40}") {
        let escaped: String = text.chars().flat_map(|c| ['\\', c]).collect();
        prop_assert_eq!(Expander::new('\\').word(&escaped, &NoVariables), Ok(text.clone()));
        if !text.contains('\'') {
            prop_assert_eq!(Expander::new('\\').word(&format!("'{text}'"), &NoVariables), Ok(text));
        }
    }
}

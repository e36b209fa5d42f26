//! Dockerfiles, words and ignore files.

use buildscope_builder::plan::{self, AssumeImages, LowerRequest};
use buildscope_dockerfile::{
    self as dockerfile, Expander, Glob, Heredoc, Ignore, Outline, Parsed, clean, glob, lint, mount,
};
use miette::{GraphicalReportHandler, GraphicalTheme};
use std::collections::BTreeMap;

/// Checks that spans are within the text, that printing and parsing again gives the same file, and that a parsed file
/// either lowers or has diagnostics.
pub(crate) fn parse(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let file = match dockerfile::parse(text) {
        Ok(file) => file,
        Err(errors) => {
            assert!(!errors.is_empty());
            for span in errors.iter().filter_map(|error| error.span) {
                assert!(span.start <= span.end && span.range().end <= text.len());
            }
            return;
        }
    };
    let mut end = 0;
    for instruction in &file.instructions {
        let span = instruction.span.range();
        assert!(end <= span.start && span.end <= text.len());
        end = span.end;
    }
    let printed = dockerfile::print(&file);
    let again = dockerfile::parse(&printed).unwrap_or_else(|faults| panic!("{faults}\n{printed}"));
    assert_eq!(printed, dockerfile::print(&again));
    let _ = lint::run(&file, &lint::LintContext::default());
    if let Ok(plan) = plan::lower(&file, &LowerRequest::default(), &AssumeImages) {
        let _ = plan.step(plan.target).config.image();
        for step in plan.steps() {
            let _ = step.history.to_string();
        }
    }
}

/// Checks that errors and warnings can be rendered with their positions, as text and as JSON.
pub(crate) fn diagnose(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let errors = plan::diagnose(text, &LowerRequest::default());
    assert!(dockerfile::parse(text).is_ok() || !errors.is_empty());
    let shown = |diagnostics: &dockerfile::Diagnostics| {
        let mut out = String::new();
        let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor()).with_width(100);
        handler.render_report(&mut out, diagnostics).expect("writing to a string");
        for diagnostic in diagnostics.iter() {
            let line = diagnostics.line_of(diagnostic);
            assert!(line.is_none_or(|line| line as usize <= text.split('\n').count()));
        }
    };
    shown(&errors);
    let _ = lint::broken(text, "Dockerfile", &errors, &[]).to_string();
    let parsed = Parsed::of(text);
    let _ = Outline::of(&parsed.file).to_string();
    match lint::run(&parsed.file, &lint::LintContext::default()) {
        Ok(report) => {
            shown(&report.diagnostics(&parsed.file));
            let _ = lint::json(&parsed.file, "Dockerfile", &report).to_string();
        }
        Err(errors) => shown(&errors),
    }
}

/// Splits the input at a newline into two texts.
fn pair(bytes: &[u8]) -> Option<(&str, &str)> {
    let text = std::str::from_utf8(bytes).ok()?;
    Some(text.split_once('\n').unwrap_or((text, "")))
}

/// The input is a word and the value of its variable. The reporting variant must give the same word, under both
/// escapes.
pub(crate) fn expand(bytes: &[u8]) {
    let Some((word, value)) = pair(bytes).filter(|(word, value)| word.len() <= 4096 && value.len() <= 4096) else {
        return;
    };
    let variables = BTreeMap::from([("A", value.to_owned()), ("B", String::new())]);
    for escape in ['\\', '`'] {
        let expander = Expander::new(escape);
        let all = expander.expand(word, &variables);
        assert_eq!(all.as_ref().map(|all| all.text.clone()), expander.word(word, &variables).as_ref().cloned());
        if let Err(error) = &all {
            assert!(error.at() <= word.len() && word.is_char_boundary(error.at()));
        }
    }
    let _ = Expander::heredoc().word(word, &variables);
    let _ = Heredoc::parse(word);
    let _ = Heredoc::of_line(word);
    let mount = dockerfile::Word { text: word.into(), span: Default::default() };
    let _ = mount::Spec::parse(&mount, &|value| Ok(value.to_owned()));
}

/// The input is a path and an ignore file. A directory must not be pruned if an included path is below it, and a glob
/// without wildcards must match itself.
pub(crate) fn ignore(bytes: &[u8]) {
    let Some((path, patterns)) = pair(bytes).filter(|(path, patterns)| path.len() <= 256 && patterns.len() <= 2048)
    else {
        return;
    };
    if let Ok(glob) = Glob::parse(patterns) {
        let _ = glob.matches(path);
    }
    assert!(Glob::parse(&glob::escape(path)).unwrap().matches(path));
    let Ok(ignore) = Ignore::parse(patterns) else { return };
    let path = clean(&format!("/{path}"));
    let path = path.trim_start_matches('/');
    if path.is_empty() || ignore.excludes(path) {
        return;
    }
    // The path is included, so no parent of it may be pruned.
    for (at, _) in path.match_indices('/') {
        let parent = &path[..at];
        assert!(!ignore.excludes(parent) || ignore.may_include_below(parent), "{parent} hides {path}");
    }
}

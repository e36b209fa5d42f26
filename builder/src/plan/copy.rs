//! Lowers COPY and ADD, and checks everything that does not depend on files.

use super::graph::{Copy, CopyFrom};
use super::history::CreatedBy;
use super::scope::Scope;
use super::words::{expanded, out_of_range, unexpandable};
use buildscope_dockerfile::{self as dockerfile, Diagnostic, Expander, Id, Word};
use buildscope_record::Digest;
use std::path::Path;

/// Lowers a COPY or ADD whose source is resolved. Returns `None` if it has errors. Sources that
/// expand to nothing are added to `warnings`.
pub(super) fn lower(
    copy: &dockerfile::Copy<'_>,
    from: CopyFrom,
    scope: &Scope,
    expander: &Expander,
    diagnostics: &mut Vec<Diagnostic>,
    warnings: &mut Vec<Diagnostic>,
) -> Option<(Copy, CreatedBy)> {
    let before = diagnostics.len();
    let keyword = if copy.add { "ADD" } else { "COPY" };
    let mut word = |word: &Word<'_>| expanded(expander, word, scope, diagnostics);
    let mut sources = Vec::with_capacity(copy.sources().len());
    for source in copy.sources() {
        sources.extend(word(source).map(|text| (source, text)));
    }
    let destination = word(copy.destination()).unwrap_or_default();
    let chown = copy.chown().and_then(&mut word);
    let chmod = copy.chmod().and_then(&mut word);
    // BuildKit takes a checksum that expands to nothing as none, and does not expand patterns.
    let checksum = copy.checksum().and_then(&mut word).filter(|checksum| !checksum.is_empty());
    let exclude: Vec<String> = copy.exclude().map(|word| word.text.to_string()).collect();
    let inline = documents(copy, scope, diagnostics);
    for (source, text) in &sources {
        check_source(copy.add, source, text, diagnostics);
        warnings.extend(emptied(keyword, source, text));
    }
    if let (Some(mode), Some(word)) = (&chmod, copy.chmod()) {
        check_mode(mode, word, diagnostics);
    }
    if let (Some(owner), Some(word)) = (&chown, copy.chown())
        && let Err(error) = Id::check_owner(owner)
    {
        diagnostics.push(out_of_range(word, "--chown", owner, &error));
    }
    if let (Some(sum), Some(word)) = (&checksum, copy.checksum()) {
        check_checksum(sum, word, &sources, diagnostics);
    }
    if let Err(error) = dockerfile::Ignore::from_patterns(&exclude) {
        let span = copy.exclude().next().map_or(copy.destination().span, |word| word.span);
        diagnostics
            .push(Diagnostic::new(span, format!("--exclude: {error}")).help("write a pattern as in .dockerignore"));
    }
    if diagnostics.len() > before {
        return None;
    }
    let chmod = chmod.filter(|chmod| !chmod.is_empty());
    let copy = Copy {
        add: copy.add,
        from: if sources.is_empty() { CopyFrom::Empty } else { from },
        sources: sources.into_iter().map(|(_, text)| text).collect(),
        inline,
        destination,
        workdir: scope.workdir.clone(),
        chown: chown.filter(|chown| !chown.is_empty()),
        // The layer would hold the parent directories with this mode, which then hides their own, such as that of /etc.
        link: copy.link() && chmod.is_none(),
        chmod,
        parents: copy.parents(),
        exclude,
        checksum,
        unpack: copy.unpack(),
        keep_git_dir: copy.keep_git_dir(),
    };
    let history = CreatedBy::Text(history(&copy).into());
    Some((copy, history))
}

/// Returns the name and the content of each heredoc. Variables are expanded unless the delimiter is quoted.
fn documents(copy: &dockerfile::Copy<'_>, scope: &Scope, diagnostics: &mut Vec<Diagnostic>) -> Vec<(String, String)> {
    let mut inline = Vec::with_capacity(copy.heredocs.len());
    for document in &copy.heredocs {
        if Path::new(&*document.name).file_name().is_none() {
            let message = format!("`{}` is not a name for a file", document.name);
            let help = "end the heredoc with a word that can be a file's name";
            diagnostics.push(Diagnostic::new(document.span, message).label("the file would get this name").help(help));
        }
        let text = document.text();
        if !document.expand {
            inline.push((document.name.to_string(), text.into_owned()));
            continue;
        }
        match Expander::heredoc().word(&text, scope) {
            Ok(content) => inline.push((document.name.to_string(), content)),
            Err(error) => {
                let word = Word { text: (*document.name).into(), span: document.span };
                diagnostics.push(unexpandable(&word, &error).label("in this heredoc"));
            }
        }
    }
    inline
}

/// Returns the entry of the image history, as BuildKit writes it.
fn history(copy: &Copy) -> String {
    let mut history = if copy.add { "ADD" } else { "COPY" }.to_owned();
    if copy.parents {
        history += " --parents";
    }
    for (flag, value) in [("chown", &copy.chown), ("chmod", &copy.chmod)] {
        if let Some(value) = value {
            history += &format!(" --{flag}={value}");
        }
    }
    for source in &copy.sources {
        history.push(' ');
        history += source;
    }
    for (name, _) in &copy.inline {
        history += " <<";
        history += name;
    }
    format!("{history} {} # buildkit", copy.destination)
}

/// Returns whether ADD fetches the source over HTTP.
pub fn is_url(source: &str) -> bool {
    source.starts_with("http://") || source.starts_with("https://")
}

/// Returns whether ADD clones the source: `git@...`, `git://...`, `ssh://...`, or an HTTP URL of a repository.
pub fn is_git(source: &str) -> bool {
    let address = source.split(['#', '?']).next().unwrap_or(source);
    source.starts_with("git://")
        || source.starts_with("ssh://")
        || (source.starts_with("git@") && source.contains(':'))
        || (is_url(source) && address.ends_with(".git"))
}

/// Warns about a source whose variables expand to nothing. BuildKit copies the whole context for an empty word, which
/// is intended for a literal `""`, but hardly ever for an unset variable.
fn emptied(keyword: &str, word: &Word<'_>, text: &str) -> Option<Diagnostic> {
    (text.is_empty() && word.contains('$')).then(|| {
        let message = format!("{keyword} source {} expands to nothing, so everything is copied", word.text);
        Diagnostic::new(word.span, message).label("its variables have no value here").help(
            "set the variable before this line, give a default (${NAME:-value}), or write . for the whole context",
        )
    })
}

fn check_source(add: bool, word: &Word<'_>, text: &str, diagnostics: &mut Vec<Diagnostic>) {
    if !add && (is_url(text) || is_git(text)) {
        diagnostics.push(
            Diagnostic::new(word.span, "source can't be a URL for COPY")
                .label("COPY takes files of the context, a stage or an image")
                .help("write ADD instead of COPY"),
        );
    }
}

fn check_mode(mode: &str, word: &Word<'_>, diagnostics: &mut Vec<Diagnostic>) {
    if !is_mode(mode) {
        let message = format!("invalid chmod parameter: '{mode}'. it should be octal string and between 0 and 07777");
        diagnostics.push(
            Diagnostic::new(word.span, message)
                .label("neither an octal nor a symbolic mode")
                .help("write --chmod=0755 or --chmod=u=rwX,go=rX"),
        );
    }
}

fn check_checksum(sum: &str, word: &Word<'_>, sources: &[(&Word<'_>, String)], diagnostics: &mut Vec<Diagnostic>) {
    let diagnostic = |message: &str, help: &str| Diagnostic::new(word.span, message).help(help);
    let [(_, source)] = sources else {
        diagnostics
            .push(diagnostic("checksum can't be specified for multiple sources", "write one ADD for each source"));
        return;
    };
    let commit = |text: &str| text.len() >= 7 && text.len() <= 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    if is_git(source) {
        if !commit(sum) {
            diagnostics.push(diagnostic(
                "checksum of a git source must be a commit",
                "write the hexadecimal digits of a commit",
            ));
        }
    } else if !is_url(source) {
        diagnostics.push(diagnostic(
            "checksum requires HTTP(S) or git sources",
            "remove the flag: local files are hashed anyway",
        ));
    } else if sum.parse::<Digest>().is_err() {
        diagnostics.push(diagnostic(
            &format!("invalid checksum digest format: {sum}"),
            "write --checksum=sha256: and 64 hexadecimal digits",
        ));
    }
}

/// Returns whether a mode is valid: octal up to 7777, or a list of `[ugoa]*[+-=][rwxXstugo]*` separated by commas. The
/// empty mode is valid.
fn is_mode(mode: &str) -> bool {
    if mode.is_empty() {
        return true;
    }
    if mode.bytes().all(|b| b.is_ascii_digit()) {
        return u32::from_str_radix(mode, 8).is_ok_and(|mode| mode <= 0o7777);
    }
    mode.split(',').all(|clause| {
        let changes = clause.trim_start_matches(['u', 'g', 'o', 'a']);
        changes.starts_with(['+', '-', '='])
            && changes
                .bytes()
                .all(|b| matches!(b, b'+' | b'-' | b'=' | b'r' | b'w' | b'x' | b'X' | b's' | b't' | b'u' | b'g' | b'o'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_octal_or_symbolic() {
        assert!(["0755", "7777", "u=rwX,go=rX", "+x", "a+x", "o=", "u+s,g+w"].iter().all(|mode| is_mode(mode)));
        assert!(["9x9", "17777", "rwx", "u", "888", "u+q"].iter().all(|mode| !is_mode(mode)));
    }

    #[test]
    fn git_repositories_are_recognised() {
        assert!(is_git("git@host:a/b") && is_git("https://host/a.git#main") && is_git("ssh://git@host/a"));
        assert!(!is_git("https://host/a.tar.gz") && !is_git("dir.git"));
    }
}

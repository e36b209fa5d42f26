//! Logs as HTML: pages of CI services, and what was copied from their source.

use std::borrow::Cow;

/// The characters that HTML writes as entities.
const ENTITIES: [(&str, &str); 9] = [
    ("&lt;", "<"),
    ("&gt;", ">"),
    ("&quot;", "\""),
    ("&#34;", "\""),
    ("&#39;", "'"),
    ("&#039;", "'"),
    ("&apos;", "'"),
    ("&nbsp;", " "),
    ("&amp;", "&"),
];

/// Elements whose content is not shown.
const UNSEEN: [&str; 3] = ["style", "script", "head"];

/// Elements that begin a line.
const BLOCKS: [&str; 8] = ["br", "tr", "p", "div", "li", "pre", "h1", "table"];

/// The text of a page; `None` if the text is not one.
pub(super) fn lines(text: &str) -> Option<String> {
    if is_page(text) {
        let shown = without_tags(text);
        return Some(decoded(&shown).into_owned());
    }
    // The source of a page between its tags: every special character is an entity.
    let special = text.contains(['<', '>']) || text.split('&').skip(1).any(|rest| entity(rest).is_none());
    let has_entity = ["&gt;", "&lt;", "&amp;", "&quot;", "&#34;"].iter().any(|entity| text.contains(entity));
    (has_entity && !special).then(|| decoded(text).into_owned())
}

fn is_page(text: &str) -> bool {
    let start = text.trim_start();
    let lower = start.get(..start.len().min(32)).map(str::to_ascii_lowercase).unwrap_or_default();
    let html = ["<!doctype html", "<html", "<pre", "<table", "<div", "<body"].iter().any(|tag| lower.starts_with(tag));
    // Reports of tests are XML.
    let document = html || lower.starts_with("<?xml") || (lower.starts_with("<test") && start.contains("</"));
    let tagged = |line: &&str| line.contains("</") && line.contains("<span");
    let lines = || text.lines().filter(|line| !line.trim().is_empty()).take(400);
    document || lines().filter(tagged).count() * 2 > lines().count()
}

/// The entity after an ampersand, with its semicolon.
fn entity(rest: &str) -> Option<(&'static str, usize)> {
    let known = ENTITIES.iter().find(|(written, _)| rest.starts_with(&written[1..]));
    known.map(|(written, character)| (*character, written.len() - 1))
}

fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    let mut parts = text.split('&');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for rest in parts {
        match entity(rest) {
            Some((character, length)) => {
                out += character;
                out += &rest[length..];
            }
            None => {
                out.push('&');
                out += rest;
            }
        }
    }
    Cow::Owned(out)
}

/// The text without its tags. Elements that begin a line do so here, too.
fn without_tags(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        out += &rest[..at];
        let tag = &rest[at..];
        let Some(length) = tag.find('>').filter(|_| is_tag(tag)) else {
            out.push('<');
            rest = &tag[1..];
            continue;
        };
        let name = tag[1..length].trim_start_matches('/').split([' ', '/', '>', '\n']).next().unwrap_or_default();
        let name = name.to_ascii_lowercase();
        rest = &tag[length + 1..];
        if !tag.starts_with("</") && UNSEEN.contains(&name.as_str()) {
            let end = format!("</{name}");
            let from = rest.to_ascii_lowercase().find(&end);
            rest = from.map_or("", |from| &rest[from..]);
        } else if BLOCKS.contains(&name.as_str()) && !out.ends_with('\n') && !out.is_empty() {
            out.push('\n');
        } else if name == "td" && !tag.starts_with("</") && !out.ends_with(['\n', ' ']) && !out.is_empty() {
            out.push(' ');
        }
    }
    out + rest
}

fn is_tag(text: &str) -> bool {
    text[1..].starts_with(|first: char| first.is_ascii_alphabetic() || matches!(first, '/' | '!'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_become_their_text() {
        for (page, expected) in [
            (
                "<span class=\"timestamp\"><b>10:00:00</b> </span>#1 [1/1] RUN a &amp;&amp; b\n",
                "10:00:00 #1 [1/1] RUN a && b\n",
            ),
            ("<html><head><title>x</title></head><body><pre>#1 x\n#2 y</pre></body></html>", "#1 x\n#2 y\n"),
            ("<table><tr><td>1</td><td>#1 x</td></tr><tr><td>2</td><td>#1 y</td></tr></table>", "1 #1 x\n2 #1 y\n"),
            ("<div>#1 x</div><div>#1 y</div>", "#1 x\n#1 y\n"),
            (" =&gt; [1/1] RUN a &amp;&amp; b  1.0s\n", " => [1/1] RUN a && b  1.0s\n"),
        ] {
            assert_eq!(lines(page).as_deref().map(str::trim_end), Some(expected.trim_end()), "{page}");
        }
        for log in ["#1 [1/1] RUN a && b &gt; c\n", "#1 0.5 <p>&amp;</p>\n#2 x", "#1 x"] {
            assert_eq!(lines(log), None, "{log}");
        }
    }
}

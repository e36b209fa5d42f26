//! Logs as HTML: pages of CI services, and text that was copied from their source.

use super::super::marks;
use std::borrow::Cow;

/// The characters that HTML writes as entities with a name.
const ENTITIES: [(&str, char); 6] =
    [("lt;", '<'), ("gt;", '>'), ("quot;", '"'), ("apos;", '\''), ("nbsp;", ' '), ("amp;", '&')];

/// Elements whose content is not shown.
const UNSEEN: [&str; 3] = ["style", "script", "head"];

/// Elements that start a line.
const BLOCKS: [&str; 8] = ["br", "tr", "p", "div", "li", "pre", "h1", "table"];

/// Elements at the start of a page or a part of one.
const PAGES: [&str; 15] = [
    "<!doctype",
    "<html",
    "<body",
    "<pre",
    "<table",
    "<div",
    "<p",
    "<ol",
    "<ul",
    "<code",
    "<section",
    "<article",
    "<main",
    "<samp",
    "<details",
];

/// The text of a page; `None` if the text is not one.
pub(super) fn lines(text: &str) -> Option<String> {
    if let Some(page) = is_page(text).then_some(text).or_else(|| below(text)) {
        let shown = without_tags(page);
        return Some(decoded(&shown).into_owned());
    }
    // A text within JSON is decoded when it is taken out.
    if text.trim_start().starts_with(['{', '[']) && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok() {
        return None;
    }
    // The source of a page between its tags: every special character is an entity.
    let special = text.contains(['<', '>']) || text.split('&').skip(1).any(|rest| entity(rest).is_none());
    let has_entity =
        ["&gt;", "&lt;", "&amp;", "&quot;", "&#34;", "&#x27;", "&#39;"].iter().any(|entity| text.contains(entity));
    (has_entity && !special).then(|| decoded(text).into_owned())
}

fn ends_with(line: &str, tag: &str) -> bool {
    let line = line.trim_end().as_bytes();
    line.len() >= tag.len() && line[line.len() - tag.len()..].eq_ignore_ascii_case(tag.as_bytes())
}

pub(super) fn is_page(text: &str) -> bool {
    let start = text.trim_start();
    let lower = start.get(..start.len().min(32)).map(str::to_ascii_lowercase).unwrap_or_default();
    let html = PAGES.iter().any(|tag| lower.strip_prefix(tag).is_some_and(|rest| rest.starts_with([' ', '>', '\n'])));
    // Reports of tests are XML.
    let document = html || lower.starts_with("<?xml") || (lower.starts_with("<test") && start.contains("</"));
    let broken = |line: &str| ["<br>", "<br/>", "<br />"].iter().any(|tag| ends_with(line, tag));
    let tagged = |line: &&str| (line.contains("</") && line.contains("<span")) || broken(line);
    let lines = || text.lines().filter(|line| !line.trim().is_empty()).take(400);
    document || lines().filter(tagged).count() * 2 > lines().count()
}

/// The page behind a few other lines, as in a report or a recording of a terminal. A log has its own lines before those of a page.
fn below(text: &str) -> Option<&str> {
    const LOOK: usize = 30;
    const WHOLE: [(&str, &str); 4] =
        [("<!doctype", "</html>"), ("<html", "</html>"), ("<body", "</body>"), ("<pre", "</pre>")];
    let mut at = 0;
    for line in text.split_inclusive('\n').take(LOOK) {
        let starts =
            |tag: &str| line.trim_start().get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag));
        if let Some((_, end)) = WHOLE.iter().find(|(tag, _)| starts(tag)) {
            let rest = &text[at..];
            return rest.lines().any(|line| ends_with(line, end)).then_some(rest);
        }
        if marks::find(line).is_some() {
            return None;
        }
        at += line.len();
    }
    None
}

/// The character of the entity after an ampersand, and its length with the semicolon.
fn entity(rest: &str) -> Option<(char, usize)> {
    if let Some(known) = ENTITIES.iter().find(|(written, _)| rest.starts_with(written)) {
        return Some((known.1, known.0.len()));
    }
    let end = rest.bytes().take(9).position(|byte| byte == b';')?;
    let number = rest[..end].strip_prefix('#')?;
    let code = match number.strip_prefix(['x', 'X']) {
        Some(digits) => u32::from_str_radix(digits, 16).ok()?,
        None => number.parse().ok()?,
    };
    Some((char::from_u32(code)?, number.len() + 2))
}

pub(super) fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    let mut parts = text.split('&');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for rest in parts {
        match entity(rest) {
            Some((character, length)) => {
                out.push(character);
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

/// The text without its tags. Elements that start a line become line breaks.
fn without_tags(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        // The number of a line, in an element of its own.
        let numbered = || {
            let line = out.rsplit('\n').next().unwrap_or_default();
            !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_digit())
        };
        if at < rest.len() && rest.starts_with(char::is_alphanumeric) && numbered() {
            out.push(' ');
        }
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

pub(super) fn is_tag(text: &str) -> bool {
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
            (
                "Log:\n```\n<HTML><body><pre>#1 [1/1] RUN a &gt; b\n</pre></body></html>\n```\n",
                "#1 [1/1] RUN a > b\n\n```\n",
            ),
            ("<div>#1 x</div><div>#1 y</div>", "#1 x\n#1 y\n"),
            ("<ol><li>#1 [1/1] RUN echo &#x27;a&#39;é</li><li>#1 y</li></ol>", "#1 [1/1] RUN echo 'a'é\n#1 y\n"),
            ("10:00 #1 x<BR />\n10:01 #1 y<BR />\n", "10:00 #1 x\n\n10:01 #1 y\n"),
            ("<div><a>7</a><b>Sun, 01 Mar 2026 10:00:00 GMT</b> #1 x</div>", "7 Sun, 01 Mar 2026 10:00:00 GMT #1 x\n"),
            (" =&gt; [1/1] RUN a &amp;&amp; b  1.0s\n", " => [1/1] RUN a && b  1.0s\n"),
        ] {
            assert_eq!(lines(page).as_deref().map(str::trim_end), Some(expected.trim_end()), "{page}");
        }
        for log in [
            "#1 [1/1] RUN a && b &gt; c\n",
            "#1 0.5 <p>&amp;</p>\n#2 x",
            "#1 x",
            "Step 1/2 : RUN cat a\n<html>\n&amp;\n</html>\n",
        ] {
            assert_eq!(lines(log), None, "{log}");
        }
    }
}

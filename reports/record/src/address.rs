//! Addresses without the credentials in them.
//!
//! A password in a URL ends up in logs, records and errors that people share. Everything that is shown or written passes
//! through [`redacted`]. Two kinds of address are found: URLs, and `user:password@host` with a port or a path, as proxies and
//! registries are written without a scheme.

use std::borrow::Cow;
use std::ops::Range;

/// The replacement of a credential, as Go writes it.
const MASK: &str = "xxxxx";
/// The password next to a token in GitHub's documentation. It is not secret.
const NO_PASSWORD: &str = "x-oauth-basic";
/// What follows the scheme: as in RFC 3986, as JSON may escape it (RFC 8259, 7), and that as a string of another JSON document.
const SEPARATORS: [&str; 3] = ["://", ":\\/\\/", ":\\\\/\\\\/"];
/// The number of bytes after `://` that are taken as an address. It bounds the time for a text of many addresses without a space.
const LONGEST: usize = 8192;
/// Parameters of queries that are credentials, in lower case: of OAuth, GitLab and GitHub, and of signed URLs of S3, Azure,
/// Google and CloudFront.
const SECRET_PARAMETERS: &[&str] = &[
    "access_token",
    "api_key",
    "apikey",
    "auth",
    "auth_token",
    "awsaccesskeyid",
    "client_secret",
    "googleaccessid",
    "job_token",
    "key-pair-id",
    "password",
    "passwd",
    "policy",
    "private_token",
    "pwd",
    "secret",
    "sig",
    "signature",
    "token",
    "x-amz-credential",
    "x-amz-security-token",
    "x-amz-signature",
    "x-goog-credential",
    "x-goog-signature",
];

/// A text in which the credentials of all addresses are replaced by `xxxxx`: passwords, tokens that are user names of `http` and
/// `https`, and known secret parameters of queries and fragments.
pub fn redacted(text: &str) -> Cow<'_, str> {
    replaced(text, |_| MASK.into())
}

/// Like [`redacted`], but every text keeps its width, so that marks below a line of a file still point at the right characters.
pub fn redacted_in_place(text: &str) -> Cow<'_, str> {
    replaced(text, |secret| "x".repeat(secret.chars().count()))
}

/// Replaces until nothing changes: a secret may contain the separator that ended another one.
fn replaced(text: &str, mask: impl Fn(&str) -> String) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(text);
    while let Some(next) = replaced_once(&text, &mask) {
        if next == text {
            break;
        }
        text = Cow::Owned(next);
    }
    text
}

/// `None` if the text has no secrets.
fn replaced_once(text: &str, mask: impl Fn(&str) -> String) -> Option<String> {
    let mut found = without_scheme(text);
    let places = |separator: &'static str| {
        memchr::memmem::find_iter(text.as_bytes(), separator).map(move |start| (start, separator))
    };
    for (start, separator) in SEPARATORS.into_iter().flat_map(places) {
        let scheme = scheme(&text[..start]);
        let rest = start + separator.len();
        let inside = |&(at, c): &(usize, char)| at < LONGEST && !ends_address(c);
        let last = text[rest..].char_indices().take_while(inside).last();
        let end = rest + last.map_or(0, |(at, c)| at + c.len_utf8());
        found.extend(secrets(scheme, &text[rest..end]).into_iter().map(|at| rest + at.start..rest + at.end));
    }
    if found.is_empty() {
        return None;
    }
    // An address may be a parameter of another one, whose own secrets may come before or after, or contain it.
    found.sort_unstable_by_key(|range| (range.start, range.end));
    let mut secrets: Vec<Range<usize>> = Vec::new();
    for range in found {
        match secrets.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => secrets.push(range),
        }
    }
    let (mut out, mut written) = (String::new(), 0);
    for secret in secrets {
        out += &text[written..secret.start];
        out += &mask(&text[secret.clone()]);
        written = secret.end;
    }
    out += &text[written..];
    Some(out)
}

/// Whether an address ends before this character in a text. RFC 3986, appendix C.
fn ends_address(c: char) -> bool {
    c.is_whitespace() || c.is_control() || matches!(c, '"' | '\'' | '`' | '<' | '>' | '\\')
}

/// The scheme at the end of a text.
fn scheme(text: &str) -> &str {
    let start = text.rfind(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.')));
    &text[start.map_or(0, |start| start + text[start..].chars().next().map_or(1, char::len_utf8))..]
}

/// The positions of credentials in an address without its scheme, in order.
fn secrets(scheme: &str, address: &str) -> Vec<Range<usize>> {
    let mut secrets = Vec::new();
    let mut host_start = 0;
    if let Some(at) = user_end(address) {
        let http = matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https");
        let colon = address[..at].find(':').unwrap_or(at);
        match address[..at].get(colon + 1..).unwrap_or_default() {
            // Without a password, the user name is a token in HTTP, but not a secret in SSH.
            "" | NO_PASSWORD if http && colon > 0 => secrets.push(0..colon),
            "" => {}
            _ => secrets.push(colon + 1..at),
        }
        host_start = at + 1;
    }
    let Some(query) = address[host_start..].find(['?', '#']).map(|query| host_start + query + 1) else {
        return secrets;
    };
    let mut at = query;
    for pair in address[query..].split(['&', '#', ';', '?']) {
        if let Some((name, value)) = pair.split_once('=')
            && !value.is_empty()
            && SECRET_PARAMETERS.contains(&name.to_ascii_lowercase().as_str())
        {
            secrets.push(at + name.len() + 1..at + pair.len());
        }
        at += pair.len() + 1;
    }
    secrets
}

/// The position of the `@` that ends the user name and the password of an address.
fn user_end(address: &str) -> Option<usize> {
    let authority = &address[..address.find(['/', '?', '#']).unwrap_or(address.len())];
    if let Some(at) = authority.rfind('@') {
        return Some(at);
    }
    // A password may contain `/`, `?` or `#` that should have been encoded. What precedes it is then not a valid port.
    let (host, port) = authority.split_once(':')?;
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit()) || port.starts_with('$');
    if is_port || host.starts_with('[') { None } else { address.rfind('@') }
}

/// The longest password of an address without a scheme, in bytes.
const LONGEST_PASSWORD: usize = 256;

/// What may precede `:NAME@` without being a user: schemes without an authority.
const NOT_USERS: [&str; 8] = ["mailto", "npm", "jsr", "pkg", "file", "link", "workspace", "acct"];

/// The positions of passwords in addresses like `user:password@proxy:3128` and `user:password@registry.example/image`.
fn without_scheme(text: &str) -> Vec<Range<usize>> {
    let mut passwords = Vec::new();
    for at in memchr::memchr_iter(b'@', text.as_bytes()) {
        let start = text[..at].char_indices().rev().take_while(|&(index, c)| {
            at - index <= LONGEST_PASSWORD && !ends_address(c) && !matches!(c, '/' | '=' | ',' | '(' | '[' | '{' | '@')
        });
        let start = start.last().map_or(at, |(index, _)| index);
        let Some((user, password)) = text[start..at].split_once(':') else { continue };
        let named = |c: char| c.is_ascii_alphanumeric() || "._~%+-".contains(c);
        if user.is_empty() || !user.chars().all(named) || NOT_USERS.contains(&user) || password.is_empty() {
            continue;
        }
        if is_host(&text[at + 1..]) {
            passwords.push(start + user.len() + 1..at);
        }
    }
    passwords
}

/// Whether a text starts with a host and a port, or with a host name and a path. A digest (`sha256:...`) is neither.
fn is_host(text: &str) -> bool {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-'))).unwrap_or(text.len());
    let (host, rest) = text.split_at(end);
    if let Some(rest) = rest.strip_prefix(':') {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let ends = !rest[digits..].starts_with(|c: char| c.is_alphanumeric());
        let algorithm = matches!(host, "sha256" | "sha384" | "sha512");
        return !host.is_empty() && !algorithm && (1..=5).contains(&digits) && ends;
    }
    let domain =
        host.rsplit_once('.').is_some_and(|(_, top)| top.len() > 1 && top.bytes().all(|b| b.is_ascii_alphabetic()));
    rest.starts_with('/') && (domain || host == "localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_and_tokens_are_replaced() {
        for (text, expected) in [
            ("https://me:secret@host/a.git#x", "https://me:xxxxx@host/a.git#x"),
            ("https://me:p@ss@host/", "https://me:xxxxx@host/"),
            ("https://ghp_0123@host/a.git", "https://xxxxx@host/a.git"),
            ("https://:secret@host", "https://:xxxxx@host"),
            ("https://ghp_0123:@host/a.git", "https://xxxxx:@host/a.git"),
            ("https://ghp_0123:x-oauth-basic@host/a.git", "https://xxxxx:x-oauth-basic@host/a.git"),
            ("https://x-access-token:ghs_0123@host/a.git", "https://x-access-token:xxxxx@host/a.git"),
            ("ftp://me:secret@host?x", "ftp://me:xxxxx@host?x"),
            (
                "https://host/f?X-Amz-Signature=ab&part=1&token=cd#e",
                "https://host/f?X-Amz-Signature=xxxxx&part=1&token=xxxxx#e",
            ),
            ("https://a/?to=https://me:pw@b/", "https://a/?to=https://me:xxxxx@b/"),
            ("https://a/?token=https://me:pw@b/", "https://a/?token=xxxxx"),
            ("https://a/?to=https://me:pw@b/&token=cd", "https://a/?to=https://me:xxxxx@b/&token=xxxxx"),
            ("ADD https://a:b@h/x https://c:d@h/y /", "ADD https://a:xxxxx@h/x https://c:xxxxx@h/y /"),
            ("{\"url\":\"https://a:b@h/\",\"x\":\"@\"}", "{\"url\":\"https://a:xxxxx@h/\",\"x\":\"@\"}"),
            ("http_proxy=http://a:ü@proxy:3128 x", "http_proxy=http://a:xxxxx@proxy:3128 x"),
            ("https://me:a/b#c?d@host/f", "https://me:xxxxx@host/f"),
            ("https://me:a/b@c@host/f?sig=1", "https://me:xxxxx@host/f?sig=xxxxx"),
            ("https://host/cb#access_token=ab&state=1", "https://host/cb#access_token=xxxxx&state=1"),
            (r#"{"url":"https:\/\/me:secret@host\/f"}"#, r#"{"url":"https:\/\/me:xxxxx@host\/f"}"#),
            (r"https:\\/\\/me:secret@host", r"https:\\/\\/me:xxxxx@host"),
            ("http_proxy=me:secret@proxy:3128 x", "http_proxy=me:xxxxx@proxy:3128 x"),
            ("FROM me:secret@127.0.0.1:5000/x", "FROM me:xxxxx@127.0.0.1:5000/x"),
            ("`me:se:cret@registry.example/x`", "`me:xxxxx@registry.example/x`"),
        ] {
            assert_eq!(redacted(text), expected);
        }
    }

    #[test]
    fn addresses_without_credentials_stay() {
        for text in [
            "https://host/a@b:c",
            "git@host:a/b",
            "ssh://git@host/a",
            "https://host:443/a?page=2&tokens=3",
            "https://host/?token=",
            "https://host:443/@scope/a@1",
            "https://[::1]:443/a@b",
            "https://host:$PORT/a@b",
            "FROM python:3.12@sha256:0123",
            "registry:5000/python:3.12@sha256:0123",
            "npm:@scope/a@1.2.3/b",
            "npm:a@example.com/b",
            "git@host.example:22/a",
            "mailto:me@host.example/x",
            "12:30@noon",
            "é://x",
            "no address",
            "",
        ] {
            assert!(matches!(redacted(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    #[test]
    fn marks_below_a_line_still_match() {
        let line = "ADD https://me:secret@host/f /";
        assert_eq!(redacted_in_place(line), "ADD https://me:xxxxxx@host/f /");
    }

    #[test]
    fn a_redacted_text_stays_the_same() {
        let once = redacted("https://me:secret@host/?sig=1").into_owned();
        assert_eq!(redacted(&once), once);
    }
}

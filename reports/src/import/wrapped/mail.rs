//! Logs in mails (RFC 2045 and 2046): the parts of a message, decoded.

use super::count_marks;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The encoding of the body of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    None,
    QuotedPrintable,
    Base64,
}

/// The part of a mail with the most lines of builders; `None` if the text is not a mail, or needs no decoding.
pub(super) fn lines(text: &str) -> Option<String> {
    let parts: Vec<String> = parts(text).filter_map(|part| part.decoded()).collect();
    // Of equal parts the first counts: the others have the same text as a page.
    parts.into_iter().rev().max_by_key(|part| count_marks(part)).filter(|part| count_marks(part) > 0)
}

/// A part of a mail.
#[derive(Debug)]
struct MailPart<'t> {
    encoding: Encoding,
    /// Whether a space at the end of a line joins it with the next (RFC 3676).
    flowed: bool,
    body: &'t str,
}

impl MailPart<'_> {
    /// The text of the body; `None` if it is not encoded, or is not text.
    fn decoded(&self) -> Option<String> {
        match self.encoding {
            Encoding::QuotedPrintable => Some(printable(self.body)),
            Encoding::Base64 => base64(self.body),
            Encoding::None => None,
        }
        .or_else(|| (self.flowed && self.encoding == Encoding::None).then(|| self.body.to_owned()))
        .map(|text| if self.flowed { joined(&text) } else { text })
    }
}

/// The parts of a mail: each body follows the header fields that describe it.
fn parts(text: &str) -> impl Iterator<Item = MailPart<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            let at = header_of_part(rest)?;
            let (header, body) = rest[at..].split_once("\n\n").or_else(|| rest[at..].split_once("\r\n\r\n"))?;
            let end = end_of_part(body);
            rest = &body[end..];
            let header = header.to_ascii_lowercase();
            let flowed = header.contains("format=flowed") || header.contains("format=\"flowed\"");
            // The parts of a part are found behind its header.
            if header.contains("multipart/") {
                rest = body;
                continue;
            }
            return Some(MailPart { encoding: encoding(&header), flowed, body: &body[..end] });
        }
    })
}

/// The start of the next part's header, or of a field of it.
fn header_of_part(text: &str) -> Option<usize> {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let field = line.split(':').next().unwrap_or_default();
        if ["content-transfer-encoding", "content-type"].iter().any(|name| field.eq_ignore_ascii_case(name)) {
            return Some(at);
        }
        at += line.len();
    }
    None
}

fn encoding(header: &str) -> Encoding {
    let value = header.lines().find_map(|line| line.strip_prefix("content-transfer-encoding:")).unwrap_or_default();
    match value.trim() {
        "quoted-printable" => Encoding::QuotedPrintable,
        "base64" => Encoding::Base64,
        _ => Encoding::None,
    }
}

/// The end of a part: before a boundary. Encoded text has no line that begins with two hyphens and has no space.
fn end_of_part(body: &str) -> usize {
    let mut at = 0;
    for line in body.split_inclusive('\n') {
        let text = line.trim_end();
        if text.len() > 2 && text.starts_with("--") && !text.starts_with("-->") && !text.contains(' ') {
            return at;
        }
        at += line.len();
    }
    body.len()
}

fn base64(text: &str) -> Option<String> {
    let letters: String = text.split_whitespace().collect();
    let bytes = STANDARD.decode(letters).ok()?;
    Some(super::super::log::decode(&bytes).into_owned()).filter(|text| !text.contains('\0'))
}

/// Text encoded as quoted-printable (RFC 2045, 6.7).
fn printable(body: &str) -> String {
    let mut out: Vec<u8> = Vec::with_capacity(body.len());
    // An equals sign at the end of a line joins it with the next. Spaces behind it were added on the way.
    let mut rest = body;
    while let Some((before, coded)) = rest.split_once('=') {
        out.extend_from_slice(before.as_bytes());
        let line = coded.split('\n').next().unwrap_or_default();
        rest = match coded.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                &coded[2..]
            }
            None if line.trim().is_empty() => coded.get(line.len() + 1..).unwrap_or_default(),
            None => {
                out.push(b'=');
                coded
            }
        };
    }
    out.extend_from_slice(rest.as_bytes());
    String::from_utf8_lossy(&out).into_owned()
}

/// Joins flowed text (RFC 3676): a space at the end of a line joins it with the next one; a space at its start was added for transport.
fn joined(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        let line = line.strip_prefix(' ').unwrap_or(line);
        out += line;
        if !line.ends_with(' ') {
            out.push('\n');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "#1 [1/1] COPY --from=a /long/path \u{2500} a=b\n#1 DONE 0.1s\n";

    #[test]
    fn bodies_are_decoded() {
        let printable = "Subject: x\nContent-Transfer-Encoding: quoted-printable\n\n#1 [1/1] COPY --from=3Da /long= \n/path =E2=94=80 a=b\n#1 DONE 0.1s\n";
        assert_eq!(lines(printable).as_deref(), Some(LOG));
        let encoded = STANDARD.encode(LOG);
        let (first, second) = encoded.split_at(40);
        let mail = format!("Subject: x\r\ncontent-transfer-encoding: BASE64\r\n\r\n{first}\r\n{second}\r\n");
        assert_eq!(lines(&mail).as_deref(), Some(LOG));
        let flowed = "Content-Type: text/plain; format=flowed\n\n#1 [1/1] COPY --from=a \n/long/path \u{2500} a=b\n#1 DONE 0.1s\n";
        assert_eq!(lines(flowed).as_deref(), Some(LOG));
    }

    #[test]
    fn the_part_with_the_log_is_taken() {
        let part = |kind: &str, text: &str| {
            format!("--b1\nContent-Type: {kind}\nContent-Transfer-Encoding: base64\n\n{}\n", STANDARD.encode(text))
        };
        let mail = format!(
            "Content-Type: multipart/mixed;\n boundary=\"b1\"\n\nA message in parts.\n{}{}{}--b1--\n",
            part("text/plain", "The build is attached."),
            part("text/x-log", LOG),
            part("image/png", "\0png")
        );
        assert_eq!(lines(&mail).as_deref(), Some(LOG));
    }

    #[test]
    fn other_texts_are_no_mails() {
        for text in [LOG, "#1 [1/1] RUN curl -H Content-Type:a\n#1 0.1 Content-Type: text/html\n\n", "abc", ""] {
            assert_eq!(lines(text), None, "{text}");
        }
    }
}

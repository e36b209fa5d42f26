//! Logs in base64 within other text: the secrets of Kubernetes, addresses that hold data, blocks between marks, the text alone.

use super::super::log;
use super::super::package::{self, Package};
use super::count_marks;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The shortest text in base64 that is looked at, in characters. A shorter one has no line of a builder.
const SHORTEST: usize = 40;

/// The logs that are encoded in a text; `None` if there are none, or if lines of builders are outside of them.
pub(super) fn lines(text: &str) -> Option<String> {
    let runs = runs(text);
    if runs.is_empty() || count_marks(text) > 0 {
        return None;
    }
    let logs: Vec<String> = runs.iter().filter_map(|run| decoded(run)).filter(|log| count_marks(log) > 0).collect();
    (!logs.is_empty()).then(|| logs.join("\n"))
}

/// The text in base64, which may be compressed.
fn decoded(run: &str) -> Option<String> {
    let bytes = STANDARD.decode(run).ok()?;
    let Ok(Package::One(bytes)) = package::open(&bytes) else { return None };
    Some(log::decode(&bytes).into_owned()).filter(|text| !text.contains('\0'))
}

/// The longest sequences of letters of base64 that are long enough. Lines that have nothing else are one.
fn runs(text: &str) -> Vec<String> {
    let mut runs: Vec<String> = Vec::new();
    let mut open = String::new();
    for line in text.lines().map(str::trim).chain([""]) {
        if !line.is_empty() && line.bytes().all(is_letter) {
            open.push_str(line);
            continue;
        }
        // Most words of a log are short: copies of them would take ten times its size.
        let words = line.split(|letter: char| !letter.is_ascii() || !is_letter(letter as u8));
        let long = |run: &&str| run.len() >= SHORTEST;
        runs.extend([open.as_str()].into_iter().chain(words).filter(long).map(str::to_owned));
        open.clear();
    }
    runs
}

fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=')
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    const LOG: &str = "#1 [1/1] COPY --from=a /long/path \u{2500} a=b\n#1 DONE 0.1s\n";

    #[test]
    fn logs_are_found_wherever_they_are_encoded() {
        let encoded = STANDARD.encode(LOG);
        let (first, second) = encoded.split_at(60);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(LOG.as_bytes()).unwrap();
        let packed = STANDARD.encode(gzip.finish().unwrap());
        for text in [
            format!("{first}\n{second}\n"),
            format!("{first}\r\n{second}"),
            format!("apiVersion: v1\nkind: Secret\ndata:\n  build.log: {encoded}\n"),
            format!("apiVersion: v1\nkind: ConfigMap\nbinaryData:\n  build.log.gz: {packed}\n"),
            format!("data:\n  log: |\n    {first}\n    {second}\ntype: Opaque\n"),
            format!("{{\"kind\": \"Secret\", \"data\": {{\"build.log\": \"{encoded}\"}}}}\n"),
            format!("data:text/plain;base64,{encoded}\n"),
            format!("-----BEGIN LOG-----\n{first}\n{second}\n-----END LOG-----\n"),
        ] {
            assert_eq!(lines(&text).as_deref(), Some(LOG), "{text}");
        }
        let two = format!("data:\n  a.log: {encoded}\n  b.log: {encoded}\n  c: aGVsbG8=\n");
        assert_eq!(lines(&two).unwrap(), format!("{LOG}\n{LOG}"));
    }

    #[test]
    fn a_log_that_has_something_encoded_is_as_it_is() {
        let within = format!("#1 [1/1] RUN echo {} | base64 -d\n#1 DONE 0.1s\n", STANDARD.encode(LOG));
        for text in
            [&*within, LOG, "abc", "", "sha256/5ba1be3d8c2a6b9a3aca1c5b6b9a3aca1c5b6b9a3aca1c5b6b9a3aca1c5b6b9a"]
        {
            assert_eq!(lines(text), None, "{text}");
        }
    }
}

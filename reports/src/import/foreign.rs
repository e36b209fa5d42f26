//! Files that are not read, although people have them: what they are, and what to do instead.

/// A file that is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Foreign {
    /// The kind of file, as the subject of a sentence.
    pub(super) what: &'static str,
    /// What is read instead.
    pub(super) instead: &'static str,
}

/// Files by their first bytes.
const STARTS: [(&[u8], Foreign); 10] = [
    (b"7z\xbc\xaf\x27\x1c", compressed("`7z e -so FILE | buildscope explain -`")),
    (b"\x04\x22\x4d\x18", compressed("`lz4 -dc FILE | buildscope explain -`")),
    (b"Rar!", compressed("`unrar p -inul FILE | buildscope explain -`")),
    (b"%PDF-", document("`pdftotext -layout FILE - | buildscope explain -`")),
    (b"{\\rtf", document("save it as plain text, or `unrtf --text FILE | buildscope explain -`")),
    (b"\xd0\xcf\x11\xe0", document("save it as plain text")),
    (b"\x89PNG", PICTURE),
    (b"\xff\xd8\xff", PICTURE),
    (
        b"LPKSHHRH",
        Foreign {
            what: "a journal of systemd",
            instead: "`journalctl --file FILE -o short-iso-precise | buildscope explain -`",
        },
    ),
    (b"SQLite format 3\0", Foreign { what: "a database of SQLite", instead: "take the log out with `sqlite3 FILE`" }),
];

const PICTURE: Foreign = Foreign { what: "a picture", instead: "copy the text of the terminal" };

const fn compressed(instead: &'static str) -> Foreign {
    Foreign { what: "a compressed file of this kind", instead }
}

const fn document(instead: &'static str) -> Foreign {
    Foreign { what: "a document of a word processor", instead }
}

/// What a file is whose first bytes show that it is not read.
pub(super) fn by_start(bytes: &[u8]) -> Option<Foreign> {
    STARTS.iter().find(|(start, _)| bytes.starts_with(start)).map(|(_, foreign)| *foreign)
}

/// How many lines of a builder make a log its log.
const FEWEST: usize = 2;

/// Whether a line is one of a tool.
type IsLine = fn(&str) -> bool;

/// What a log is in which no line is of a known builder.
pub(super) fn by_lines(text: &str) -> Option<Foreign> {
    const ONLY: &str = "only builds of Dockerfiles are";
    let kinds: [(IsLine, Foreign); 8] = [
        (earthly, Foreign { what: "a log of Earthly", instead: ONLY }),
        (buildpacks, Foreign { what: "a log of Cloud Native Buildpacks", instead: ONLY }),
        (bazel, Foreign { what: "a log of Bazel", instead: ONLY }),
        (jib, Foreign { what: "a log of Jib", instead: ONLY }),
        (ko, Foreign { what: "a log of ko", instead: ONLY }),
        (nix, Foreign { what: "a log of Nix", instead: ONLY }),
        (
            tilt,
            Foreign {
                what: "a log of Tilt",
                instead: "`docker build --progress=plain` of the same image shows the time of each step",
            },
        ),
        (
            dagger,
            Foreign {
                what: "a log of Dagger",
                instead: "its trace is (OTLP JSON; OTEL_EXPORTER_OTLP_TRACES_ENDPOINT)",
            },
        ),
    ];
    kinds
        .into_iter()
        .find(|(is, _)| text.lines().filter(|line| is(line)).nth(FEWEST - 1).is_some())
        .map(|(_, found)| found)
}

/// `+target | --> RUN make`
fn earthly(line: &str) -> bool {
    line.split_once(" | ").is_some_and(|(_, rest)| rest.trim_start_matches("*cached* ").starts_with("--> "))
}

/// `INFO: Elapsed time: 12.3s, Critical Path: 10.2s`
fn bazel(line: &str) -> bool {
    let starts = ["INFO: Analyzed ", "INFO: Elapsed time: ", "INFO: Build completed ", "INFO: Found "];
    starts.iter().any(|start| line.contains(start))
}

/// `Containerizing application to acme/app...`
fn jib(line: &str) -> bool {
    let starts = [
        "Containerizing application to ",
        "Built and pushed image as ",
        "Built image to ",
        "Container entrypoint set to ",
    ];
    starts.iter().any(|start| line.contains(start))
}

/// `2026/03/01 10:00:01 Building example.com/cmd/app for linux/amd64`
fn ko(line: &str) -> bool {
    let mut words = line.split_whitespace().skip_while(|word| !matches!(*word, "Using" | "Building" | "Publishing"));
    match (words.next(), words.next(), words.next()) {
        (Some("Using"), Some("base"), Some(base)) => base.contains('/'),
        (Some("Building"), Some(path), Some("for")) => path.contains('/'),
        (Some("Publishing"), Some(image), None) => image.contains('/'),
        _ => false,
    }
}

/// `building '/nix/store/…-app.drv'...`
fn nix(line: &str) -> bool {
    line.contains("/nix/store/") && (line.contains(".drv") || line.contains("copying path "))
}

/// `STEP 1/3 — Building Dockerfile: [web]`
fn tilt(line: &str) -> bool {
    line.split_once("STEP ").is_some_and(|(_, rest)| {
        let (numbers, what) = rest.split_once(" — ").unwrap_or_default();
        numbers.contains('/') && ["Building", "Pushing", "Deploying"].iter().any(|word| what.starts_with(word))
    })
}

/// `===> BUILDING`
fn buildpacks(line: &str) -> bool {
    let phases = ["ANALYZING", "DETECTING", "RESTORING", "BUILDING", "EXPORTING"];
    line.split_once("===> ").is_some_and(|(_, phase)| phases.contains(&phase.trim_end()))
}

/// `14  : .withExec DONE [3.4s]`
fn dagger(line: &str) -> bool {
    line.split_once(" : ").is_some_and(|(number, rest)| {
        let number = number.trim_end();
        let done = rest.contains(" DONE [") || rest.contains(" CACHED [");
        done && !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_read_is_named() {
        for (start, what) in [
            (&b"7z\xbc\xaf\x27\x1c\0\x04"[..], "compressed"),
            (b"%PDF-1.7\n", "document"),
            (b"{\\rtf1\\ansi #1 [internal] x\\par", "document"),
            (b"\x89PNG\r\n\x1a\n", "picture"),
            (b"LPKSHHRH\0", "journal"),
        ] {
            assert!(by_start(start).is_some_and(|found| found.what.contains(what)), "{what}");
        }
        for log in [&b"#1 [internal] x\n"[..], b"{\"vertexes\":[]}", b""] {
            assert_eq!(by_start(log), None);
        }
    }

    #[test]
    fn a_log_of_another_tool_is_named() {
        for (log, what) in [
            ("  golang:1.22 | --> Load metadata golang:1.22\n +build | *cached* --> WORKDIR /app\n", "Earthly"),
            ("===> ANALYZING\n[analyzer] x\n2026-03-01T10:00:00Z ===> BUILDING\n", "Buildpacks"),
            (
                "INFO: Analyzed target //:app (0 packages loaded).\nINFO: Elapsed time: 12.3s, Critical Path: 10.2s\n",
                "Bazel",
            ),
            ("[INFO] Containerizing application to acme/app...\n[INFO] Built and pushed image as acme/app\n", "Jib"),
            ("10:00:00 Using base gcr.io/x/static for a/b\n10:00:01 Building a/b for linux/amd64\n", "ko"),
            ("  /nix/store/abc-app.drv\nbuilding '/nix/store/abc-app.drv'...\n", "Nix"),
            ("web │ STEP 1/3 — Building Dockerfile: [web]\nweb │ STEP 2/3 — Pushing web:tilt\n", "Tilt"),
            ("2   : starting engine DONE [0.1s]\n14  : .withExec DONE [3.4s]\n", "Dagger"),
        ] {
            assert!(by_lines(log).is_some_and(|found| found.what.contains(what)), "{log}");
        }
        for other in [
            "a | --> b\n",
            "===> notes\n===> more\n",
            "x : y DONE [z]\n1 : y\n",
            "Building x for y\nUsing base x\n",
            "",
        ] {
            assert_eq!(by_lines(other), None, "{other}");
        }
    }
}

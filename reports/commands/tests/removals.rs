//! A mount is not put where the RUN removes it: `rm -rf` of a mount fails, and so would the build.

use buildscope_commands::rules::{Edit, Facts, missing_caches};
use buildscope_commands::{Environments, File, InstructionLine, Source};
use std::collections::BTreeSet;

/// Everything is known of an empty context.
#[derive(Debug)]
struct Empty(BTreeSet<String>);

impl Facts for Empty {
    fn files(&self, _: usize) -> Option<&BTreeSet<String>> {
        Some(&self.0)
    }

    fn output(&self, _: usize) -> Option<&[String]> {
        Some(&[])
    }

    fn text(&self, _: &str) -> Option<String> {
        None
    }

    fn is_complete(&self) -> bool {
        true
    }
}

/// The last RUN with its mounts; `words` if there is only advice in words, and `silent` if there is none.
fn mounted(text: &str) -> String {
    let source = Source::read(text);
    let texts: Vec<String> = source.instructions().collect();
    let stages = |at: usize| texts[..=at].iter().filter(|text| text.starts_with("FROM")).count() - 1;
    let lines: Vec<_> =
        texts.iter().zip(0..).map(|(text, at)| InstructionLine { text, stage: Some(stages(at)) }).collect();
    let file = File::read(&lines, &Environments::new());
    let found = missing_caches(&file, &Empty(BTreeSet::new()));
    let run = texts.iter().rposition(|text| text.starts_with("RUN")).unwrap();
    let Some(last) = found.into_iter().rfind(|advice| advice.run == run) else { return "silent".into() };
    let edits: Vec<Edit> = last.edits;
    if edits.is_empty() {
        return "words".into();
    }
    let known: Vec<_> = texts.iter().map(|text| (text.as_str(), None)).collect();
    let places = source.places(&known);
    let applied = source.applied(&edits, &places).unwrap();
    let run = &applied[applied.rfind("RUN ").unwrap()..];
    run.lines().next().unwrap().replace("--mount=type=cache,target=", "@").replace(",sharing=locked", "!")
}

#[test]
fn what_a_run_removes_of_its_mounts_is_left_out() {
    const APT: &str = "FROM debian\nRUN rm -f /etc/apt/apt.conf.d/docker-clean\nRUN rm -f docker-clean; apt-get update && apt-get install -y git";
    const RUN: &str =
        "RUN @/var/cache/apt! @/var/lib/apt/lists! rm -f docker-clean; apt-get update && apt-get install -y git";
    for (removal, expected) in [
        // The mount itself, alone and among others.
        (" && rm -rf /var/lib/apt/lists", ""),
        (" && rm -rf /var/lib/apt/lists /var/cache/apt", ""),
        (" && rm -rf /var/lib/apt/lists /var/cache/apt /tmp/x", " && rm -rf /tmp/x"),
        (" && rm -rf /tmp/* /var/lib/apt/lists", " && rm -rf /tmp/*"),
        // Files in it.
        (" && rm -rf /var/lib/apt/lists/* /tmp/* /var/tmp/*", " && rm -rf /tmp/* /var/tmp/*"),
        (" && find /var/lib/apt/lists -type f -delete", ""),
        (" && find /var/lib/apt/lists -delete", ""),
        // Caches above it.
        (" && rm -rf /var/cache/* /var/lib/apt", ""),
        // Something else.
        (" && rm -rf /tmp/lists", " && rm -rf /tmp/lists"),
        (" && find / -name '*.pyc' -delete", " && find / -name '*.pyc' -delete"),
    ] {
        assert_eq!(mounted(&format!("{APT}{removal}\n")), format!("{RUN}{expected}"), "{removal}");
    }
}

#[test]
fn a_mount_that_cannot_be_kept_is_not_put() {
    for (run, expected) in [
        // All of the home directory goes, with more than caches.
        ("pip install flask && rm -rf /root", "silent"),
        ("pip install flask && rm -rf ~", "silent"),
        ("pip install flask && rm -rf ~/.cache /tmp/x", "RUN @/root/.cache/pip pip install flask && rm -rf /tmp/x"),
        ("pip install flask && rm -rf $HOME/.cache/pip", "RUN @/root/.cache/pip pip install flask"),
        ("PIP_CACHE_DIR=/c pip install flask && rm -rf /c/", "RUN @/c PIP_CACHE_DIR=/c pip install flask"),
        // The command would be without a path, or its text shows the word elsewhere.
        ("{ pip install flask; rm -r /root/.cache/pip; }", "words"),
        ("pip install flask && rm -r '/root/.cache/pip' /tmp/x", "words"),
        ("ls /root/.cache/pip; pip install flask && rm -r /root/.cache/pip /tmp/x", "words"),
    ] {
        assert_eq!(mounted(&format!("FROM python\nRUN {run}\n")), expected, "{run}");
    }
    // If one of several RUNs removes the mount that they need, no RUN gets it. The compiled objects have a mount of their own.
    let go = |first: &str, removal: &str| {
        let build = format!("COPY . .\nRUN go build -o /app .{removal}\n");
        mounted(&format!(
            "FROM golang AS b\nCOPY go.mod ./\nRUN go mod download{first}\n{build}FROM scratch\nCOPY --from=b /app /\nCMD [\"/app\"]\n"
        ))
    };
    assert_eq!(go("", ""), "RUN @/go/pkg/mod @/root/.cache/go-build go build -o /app .");
    let alone = "RUN @/root/.cache/go-build go build -o /app .";
    assert_eq!(go("", " && rm -rf /go/pkg /tmp/x"), format!("{alone} && rm -rf /go/pkg /tmp/x"));
    assert_eq!(go(" && rm -rf /go/pkg/mod/cache/vcs", ""), alone);
}

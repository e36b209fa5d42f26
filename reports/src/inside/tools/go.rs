//! The Go command and its tools.

use super::Activity::{Compile, Download, Link, Plan, Test};
use super::{Family, LineRule, ProcessRule, begins, by_children, by_lines, ended, rule};

/// The tools are programs in `pkg/tool`; tests are programs named `PACKAGE.test`.
const RULES: &[ProcessRule] = &[
    rule(&["compile", "asm", "cgo", "link", "vet"], "=-V=full", Plan),
    rule(&["compile", "asm", "cgo"], "", Compile),
    rule(&["link"], "", Link),
    rule(&["*"], ">-test.", Test),
    rule(&["vet"], "", Compile),
    by_children(&["go"], "=build", Compile),
    by_children(&["go"], "=install", Compile),
    by_children(&["go"], "=test", Compile),
    by_children(&["go"], "=vet", Compile),
    by_lines(&["go"], "", Plan),
];

/// Commands that print what they run.
const PRINTERS: &[&str] = &["go build", "go install", "go run", "go test", "go vet"];

/// Lines as the tools print them.
const LINES: &[LineRule] = &[
    begins("go: downloading ", Download),
    begins("=== RUN ", Test).by(&["go test"]),
    // With the time of the package's tests; before that, they were compiled.
    ended("ok  \t", Test).by(&["go test"]).timed().each(),
    ended("FAIL\t", Test).by(&["go test"]).timed().each(),
    // `-x` prints the commands before they run.
    begins("WORK=/tmp/go-build", Plan).by(PRINTERS),
    begins("/*/pkg/tool/*/compile -o", Compile).by(PRINTERS),
    begins("/*/pkg/tool/*/asm ", Compile).by(PRINTERS),
    begins("/*/pkg/tool/*/link -o", Link).by(PRINTERS),
    begins("TERM='dumb' ", Compile).by(PRINTERS),
];

pub(super) const FAMILY: Family = Family { names: &["go"], rules: RULES, lines: LINES };

#[cfg(test)]
mod tests {
    use super::super::of;
    use super::*;

    /// Command lines that `go build -x` and `go test -x` print (Go 1.22).
    #[test]
    fn tools_are_distinguished() {
        assert_eq!(of("/usr/local/go/pkg/tool/linux_amd64/compile -o /tmp/b/_pkg_.a -p fmt"), Some(Compile));
        assert_eq!(of("/usr/local/go/pkg/tool/linux_amd64/link -o /tmp/b/a.out"), Some(Link));
        assert_eq!(of("/tmp/go-build1/b001/x.test -test.timeout=10m0s"), Some(Test));
        assert_eq!(of("go mod download"), Some(Plan));
    }
}

//! Dockerfiles of several sizes: as people write them, and as generators do.

use std::fmt::Write as _;

/// That many stages, each a usual one: variables, heredocs, a copy from the stage before.
pub(crate) fn dockerfile(stages: usize) -> String {
    let mut text = "ARG VERSION=1.2\n".to_owned();
    for n in 0..stages {
        let _ = write!(
            text,
            "# stage {n}\nFROM debian:12 AS s{n}\nARG VERSION\nENV NAME=app-${{VERSION}} MODE=\"release build\"\nWORKDIR /src/$NAME\n\
             COPY --chown=1000:1000 Cargo.toml src/ ./\nRUN set -e; \\\n    make -j4 \\\n    install\n\
             RUN <<EOF\nset -eu\necho \"$NAME\" > /etc/name\nEOF\nLABEL org.example.stage={n} org.example.version=$VERSION\n"
        );
        if n > 0 {
            let _ = writeln!(text, "COPY --from=s{} /out /in", n - 1);
        }
    }
    text
}

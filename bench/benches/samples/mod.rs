//! Dockerfiles of several sizes, both typical and generated.

use std::fmt::Write as _;

/// A Dockerfile of `stages` typical stages: variables, heredocs, a copy from the previous stage.
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

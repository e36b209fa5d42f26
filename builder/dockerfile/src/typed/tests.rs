use crate::{Keyword, parse};

/// One valid line of each instruction, by the Dockerfile reference.
fn example(keyword: Keyword) -> &'static str {
    match keyword {
        Keyword::Add => "ADD a /b",
        Keyword::Arg => "ARG A=1",
        Keyword::Cmd => "CMD a",
        Keyword::Copy => "COPY a /b",
        Keyword::Entrypoint => "ENTRYPOINT a",
        Keyword::Env => "ENV A=1",
        Keyword::Expose => "EXPOSE 80",
        Keyword::From => "FROM a",
        Keyword::Healthcheck => "HEALTHCHECK CMD a",
        Keyword::Label => "LABEL a=1",
        Keyword::Maintainer => "MAINTAINER a",
        Keyword::Onbuild => "ONBUILD RUN a",
        Keyword::Run => "RUN a",
        Keyword::Shell => "SHELL [\"/bin/sh\"]",
        Keyword::Stopsignal => "STOPSIGNAL 9",
        Keyword::User => "USER a",
        Keyword::Volume => "VOLUME /a",
        Keyword::Workdir => "WORKDIR /a",
    }
}

#[test]
fn every_instruction_gets_its_typed_form() {
    for &keyword in Keyword::ALL {
        let text = format!("FROM x\n{}", example(keyword));
        let file = parse(&text).unwrap_or_else(|diagnostics| panic!("{text}: {diagnostics}"));
        assert_eq!(file.instructions.last().unwrap().keyword(), keyword);
    }
}

/// Each line is an error by the rules of the Dockerfile reference, with BuildKit's message.
#[test]
fn invalid_instructions_have_buildkit_s_messages() {
    for (line, message) in [
        ("FORM x", "unknown instruction: FORM (did you mean FROM?)"),
        ("RUN --mont=type=tmpfs x", "unknown flag: --mont (did you mean mount?)"),
        ("COPY --link --link a b", "duplicate flag specified: --link"),
        ("COPY --link=maybe a b", "expecting boolean value for flag --link"),
        ("COPY --chown a b", "missing a value on flag: --chown"),
        ("COPY a", "COPY requires at least two arguments, but only 1 provided"),
        ("ADD --link", "ADD requires at least two arguments, but only 0 provided"),
        ("COPY a <<EOF\nEOF", "cannot accept a heredoc as a destination"),
        ("RUN <<EOF\nfoo", "unterminated heredoc"),
        ("CMD [\"a\", 1]", "arrays must be comprised of strings only"),
        ("ENV", "ENV requires at least one argument"),
        ("ENV A", "ENV must have two arguments"),
        ("ENV A=1 B", "can't find = in \"B\""),
        ("ENV =1", "ENV names can not be blank"),
        ("LABEL a=1 =2", "LABEL names can not be blank"),
        ("ARG", "ARG requires at least one argument"),
        ("ARG =x", "ARG names can not be blank"),
        ("FROM a b", "FROM requires either one or three arguments"),
        ("FROM a AS 1x", "invalid name for build stage"),
        ("WORKDIR", "WORKDIR requires exactly one argument"),
        ("VOLUME", "VOLUME requires at least one argument"),
        ("VOLUME [\"\"]", "can not be an empty string"),
        ("EXPOSE", "EXPOSE requires at least one argument"),
        ("SHELL /bin/sh", "SHELL requires the arguments to be in JSON form"),
        ("HEALTHCHECK", "HEALTHCHECK requires at least one argument"),
        ("HEALTHCHECK CONNECT x", "Unknown type \"CONNECT\" in HEALTHCHECK"),
        ("HEALTHCHECK CMD", "Missing command after HEALTHCHECK CMD"),
        ("HEALTHCHECK NONE x", "HEALTHCHECK NONE takes no arguments"),
        ("HEALTHCHECK --interval=1us CMD x", "cannot be less than 1ms"),
        ("HEALTHCHECK --timeout=5 CMD x", "invalid duration"),
        ("HEALTHCHECK --retries=-1 CMD x", "--retries cannot be negative"),
        ("ONBUILD", "ONBUILD requires at least one argument"),
        ("ONBUILD ONBUILD RUN x", "Chaining ONBUILD"),
        ("ONBUILD FROM x", "FROM isn't allowed as an ONBUILD trigger"),
        ("ONBUILD COPY --nope a b", "unknown flag: --nope"),
        ("RUN --network=wifi x", "network \"wifi\" is not valid"),
        ("RUN --security=none x", "security \"none\" is not valid"),
        ("RUN --mount=target=/c,from=$A x", "'from' doesn't support variable expansion"),
    ] {
        let text = format!("FROM x\n{line}");
        match parse(&text) {
            Ok(_) => panic!("accepted: {line}"),
            Err(diagnostics) => {
                let found = diagnostics.iter().any(|diagnostic| diagnostic.message.contains(message));
                assert!(found, "{line}: {diagnostics}");
                let helped =
                    diagnostics.iter().all(|diagnostic| diagnostic.span.is_some() && diagnostic.help.is_some());
                assert!(helped || message.contains("heredoc"), "{line}: no help");
            }
        }
    }
}

#[test]
fn unusual_instructions_are_valid() {
    for line in [
        "HEALTHCHECK --interval=0s CMD [\"a\"]",
        "healthcheck none",
        "RUN",
        "CMD",
        "ENTRYPOINT []",
        "ONBUILD RUN <<EOF\nx\nEOF",
        "COPY --exclude=a --exclude=b --parents ./x/./y /z",
        "ADD --keep-git-dir=false --unpack=true https://a.example/a.git#main /x",
        "RUN --mount=type=secret,id=a --mount=type=ssh,required --mount=type=bind,source=a,target=/b,rw --device=x y",
        "RUN --mount=type=cache,target=$T,uid=$U,mode=0700 --security=insecure --network=host y",
        "ENV a.b-c=1 \"d\"=2",
        "COPY -- --odd /x",
    ] {
        if let Err(diagnostics) = parse(&format!("FROM x\n{line}")) {
            panic!("{line}: {diagnostics}");
        }
    }
}

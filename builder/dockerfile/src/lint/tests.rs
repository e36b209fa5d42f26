//! Tests of each rule with a file in which it finds a problem and one in which it does not. Most files are the "bad"
//! and "good" examples of docker's build check reference.

use super::*;
use crate::parse;

fn found(text: &str, context: &LintContext<'_>) -> Vec<&'static str> {
    let file = parse(text).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    let report = run(&file, context).unwrap();
    let mut names: Vec<_> = report.findings.iter().map(|finding| finding.rule.name()).collect();
    names.dedup();
    names
}

/// Rules of BuildKit, each with a file that breaks it and one that does not.
const BUILDKIT_EXAMPLES: &[(&str, &str, &str)] = &[
    ("StageNameCasing", "FROM alpine AS BuilderBase\n", "FROM alpine AS builder-base\n"),
    ("FromAsCasing", "FROM debian:latest as builder\n", "FROM debian:latest AS builder\n"),
    ("FromAsCasing", "from debian:latest AS builder\n", "from debian:latest as builder\n"),
    ("NoEmptyContinuation", "FROM alpine\nEXPOSE \\\n\n80\n", "FROM alpine\nEXPOSE \\\n# Port\n80\n"),
    (
        "ConsistentInstructionCasing",
        "From alpine\nRUN echo hello > /greeting.txt\nEntRYpOiNT [\"cat\", \"/greeting.txt\"]\n",
        "FROM alpine\nRUN echo hello > /greeting.txt\n",
    ),
    (
        "DuplicateStageName",
        "FROM debian:latest AS builder\nFROM golang:latest AS builder\n",
        "FROM debian AS deb-builder\nFROM golang AS go-builder\n",
    ),
    ("ReservedStageName", "FROM alpine AS scratch\n", "FROM alpine AS builder\n"),
    (
        "JSONArgsRecommended",
        "FROM alpine\nENTRYPOINT my-program start\n",
        "FROM alpine\nENTRYPOINT [\"my-program\", \"start\"]\n",
    ),
    (
        "JSONArgsRecommended",
        "FROM alpine\nCMD my-program\n",
        "FROM alpine\nSHELL [\"/bin/bash\", \"-c\"]\nCMD my-program\n",
    ),
    (
        "MaintainerDeprecated",
        "FROM busybox\nMAINTAINER moby@example.com\n",
        "FROM busybox\nLABEL org.opencontainers.image.authors=\"moby@example.com\"\n",
    ),
    (
        "UndefinedArgInFrom",
        "FROM node:22${VARIANT} AS jsbuilder\n",
        "ARG VARIANT=-alpine3.20\nFROM node:22${VARIANT} AS jsbuilder\n",
    ),
    (
        "WorkdirRelativePath",
        "FROM nginx\nWORKDIR usr/share/nginx/html\n",
        "FROM nginx\nWORKDIR /usr/share/nginx/html\nWORKDIR x\n",
    ),
    ("UndefinedVar", "FROM alpine AS base\nCOPY $foo .\n", "FROM alpine AS base\nARG foo\nCOPY $foo .\n"),
    (
        "MultipleInstructionsDisallowed",
        "FROM alpine\nENTRYPOINT [\"echo\", \"Hello\"]\nENTRYPOINT [\"echo\", \"Hello, Norway!\"]\n",
        "FROM alpine\nENTRYPOINT [\"echo\", \"Hello\"]\n",
    ),
    ("LegacyKeyValueFormat", "FROM alpine\nENV DIR /usr/bin\n", "FROM alpine\nENV DIR=/usr/bin\n"),
    ("RedundantTargetPlatform", "FROM --platform=$TARGETPLATFORM alpine AS builder\n", "FROM alpine AS builder\n"),
    (
        "SecretsUsedInArgOrEnv",
        "FROM scratch\nARG AWS_SECRET_ACCESS_KEY\n",
        "FROM scratch\nARG PUBLIC_KEY\nENV TOKENIZER=1\n",
    ),
    ("InvalidDefaultArgInFrom", "ARG TAG\nFROM busybox:${TAG}\n", "ARG TAG\nFROM busybox:${TAG:-latest}\n"),
    ("InvalidDefaultArgInFrom", "FROM scratch AS big\nFROM Big\n", "FROM scratch AS big\nFROM big\n"),
    ("InvalidDefaultArgInFrom", "FROM scratch AS Big\nFROM Big\n", "FROM scratch AS Big\nFROM big\n"),
    (
        "FromPlatformFlagConstDisallowed",
        "FROM --platform=linux/amd64 alpine AS base\n",
        "FROM --platform=$BUILDPLATFORM alpine AS base\n",
    ),
    (
        "FromPlatformFlagConstDisallowed",
        "FROM --platform=linux/amd64 alpine\n",
        "FROM --platform=linux/amd64 alpine AS build_amd64\n",
    ),
    (
        "InvalidDefinitionDescription",
        "# a non-descriptive comment\nFROM scratch AS base\n",
        "# base is a stage for compiling source\nFROM scratch AS base\n",
    ),
    (
        "InvalidDefinitionDescription",
        "# another comment\nARG VERSION=1\nFROM scratch\n",
        "# another comment\n#\nARG VERSION=1\nFROM scratch\n",
    ),
    ("ExposeProtoCasing", "FROM alpine\nEXPOSE 80/TcP\n", "FROM alpine\nEXPOSE 80/tcp\n"),
    ("ExposeInvalidFormat", "FROM alpine\nEXPOSE 127.0.0.1:80:80\n", "FROM alpine\nEXPOSE 80\n"),
];

#[test]
fn buildkit_rules_match_their_documentation() {
    let experimental = LintContext {
        options: Options::parse("experimental=all").unwrap(),
        is_image_name: |word| !word.ends_with(':') && word.to_lowercase() == word,
        ..LintContext::default()
    };
    for (rule, bad, good) in BUILDKIT_EXAMPLES {
        assert!(found(bad, &experimental).contains(rule), "{rule} in {bad}");
        assert!(!found(good, &experimental).contains(rule), "{rule} in {good}");
    }
}

#[test]
fn rules_use_the_ignore_file_and_the_base() {
    let ignore = Ignore::parse("*/tmp/*\n").unwrap();
    let context = LintContext {
        options: Options::parse("experimental=CopyIgnoredFile").unwrap(),
        ignore: Some(&ignore),
        bases: [("known".into(), BaseImage { env: vec!["K=v".into()], shell: false })].into(),
        ..LintContext::default()
    };
    assert_eq!(found("FROM scratch\nCOPY forbidden/tmp/Hello-World /\n", &context), ["CopyIgnoredFile"]);
    assert_eq!(found("FROM scratch\nCOPY other /\n", &context), [""; 0]);
    assert_eq!(found("FROM known\nCOPY $K /\n", &context), [""; 0]);
    assert_eq!(found("FROM known\nCOPY $L /\n", &context), ["UndefinedVar"]);
}

#[test]
fn a_default_that_the_caller_replaces_is_not_expanded() {
    let text = "FROM b\nARG A=$NOPE\n";
    let given = LintContext { build_args: [("A".into(), "1".into())].into(), ..LintContext::default() };
    assert_eq!((found(text, &LintContext::default()), found(text, &given)), (vec!["UndefinedVar"], vec![]));
}

/// Where BuildKit reports each problem: the last line of a continuation with a blank line, before any heredoc.
#[test]
fn an_empty_continuation_is_reported_at_the_end_of_the_continuation() {
    for (text, line) in [
        ("FROM a\nRUN x \\\n\n  && y\n", 4),
        ("FROM a\nRUN x \\\n\n\n  && y \\\n # c\n  && z\nRUN b\n", 7),
        ("FROM a\nRUN <<E cat \\\n\n  && y\nhi\nE\n", 4),
    ] {
        let file = parse(text).unwrap();
        let report = run(&file, &LintContext::default()).unwrap();
        let found = report.findings.iter().find(|found| found.rule == Rule::NoEmptyContinuation);
        assert_eq!(found.and_then(|found| found.lines), Some((line, line)), "{text}");
    }
}

/// BuildKit's rules where the words are expanded. A base that is not known may set any variable that images often set.
#[test]
fn rules_see_expanded_words() {
    let known = LintContext { bases: [("b".into(), BaseImage::default())].into(), ..LintContext::default() };
    for (text, with_known_base, with_unknown_base) in [
        ("FROM b\nEXPOSE ${NOPE}\n", &[][..], &[][..]),
        ("FROM b\nRUN --mount=type=cache,target=/c,id=$NOPE x\n", &["UndefinedVar"], &["UndefinedVar"]),
        ("FROM b\nWORKDIR C:/go\n", &["WorkdirRelativePath"], &["WorkdirRelativePath"]),
        ("FROM b\nWORKDIR $\n", &["WorkdirRelativePath"], &["WorkdirRelativePath"]),
        ("FROM b\nENV A=/a\nWORKDIR $A/b\n", &[], &[]),
        ("FROM b\nENV A=a\nWORKDIR \"$A\"\n", &["WorkdirRelativePath"], &["WorkdirRelativePath"]),
        ("FROM b\nWORKDIR $HOME\n", &["WorkdirRelativePath", "UndefinedVar"], &[]),
        ("FROM b AS s\nFROM s\nWORKDIR x\n", &["WorkdirRelativePath"], &["WorkdirRelativePath"]),
        ("FROM b AS s\nWORKDIR /x\nFROM s\nWORKDIR x\n", &[], &[]),
        // A default may use the arguments before it in its line.
        ("FROM b\nARG A=1 B=$A\n", &[], &[]),
        ("FROM b\nARG B=$A A=1\n", &["UndefinedVar"], &["UndefinedVar"]),
        ("ARG token=x\nFROM b\n", &[], &[]),
        ("FROM b\nARG token=x\n", &["SecretsUsedInArgOrEnv"], &["SecretsUsedInArgOrEnv"]),
        ("FROM --platform=linux/arm/v7 b AS for-arm\n", &[], &[]),
        (
            "FROM --platform=linux/arm/v7 b AS v7\n",
            &["FromPlatformFlagConstDisallowed"],
            &["FromPlatformFlagConstDisallowed"],
        ),
    ] {
        let names = |context: &LintContext<'_>| {
            let context = LintContext { options: Options::parse("skip=performance").unwrap(), ..context.clone() };
            found(text, &context)
        };
        assert_eq!(names(&known), with_known_base, "{text}");
        assert_eq!(names(&LintContext::default()), with_unknown_base, "{text}");
    }
}

/// Rules, each with a file that it finds something in, and a similar one that is good.
const SLOW: [(&str, &str, &str); 15] = [
    (
        "CopyBeforeInstall",
        "FROM node\nWORKDIR /a\nCOPY . .\nRUN npm ci\n",
        "FROM node\nWORKDIR /a\nCOPY package.json package-lock.json ./\nRUN npm ci\nCOPY . .\nRUN npm run build\n",
    ),
    (
        "CacheBustingOrder",
        "FROM alpine\nARG GIT_SHA\nRUN apk add --no-cache git\nLABEL sha=$GIT_SHA\n",
        "FROM alpine\nRUN apk add --no-cache git\nARG GIT_SHA\nRUN echo $GIT_SHA > /sha\n",
    ),
    (
        "NeedlessChain",
        "FROM alpine\nRUN curl -O https://a.example/a\nRUN wget https://b.example/b\n",
        "FROM alpine AS a\nRUN curl -O https://a.example/a\nFROM alpine\nRUN wget https://b.example/b\n",
    ),
    (
        "NeedlessChain",
        "FROM x\nCOPY . .\nRUN npm ci\nRUN pip install -r requirements.txt\n",
        "FROM x\nRUN apt-get install -y python3\nRUN pip install -r requirements.txt\n",
    ),
    (
        "MissingCacheMount",
        "FROM debian\nRUN apt-get update && apt-get install -y gcc\n",
        "FROM debian\nRUN --mount=type=cache,target=/var/cache/apt apt-get update && apt-get install -y gcc\n",
    ),
    (
        "MissingCacheMount",
        "FROM python\nRUN pip install flask\n",
        "FROM python\nRUN pip install --no-index ./wheels/a.whl && cargo build --offline\n",
    ),
    // An install behind assignments, wrappers, directories and options.
    (
        "CopyBeforeInstall",
        "FROM node\nWORKDIR /a\nCOPY . .\nRUN cd web && NODE_ENV=production nice npm --loglevel warn ci\n",
        "FROM rust\nWORKDIR /a\nCOPY --from=plan /r recipe.json\nRUN cargo chef cook --release\nCOPY . .\nRUN cargo build --release\n",
    ),
    // A task before the COPY has fetched what the build needs.
    (
        "CopyBeforeInstall",
        "FROM eclipse-temurin\nWORKDIR /a\nCOPY gradlew build.gradle ./\nRUN cd / && ./gradlew fetch\nCOPY . .\nRUN ./gradlew build\n",
        "FROM eclipse-temurin\nWORKDIR /a\nCOPY gradlew build.gradle ./\nRUN ./gradlew fetch\nCOPY . .\nRUN ./gradlew build\n",
    ),
    (
        "CopyBeforeInstall",
        "FROM debian\nWORKDIR /a\nCOPY . .\nRUN <<EOF\napt-get update\napt-get install -y gcc\nEOF\n",
        "FROM debian\nWORKDIR /a\nCOPY . .\nRUN apt-get update && apt-get install -y ./a.deb\n",
    ),
    (
        "MissingCacheMount",
        "FROM alpine\nRUN apk add --no-cache git\n",
        "FROM node\nRUN pnpm fetch\nRUN pnpm install --offline\n",
    ),
    (
        "MissingCacheMount",
        "FROM debian\nRUN /venv/bin/pip install -r requirements.txt\n",
        "FROM python\nRUN --network=none pip install flask\nRUN echo pip install flask\n",
    ),
    (
        "NeedlessChain",
        "FROM x\nRUN npm ci\nRUN bundle install\n",
        "FROM node\nRUN npm install -g pnpm\nRUN pnpm install\n",
    ),
    (
        "NeedlessChain",
        "FROM alpine\nRUN wget -O /a https://a.example/a\nRUN wget -O /b https://b.example/b\n",
        "FROM alpine\nRUN git clone https://a.example/a /src\nRUN wget -O /src/b https://b.example/b\n",
    ),
    (
        "NeedlessChain",
        "FROM x\nRUN npm ci\nRUN composer install --no-scripts --no-autoloader\n",
        "FROM python\nRUN pip install poetry\nRUN poetry install --no-root\n",
    ),
    (
        "RecursiveChown",
        "FROM alpine\nCOPY . /srv\nRUN chown -R app:app /srv\n",
        "FROM alpine\nCOPY --chown=app:app . /srv\nRUN mkdir /data && chown -R app /data\n",
    ),
];

#[test]
fn performance_rules_find_slow_patterns() {
    for rule in Rule::ALL.iter().filter(|rule| rule.family() == Family::Performance) {
        assert!(SLOW.iter().any(|(name, ..)| *name == rule.name()), "{} needs two files in the table", rule.name());
    }
    for (rule, bad, good) in SLOW {
        assert!(found(bad, &LintContext::default()).contains(&rule), "{rule} in {bad}");
        assert!(!found(good, &LintContext::default()).contains(&rule), "{rule} in {good}");
    }
}

#[test]
fn every_finding_has_help_and_a_position() {
    let text = "from alpine AS X\nARG SHA\nRUN apt-get install gcc\nENV A b\nCMD x\nCMD y $z\nCOPY $z /\n";
    let file = parse(text).unwrap();
    let report = run(&file, &LintContext::default()).unwrap();
    assert!(report.findings.len() > 6);
    for finding in &report.findings {
        assert!(finding.diagnostic.help.as_ref().is_some_and(|help| !help.is_empty()), "{finding:?}");
        assert!(
            finding.diagnostic.span.is_some_and(|span| !span.range().is_empty() && span.range().end <= text.len()),
            "{finding:?}"
        );
    }
}

#[test]
fn directives_and_comments_skip_rules() {
    let text = "# check=skip=JSONArgsRecommended;error=true\nFROM alpine AS Base\n# check=skip=LegacyKeyValueFormat\nENV A b\nENV B c\nCMD x\n";
    let file = parse(text).unwrap();
    let report = run(&file, &LintContext::default()).unwrap();
    let names: Vec<_> =
        report.findings.iter().map(|finding| (finding.rule, finding.lines.map(|lines| lines.0))).collect();
    assert_eq!(names, [(Rule::StageNameCasing, Some(2)), (Rule::LegacyKeyValueFormat, Some(5))]);
    assert!(report.error);
    // BuildKit may have a rule of that name.
    let unknown = parse("# check=skip=NoSuch,StageNameCasing\nFROM alpine AS B\n").unwrap();
    assert!(run(&unknown, &LintContext::default()).unwrap().findings.is_empty());
    let bad = parse("# check=skips=all\nFROM alpine\n").unwrap();
    assert!(run(&bad, &LintContext::default()).unwrap_err().to_string().contains("skips"));
}
/// Files with errors, and files whose stages bring triggers, with what BuildKit (its main branch of 2026-08) reports for each: lines and rules.
const REPORTED: &[(&str, &str)] = &[
    ("FROM scratch as a\nENV x 1\nCOPY $u /a\nRUNN x\nFROM scratch as b\nmaintainer me\n", "1:FromAsCasing"),
    (
        "FROM scratch as a\nMAINTAINER me\nfrom scratch AS B\nCOPY\nMAINTAINER you\nFROM scratch as c\n",
        "1:FromAsCasing 2:MaintainerDeprecated 3:FromAsCasing 3:StageNameCasing",
    ),
    ("FROM scratch as Big extra\n", "1:FromAsCasing"),
    ("FROM scratch as a\nCOPY a \\\n\n b\nBAD\n", "1:FromAsCasing 4:NoEmptyContinuation"),
    ("FROM scratch as a\nCOPY <<EOF /x\nhi\n", ""),
    ("FROM scratch as a\nENV x\n", ""),
    ("maintainer x\nFROM scratch as a\n", "1:MaintainerDeprecated"),
    ("FROM scratch as a\nFROM scratch as a\nfrom scratch as context\nLABEL\n", "1:FromAsCasing 2:FromAsCasing"),
    ("# check=skip=FromAsCasing\nFROM scratch as a\nMAINTAINER x\nFOO\n", "3:MaintainerDeprecated"),
    ("FROM scratch AS a\ncopy a b\nMAINTAINER z\nEXPOSE\n", "3:MaintainerDeprecated"),
    ("ARG a=1\nRUN x\nFROM scratch as a\nMAINTAINER y\n", ""),
    ("ARG x=1\n", ""),
    ("FROM\nMAINTAINER z\nFROM scratch as b\n", ""),
    ("FROM scratch as a\nMAINTAINER z\nCOPY --from=nothere --chmod a b\n", "1:FromAsCasing 2:MaintainerDeprecated"),
    (
        "ARG a=${b:?need b}\nFROM scratch as a\nENV x 1\nfrom scratch as a\n",
        "2:FromAsCasing 4:ConsistentInstructionCasing 4:DuplicateStageName",
    ),
    ("ARG a=${b?}\nARG c=$d\nFROM $a as x\n", "3:FromAsCasing"),
    (
        "ARG a=${x:^}\nFROM scratch as x\nENV a b\nFROM scratch as x\n",
        "2:FromAsCasing 4:DuplicateStageName 4:FromAsCasing",
    ),
    (
        "FROM scratch as a\nENV x 1\nFROM ${b?} as c\nFROM $nope as d\n",
        "1:FromAsCasing 3:FromAsCasing 3:UndefinedArgInFrom 4:FromAsCasing",
    ),
    ("FROM $x${b:?no b} as c\nFROM $y AS d\n", "1:FromAsCasing"),
    ("FROM $blank as c\nENV a 1\n", "1:FromAsCasing 1:InvalidDefaultArgInFrom 1:UndefinedArgInFrom"),
    (
        "ARG b=\nFROM $b as c\nENV a 1\nFROM $z as d\n",
        "2:FromAsCasing 2:InvalidDefaultArgInFrom 4:FromAsCasing 4:InvalidDefaultArgInFrom",
    ),
    (
        "FROM --platform=$nope scratch as c\nENV a 1\nFROM $z as d\n",
        "1:FromAsCasing 1:UndefinedArgInFrom 3:FromAsCasing 3:InvalidDefaultArgInFrom",
    ),
    (
        "FROM --platform=${nope?} scratch as c\nFROM $z as d\n",
        "1:FromAsCasing 1:UndefinedArgInFrom 2:FromAsCasing 2:InvalidDefaultArgInFrom",
    ),
    (
        "FROM --platform=$TARGETPLATFORM scratch as c\nFROM --platform=linux/amd64 scratch as e\nFROM ${q?} as d\n",
        "1:FromAsCasing 1:RedundantTargetPlatform 2:FromAsCasing 2:FromPlatformFlagConstDisallowed 3:FromAsCasing 3:UndefinedArgInFrom",
    ),
    ("FROM \"x as c\nFROM $z as d\n", "1:FromAsCasing 2:FromAsCasing"),
    (
        "FROM ${a:-scratch} as c\nFROM ${b-scratch} AS d\nFROM ${TARGETOS:+scratch} AS e\nFROM ${zz:+x}scratch AS f\nENV a=$zz\n",
        "1:FromAsCasing 1:UndefinedArgInFrom 2:UndefinedArgInFrom 4:UndefinedArgInFrom 5:UndefinedVar",
    ),
    ("FROM scratch AS a\nENV a=$b${c?} d=$e\nENV x y\n", "2:UndefinedVar"),
    ("FROM scratch AS a\nENV q=$r\nCOPY $s ${t:?} /\nCOPY $u /\n", "2:UndefinedVar 3:UndefinedVar"),
    ("FROM scratch AS a\nCOPY <<EOF /x\n$a ${b:?no} $c\nEOF\nENV p q\n", "2:UndefinedVar"),
    (
        "FROM scratch AS a\nWORKDIR rel\nENV p q\nUSER ${u?}\nWORKDIR x\nCMD a b\n",
        "2:WorkdirRelativePath 3:LegacyKeyValueFormat 4:UndefinedVar",
    ),
    ("FROM scratch AS a\nARG x=$z y=${y?} w=$v\nENV p q\n", "2:UndefinedVar"),
    (
        "FROM scratch AS a\nENV p q\nFROM scratch AS b\nENV r s\nENV t=${u?}\nENV v w\nFROM scratch AS c\nENV z z\n",
        "2:LegacyKeyValueFormat 4:LegacyKeyValueFormat 5:UndefinedVar",
    ),
    ("FROM scratch AS a\nSTOPSIGNAL ${v?}\nCMD x\n", "2:UndefinedVar"),
    ("FROM scratch AS a\nRUN --mount=type=bind,source=$s,target=${t?} x\nCMD x\n", "2:UndefinedVar"),
    ("FROM scratch AS a\nENV a=${b:-$c} d=${e:+$f} g=${h-$i} j=${k+$l}\n", "2:UndefinedVar"),
    ("FROM scratch AS a\nENV a=$b${\nCMD x\n", "2:UndefinedVar"),
    ("FROM scratch AS a\nENV a=$b\"$c\nCMD x\n", "2:UndefinedVar"),
    ("FROM scratch AS a\nENV a=${b:?${c:?inner $d} $e}\nCMD x\n", ""),
    ("FROM scratch AS a\nENV a=${b:+${c:?inner}}\nCMD x\n", "2:UndefinedVar"),
    ("FROM scratch AS a\nARG b\nENV a=${b:?x} c=$d\nCMD x\n", ""),
    ("FROM scratch AS a\nADD $a ${b?} $c /\nCMD x\n", "2:UndefinedVar"),
    ("FROM scratch AS a\nCOPY --chown=$a --chmod=${b?} c /\nCMD x\n", "2:UndefinedVar"),
    ("FROM scratch AS a\nONBUILD ENV a=${b?}\nFROM a\nCMD x\n", "3:UndefinedVar"),
    ("FROM scratch AS a\nENV a=${b?}\nFROM scratch AS x\nCMD z\nFROM a\nCMD x\n", "2:UndefinedVar"),
    (
        "FROM scratch AS a\nENV PASSWORD=x\nARG TOKEN=${x?}\nENV SECRET=1\n",
        "2:SecretsUsedInArgOrEnv 3:SecretsUsedInArgOrEnv 3:UndefinedVar",
    ),
    ("FROM scratch AS a\nENV KEY_SECRET=${x?}\nENV PASSWORD=1\n", "2:UndefinedVar"),
    ("FROM scratch AS a\nLABEL k $v\nLABEL k ${v?}\n", "2:LegacyKeyValueFormat 2:UndefinedVar 3:UndefinedVar"),
    ("FROM scratch AS a\nWORKDIR $a\nWORKDIR ${b?}\n", "2:UndefinedVar 2:WorkdirRelativePath 3:UndefinedVar"),
    ("# escape=`\nFROM scratch AS a\nENV a=$b${c?} `\n d=$e\nCMD x\n", "3:UndefinedVar"),
    ("FROM scratch AS a\n# check=skip=UndefinedVar\nENV a=$b${c?}\nCMD x\n", ""),
    ("FROM scratch AS a\nCOPY --link <<A <<B /d/\n$x\nA\n${y?}\nB\nCMD z\n", "2:UndefinedVar"),
    ("FROM scratch AS a\nENV a=${-x} b=${@:-y} c=${1?}\nCMD z\n", ""),
    ("FROM scratch AS a\nLABEL ${k?}=$v\nCMD z\n", "2:UndefinedVar"),
    ("FROM scratch AS a\nCMD x\nENV a=${b?}\nCMD y\n", "2:JSONArgsRecommended 3:UndefinedVar"),
    (
        "FROM scratch AS a\nENTRYPOINT [\"x\"]\nENTRYPOINT [\"y\"]\nHEALTHCHECK NONE\nHEALTHCHECK NONE\nENV a=${b?}\nHEALTHCHECK NONE\n",
        "2:MultipleInstructionsDisallowed 4:MultipleInstructionsDisallowed 6:UndefinedVar",
    ),
    ("FROM scratch AS a\nCMD\nENTRYPOINT\nMAINTAINER\n", "4:MaintainerDeprecated"),
    ("FROM scratch is B\nMAINTAINER x\n", "1:FromAsCasing 1:StageNameCasing"),
    ("FROM scratch AS B-\\\n\nMAINTAINER x\nFOO\n", "3:NoEmptyContinuation"),
    ("# check=skip=Foo\nFROM scratch as B\nMAINTAINER x\n", "2:FromAsCasing 2:StageNameCasing 3:MaintainerDeprecated"),
    ("FROM scratch AS a\nONBUILD ENV a=$b\nFROM a\nCMD [\"x\"]\n", "3:UndefinedVar"),
    (
        "FROM scratch AS a\nONBUILD WORKDIR x\nONBUILD COPY $y /\nONBUILD ARG SECRET=1\nFROM a AS b\nFROM a AS c\n",
        "6:SecretsUsedInArgOrEnv 6:UndefinedVar 6:WorkdirRelativePath",
    ),
    (
        "FROM scratch AS a\nONBUILD CMD x\nONBUILD CMD y\nFROM a\n",
        "4:JSONArgsRecommended 4:MultipleInstructionsDisallowed",
    ),
    ("FROM scratch AS a\nONBUILD EXPOSE 80/TCP\nFROM a\n", "3:ExposeProtoCasing"),
    ("FROM scratch AS a\nENV b=/x\nARG b\nWORKDIR ${b}\n", ""),
    ("FROM scratch AS a\nARG b\nWORKDIR ${b:+rel}\nWORKDIR ${b:-rel2}\n", "3:WorkdirRelativePath"),
];

#[test]
fn the_rules_report_what_buildkit_reports_before_it_stops() {
    for (text, expected) in REPORTED {
        let parsed = crate::Parsed::of(text);
        let stop = parsed.stop.or(Some(Stop::after(Pass::Commands)));
        let report = run(&parsed.file, &LintContext { stop, ..LintContext::default() }).unwrap();
        let found = report.findings.iter().filter(|found| found.rule.family().is_of_buildkit());
        let mut found: Vec<_> = found.map(|found| (found.lines.unwrap().0, found.rule.name())).collect();
        found.sort_unstable();
        found.dedup();
        let found: Vec<_> = found.iter().map(|(line, rule)| format!("{line}:{rule}")).collect();
        assert_eq!(found.join(" "), *expected, "{text}");
    }
}

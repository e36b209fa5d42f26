//! An install moves before the sources only if it needs nothing of them. The files of a project show what it reads besides its lists, by
//! their names and, where they can be read, by their text.

use buildscope_commands::rules::{Facts, InstructionChange, Nothing, late_installs, missing_caches, split_install};
use buildscope_commands::{Environments, File, InstructionLine, Tool};
use std::collections::{BTreeMap, BTreeSet};

/// A build context, and whether the texts of its files are known.
#[derive(Debug)]
struct Context {
    names: BTreeSet<String>,
    texts: BTreeMap<String, String>,
}

impl Context {
    fn new(files: &[(&str, &str)], readable: bool) -> Self {
        let texts = files.iter().filter(|_| readable).map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        Self { names: files.iter().map(|(name, _)| (*name).to_owned()).collect(), texts: texts.collect() }
    }
}

impl Facts for Context {
    fn files(&self, _: usize) -> Option<&BTreeSet<String>> {
        Some(&self.names)
    }

    fn output(&self, _: usize) -> Option<&[String]> {
        Some(&[])
    }

    fn text(&self, path: &str) -> Option<String> {
        self.texts.get(path).cloned()
    }

    fn is_complete(&self) -> bool {
        true
    }
}

fn read<'t>(lines: &[&'t str]) -> File<'t> {
    let lines: Vec<InstructionLine<'t>> = lines.iter().map(|text| InstructionLine { text, stage: Some(0) }).collect();
    File::read(&lines, &Environments::new())
}

/// What becomes of an install behind a COPY: `silent`, `words`, or the COPY instructions that are put before it.
fn advice(lines: &[&str], context: &Context) -> String {
    let file = read(lines);
    let Some(found) = late_installs(&file, context).into_iter().next() else { return "silent".into() };
    let before = found.edits.iter().filter_map(|edit| match &edit.change {
        InstructionChange::Before(lines) => {
            Some(lines.iter().filter(|line| line.starts_with("COPY")).cloned().collect::<Vec<_>>())
        }
        _ => None,
    });
    if found.edits.is_empty() { "words".into() } else { before.flatten().collect::<Vec<_>>().join("; ") }
}

fn of_run(image: &str, run: &str, files: &[(&str, &str)], readable: bool) -> String {
    let (from, run) = (format!("FROM {image}"), format!("RUN {run}"));
    advice(&[&from, "WORKDIR /app", "COPY . .", &run], &Context::new(files, readable))
}

/// An image, its install, the files of the context with their texts, and the answers where the names and where the texts are known.
type Case = (&'static str, &'static str, &'static [(&'static str, &'static str)], &'static str, &'static str);

const NPM: &str = "COPY package.json package-lock.json ./";
const GO: &str = "COPY go.mod go.sum ./";

const CASES: &[Case] = &[
    ("golang", "go build .", &[("go.mod", "module x"), ("go.sum", ""), ("main.go", "")], "words", GO),
    ("golang", "go build .", &[("go.mod", "replace a => ../a"), ("go.sum", "")], "words", "silent"),
    ("golang", "go build .", &[("go.mod", "replace a => b v1.2.3"), ("go.sum", "")], "words", GO),
    (
        "golang",
        "go build .",
        &[("go.mod", "replace (\n\ta v1 => ./a\n)"), ("go.sum", ""), ("a/go.mod", "")],
        "words",
        "silent",
    ),
    (
        "golang",
        "go build .",
        &[("go.mod", ""), ("go.sum", ""), ("go.work", "use ./b"), ("b/go.mod", "")],
        "words",
        "silent",
    ),
    (
        "maven",
        "mvn dependency:go-offline",
        &[("pom.xml", "<project/>"), ("src/A.java", "")],
        "words",
        "COPY pom.xml ./",
    ),
    (
        "maven",
        "mvn dependency:go-offline",
        &[("pom.xml", "<modules><module>a</module></modules>"), ("a/pom.xml", "")],
        "words",
        "silent",
    ),
    (
        "maven",
        "mvn dependency:go-offline",
        &[("pom.xml", "<relativePath>parent/p.xml</relativePath>"), ("parent/p.xml", "")],
        "words",
        "silent",
    ),
    ("maven", "mvn dependency:go-offline", &[("pom.xml", "<relativePath/>")], "words", "COPY pom.xml ./"),
    (
        "maven",
        "mvn dependency:go-offline",
        &[("pom.xml", "<systemPath>libs/a.jar</systemPath>"), ("libs/a.jar", "")],
        "words",
        "silent",
    ),
    (
        "sdk",
        "dotnet restore App.sln",
        &[("App.sln", ""), ("src/A/A.csproj", ""), ("src/B/B.csproj", ""), ("src/A/P.cs", "")],
        "words",
        "COPY App.sln ./; COPY src/A/A.csproj ./src/A/; COPY src/B/B.csproj ./src/B/",
    ),
    (
        "sdk",
        "dotnet restore src/A/A.csproj",
        &[
            ("src/A/A.csproj", "<ProjectReference Include=\"..\\B\\B.csproj\" />"),
            ("src/B/B.csproj", ""),
            ("nuget.config", ""),
        ],
        "words",
        "COPY nuget.config ./; COPY src/A/A.csproj ./src/A/; COPY src/B/B.csproj ./src/B/",
    ),
    (
        "sdk",
        "dotnet restore",
        &[("A.csproj", "<Import Project=\"build/x.props\" />"), ("build/x.props", "")],
        "words",
        "silent",
    ),
    (
        "php",
        "composer install",
        &[("composer.json", "{\"repositories\":[{\"type\":\"path\",\"url\":\"../a\"}]}"), ("composer.lock", "")],
        "words",
        "silent",
    ),
    (
        "php",
        "composer install",
        &[("composer.json", "{}"), ("composer.lock", ""), ("packages/a/composer.json", "{}")],
        "words",
        "words",
    ),
    (
        "python",
        "uv sync",
        &[("pyproject.toml", "[tool.uv.workspace]"), ("uv.lock", ""), ("packages/b/pyproject.toml", "")],
        "words",
        "silent",
    ),
    (
        "python",
        "uv sync",
        &[("pyproject.toml", "[tool.uv.sources]\nb = { path = \"lib/b\" }"), ("uv.lock", ""), ("lib/b/setup.py", "")],
        "words",
        "silent",
    ),
    (
        "python",
        "poetry install",
        &[("pyproject.toml", "b = {path = \"../b\", develop = true}"), ("poetry.lock", "")],
        "words",
        "silent",
    ),
    (
        "python",
        "pip install -r requirements.txt",
        &[("requirements.txt", "./wheels/a.whl"), ("wheels/a.whl", "")],
        "words",
        "silent",
    ),
    (
        "python",
        "pip install -r requirements.txt",
        &[("requirements.txt", "-r conf/requirements-base.txt"), ("conf/requirements-base.txt", "")],
        "words",
        "silent",
    ),
    ("node", "npm ci", &[("package.json", "{}"), ("package-lock.json", ""), ("a.js", "")], NPM, NPM),
    (
        "node",
        "npm ci",
        &[("package.json", "{}"), ("package-lock.json", ""), (".npmrc", "")],
        "COPY package.json package-lock.json .npmrc ./",
        "COPY package.json package-lock.json .npmrc ./",
    ),
    (
        "node",
        "npm ci",
        &[("package.json", "{}"), ("package-lock.json", ""), ("prisma/schema.prisma", "")],
        "COPY package.json package-lock.json ./; COPY prisma/ ./prisma/",
        "COPY package.json package-lock.json ./; COPY prisma/ ./prisma/",
    ),
    (
        "node",
        "npm ci",
        &[("package.json", "{}"), ("package-lock.json", ""), ("db/schema.prisma", "")],
        "words",
        "words",
    ),
    (
        "node",
        "npm ci",
        &[("package.json", "{}"), ("package-lock.json", ""), ("patches/a.patch", "")],
        "COPY package.json package-lock.json ./; COPY patches/ ./patches/",
        "COPY package.json package-lock.json ./; COPY patches/ ./patches/",
    ),
    ("node", "npm ci", &[("package.json", "{}"), ("package-lock.json", ""), ("binding.gyp", "")], "words", "words"),
    (
        "node",
        "npm ci",
        &[("package.json", "{\"scripts\":{\"postinstall\":\"node x.js\"}}"), ("package-lock.json", ""), ("x.js", "")],
        NPM,
        "silent",
    ),
    (
        "node",
        "npm ci",
        &[("package.json", "{\"workspaces\":[\"a\"]}"), ("package-lock.json", ""), ("a/package.json", "")],
        "words",
        "silent",
    ),
    (
        "node",
        "pnpm i",
        &[
            ("package.json", "{}"),
            ("pnpm-lock.yaml", ""),
            ("pnpm-workspace.yaml", "packages:\n  - a"),
            ("a/package.json", ""),
        ],
        "words",
        "silent",
    ),
    (
        "node",
        "yarn --immutable",
        &[
            ("package.json", "{}"),
            ("yarn.lock", ""),
            (".yarnrc.yml", "yarnPath: .yarn/releases/yarn.cjs"),
            (".yarn/releases/yarn.cjs", ""),
        ],
        "COPY package.json yarn.lock .yarnrc.yml ./; COPY .yarn/ ./.yarn/",
        "COPY package.json yarn.lock .yarnrc.yml ./; COPY .yarn/ ./.yarn/",
    ),
    (
        "node",
        "yarn --immutable",
        &[
            ("package.json", "{}"),
            ("yarn.lock", ""),
            (".yarnrc.yml", "yarnPath: tools/yarn.cjs"),
            ("tools/yarn.cjs", ""),
        ],
        "words",
        "silent",
    ),
    ("ruby", "bundle install", &[("Gemfile", "gem 'a', path: 'a'"), ("Gemfile.lock", "")], "words", "silent"),
    (
        "ruby",
        "bundle install",
        &[("Gemfile", "eval_gemfile 'Gemfile.more'"), ("Gemfile.lock", ""), ("Gemfile.more", "")],
        "words",
        "silent",
    ),
    ("elixir", "mix deps.get", &[("mix.exs", "{:a, path: \"a\"}"), ("mix.lock", "")], "words", "silent"),
    (
        "dart",
        "dart pub get",
        &[("pubspec.yaml", "dependencies:\n  path: ^1.8.0\n"), ("pubspec.lock", "")],
        "words",
        "COPY pubspec.yaml pubspec.lock ./",
    ),
    (
        "dart",
        "dart pub get",
        &[("pubspec.yaml", "dependencies:\n  a:\n    path: ../a\n"), ("pubspec.lock", "")],
        "words",
        "silent",
    ),
    (
        "swift",
        "swift build",
        &[("Package.swift", ".package(name: \"a\", path: \"../a\")"), ("Package.resolved", "")],
        "words",
        "silent",
    ),
    (
        "swift",
        "swift build",
        &[("Package.swift", ".package(url: \"x\"), .target(name: \"b\", path: \"Sources\")"), ("Package.resolved", "")],
        "words",
        "COPY Package.swift Package.resolved ./",
    ),
    (
        "helm",
        "helm dependency build",
        &[("Chart.yaml", "repository: file://../common"), ("Chart.lock", "")],
        "words",
        "silent",
    ),
];

#[test]
fn an_install_moves_only_with_everything_that_it_reads() {
    let mut wrong = Vec::new();
    for (image, run, files, names, texts) in CASES {
        for (expected, readable) in [(names, false), (texts, true)] {
            let found = of_run(image, run, files, readable);
            if found != **expected {
                wrong
                    .push(format!("{run} {files:?}, texts known: {readable}\n  wanted: {expected}\n  found:  {found}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_directory_and_a_path_in_a_variable_are_copies_of_sources() {
    let context = Context::new(&[("web/package.json", "{}"), ("web/package-lock.json", ""), ("web/a.js", "")], true);
    let whole =
        |copy: &str, folder: &str| advice(&["FROM node", "ARG APP=/srv/app", folder, copy, "RUN npm ci"], &context);
    let expected = "COPY web/package.json web/package-lock.json /srv/app/";
    assert_eq!(whole("COPY web /srv/app", "WORKDIR /srv/app"), expected);
    assert_eq!(whole("COPY web/ /srv/app/", "WORKDIR ${APP}"), expected);
    assert_eq!(whole("COPY web $APP", "WORKDIR $APP"), expected.replace("/srv/app", "$APP"));
    assert_eq!(whole("COPY web/package.json /srv/app/", "WORKDIR /srv/app"), "silent", "a file is not a directory");
}

#[test]
fn a_heredoc_moves_as_a_line_does() {
    let context = Context::new(&[("package.json", "{}"), ("package-lock.json", ""), ("a.js", "")], true);
    let lines = ["FROM node", "WORKDIR /app", "COPY . .", "RUN <<EOF\nnpm ci\nEOF"];
    assert_eq!(advice(&lines, &context), NPM);
}

#[test]
fn an_install_is_not_split_off_where_both_parts_run_again() {
    let split = |lines: &[&str]| {
        let context = Context::new(&[("src/a.py", ""), ("requirements.txt", "")], true);
        split_install(&read(lines), lines.len() - 1, &context).is_some()
    };
    let run = "RUN pip install -r requirements.txt && ./configure && make";
    assert!(split(&["FROM python", "COPY requirements.txt .", run]));
    for copy in ["COPY . .", "COPY src /src", "COPY src/ requirements.txt ./", "ADD src /src"] {
        assert!(!split(&["FROM python", copy, run]), "{copy}");
    }
    assert!(!split(&["FROM python", "RUN --mount=type=bind,target=. pip install -r requirements.txt && ./configure"]));
    assert!(split(&["FROM python", "COPY --from=a /src /src", run]), "another stage is not the context");
    let clone =
        |rest: &str| split(&["FROM golang", &format!("RUN git clone https://host/a.git /a && cd /a && {rest}")]);
    assert!(clone("./configure && make"));
    for rest in ["git checkout 1f0b2c && make", "make && git describe > /v", "git -C b reset --hard v2; make"] {
        assert!(!clone(rest), "a clone of yesterday has not the commit of today: {rest}");
    }
}

/// The documentation of Yarn (`nodeLinker`, `enableGlobalCache`, `cacheFolder`): since version 4, whose lock files have version 8, packages are
/// kept in the home directory. Programs run from there, unless the linker is `node-modules`.
#[test]
fn a_cache_of_yarn_is_mounted_if_no_program_runs_from_it() {
    const COPY: &str = "COPY package.json yarn.lock .yarnrc.yml ./";
    const LOCK: &str =
        "# This file is generated by running \"yarn install\"\n\n__metadata:\n  version: 8\n  cacheKey: 10c0\n";
    let mounts = |copy: &str, run: &str, lock: &str, settings: &str| {
        let run = format!("RUN {run}");
        let file = read(&["FROM node", "WORKDIR /app", copy, &run]);
        let files = [("package.json", "{}"), ("yarn.lock", lock), (".yarnrc.yml", settings), ("web/yarn.lock", lock)];
        let found = missing_caches(&file, &Context::new(&files, true));
        found.iter().flat_map(|advice| &advice.edits).map(|edit| format!("{:?}", edit.change)).collect::<String>()
    };
    let berry = "Flags(\"--mount=type=cache,target=/root/.yarn/berry/cache,sharing=locked\")";
    let one = "Flags(\"--mount=type=cache,target=/usr/local/share/.cache/yarn,sharing=locked\")";
    let modules = "nodeLinker: node-modules # as before\n";
    for copy in [COPY, "COPY . .", "COPY package.json yarn.loc* .yarnrc* /app/"] {
        assert_eq!(mounts(copy, "yarn install --immutable", LOCK, modules), berry, "{copy}");
        assert_eq!(mounts(copy, "yarn", LOCK, modules), berry, "{copy}");
    }
    assert_eq!(mounts(COPY, "YARN_NODE_LINKER=node-modules yarn", LOCK, ""), berry);
    assert_eq!(mounts(COPY, "yarn", "# yarn lockfile v1\n", modules), one);
    let old = LOCK.replace("version: 8", "version: 6");
    assert_eq!(mounts(COPY, "yarn --immutable", &old, &format!("{modules}enableGlobalCache: true\n")), berry);
    for settings in ["", "nodeLinker: pnp", "nodeLinker: node-modules\ncacheFolder: ./c"] {
        assert_eq!(mounts(COPY, "yarn install --immutable", LOCK, settings), "", "{settings}");
    }
    assert_eq!(mounts(COPY, "yarn --immutable", &old, modules), "", "its cache is in the project");
    assert_eq!(mounts(COPY, "yarn --immutable", LOCK, &format!("{modules}enableGlobalCache: false\n")), "");
    assert_eq!(mounts("COPY web/yarn.lock ./", "yarn --immutable", LOCK, modules), "", "its settings are unknown");
}

/// The RUNs that get mounts, each with their number.
fn mounted(lines: &[&str]) -> Vec<(usize, usize)> {
    let end = lines.len() - 2;
    let lines: Vec<InstructionLine<'_>> = lines
        .iter()
        .enumerate()
        .map(|(at, text)| InstructionLine { text, stage: Some(usize::from(at >= end)) })
        .collect();
    let file = File::read(&lines, &Environments::new());
    let found = missing_caches(&file, &Context::new(&[("go.mod", "module x"), ("Makefile", "")], true));
    let edits = found.iter().filter(|advice| advice.tool == Tool::Go).flat_map(|advice| &advice.edits);
    let flags = edits.filter_map(|edit| match &edit.change {
        InstructionChange::Flags(flags) => Some((edit.step, flags.matches("--mount").count())),
        _ => None,
    });
    flags.collect()
}

#[test]
fn a_mount_hides_nothing_that_an_earlier_command_fetched() {
    let of = |before: &str| {
        mounted(&[
            "FROM golang",
            "WORKDIR /a",
            "COPY . .",
            before,
            "RUN go build -o /out",
            "FROM scratch",
            "COPY --from=0 /out /",
        ])
    };
    assert_eq!(of("RUN make deps"), [(3, 2), (4, 2)], "make may have run `go mod download`");
    assert_eq!(of("RUN apt-get install -y gcc"), [(4, 2)]);
    assert_eq!(of("RUN mkdir /b"), [(4, 2)]);
}

#[test]
fn a_directory_that_git_clones_into_gets_no_mount() {
    let of = |folder: &str, target: &str| {
        let run = format!("RUN git clone https://host/a.git {target} && go build -o /out ./...");
        mounted(&["FROM golang", &format!("WORKDIR {folder}"), &run, "FROM scratch", "COPY --from=0 /out /"])
    };
    assert_eq!(of("/a", "."), [(2, 2)]);
    assert_eq!(of("/root", "."), [(2, 1)], "/root/.cache would make it a directory with files");
    assert_eq!(of("/", "/go"), [(2, 1)], "/go/pkg/mod would");
    assert_eq!(of("/root", "a"), [(2, 2)]);
}

#[test]
fn a_cache_that_is_mounted_elsewhere_is_mounted() {
    let missing = |run: &str| {
        let lines = ["FROM rust-musl", run, "FROM scratch"];
        let stages = [0, 0, 1];
        let lines: Vec<InstructionLine<'_>> =
            lines.iter().zip(stages).map(|(text, stage)| InstructionLine { text, stage: Some(stage) }).collect();
        let file = File::read(&lines, &Environments::new());
        missing_caches(&file, &Context::new(&[("Cargo.toml", "")], true)).len()
    };
    assert_eq!(missing("RUN cargo build"), 1);
    assert_eq!(
        missing(
            "RUN --mount=type=cache,target=/opt/rust/cargo/registry --mount=type=cache,target=/opt/rust/cargo/git cargo build"
        ),
        0
    );
    assert_eq!(missing("RUN --mount=type=cache,target=/usr/local/cargo cargo build"), 0);
    assert_eq!(missing("RUN --mount=type=cache,target=/app/target cargo build"), 1);
}

/// The words of the advice, for a context with these files, or for one that is not known.
fn words(image: &str, run: &str, files: Option<&[&str]>) -> String {
    let (from, run) = (format!("FROM {image}"), format!("RUN {run}"));
    let file = read(&[&from, "WORKDIR /app", "COPY . .", &run]);
    let found = match files {
        Some(files) => {
            let files: Vec<(&str, &str)> = files.iter().map(|name| (*name, "")).collect();
            late_installs(&file, &Context::new(&files, false))
        }
        None => late_installs(&file, &Nothing),
    };
    found.first().map_or_else(|| "silent".into(), |reorder| reorder.remedy("this RUN"))
}

/// What a user does by hand after these words must build.
#[test]
fn the_words_name_all_that_an_install_needs() {
    let wrapper: &[&str] = &["pom.xml", "mvnw", ".mvn/wrapper/maven-wrapper.properties", "src/a"];
    let go = "copy go.mod go.sum alone before this RUN, and the rest after it";
    for (image, run, files, expected) in [
        (
            "maven",
            "./mvnw dependency:go-offline",
            Some(wrapper),
            "copy pom.xml mvnw .mvn/ alone before this RUN, and the rest after it",
        ),
        (
            "maven",
            "./mvnw dependency:go-offline",
            None,
            "copy pom.xml mvnw .mvn alone before this RUN, and the rest after it",
        ),
        ("golang", "go mod download && go mod verify", Some(&["go.mod", "go.sum", "a.go"]), go),
        ("golang", "go mod download && go mod verify", None, go),
        ("python", "poetry export -f requirements.txt -o r.txt && pip install -r r.txt", None, "silent"),
        (
            "alpine",
            "apk add --virtual .deps gcc && pip install x && apk del .deps",
            None,
            "copy the sources after this RUN, which needs none of them",
        ),
        // A layer of its own would keep the compiler, which this RUN removes.
        ("debian", "apt-get update && apt-get install -y gcc && make && apt-get purge -y gcc", None, "silent"),
        (
            "debian",
            "apt-get update && apt-get install -y gcc && make && rm -rf /var/lib/apt/lists/*",
            None,
            "move `apt-get update && apt-get install -y gcc` of this RUN to a RUN of its own before the sources are copied",
        ),
    ] {
        assert_eq!(words(image, run, files), expected, "{run}, {files:?}");
    }
}

/// The stage that each stage starts from. A line has the number of its stage.
fn parents(lines: &[(String, usize)]) -> Vec<Option<usize>> {
    let lines: Vec<_> = lines.iter().map(|(text, stage)| InstructionLine { text, stage: Some(*stage) }).collect();
    File::read(&lines, &Environments::new()).stages.into_iter().map(|stage| stage.parent).collect()
}

#[test]
fn a_stage_starts_from_the_nearest_earlier_one_of_that_name() {
    let lines = ["FROM x AS a", "FROM A AS b", "FROM a AS a", "FROM a AS c", "FROM d", "FROM c AS d"];
    let lines: Vec<_> = lines.into_iter().map(str::to_owned).zip(0..).collect();
    assert_eq!(parents(&lines), [None, Some(0), Some(0), Some(2), None, Some(3)]);
    // A log may name a stage twice, and another one later.
    let lines = [("FROM x AS a", 0), ("FROM y AS b", 0), ("FROM a", 1), ("FROM b", 2)];
    assert_eq!(parents(&lines.map(|(text, stage)| (text.to_owned(), stage))), [None, None, Some(0)]);
}

/// Comparing each name with all before it took 4 s in a release build.
#[test]
fn many_stages_are_read_in_linear_time() {
    let lines: Vec<_> = (0..20_000).map(|stage| (format!("FROM x AS s{stage}"), stage)).collect();
    assert!(parents(&lines).iter().all(Option::is_none));
}

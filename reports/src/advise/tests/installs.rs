//! What may be installed before the sources are copied, and in which order.

use super::*;

#[test]
fn parts_that_need_each_other_stay_in_order() {
    let parts = |second: &str, change: fn(&mut Record)| {
        let mut made = chain(&[
            ("FROM busybox AS app", 1),
            ("WORKDIR /src", 1),
            ("COPY --link . .", 8),
            ("RUN cd a && make", 100),
            (second, 60),
            ("RUN link", 20),
        ]);
        made.with(change);
        advice(&made.finish(190), "independent-parts")
    };
    for one_at_a_time in [
        |record: &mut Record| record.options.policy = Some(Policy::Serial),
        |record: &mut Record| record.options.jobs = Some(1),
    ] {
        assert_eq!(parts("RUN cd b && make", one_at_a_time), None, "stages would run one after the other, too");
    }
    let found = parts("RUN cd b && make", |_| ()).unwrap();
    assert_eq!((found.gain, found.line), (ms(60), Some(4)), "the shorter one in parallel with the longer one");
    assert_eq!(
        found.diff,
        [
            "-FROM busybox AS app",
            "+FROM busybox AS common",
            "-COPY --link . .",
            "+FROM common AS a",
            "+COPY --link a a/",
            "+RUN cd a && make",
            "+FROM common AS b",
            "+COPY --link b b/",
            "+RUN cd b && make",
            "+FROM common AS app",
            "+COPY --link . .",
            "+COPY --from=a /src ./",
            "+COPY --from=b /src ./",
            "-RUN cd a && make",
            "-RUN cd b && make",
        ]
    );
    let busy = |record: &mut Record| {
        let used = |cpu| Some(Resources { cpu_user: ms(cpu), ..Resources::default() });
        (record.steps[3].resources, record.steps[4].resources) = (used(180), used(100));
    };
    assert_eq!(parts("RUN cd b && make", busy).unwrap().gain, ms(20), "280 ms of processor time on two of them");
    assert_eq!(parts("RUN cd b && cp ../a/x .", |_| ()), None, "it names the other's directory");
    assert_eq!(parts("RUN cd a && make install", |_| ()), None, "the same directory");
    assert_eq!(parts("RUN cd /usr && make", |_| ()), None, "not of the context");
    let known = |record: &mut Record| {
        let entry = |path: &str| ContextEntry { path: path.into(), files: 1, bytes: ByteSize(1), used: true };
        record.context = vec![entry("a")];
    };
    assert_eq!(parts("RUN cd b && make", known), None, "the context has no such directory");
}

#[test]
fn compilers_are_not_moved_before_their_sources() {
    let go = build(
        &[("FROM golang", 1), ("COPY . /app", 20), ("RUN cd /app && go build -o /x .", 400)],
        1,
        &["go.mod", "go.sum", "main.go"],
    );
    let found = advice(&go, "copy-before-install").unwrap();
    assert_eq!(found.diff, ["+COPY go.mod go.sum /app/", "+RUN cd /app && go mod download", " COPY . /app",]);
    assert!(found.caveat.starts_with("an upper bound"), "{}", found.caveat);
    let cargo = build(
        &[("FROM rust", 1), ("COPY . .", 20), ("RUN cargo build --release", 400)],
        1,
        &["Cargo.toml", "src/main.rs"],
    );
    assert_eq!(advice(&cargo, "copy-before-install").unwrap().diff, [""; 0], "cargo needs a stub of the sources");
    let mixed = [("FROM node", 1), ("WORKDIR /app", 1), ("COPY . .", 20), ("RUN npm ci && npm run build", 400)];
    assert_eq!(
        advice(&build(&mixed, 2, &["package.json", "a.js"]), "copy-before-install").unwrap().diff,
        [
            "-COPY . .",
            "+COPY package.json ./",
            "-RUN npm ci && npm run build",
            "+RUN npm ci",
            "+COPY . .",
            "+RUN npm run build"
        ],
        "the build needs the sources, the install does not"
    );
    let local = build(&[("FROM python", 1), ("COPY . .", 20), ("RUN pip install .", 400)], 1, &["setup.py"]);
    assert_eq!(advice(&local, "copy-before-install"), None);
    // What the context does not have is not copied.
    let npm = [("FROM node", 1), ("COPY --chown=7 . /app/", 20), ("RUN cd /app && npm install", 400)];
    let found = advice(&build(&npm, 1, &["package.json", "src/a.js"]), "copy-before-install").unwrap();
    assert_eq!(found.diff[1], "+COPY --chown=7 package.json /app/");
}

#[test]
fn an_install_moves_only_where_the_build_works_with_it() {
    let apt = |install: &str, files: &[&str]| {
        let steps = [("FROM debian", 1), ("WORKDIR /src", 1), ("COPY --chown=7 . .", 20), (install, 400)];
        advice(&build(&steps, 2, files), "copy-before-install")
    };
    let moved = apt("RUN apt-get install -y gcc", &["a.c"]).unwrap();
    assert_eq!(moved.diff, ["-COPY --chown=7 . .", " RUN apt-get install -y gcc", "+COPY --chown=7 . ."]);
    let mixed = apt(
        "RUN apt-get install -y gcc && pip install -r /src/requirements.txt && make -C /src/native",
        &["requirements.txt", "native/Makefile"],
    )
    .unwrap();
    assert!(!mixed.text.contains("needs none of them"), "make needs the sources: {}", mixed.text);
    assert_eq!(
        mixed.diff,
        [
            "-COPY --chown=7 . .",
            "+COPY --chown=7 requirements.txt ./",
            "-RUN apt-get install -y gcc && pip install -r /src/requirements.txt && make -C /src/native",
            "+RUN apt-get install -y gcc && pip install -r /src/requirements.txt",
            "+COPY --chown=7 . .",
            "+RUN make -C /src/native",
        ]
    );
    assert_eq!(apt("RUN apt-get install -y ./x.deb", &["x.deb"]), None, "the package is of the context");
    assert_eq!(apt("RUN xargs -a packages.txt apt-get install -y", &["packages.txt"]), None, "their names are");

    let npm = |install: &str, files: &[&str], change: fn(&mut Record)| {
        let steps = [("FROM node", 1), ("WORKDIR /app", 1), ("COPY . .", 20), (install, 400)];
        let mut record = build(&steps, 2, files);
        change(&mut record);
        advice(&record, "copy-before-install")
    };
    let inner = npm("RUN cd frontend && npm install", &["frontend/package.json", "frontend/a.js"], |_| ()).unwrap();
    assert_eq!(
        inner.diff,
        ["-COPY . .", "+COPY frontend/package.json ./frontend/", " RUN cd frontend && npm install", "+COPY . ."]
    );
    assert_eq!(
        npm("RUN cd frontend && npm install", &["package.json"], |_| ()),
        None,
        "that package.json is not its own"
    );
    let silent = |files: &[&str], change: fn(&mut Record)| npm("RUN npm ci", files, change).unwrap().diff;
    let none: [String; 0] = [];
    assert_eq!(
        silent(&["package.json", "node_modules/x/index.js"], |_| ()),
        none,
        "the COPY would replace what is installed"
    );
    assert_eq!(silent(&["package.json", "packages/a/package.json"], |_| ()), none, "a workspace has more manifests");
    let scripts = |record: &mut Record| {
        record.steps[3].log = vec!["> app@1.0.0 postinstall".into(), "> node scripts/x.js".into()]
    };
    assert_eq!(silent(&["package.json", "scripts/x.js"], scripts), none, "its own scripts need more files");
    let quiet = npm("RUN npm ci --silent", &["package.json"], |_| ()).unwrap();
    assert_eq!(quiet.diff, none, "its output would not show scripts");
    let foreign = |record: &mut Record| record.source.tool = buildscope_record::Tool::Buildkit;
    assert_eq!(silent(&["package.json"], foreign), none, "a log of BuildKit has no USER and no ENV");
    // An earlier install by the same tool shows that the order is right.
    let chef = [
        ("FROM rust", 1),
        ("WORKDIR /app", 1),
        ("COPY --from=planner /app/recipe.json recipe.json", 1),
        ("RUN cargo chef cook --release", 400),
        ("COPY . .", 20),
        ("RUN cargo build --release", 400),
    ];
    assert_eq!(advice(&build(&chef, 4, &["Cargo.toml"]), "copy-before-install"), None);
}

//! When a cache mount is advised.

use super::*;

#[test]
fn a_cache_mount_hides_nothing_that_is_needed() {
    let mounts = |steps: &[&str]| {
        let mut all = vec![("FROM base AS build", 1)];
        all.extend(steps.iter().map(|text| (*text, 400)));
        all.push(("CMD [\"/app\"]", 1));
        let whole = all.iter().map(|(_, length)| length).sum();
        let found = advice_for(&chain(&all).finish(whole), &[]);
        let of = found.into_iter().filter(|advice| advice.rule == "cache-mount");
        of.map(|advice| {
            advice
                .diff
                .iter()
                .filter_map(|line| line.strip_prefix('+'))
                .map(str::to_owned)
                .collect::<Vec<_>>()
                .join("\n")
        })
        .collect::<Vec<_>>()
    };
    let lists = "--mount=type=cache,target=/var/cache/apt,sharing=locked --mount=type=cache,target=/var/lib/apt/lists,sharing=locked";
    let packages = "--mount=type=cache,target=/var/cache/apt,sharing=locked";
    let keep = "rm -f /etc/apt/apt.conf.d/docker-clean &&";
    assert_eq!(
        mounts(&[
            "RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y gcc && rm -rf /var/lib/apt/lists/*"
        ]),
        [format!("RUN {lists} {keep} apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y gcc")]
    );
    assert_eq!(
        mounts(&["RUN apt-get update", "RUN apt-get install -y gcc"]),
        [format!("RUN {packages} {keep} apt-get install -y gcc")],
        "the lists of the first RUN stay in the image"
    );
    assert_eq!(
        mounts(&["RUN apk add --no-cache git"]),
        ["RUN --mount=type=cache,target=/etc/apk/cache,sharing=locked apk add --update-cache git"]
    );
    assert_eq!(
        mounts(&["RUN pip install --no-cache-dir flask"]),
        ["RUN --mount=type=cache,target=/root/.cache/pip pip install flask"]
    );
    assert_eq!(mounts(&["ENV PIP_NO_CACHE_DIR=1", "RUN pip install flask"]), [""], "the variable turns the cache off");
    assert_eq!(
        mounts(&["ENV PIP_CACHE_DIR=/c", "RUN pip install flask"]),
        ["RUN --mount=type=cache,target=/c pip install flask"]
    );
    assert_eq!(mounts(&["USER 1000", "RUN pip install flask"]), [""; 0], "the home directory is unknown");
    assert_eq!(
        mounts(&["RUN useradd -m -u 1000 app", "USER app", "RUN pip install flask"]),
        [""; 0],
        "the directory would be root's"
    );
    assert_eq!(
        mounts(&["RUN pnpm fetch", "RUN pnpm install --offline"]),
        [""; 0],
        "the second takes what the first left"
    );
    assert_eq!(
        mounts(&["RUN mvn dependency:go-offline", "RUN mvn -o package"]),
        [""; 0],
        "the second takes what the first left"
    );
    assert_eq!(
        mounts(&["RUN dotnet restore", "RUN dotnet publish --no-restore"]),
        [""; 0],
        "the second takes what the first left"
    );
    assert_eq!(mounts(&["RUN --network=none pip install flask"]), [""; 0], "nothing is downloaded");
    assert_eq!(
        mounts(&["RUN poetry install --no-root"])[0].matches("target=").count(),
        2,
        "not the virtual environments"
    );
}

#[test]
fn builders_without_cache_mounts_are_not_given_any() {
    let install = |tool: Tool| {
        // A log with an ENV has all settings, so that the change is certain.
        let mut made = chain(&[("FROM python", 1), ("ENV A=1", 1), ("RUN pip install flask", 400)]);
        made.with(|record| record.source.tool = tool);
        advice(&made.finish(402), "cache-mount")
    };
    for tool in [Tool::Buildscope, Tool::Buildkit, Tool::Buildah] {
        let found = install(tool).unwrap();
        assert!(found.text.starts_with("give ") && !found.diff.is_empty(), "{found:?}");
    }
    // dockerd: "the --mount option requires BuildKit".
    let classic = install(Tool::DockerClassic).unwrap();
    assert!(classic.text.starts_with("build with BuildKit (`DOCKER_BUILDKIT=1`) and give "), "{}", classic.text);
    assert!(classic.diff.is_empty() && classic.edits.is_empty(), "the classic builder would refuse the file");
    assert_eq!(install(Tool::Kaniko), None);
}

/// A rule about a command names it, and may have the same change.
#[test]
fn one_change_is_advised_once_unless_it_gains_more() {
    use super::super::without_repeats;
    use buildscope_commands::rules::{Edit, InstructionChange};
    let found = advice_for(&chain(&[("FROM base", 1), ("RUN pip install --no-cache-dir flask", 400)]).finish(401), &[]);
    let mount = |gain, flags: &str| {
        let edits = vec![Edit { step: 1, change: InstructionChange::Flags(flags.into()) }];
        Advice { rule: "cache-mount".into(), gain: ms(gain), edits, ..found[0].clone() }
    };
    let wheels = |gain| Advice { rule: "compiled-wheels".into(), column: Some(5), ..mount(gain, "--mount=a") };
    let rules = |found: Vec<Advice>| without_repeats(found).into_iter().map(|advice| advice.rule).collect::<Vec<_>>();
    assert_eq!(rules(vec![wheels(9), mount(1, "--mount=a")]), ["compiled-wheels"]);
    assert_eq!(rules(vec![wheels(1), mount(9, "--mount=a")]).len(), 2);
    assert_eq!(rules(vec![wheels(9), mount(1, "--mount=b")]).len(), 2);
}

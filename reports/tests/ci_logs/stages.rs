//! The targets, platforms and stages of the steps of a log.

use crate::{read, step, times};

#[test]
fn targets_are_different_builds_of_one_log() {
    let (record, explanation) = read(
        "#1 [api internal] load build definition from Dockerfile
#1 DONE 0.1s
#2 [web internal] load build definition from Dockerfile
#2 DONE 0.1s
#3 [api builder 1/1] RUN go build
#3 DONE 10.0s
#4 [web builder 1/2] RUN npm ci
#4 DONE 20.0s
#5 [web builder 2/2] RUN npm test
#5 DONE 1.0s
#6 [api] exporting to image
#6 DONE 2.0s
#7 [web] exporting to image
#7 DONE 5.0s
",
    );
    let stages: Vec<&str> = record.stages.iter().map(|stage| stage.name.as_str()).collect();
    assert_eq!(stages, ["api builder", "web builder"]);
    assert_eq!(times(&record, "[api] exporting"), (10_100, 12_100));
    assert_eq!(times(&record, "[web] exporting"), (21_100, 26_100));
    assert_eq!(
        (record.wall.0, explanation.path.last().map(|leg| leg.step)),
        (26_100_000_000, Some(step(&record, "[web] exporting").id))
    );
}

#[test]
fn what_follows_an_export_belongs_to_its_target() {
    let (record, _) = read(
        "#1 [web internal] load build definition from Dockerfile\n#1 DONE 0.0s\n#2 [web 1/1] RUN a\n#2 DONE 30.0s\n\
         #3 [api 1/1] RUN b\n#3 DONE 8.0s\n#4 [web] exporting to docker image format\n#4 DONE 3.0s\n#5 [web] importing to docker\n\
         #5 DONE 1.0s\n#6 [web] resolving provenance for metadata file\n#6 DONE 0.0s\n",
    );
    assert_eq!((record.wall.0, times(&record, "importing")), (33_000_000_000, (30_000, 31_000)));
    assert_eq!(times(&record, "provenance"), (33_000, 33_000));
}

#[test]
fn services_of_compose_are_targets() {
    let (record, _) = read(
        "#1 [web internal] load build definition from Dockerfile
#1 DONE 0.0s
#2 [api internal] load build definition from Dockerfile
#2 DONE 0.0s
#3 [web 1/2] RUN a
#3 DONE 3.0s
#4 [api 1/2] RUN b
#4 DONE 4.0s
#5 [web 2/2] RUN c
#5 DONE 1.0s
#6 [api 2/2] RUN d
#6 DONE 1.0s
",
    );
    assert_eq!((times(&record, "RUN c"), times(&record, "RUN d")), ((3000, 4000), (4000, 5000)));
}

#[test]
fn platforms_are_chains_of_their_own() {
    let (record, _) = read(
        "#1 [linux/amd64 build 1/2] FROM docker.io/library/golang
#1 DONE 1.0s
#2 [linux/amd64 build 2/2] RUN make
#2 DONE 10.0s
#3 [linux/amd64->arm64 build 2/2] RUN make
#3 DONE 30.0s
#4 [linux/arm64 build 1/2] FROM docker.io/library/golang
#4 DONE 1.0s
#5 [linux/arm64 build 2/2] RUN make
#5 DONE 100.0s
#6 [linux/arm64 stage-1 1/1] COPY --from=build /out /out
#6 DONE 1.0s
",
    );
    let mut ends: Vec<(u64, u64)> = record
        .steps
        .iter()
        .filter(|step| step.text == "RUN make")
        .map(|step| (step.start.unwrap().0 / 1_000_000_000, step.end.unwrap().0 / 1_000_000_000))
        .collect();
    ends.sort_unstable();
    assert_eq!(ends, [(1, 11), (1, 31), (1, 101)]);
    let stages: Vec<&str> = record.stages.iter().map(|stage| stage.name.as_str()).collect();
    assert_eq!(stages, ["linux/amd64 build", "linux/arm64 build", "linux/amd64->arm64 build", "linux/arm64 stage-1"]);
}

#[test]
fn the_metadata_of_a_platform_is_of_no_target() {
    let (record, explanation) = read(
        "#1 [internal] load build definition from Dockerfile
#1 DONE 0.5s
#2 [linux/amd64 internal] load metadata for docker.io/library/golang:1.22
#2 DONE 1.0s
#3 [auth] library/alpine:pull token for registry-1.docker.io
#3 DONE 0.1s
#4 [linux/arm64 internal] load metadata for docker.io/library/alpine:3
#4 DONE 2.0s
#5 [linux/amd64 build 1/2] FROM docker.io/library/golang:1.22
#5 DONE 3.0s
#6 [linux/amd64->arm64 build 2/2] RUN GOARCH=arm64 go build
#6 DONE 20.0s
#7 [linux/amd64->arm/v7 build 2/2] RUN GOARCH=arm go build
#7 DONE 25.0s
#8 [linux/arm/v7 stage-1 2/2] COPY --from=build /x /x
#8 DONE 1.0s
#9 exporting to image
#9 DONE 2.0s
",
    );
    // Both metadata are asked for at once: 0.5 + 2 + 3 + 25 + 1 + 2.
    assert_eq!((record.wall.0, record.targets.len()), (33_500_000_000, 0));
    assert!(explanation.answer.contains("RUN GOARCH=arm go build"), "{}", explanation.answer);
    assert_eq!(times(&record, "load metadata for docker.io/library/alpine:3"), (500, 2500));
}

#[test]
fn a_stage_without_a_base_image_starts_from_the_stage_that_was_done_before_it() {
    let log = "#1 [internal] load metadata for docker.io/library/node:20
#1 DONE 1.0s
#2 [base 1/2] FROM docker.io/library/node:20
#2 DONE 2.0s
#3 [base 2/2] RUN apt-get install -y git
#3 DONE 5.0s
#4 [deps 1/2] COPY package.json .
#4 DONE 0.1s
#5 [other 1/1] COPY docs /docs
#5 DONE 0.5s
#6 [deps 2/2] RUN npm ci
#6 DONE 10.0s
#7 [build 1/1] RUN npm run build
#7 DONE 20.0s
#8 [stage-4 1/1] COPY --from=build /dist /
#8 DONE 0.4s
#9 exporting to image
#9 DONE 1.0s
";
    let (record, _) = read(log);
    assert_eq!(record.wall.0, 39_500_000_000);
    // Without a RUN it may be a stage FROM scratch.
    assert_eq!((times(&record, "COPY package.json"), times(&record, "COPY docs")), ((8000, 8100), (1000, 1500)));
}

#[test]
fn a_copy_takes_from_the_stage_of_its_own_platform() {
    let (record, _) = read(
        "#1 [linux/amd64 build 1/2] FROM golang
#1 DONE 1.0s
#2 [linux/amd64 build 2/2] RUN make
#2 DONE 10.0s
#3 [linux/amd64->arm64 build 2/2] RUN make
#3 DONE 30.0s
#4 [linux/arm64 stage-1 1/1] COPY --from=build /out /out
#4 DONE 1.0s
#5 [linux/amd64 stage-1 1/1] COPY --from=build /out /out
#5 DONE 1.0s
",
    );
    let starts: Vec<u64> = record
        .steps
        .iter()
        .filter(|step| step.text.starts_with("COPY"))
        .map(|step| step.start.unwrap().0 / 1_000_000_000)
        .collect();
    assert_eq!(starts, [11, 31]);
}

#[test]
fn a_stage_that_is_shown_late_does_not_start_from_the_one_shown_before() {
    let (record, explanation) = read(
        "2026-03-01T10:00:00.000Z #1 [internal] load build definition from Dockerfile
2026-03-01T10:00:00.100Z #1 DONE 0.1s
2026-03-01T10:00:00.100Z #2 [base 1/1] RUN sleep 1
2026-03-01T10:00:01.100Z #2 DONE 1.0s
2026-03-01T10:00:01.150Z #3 [b 1/1] RUN sleep 1.8
2026-03-01T10:00:01.450Z #3 0.300 line 1
2026-03-01T10:00:02.950Z #3 DONE 1.8s
2026-03-01T10:00:02.951Z #4 [a 1/1] RUN sleep 1.7
2026-03-01T10:00:02.951Z #4 DONE 1.7s
2026-03-01T10:00:02.960Z #5 [stage-3 1/1] RUN sleep 1
2026-03-01T10:00:03.960Z #5 DONE 1.0s
",
    );
    let needs = |to: &str| -> Vec<&str> {
        let to = step(&record, to).id;
        let from =
            record.edges.iter().filter(|edge| edge.to == to).map(|edge| &*record.steps[edge.from.0 as usize].text);
        from.filter(|text| text.starts_with("RUN")).collect()
    };
    assert_eq!((needs("sleep 1.8"), needs("sleep 1.7")), (vec!["RUN sleep 1"], vec!["RUN sleep 1"]));
    let drag = |text: &str| explanation.steps.iter().find(|found| found.id == step(&record, text).id).unwrap().drag.0;
    assert!(drag("load build definition") > 0 && drag("sleep 1.7") > 0, "{:?}", explanation.steps);
}

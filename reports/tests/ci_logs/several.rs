//! Logs of several builds, which are separated.

use crate::{all, read, texts, walls};
use buildscope_reports::import::ImportError;

#[test]
fn builds_of_one_file_are_separated() {
    let builds = all("2026-03-01T10:00:00Z #1 [1/1] RUN make
2026-03-01T10:00:10Z #1 DONE 10.0s
2026-03-01T10:00:20Z #1 [1/1] RUN test
2026-03-01T10:00:40Z #1 DONE 20.0s
");
    assert_eq!(walls(&builds), [10_000, 20_000]);
    let first = builds.clone().choose(Some(1)).unwrap();
    assert_eq!(texts(&first), ["RUN make"]);
    let slowest = builds.clone().choose(None).unwrap();
    assert_eq!(texts(&slowest), ["RUN test"]);
    let expected = [
        "the file has 2 builds; this is build 2, the slowest (`--build N` chooses another)",
        "build 1: 10.0 s, 1 steps, longest `RUN make`",
        "build 2: 20.0 s, 1 steps, longest `RUN test`",
    ];
    assert_eq!(slowest.notes, expected);
    assert!(matches!(builds.choose(Some(3)), Err(ImportError::NoBuild { number: 3, count: 2 })));
}

#[test]
fn a_second_build_of_the_same_dockerfile_starts_at_its_first_vertex() {
    let one = "#1 [internal] load build definition from Dockerfile\n#1 DONE 0.1s\n\n#2 [1/1] RUN make\n#2 DONE 5.0s\n\n#3 exporting to image\n#3 DONE 0.5s\n";
    assert_eq!(walls(&all(&format!("{one}{one}"))), [5600, 5600]);
    let noted = format!("#0 building with \"b\" instance using docker driver\n\n{one}");
    assert_eq!(walls(&all(&format!("{noted}{noted}"))), [5600, 5600]);
    // A vertex is named again when its lines go on after those of another.
    let again = "#1 [1/2] FROM x\n#1 DONE 0.1s\n\n#2 [2/2] RUN make\n#2 0.1 a\n\n#1 [1/2] FROM x\n#1 sha256:aa 1MB / 1MB 2.0s done\n#1 DONE 2.0s\n\n#2 [2/2] RUN make\n#2 DONE 5.0s\n";
    assert_eq!(walls(&all(again)), [7000]);
}

#[test]
fn builds_of_the_classic_builder_and_of_buildah_are_separated() {
    let classic = "2026-03-01T10:00:00Z Step 1/2 : FROM busybox
2026-03-01T10:00:00Z Step 2/2 : RUN make
2026-03-01T10:00:10Z Successfully built eeeeeeeeeeee
2026-03-01T10:00:30Z Step 1/2 : FROM busybox
2026-03-01T10:00:30Z Step 2/2 : RUN test
2026-03-01T10:00:33Z Successfully built ffffffffffff
";
    let builds = all(classic);
    assert_eq!(walls(&builds), [10_000, 3000]);
    assert!(builds.records().iter().all(|record| record.stages.len() == 1));
    let buildah = "2026-03-01T10:00:00Z STEP 1/2: FROM busybox
2026-03-01T10:00:00Z STEP 2/2: RUN make
2026-03-01T10:00:10Z COMMIT a
2026-03-01T10:00:11Z --> eeeeeeeeeee
2026-03-01T10:00:30Z STEP 1/2: FROM busybox
2026-03-01T10:00:30Z STEP 2/2: RUN test
2026-03-01T10:00:33Z COMMIT b
2026-03-01T10:00:34Z --> fffffffffff
";
    assert_eq!(walls(&all(buildah)), [11_000, 4000]);
}

#[test]
fn rawjson_with_another_set_of_digests_is_another_build() {
    let vertex = |digest: &str, name: &str, start: u32, end: u32| {
        format!(
            "{{\"vertexes\":[{{\"digest\":\"sha256:{digest}\",\"name\":\"{name}\",\"started\":\"2026-03-01T10:00:{start:02}Z\",\"completed\":\"2026-03-01T10:00:{end:02}Z\"}}]}}\n"
        )
    };
    let one = |id: &str, at: u32| {
        vertex(&format!("d{id}"), "[internal] load build definition from Dockerfile", at, at)
            + &vertex(&format!("r{id}"), "[1/1] RUN make", at, at + 9)
            + &vertex(&format!("e{id}"), "exporting to image", at + 9, at + 10)
    };
    assert_eq!(walls(&all(&(one("a", 0) + &one("b", 20)))), [10_000, 10_000]);
}

#[test]
fn builds_of_several_services_at_once_are_separated() {
    let text = "web-1  | #1 [internal] load build definition
api-1  | #1 [internal] load build definition
web-1  | #1 DONE 0.1s
api-1  | #1 DONE 0.1s
web-1  | #2 [1/1] RUN npm ci
api-1  | #2 [1/1] RUN go build
api-1  | #2 DONE 4.0s
web-1  | #2 DONE 9.0s
";
    let builds = all(text);
    assert_eq!(walls(&builds), [9100, 4100]);
}

#[test]
fn of_builds_without_times_the_failed_one_is_explained() {
    let built = "Step 1/2 : FROM a\nStep 2/2 : RUN b\nSuccessfully built aaaaaaaaaaaa\n";
    let failed = "Step 1/2 : FROM a\nStep 2/2 : RUN c\nThe command '/bin/sh -c c' returned a non-zero code: 3\n";
    let (_, explanation) = read(&format!("{built}{failed}{built}"));
    assert!(explanation.answer.starts_with("The build failed with exit code 3 in `RUN c`"), "{}", explanation.answer);
}

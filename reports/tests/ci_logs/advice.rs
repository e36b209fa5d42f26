//! What explanations say of another builder, and what a what-if of its builds refuses.

use crate::{read, step};

#[test]
fn foreign_builders_get_their_own_words() {
    let classic = "2026-03-01T10:00:00Z Step 1/4 : FROM busybox AS a
2026-03-01T10:00:00Z Step 2/4 : RUN make a
2026-03-01T10:00:10Z Step 3/4 : FROM busybox
2026-03-01T10:00:10Z Step 4/4 : RUN make b
2026-03-01T10:00:20Z Successfully built eeeeeeeeeeee
";
    let (_, explanation) = read(classic);
    let text = serde_json::to_string(&explanation).unwrap();
    assert!(text.contains("DOCKER_BUILDKIT=1") && !text.contains("granularity"), "{text}");
    let buildah = "2026-03-01T10:00:00Z [1/2] STEP 1/2: FROM busybox AS a
2026-03-01T10:00:00Z [1/2] STEP 2/2: RUN make a
2026-03-01T10:00:10Z --> aaaaaaaaaaa
2026-03-01T10:00:10Z [2/2] STEP 1/2: FROM busybox
2026-03-01T10:00:10Z [2/2] STEP 2/2: RUN make b
2026-03-01T10:00:20Z --> bbbbbbbbbbb
2026-03-01T10:00:20Z [2/2] COMMIT p
2026-03-01T10:00:21Z --> eeeeeeeeeee
";
    let (_, explanation) = read(buildah);
    let text = serde_json::to_string(&explanation).unwrap();
    assert!(text.contains("--jobs 0") && !text.contains("granularity"), "{text}");
}

#[test]
fn exports_are_never_cached_in_the_what_if() {
    let (record, explanation) = read("#1 [1/1] RUN x\n#1 DONE 1.0s\n#2 exporting to image\n#2 DONE 8.0s\n");
    assert!(
        explanation.ranking.changes.iter().all(|change| !change.what.contains("exporting")),
        "{:?}",
        explanation.ranking
    );
    let scenario =
        buildscope_reports::whatif::Scenario { cached: vec![step(&record, "exporting").id], ..Default::default() };
    let refused = buildscope_reports::whatif::whatif(&record, &scenario).unwrap_err();
    assert_eq!(refused.to_string(), "`exporting to image` is the builder's own work, which is never in a cache");
}

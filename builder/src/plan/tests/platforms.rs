//! Tests of images for another platform than the build's. What is expected is what BuildKit 0.32 found for the same files and images.

use super::*;
use buildscope_oci::Platform;
use buildscope_record::ManifestDigest;

/// A resolver that has `amd` for amd64, `arm` for arm64, and `both`. The manifest names the platform.
struct Platforms;

impl ImageResolver for Platforms {
    fn resolve(&self, reference: &str, platform: &Platform) -> Result<ResolvedBase, ResolveError> {
        let architecture = match reference {
            "amd" => "amd64",
            "arm" => "arm64",
            _ => &platform.architecture,
        };
        let config = ImageConfig { os: "linux".into(), architecture: architecture.into(), ..ImageConfig::default() };
        Ok(ResolvedBase { manifest: manifest(reference, architecture), config: Arc::new(config) })
    }
}

fn manifest(reference: &str, architecture: &str) -> ManifestDigest {
    ManifestDigest::of(format!("{reference} {architecture}"))
}

fn lowered(text: &str, target: Option<&str>) -> Plan {
    let request = LowerRequest {
        platform: Platform::new("linux", "amd64", None),
        target: target.map(str::to_owned),
        ..LowerRequest::default()
    };
    lower(&parse(text).unwrap(), &request, &Platforms).unwrap()
}

/// The lines at which an image for another platform is reported.
fn foreign(text: &str, target: Option<&str>) -> Vec<u32> {
    let findings = lowered(text, target).warnings;
    assert!(findings.iter().all(|finding| finding.rule == Rule::InvalidBaseImagePlatform), "{findings:?}");
    findings.iter().map(|finding| finding.lines.unwrap().0).collect()
}

#[test]
fn an_image_for_another_platform_is_reported_where_it_is_used() {
    for (text, lines) in [
        ("FROM amd\nCOPY g /g\n", &[][..]),
        ("FROM arm\nCOPY g /g\n", &[1]),
        ("FROM --platform=linux/arm64 amd\nCOPY g /g\n", &[1]),
        ("FROM --platform=linux/arm64 arm\nCOPY g /g\n", &[]),
        ("FROM scratch\nCOPY --from=arm /f /g\n", &[2]),
        ("FROM amd\nRUN --mount=from=arm,target=/m true\n", &[2]),
        ("FROM --platform=linux/arm64 both\nCOPY --from=both /f /g\n", &[]),
        ("FROM amd\nCOPY --from=arm /f /g\nFROM arm\nCOPY --from=0 /g /g\n", &[2, 3]),
        ("# check=skip=InvalidBaseImagePlatform\nFROM arm\n", &[]),
        ("FROM scratch\n# check=skip=InvalidBaseImagePlatform\nCOPY --from=arm /f /g\nCOPY --from=arm /f /h\n", &[4]),
    ] {
        let mut found = foreign(text, None);
        found.sort_unstable();
        assert_eq!(found, lines, "{text}");
    }
    let text = "FROM amd AS one\nCOPY --from=arm /f /g\nFROM arm AS two\n";
    assert_eq!((foreign(text, Some("one")), foreign(text, Some("two"))), (vec![2], vec![3]));
}

/// BuildKit gives the image of `--from` and of mounts the platform of the build, whatever the stage's is.
#[test]
fn the_image_of_a_copy_is_for_the_platform_of_the_build() {
    for (text, step) in [
        ("FROM --platform=linux/arm64 both\nCOPY --from=both /f /g\n", 1),
        (
            "FROM --platform=linux/arm64 both AS x\nCOPY --from=both /f /g\nFROM both\nCOPY --from=both /f /g\nCOPY --from=x / /\n",
            1,
        ),
    ] {
        let plan = lowered(text, None);
        let source = plan.steps().nth(step).map(|step| match &step.op {
            Op::Copy(copy) => match &copy.from {
                CopyFrom::Image(image) => image.manifest,
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        });
        assert_eq!(source, Some(manifest("both", "amd64")), "{text}");
    }
}

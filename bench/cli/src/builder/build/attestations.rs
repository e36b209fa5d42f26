//! `--attest`, `--provenance` and `--sbom`.

use super::arguments::Arguments;
use super::docker_flags::{NO_SBOM, refused};
use crate::Failure;
use buildscope_bake::Attest;
use buildscope_builder::engine::Provenance;
use miette::miette;

impl Arguments {
    /// The provenance options; `--attest type=provenance` is a longer form of `--provenance`.
    pub(super) fn provenance(&self) -> Result<Option<Provenance>, Failure> {
        let mut spec = self.provenance.clone();
        for text in &self.attest {
            let attest: Attest = text
                .parse()
                .map_err(|error| Failure::usage(miette!("--attest {text}: {error}: use type=provenance")))?;
            match &*attest.kind {
                "provenance" => spec = Some(options(&attest)),
                "sbom" if attest.disabled => {}
                "sbom" => return Err(refused(&format!("--attest {text}"), NO_SBOM)),
                other => {
                    return Err(Failure::usage(miette!(
                        "--attest {text}: unknown type `{other}`: use type=provenance"
                    )));
                }
            }
        }
        let parsed = spec.as_deref().map(Provenance::parse).transpose();
        Ok(parsed.map_err(|error| Failure::usage(miette!("{error}")))?.flatten())
    }
}

/// The options of an attestation as `--provenance` takes them.
fn options(attest: &Attest) -> String {
    let each = attest.attributes.iter().map(|(key, value)| format!("{key}={value}"));
    std::iter::once(format!("disabled={}", attest.disabled)).chain(each).collect::<Vec<_>>().join(",")
}

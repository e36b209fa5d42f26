//! Images that are not for the platform for which the build uses them (`InvalidBaseImagePlatform`).

use super::{BaseOf, FilesFrom, Stages};
use buildscope_dockerfile::lint::{self, Finding, Rule};
use buildscope_dockerfile::{Diagnostic, Dockerfile, Instruction, Span};
use buildscope_oci::{ImageConfig, Platform};

impl Stages<'_> {
    /// Returns a finding for each use of an image that is for another platform: the bases of the stages that the target needs, and the
    /// sources of their instructions. Comments of the file may turn the rule off.
    pub(in crate::plan) fn foreign_images(&self, file: &Dockerfile<'_>) -> Vec<Finding> {
        let mut findings = Vec::new();
        for stage in self.list.iter().filter(|stage| stage.live) {
            if let (BaseOf::Image(_), Some(base)) = (&stage.base, &stage.resolved) {
                let span = stage.head.base.span;
                findings.extend(foreign(&stage.base_name, &base.config, &stage.platform, stage.from, span));
            }
            for (word, instruction) in stage.froms() {
                // Errors of the name are already reported.
                if let FilesFrom::Image(image) = self.source(&word.text, word.span, &mut Vec::new())
                    && let Some(found) = self.images.get(&image)
                {
                    findings.extend(foreign(&word.text, &found.config, &self.target, instruction, word.span));
                }
            }
        }
        findings.retain(|(at, finding)| lint::applies_at(file, at, finding.rule));
        findings.into_iter().map(|(_, finding)| finding).collect()
    }
}

/// Returns the finding for an image of this name, if it is for another operating system or architecture. As for BuildKit, the variant
/// does not count. A configuration without a platform is for any.
fn foreign<'i, 't>(
    name: &str,
    image: &ImageConfig,
    wanted: &Platform,
    at: &'i Instruction<'t>,
    span: Span,
) -> Option<(&'i Instruction<'t>, Finding)> {
    let own = Platform::new(&image.os, &image.architecture, image.variant.as_deref());
    let unknown = image.os.is_empty() || image.architecture.is_empty();
    if unknown || (&own.os, &own.architecture) == (&wanted.os, &wanted.architecture) {
        return None;
    }
    let diagnostic = Diagnostic::new(span, format!("{name} is an image for {own}, but the build is for {wanted}"))
        .help(format!("choose an image for {wanted}, or build with --platform={own}"));
    Some((at, Finding::new(Rule::InvalidBaseImagePlatform, at.lines, diagnostic)))
}

//! Debian base images by mmdebstrap: for machines that have a package mirror but no registry.

use super::super::{Image, ImageError, Images};
use crate::http::{now, rfc3339};
use buildscope_oci::{Descriptor, History, ImageConfig, Platform, Reference, RuntimeConfig};
use buildscope_record::{Phase, Probe};
use buildscope_storage::{Store, Timestamp};
use std::io::{BufReader, Read};
use std::process::{Command, Stdio};

/// Docker's default.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What a Debian base is made of.
#[derive(Clone, Debug, Default)]
pub struct DebianBase {
    /// The suite: `bookworm`.
    pub suite: String,
    /// Packages besides the essential ones and apt.
    pub include: Vec<String>,
    /// A mirror's URL, or whatever else mmdebstrap takes; none is its default.
    pub mirror: Option<String>,
    /// `SOURCE_DATE_EPOCH`: with it (and one state of the mirror) the image is always the same.
    pub epoch: Option<i64>,
}

impl DebianBase {
    /// Makes the image and gives it its name. Takes half a minute and what the packages weigh.
    pub fn make(&self, store: &Store, name: &Reference, probe: &Probe) -> Result<Descriptor, ImageError> {
        let span = probe.phase(Phase::Fetch);
        span.detail(&name.familiar());
        let failed = |fault: String| ImageError::malformed("mmdebstrap", fault);
        let mut command = Command::new("mmdebstrap");
        // Images have no device files: whoever runs them mounts /dev.
        command.args(["--quiet", "--variant=minbase", "--format=tar", "--skip=output/dev"]);
        if !self.include.is_empty() {
            command.arg(format!("--include={}", self.include.join(",")));
        }
        if let Some(epoch) = self.epoch {
            command.env("SOURCE_DATE_EPOCH", epoch.to_string());
        }
        command.args([self.suite.as_str(), "-"]).args(&self.mirror);
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = child.map_err(|error| failed(format!("{error} (Debian: `apt-get install mmdebstrap`)")))?;
        let (Some(tar), Some(mut complaints)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(failed("it has no output".into()));
        };
        let told = std::thread::spawn(move || {
            let mut text = String::new();
            // Where it cannot be read, its status must do.
            let _ = complaints.read_to_string(&mut text);
            text
        });
        let imported = store.import_layer(BufReader::with_capacity(1 << 20, tar), None, &span.probe());
        let status = child.wait().map_err(|error| failed(error.to_string()))?;
        let told = told.join().unwrap_or_default();
        if !status.success() {
            let lines: Vec<&str> = told.lines().filter(|line| line.starts_with('E')).collect();
            let said =
                if lines.is_empty() { told.lines().last().unwrap_or_default().to_owned() } else { lines.join("; ") };
            return Err(failed(format!("it failed ({status}): {said}")));
        }
        let layer = imported?;
        let Platform { architecture, os, variant, .. } = Platform::host();
        let created =
            Some(self.epoch.map_or_else(|| rfc3339(now()), |seconds| rfc3339(Timestamp { seconds, nanos: 0 })));
        let created_by = Some(format!("buildscope base {}", name.familiar()));
        let mut config = ImageConfig { architecture, os, variant, created: created.clone(), ..ImageConfig::default() };
        config.config =
            RuntimeConfig { env: vec![PATH.into()], cmd: Some(vec!["bash".into()]), ..RuntimeConfig::default() };
        config.rootfs.diff_ids = vec![layer.diff_id];
        config.history = vec![History { created, created_by, ..History::default() }];
        let images = Images::of(store);
        let target = images.keep(&Image::base(config))?;
        images.name(name, &target)?;
        Ok(target)
    }
}

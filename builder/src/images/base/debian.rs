//! Debian base images, made with mmdebstrap, for machines with access to a package mirror but not to a registry.

use super::super::{Image, ImageError, Images};
use crate::http::{now, proxies, rfc3339};
use buildscope_oci::{DEFAULT_PATH, Descriptor, History, ImageConfig, Platform, Reference, RuntimeConfig};
use buildscope_record::{Phase, Probe};
use buildscope_sandbox::{end_with_this_thread, helper};
use buildscope_storage::{Store, Timestamp};
use std::io::{BufReader, Read};
use std::process::Stdio;

/// The contents of a Debian base image.
#[derive(Clone, Debug, Default)]
pub struct DebianBase {
    /// The suite: `bookworm`.
    pub suite: String,
    /// Packages in addition to the essential ones and apt.
    pub include: Vec<String>,
    /// The URL of a mirror, or another source that mmdebstrap accepts. `None` is mmdebstrap's default.
    pub mirror: Option<String>,
    /// `SOURCE_DATE_EPOCH`. With it, the same state of the mirror gives the same image.
    pub epoch: Option<i64>,
}

impl DebianBase {
    /// Makes the image and keeps it in the store under `name`. This takes about half a minute, and downloads packages.
    pub fn make(&self, store: &Store, name: &Reference, probe: &Probe) -> Result<Descriptor, ImageError> {
        let span = probe.phase(Phase::Fetch);
        span.detail(&name.familiar());
        let failed = |reason: String| ImageError::malformed("mmdebstrap", reason);
        let mut command = helper("mmdebstrap");
        command.envs(proxies());
        // Images have no device files: /dev is mounted when a container runs.
        command.args(["--quiet", "--variant=minbase", "--format=tar", "--skip=output/dev"]);
        if !self.include.is_empty() {
            command.arg(format!("--include={}", self.include.join(",")));
        }
        if let Some(epoch) = self.epoch {
            command.env("SOURCE_DATE_EPOCH", epoch.to_string());
        }
        command.args([self.suite.as_str(), "-"]).args(&self.mirror);
        end_with_this_thread(&mut command);
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = child.map_err(|error| failed(format!("{error} (Debian: `apt-get install mmdebstrap`)")))?;
        let (Some(tar), Some(mut stderr)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(failed("it has no output".into()));
        };
        let errors = std::thread::spawn(move || {
            let mut text = String::new();
            // If the errors cannot be read, the exit status is reported without them.
            let _ = stderr.read_to_string(&mut text);
            text
        });
        let imported = store.import_layer(BufReader::with_capacity(1 << 20, tar), None, &span.probe());
        let status = child.wait().map_err(|error| failed(error.to_string()))?;
        let errors = errors.join().unwrap_or_default();
        if !status.success() {
            let lines: Vec<&str> = errors.lines().filter(|line| line.starts_with('E')).collect();
            let message =
                if lines.is_empty() { errors.lines().last().unwrap_or_default().to_owned() } else { lines.join("; ") };
            return Err(failed(format!("it failed ({status}): {message}")));
        }
        let layer = imported?;
        let Platform { architecture, os, variant, .. } = Platform::host();
        let created =
            Some(self.epoch.map_or_else(|| rfc3339(now()), |seconds| rfc3339(Timestamp { seconds, nanos: 0 })));
        let created_by = Some(format!("buildscope base {}", name.familiar()));
        let mut config = ImageConfig { architecture, os, variant, created: created.clone(), ..ImageConfig::default() };
        config.config = RuntimeConfig {
            env: vec![format!("PATH={DEFAULT_PATH}")],
            cmd: Some(vec!["bash".into()]),
            ..RuntimeConfig::default()
        };
        config.rootfs.diff_ids = vec![layer.diff_id];
        config.history = vec![History { created, created_by, ..History::default() }];
        let images = Images::of(store);
        let target = images.keep(&Image::base(config))?;
        images.name(name, &target)?;
        Ok(target)
    }
}

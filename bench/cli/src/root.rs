//! `--root`: the directory of the store, which every command shares.

use super::Failure;
use std::path::PathBuf;

/// Where the store is.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Root {
    /// Where layers, cache and runs are kept [default: /var/lib/buildscope for root, else the XDG data directory]
    #[arg(long, value_name = "DIR", env = "BUILDSCOPE_ROOT", global = true)]
    root: Option<PathBuf>,
}

impl Root {
    /// The directory; it need not exist yet.
    pub(super) fn resolve(&self) -> Result<PathBuf, Failure> {
        if let Some(root) = &self.root {
            return Ok(root.clone());
        }
        if rustix::process::geteuid().is_root() {
            return Ok("/var/lib/buildscope".into());
        }
        let data = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from);
        let data = data.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/share")));
        let none = || {
            Failure::usage(miette::miette!("neither HOME nor XDG_DATA_HOME is set: say where the store is with --root"))
        };
        Ok(data.ok_or_else(none)?.join("buildscope"))
    }
}

//! `--root`: the directory of the store, which every command shares.

use super::Failure;
use miette::miette;
use std::path::PathBuf;

/// The location of the store.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Root {
    /// Directory of layers, cache and runs [default: /var/lib/buildscope for root, else buildscope in the XDG data directory]
    #[arg(long, value_name = "DIR", env = "BUILDSCOPE_ROOT", global = true)]
    root: Option<PathBuf>,
}

impl Root {
    /// Returns the directory, which need not exist yet.
    pub(super) fn resolve(&self) -> Result<PathBuf, Failure> {
        if let Some(root) = &self.root {
            return Ok(root.clone());
        }
        #[cfg(target_os = "linux")]
        if rustix::process::geteuid().is_root() {
            return Ok("/var/lib/buildscope".into());
        }
        let directory = |name: &str| std::env::var_os(name).map(PathBuf::from);
        let data = directory("XDG_DATA_HOME")
            .or_else(|| Some(directory("HOME")?.join(".local/share")))
            .or_else(|| directory("LOCALAPPDATA")); // Windows
        let unknown = || miette!("neither HOME nor XDG_DATA_HOME is set: give the store's directory with --root");
        Ok(data.ok_or_else(|| Failure::usage(unknown()))?.join("buildscope"))
    }
}

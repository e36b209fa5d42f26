//! The rates of the links to servers. They are kept between builds: a build that sends little cannot measure them, and needs them to
//! place its steps.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// The name of the file.
const FILE: &str = "links.json";
/// The largest file that is read, in bytes.
const LARGEST: u64 = 1 << 20;

/// Rates in bytes per second, by the address of the server.
#[derive(Debug)]
pub(super) struct LinkRates {
    path: PathBuf,
    rates: BTreeMap<String, f64>,
}

impl LinkRates {
    /// The rates that a directory has. A file that cannot be read counts as empty.
    pub(super) fn read(directory: &Path) -> Self {
        let path = directory.join(FILE);
        let is_small = fs::metadata(&path).is_ok_and(|metadata| metadata.len() <= LARGEST);
        let text = if is_small { fs::read(&path).unwrap_or_default() } else { Vec::new() };
        let mut rates: BTreeMap<String, f64> = serde_json::from_slice(&text).unwrap_or_default();
        rates.retain(|_, rate| rate.is_finite() && *rate >= 1.0);
        Self { path, rates }
    }

    /// The rate of the link to a server.
    pub(super) fn of(&self, server: &str) -> Option<f64> {
        self.rates.get(server).copied()
    }

    /// Keeps measured rates.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(super) fn keep(&mut self, measured: impl IntoIterator<Item = (String, f64)>) -> io::Result<()> {
        let before = self.rates.clone();
        self.rates.extend(measured);
        if self.rates == before {
            return Ok(());
        }
        let directory = self.path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(directory)?;
        let mut file = tempfile::NamedTempFile::new_in(directory)?;
        file.write_all(&serde_json::to_vec(&self.rates)?)?;
        file.persist(&self.path)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_kept_between_builds() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("not/there");
        LinkRates::read(&at).keep([("grpc://a:1".into(), 12.5e6)]).unwrap();
        LinkRates::read(&at).keep([("grpc://b:1".into(), 1e9)]).unwrap();
        let kept = LinkRates::read(&at);
        assert_eq!(
            ["grpc://a:1", "grpc://b:1", "grpc://c:1"].map(|server| kept.of(server)),
            [Some(12.5e6), Some(1e9), None]
        );
        for text in ["", "{", r#"{"grpc://a:1":"fast"}"#, r#"{"grpc://a:1":-1}"#, r#"{"grpc://a:1":0}"#, "[1]"] {
            fs::write(at.join(FILE), text).unwrap();
            assert_eq!(LinkRates::read(&at).of("grpc://a:1"), None, "{text}");
        }
    }
}

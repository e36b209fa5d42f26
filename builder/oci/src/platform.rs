//! Platforms: the `platform` object of an OCI image index, and the words of `--platform`.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// An operating system and an architecture, by Go's names (GOOS, GOARCH).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Platform {
    /// The architecture, as a GOARCH name.
    #[serde(default)]
    pub architecture: String,
    /// The operating system, as a GOOS name.
    #[serde(default)]
    pub os: String,
    /// The version of Windows that the image needs.
    #[serde(default, rename = "os.version", skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// The features of the operating system that the image needs.
    #[serde(default, rename = "os.features", skip_serializing_if = "Vec::is_empty")]
    pub os_features: Vec<String>,
    /// The variant of the architecture: `v7` in `linux/arm/v7`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

/// The operating systems that Go knows, some of them no longer (its `syslist.go`).
const SYSTEMS: [&str; 17] = [
    "aix",
    "android",
    "darwin",
    "dragonfly",
    "freebsd",
    "hurd",
    "illumos",
    "ios",
    "js",
    "linux",
    "nacl",
    "netbsd",
    "openbsd",
    "plan9",
    "solaris",
    "windows",
    "zos",
];

/// The architectures that Go knows, some of them no longer (its `syslist.go`).
const ARCHITECTURES: [&str; 23] = [
    "386",
    "amd64",
    "amd64p32",
    "arm",
    "arm64",
    "arm64be",
    "armbe",
    "loong64",
    "mips",
    "mips64",
    "mips64le",
    "mips64p32",
    "mips64p32le",
    "mipsle",
    "ppc",
    "ppc64",
    "ppc64le",
    "riscv",
    "riscv64",
    "s390",
    "s390x",
    "sparc64",
    "wasm",
];

/// The error of a text that is not a platform. It holds the text.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "invalid platform `{0}`: write OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT, like linux/arm64, or one of the first two"
)]
pub struct PlatformError(pub String);

impl Platform {
    /// Returns Linux with the architecture of this machine.
    pub fn host() -> Self {
        Self::new("linux", std::env::consts::ARCH, None)
    }

    /// Returns a platform in containerd's normal form: aliases of an architecture become GOARCH names, and a default
    /// variant is removed.
    pub fn new(os: &str, architecture: &str, variant: Option<&str>) -> Self {
        let os = os.to_ascii_lowercase();
        let os = if os == "macos" { "darwin".to_owned() } else { os };
        let architecture = architecture.to_ascii_lowercase();
        let variant = variant.map(str::to_ascii_lowercase).filter(|variant| !variant.is_empty());
        let (architecture, variant) = match (architecture.as_str(), variant.as_deref()) {
            ("i386" | "x86", _) => ("386", None),
            ("x86_64" | "x86-64" | "amd64", None | Some("v1")) => ("amd64", None),
            ("x86_64" | "x86-64" | "amd64", variant) => ("amd64", variant),
            ("aarch64" | "arm64", None | Some("8" | "v8" | "v8.0")) => ("arm64", None),
            ("aarch64" | "arm64", Some("9" | "9.0" | "v9.0")) => ("arm64", Some("v9")),
            ("aarch64" | "arm64", variant) => ("arm64", variant),
            ("armhf", _) | ("arm", None | Some("7" | "v7")) => ("arm", Some("v7")),
            ("armel", _) | ("arm", Some("6" | "v6")) => ("arm", Some("v6")),
            ("arm", Some("5" | "v5")) => ("arm", Some("v5")),
            ("arm", Some("8" | "v8")) => ("arm64", None),
            ("powerpc64le", variant) => ("ppc64le", variant),
            (other, variant) => (other, variant),
        };
        let (architecture, variant) = (architecture.to_owned(), variant.map(str::to_owned));
        Self { architecture, os, os_version: None, os_features: Vec::new(), variant }
    }

    /// Returns the platform of a single word, completed from this machine: an operating system, or else an architecture
    /// (containerd's rule). `None` if the word is neither.
    fn of_word(word: &str) -> Option<Self> {
        let host = Self::host();
        let of_os = Self::new(word, &host.architecture, host.variant.as_deref());
        if SYSTEMS.contains(&of_os.os.as_str()) {
            return Some(of_os);
        }
        let of_architecture = Self::new(&host.os, word, None);
        ARCHITECTURES.contains(&of_architecture.architecture.as_str()).then_some(of_architecture)
    }

    /// Returns this platform in normal form. A platform that was read from a document may have any form.
    pub fn normal(&self) -> Self {
        Self {
            os_version: self.os_version.clone(),
            os_features: self.os_features.clone(),
            ..Self::new(&self.os, &self.architecture, self.variant.as_deref())
        }
    }

    /// Returns how far an image for `other` is from an image for `self`. 0 is an exact match, and a higher number is a
    /// worse one. `None` means that the image does not run. A 32-bit Arm runs images of earlier variants, and amd64
    /// runs images of lower levels (containerd's rule).
    pub fn distance(&self, other: &Self) -> Option<u32> {
        let (want, have) = (self.normal(), other.normal());
        if want.os != have.os || want.architecture != have.architecture {
            return None;
        }
        if want.variant == have.variant {
            return Some(0);
        }
        let level = |platform: &Self| match (platform.variant.as_deref(), platform.architecture.as_str()) {
            (Some(variant), _) => variant.strip_prefix('v')?.parse::<u32>().ok(),
            (None, "arm64") => Some(8),
            (None, _) => Some(1),
        };
        match (level(&want)?, level(&have)?) {
            (want, have) if have <= want => Some(want - have),
            _ => None,
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.iter().try_for_each(|variant| write!(f, "/{variant}"))
    }
}

impl FromStr for Platform {
    type Err = PlatformError;
    fn from_str(text: &str) -> Result<Self, PlatformError> {
        let word =
            |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
        let parts: Vec<&str> = text.split('/').collect();
        if !parts.iter().all(|part| word(part)) {
            return Err(PlatformError(text.to_owned()));
        }
        match parts[..] {
            [only] => Self::of_word(only).ok_or_else(|| PlatformError(text.to_owned())),
            [os, architecture] => Ok(Self::new(os, architecture, None)),
            [os, architecture, variant] => Ok(Self::new(os, architecture, Some(variant))),
            _ => Err(PlatformError(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_become_their_normal_form() {
        // The table of `normalizeArch` in containerd's platforms/database.go.
        for (text, shown) in [
            ("linux/amd64", "linux/amd64"),
            ("Linux/x86_64", "linux/amd64"),
            ("linux/aarch64", "linux/arm64"),
            ("linux/arm64/v8", "linux/arm64"),
            ("linux/arm", "linux/arm/v7"),
            ("linux/armel", "linux/arm/v6"),
            ("linux/arm/v5", "linux/arm/v5"),
            ("linux/i386", "linux/386"),
        ] {
            assert_eq!(text.parse::<Platform>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn one_word_is_completed_from_this_machine() {
        let host = Platform::host();
        for (text, os, architecture) in [
            ("linux", "linux", &*host.architecture),
            ("Windows", "windows", &*host.architecture),
            ("macos", "darwin", &*host.architecture),
            ("amd64", &*host.os, "amd64"),
            ("aarch64", &*host.os, "arm64"),
            ("s390x", &*host.os, "s390x"),
        ] {
            let platform: Platform = text.parse().unwrap();
            assert_eq!((&*platform.os, &*platform.architecture), (os, architecture), "{text}");
        }
        assert_eq!("arm".parse::<Platform>().unwrap().variant.as_deref(), Some("v7"));
    }

    #[test]
    fn malformed_platforms_are_errors() {
        for text in ["", "linus", "v7", "linux/", "/amd64", "linux/a/b/c", "linux/am d64"] {
            assert!(text.parse::<Platform>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_arm_runs_only_earlier_variants() {
        let platform = |text: &str| text.parse::<Platform>().unwrap();
        assert_eq!(platform("linux/arm/v7").distance(&platform("linux/arm/v7")), Some(0));
        assert_eq!(platform("linux/arm/v7").distance(&platform("linux/arm/v5")), Some(2));
        assert_eq!(platform("linux/arm/v6").distance(&platform("linux/arm/v7")), None);
    }

    #[test]
    fn an_amd64_runs_lower_levels_of_its_architecture() {
        let platform = |text: &str| text.parse::<Platform>().unwrap();
        assert_eq!(platform("linux/amd64").distance(&platform("linux/arm64")), None);
        assert_eq!(platform("linux/amd64/v3").distance(&platform("linux/amd64")), Some(2));
    }
}

//! Parses `--cache-to` and `--cache-from` with the options of buildx.

use super::super::LayoutImage;
use super::super::export::Transform;
use super::{ReapiCache, S3Cache};
use buildscope_oci::csv_fields;
use buildscope_oci::{Encoding, Reference};
use std::path::PathBuf;

/// The steps of a build that are exported.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum CacheMode {
    /// The steps whose layers are in the image (`mode=min`).
    #[default]
    Min,
    /// All steps (`mode=max`).
    Max,
}

/// The options of the export.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CacheOptions {
    /// The steps to export (`mode=`).
    pub mode: CacheMode,
    /// The compression of the layers (`compression=`).
    pub compression: Encoding,
    /// `compression-level=`. `None` is the compressor's default.
    pub level: Option<i32>,
    /// `ignore-error=true`: a failed export is a warning.
    pub ignore_error: bool,
}

/// The blobs of a cache directory that no cache in it names any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Leftovers {
    /// They stay.
    #[default]
    Keep,
    /// They are removed (`reset=true`).
    Remove,
}

/// One `--cache-to`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CacheTo {
    /// `type=local,dest=DIRECTORY`: an OCI layout.
    Local {
        /// The directory of the layout.
        dest: PathBuf,
        /// The tag of the cache in the layout.
        tag: String,
        /// The treatment of layers of earlier caches.
        leftovers: Leftovers,
        /// The options of the export.
        options: CacheOptions,
    },
    /// `type=registry,ref=NAME`.
    Registry {
        /// The name of the cache.
        reference: Reference,
        /// The options of the export.
        options: CacheOptions,
    },
    /// `type=s3`: in a bucket.
    S3 {
        /// The bucket, and the names in it.
        cache: S3Cache,
        /// The options of the export.
        options: CacheOptions,
    },
    /// `type=reapi`: on a server of the Remote Execution API.
    Reapi {
        /// The server.
        cache: ReapiCache,
        /// The options of the export.
        options: CacheOptions,
    },
    /// `type=inline`: in the image's configuration, which a later build names in `--cache-from`.
    Inline,
}

/// One `--cache-from`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CacheFrom {
    /// `type=local,src=DIRECTORY`.
    Local(LayoutImage),
    /// `type=registry,ref=NAME`, or just the name: a cache, or an image with an inline cache.
    Registry(Reference),
    /// `type=s3`.
    S3(S3Cache),
    /// `type=reapi`.
    Reapi(ReapiCache),
}

/// An invalid value of `--cache-to` or `--cache-from`.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{flag} {text}: {reason}")]
pub struct CacheSpecError {
    flag: &'static str,
    text: String,
    reason: String,
}

impl CacheTo {
    /// Parses `type=...,...`. A bare name means `type=registry`.
    pub fn parse(text: &str) -> Result<Self, CacheSpecError> {
        let read = || {
            let fields = Fields::read(text)?;
            let options = fields.options()?;
            match fields.kind.as_str() {
                "local" => {
                    fields.only(&[&["dest", "tag", "reset"], &CacheOptions::KEYS[..]].concat())?;
                    let (dest, tag) = (fields.need("dest")?.into(), fields.get("tag").unwrap_or("latest").to_owned());
                    let reset = fields.flag("reset")?.unwrap_or(false);
                    let leftovers = if reset { Leftovers::Remove } else { Leftovers::Keep };
                    Ok(Self::Local { dest, tag, leftovers, options })
                }
                "registry" => {
                    fields.only(&[&["ref"], &CacheOptions::KEYS[..]].concat())?;
                    let reference = fields.need("ref")?.parse().map_err(|error| format!("{error}"))?;
                    Ok(Self::Registry { reference, options })
                }
                "s3" => {
                    fields.only(&[&S3Cache::KEYS[..], &CacheOptions::KEYS[..]].concat())?;
                    Ok(Self::S3 { cache: S3Cache::of(|name| fields.get(name))?, options })
                }
                "reapi" => {
                    fields.only(&[&ReapiCache::KEYS[..], &CacheOptions::KEYS[..]].concat())?;
                    Ok(Self::Reapi { cache: fields.reapi()?, options })
                }
                "inline" => fields.only(&[]).map(|()| Self::Inline),
                other => Err(unknown(other, "local, registry, s3, reapi or inline")),
            }
        };
        read().map_err(|reason| CacheSpecError { flag: "--cache-to", text: without_secrets(text), reason })
    }

    /// The options of the export. An inline cache has only records.
    pub(crate) fn options(&self) -> Option<&CacheOptions> {
        match self {
            Self::Local { options, .. }
            | Self::Registry { options, .. }
            | Self::S3 { options, .. }
            | Self::Reapi { options, .. } => Some(options),
            Self::Inline => None,
        }
    }

    /// The steps that are exported.
    pub fn mode(&self) -> CacheMode {
        self.options().map_or(CacheMode::Min, |options| options.mode)
    }

    /// Whether a failed export is only a warning.
    pub(crate) fn ignores_errors(&self) -> bool {
        self.options().is_some_and(|options| options.ignore_error)
    }
}

impl CacheFrom {
    /// Parses all values. As with buildx, one without a type is a list of names.
    pub(crate) fn parse_all(values: &[String]) -> Result<Vec<Self>, CacheSpecError> {
        let mut all = Vec::new();
        for text in values {
            let names = if text.contains('=') { Ok(vec![text.clone()]) } else { csv_fields(text) };
            let names = names.map_err(|reason| CacheSpecError { flag: "--cache-from", text: text.clone(), reason })?;
            for name in names.iter().filter(|name| !name.is_empty()) {
                all.push(Self::parse(name)?);
            }
        }
        Ok(all)
    }

    /// Parses `type=...,...`. A bare name means `type=registry`.
    pub fn parse(text: &str) -> Result<Self, CacheSpecError> {
        let read = || {
            let fields = Fields::read(text)?;
            match fields.kind.as_str() {
                "local" => {
                    fields.only(&["src", "tag", "digest"])?;
                    let digest = fields.get("digest").map(str::parse).transpose();
                    let digest = digest.map_err(|error: buildscope_record::DigestError| error.to_string())?;
                    let tag = fields.get("tag").map(str::to_owned);
                    Ok(Self::Local(LayoutImage { path: fields.need("src")?.into(), tag, digest }))
                }
                "registry" => {
                    fields.only(&["ref"])?;
                    Ok(Self::Registry(fields.need("ref")?.parse().map_err(|error| format!("{error}"))?))
                }
                "s3" => {
                    fields.only(&S3Cache::KEYS)?;
                    Ok(Self::S3(S3Cache::of(|name| fields.get(name))?))
                }
                "reapi" => {
                    fields.only(&ReapiCache::KEYS)?;
                    Ok(Self::Reapi(fields.reapi()?))
                }
                other => Err(unknown(other, "local, registry, s3 or reapi")),
            }
        };
        read().map_err(|reason| CacheSpecError { flag: "--cache-from", text: without_secrets(text), reason })
    }
}

impl CacheOptions {
    /// The transformation of a layer.
    pub(crate) fn transform(&self) -> Transform {
        Transform { epoch: None, encoding: self.compression, level: self.level }
    }

    /// The keys that all caches share but those in an image.
    const KEYS: [&'static str; 7] = [
        "mode",
        "compression",
        "compression-level",
        "force-compression",
        "ignore-error",
        "image-manifest",
        "oci-mediatypes",
    ];
}

/// The value of a flag as messages show it.
fn without_secrets(text: &str) -> String {
    let shown = |field: &str| match field.split_once('=') {
        Some((key @ ("access_key_id" | "secret_access_key" | "session_token" | "token" | "header"), _)) => {
            format!("{key}=...")
        }
        _ => field.to_owned(),
    };
    text.split(',').map(shown).collect::<Vec<_>>().join(",")
}

fn unknown(kind: &str, known: &str) -> String {
    match kind {
        "gha" => format!(
            "type=gha is not supported: GitHub's service takes caches only from its own actions; use type=registry, or \
             type=local with actions/cache ({known})"
        ),
        "azblob" => format!("type=azblob is not supported: use type=registry, or another of {known}"),
        _ => format!("unknown type `{kind}`: use {known}"),
    }
}

struct Fields {
    kind: String,
    pairs: Vec<(String, String)>,
}

impl Fields {
    fn read(text: &str) -> Result<Self, String> {
        if !text.contains('=') {
            return Ok(Self { kind: "registry".into(), pairs: vec![("ref".into(), text.into())] });
        }
        let (mut kind, mut pairs) = (None, Vec::new());
        for field in csv_fields(text)? {
            let (key, value) = field.split_once('=').ok_or_else(|| format!("`{field}` is not KEY=VALUE"))?;
            match key {
                "type" => kind = Some(value.to_owned()),
                key => pairs.push((key.to_owned(), value.to_owned())),
            }
        }
        Ok(Self { kind: kind.ok_or("`type=` is missing")?, pairs })
    }

    fn get(&self, key: &str) -> Option<&str> {
        self.pairs.iter().rev().find(|pair| pair.0 == key).map(|pair| pair.1.as_str())
    }

    fn all<'f>(&'f self, key: &'f str) -> impl Iterator<Item = &'f str> {
        self.pairs.iter().filter(move |pair| pair.0 == key).map(|pair| pair.1.as_str())
    }

    fn reapi(&self) -> Result<ReapiCache, String> {
        self.need("url")?;
        ReapiCache::of(|name| self.get(name), self.all("header"))
    }

    fn options(&self) -> Result<CacheOptions, String> {
        let mode = match self.get("mode") {
            None | Some("min") => CacheMode::Min,
            Some("max") => CacheMode::Max,
            Some(other) => return Err(format!("invalid mode `{other}`: use `min` or `max`")),
        };
        let level = self.get("compression-level");
        let number = |text: &str| text.parse().map_err(|_| format!("invalid compression-level `{text}`: use a number"));
        // Layers are always compressed as asked, so there is nothing to force.
        self.flag("force-compression")?;
        for key in ["image-manifest", "oci-mediatypes"] {
            if self.flag(key)? == Some(false) {
                return Err(format!("{key}=false is not supported: caches are OCI image manifests"));
            }
        }
        Ok(CacheOptions {
            mode,
            compression: self.get("compression").map_or(Ok(Encoding::Gzip), Encoding::named)?,
            level: level.map(number).transpose()?,
            ignore_error: self.flag("ignore-error")?.unwrap_or(false),
        })
    }

    fn flag(&self, key: &str) -> Result<Option<bool>, String> {
        match self.get(key) {
            None => Ok(None),
            Some("true" | "1") => Ok(Some(true)),
            Some("false" | "0") => Ok(Some(false)),
            Some(other) => Err(format!("invalid {key} `{other}`: use true or false")),
        }
    }

    fn need(&self, key: &str) -> Result<&str, String> {
        self.get(key).ok_or_else(|| format!("type={} needs {key}=", self.kind))
    }

    fn only(&self, known: &[&str]) -> Result<(), String> {
        match self.pairs.iter().find(|(key, _)| !known.contains(&key.as_str())) {
            Some((key, _)) => Err(format!("unknown option `{key}` for type={}", self.kind)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_match_buildx() {
        let to = |text: &str| CacheTo::parse(text).unwrap();
        let local = CacheTo::Local {
            dest: "d".into(),
            tag: "latest".into(),
            leftovers: Leftovers::Remove,
            options: CacheOptions {
                mode: CacheMode::Max,
                compression: Encoding::Zstd,
                level: Some(9),
                ignore_error: true,
            },
        };
        assert_eq!(
            to("type=local,dest=d,mode=max,compression=zstd,compression-level=9,ignore-error=true,reset=1"),
            local
        );
        assert_eq!(to("type=inline"), CacheTo::Inline);
        assert!(matches!(
            to("h.example/cache:1"),
            CacheTo::Registry { options: CacheOptions { mode: CacheMode::Min, .. }, .. }
        ));
        let names = ["h.example/a,h.example/b:1", "type=local,src=d", ""].map(str::to_owned);
        assert_eq!(CacheFrom::parse_all(&names).unwrap().len(), 3);
        let from = CacheFrom::parse("type=local,src=d").unwrap();
        assert_eq!(from, CacheFrom::Local(LayoutImage { path: "d".into(), tag: None, digest: None }));
        let text = "type=reapi,url=grpcs://cache.example/team,token_file=t,header=X-A=1,header=x-b: 2,ca=a,cert=c,key=k,timeout=2";
        let CacheFrom::Reapi(ReapiCache(server)) = CacheFrom::parse(text).unwrap() else { panic!("another type") };
        assert_eq!(server.address.to_string(), "grpcs://cache.example:443/team");
        assert_eq!(server.headers, [("x-a", "1"), ("x-b", "2")].map(|(name, value)| (name.into(), value.into())));
        assert_eq!(server.identity, Some(("c".into(), "k".into())));
        assert_eq!(server.timeout.as_secs(), 2);
        for (text, named) in [
            ("type=gha", "actions/cache"),
            ("type=azblob", "type=registry"),
            ("type=other", "`other`"),
            ("type=s3,bucket=b,region=r,access_key_id=a,secret_access_key=hidden,colour=red", "`colour`"),
            ("type=reapi", "url="),
            ("type=reapi,url=cache.example", "grpc://HOST:PORT"),
            ("type=reapi,url=grpc://h:1,token=hidden,colour=red", "`colour`"),
            ("type=reapi,url=grpc://h:1,cert=c.pem", "key="),
            ("type=local", "dest="),
            ("type=local,dest=d,image-manifest=false", "image-manifest"),
            ("type=local,dest=d,ignore-error=maybe", "ignore-error"),
            ("type=local,dest=d,colour=red", "`colour`"),
            ("mode=max", "type="),
        ] {
            let message = CacheTo::parse(text).unwrap_err().to_string();
            assert!(message.contains(named) && !message.contains("=hidden"), "{message}");
        }
    }
}

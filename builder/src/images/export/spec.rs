//! Parses `--output` with the options of buildx.

use super::transform::Transform;
use buildscope_oci::{Annotation, Encoding, Level, csv_fields, go_bool};
use std::path::{Path, PathBuf};

/// One `--output`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The type of the output, and its destination.
    pub kind: OutputKind,
    /// The options for the image. `local`, `tar` and `cacheonly` ignore them.
    pub image: ImageOptions,
}

/// The type of an output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutputKind {
    /// `type=oci`: an OCI layout, in a tar or in a directory.
    Oci {
        /// The destination of the layout.
        dest: Destination,
        /// Whether the layout is a tar, which is the default.
        tar: bool,
    },
    /// `type=docker`: an archive for `docker load`.
    Docker {
        /// The destination of the archive. Without one, the image is loaded into the local daemon.
        dest: Option<Destination>,
    },
    /// `type=local`: the files of the image, in a directory.
    Local {
        /// The path of the directory.
        dest: PathBuf,
        /// Whether each platform gets its own directory, if there are several.
        platform_split: bool,
    },
    /// `type=tar`: the files of the image, in a tar.
    Tar {
        /// The destination of the tar.
        dest: Destination,
    },
    /// `type=image`: the image is kept in the store under its names. `type=registry` is the same with `push`.
    Image {
        /// Whether the image is pushed instead.
        push: bool,
    },
    /// `type=cacheonly`: no output is written.
    CacheOnly,
}

impl OutputKind {
    /// Fails if the type cannot hold the images of several platforms.
    ///
    /// # Errors
    /// The reason, as text for the user.
    pub(crate) fn check_platforms(&self, several: bool) -> Result<(), &'static str> {
        match self {
            Self::Docker { .. } if several => {
                Err("type=docker can only contain one platform: build for one, or use type=oci")
            }
            _ => Ok(()),
        }
    }
}

/// The destination of a stream of bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// The standard output: `dest=-`.
    Stdout,
    /// A path: a regular file, a pipe or a device.
    Path(PathBuf),
}

/// The options for writing an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageOptions {
    /// `name=`: names in addition to those in `--tag`.
    pub names: Vec<String>,
    /// `compression=`. `None` is the exporter's default. For files it is `Plain`, since then the store's blobs are
    /// copied as they are. For a registry it is gzip, BuildKit's default.
    pub compression: Option<Encoding>,
    /// `compression-level=`. `None` is the compressor's default.
    pub level: Option<i32>,
    /// `force-compression=`: whether layers of the base image are compressed again if they have another compression.
    pub force: bool,
    /// `rewrite-timestamp=`: whether `SOURCE_DATE_EPOCH` replaces later file times.
    pub rewrite_timestamp: bool,
    /// `oci-mediatypes=`. By default OCI's, as with BuildKit since 0.31.
    pub oci_media_types: Option<bool>,
    /// `push-by-digest=`: whether a push gives the image no tag.
    pub by_digest: bool,
    /// `name-canonical=`: whether the names with the digest are reported, too.
    pub canonical: bool,
    /// `annotation[-LEVEL][PLATFORM].KEY=`, in order.
    pub annotations: Vec<Annotation>,
}

impl ImageOptions {
    /// Fails if an annotation is for an index, but the result has none.
    ///
    /// # Errors
    /// The reason, as text for the user.
    pub(crate) fn check_annotations(&self, has_index: bool) -> Result<(), &'static str> {
        let of_index = |annotation: &Annotation| matches!(annotation.level, Level::Index | Level::IndexDescriptor);
        if !has_index && self.annotations.iter().any(of_index) {
            return Err("the image has no index to annotate: build for several platforms, or with attestations");
        }
        Ok(())
    }

    /// Whether documents have OCI's media types. BuildKit 0.31 and later write them also for `type=docker`.
    pub(crate) fn has_oci_types(&self) -> bool {
        self.oci_media_types.unwrap_or(true)
    }

    /// The transform of a layer, with the compression that is the exporter's default. As in BuildKit, times are not rewritten in the
    /// layers of the base image.
    pub(crate) fn transform(&self, epoch: Option<i64>, of_base: bool, default: Encoding) -> Transform {
        Transform {
            epoch: epoch.filter(|_| self.rewrite_timestamp && !of_base),
            encoding: self.compression.unwrap_or(default),
            level: self.level,
        }
    }
}

/// An invalid value of `--output`.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("--output {text}: {reason}")]
pub struct OutputError {
    /// The value as written.
    pub text: String,
    /// The cause, as text for the user.
    pub reason: String,
}

impl Output {
    /// Parses buildx's syntax: comma-separated `KEY=VALUE` with CSV quoting. A bare path means `type=local`, and `-`
    /// means `type=tar` to the standard output.
    pub fn parse(text: &str) -> Result<Self, OutputError> {
        let failed = |reason: String| OutputError { text: text.to_owned(), reason };
        let fields = csv_fields(text).map_err(&failed)?;
        if let [only] = &fields[..]
            && !only.contains('=')
        {
            let kind = match only.as_str() {
                "" => return Err(failed("it is empty".into())),
                "-" => OutputKind::Tar { dest: Destination::Stdout },
                path => OutputKind::Local { dest: path.into(), platform_split: true },
            };
            return Ok(Self { kind, image: ImageOptions::default() });
        }
        let mut given = Given::default();
        for field in &fields {
            let (key, value) = field.split_once('=').ok_or_else(|| failed(format!("`{field}` is not KEY=VALUE")))?;
            given.take(key.trim(), value).map_err(&failed)?;
        }
        given.output().map_err(failed)
    }

    /// Whether all layers must be in the store. A push sends layers of a base image from where they are.
    pub fn needs_layers(&self) -> bool {
        !matches!(self.kind, OutputKind::Image { push: true } | OutputKind::CacheOnly)
    }

    /// The path that is written, if it is one.
    pub fn path(&self) -> Option<&Path> {
        match &self.kind {
            OutputKind::Oci { dest, .. } | OutputKind::Tar { dest } | OutputKind::Docker { dest: Some(dest) } => {
                match dest {
                    Destination::Path(path) => Some(path),
                    Destination::Stdout => None,
                }
            }
            OutputKind::Local { dest, .. } => Some(dest),
            OutputKind::Docker { dest: None } | OutputKind::Image { .. } | OutputKind::CacheOnly => None,
        }
    }

    /// Whether the output goes to the standard output.
    pub fn writes_to_stdout(&self) -> bool {
        let dest = match &self.kind {
            OutputKind::Oci { dest, .. } | OutputKind::Tar { dest } | OutputKind::Docker { dest: Some(dest) } => dest,
            _ => return false,
        };
        *dest == Destination::Stdout
    }
}

/// The values of the keys, before they are checked against the type.
#[derive(Default)]
struct Given {
    kind: Option<String>,
    dest: Option<String>,
    tar: Option<bool>,
    push: Option<bool>,
    platform_split: Option<bool>,
    store: Option<bool>,
    image: ImageOptions,
}

impl Given {
    fn take(&mut self, key: &str, value: &str) -> Result<(), String> {
        let lower = key.to_ascii_lowercase();
        match lower.as_str() {
            "type" => self.kind = Some(value.to_ascii_lowercase()),
            "dest" | "destination" => self.dest = Some(value.to_owned()),
            "tar" => self.tar = Some(boolean(key, value)?),
            "push" => self.push = Some(boolean(key, value)?),
            "platform-split" => self.platform_split = Some(boolean(key, value)?),
            // Several names can be in one quoted field: `"name=a,b"`.
            "name" => self.image.names.extend(value.split(',').filter(|name| !name.is_empty()).map(str::to_owned)),
            "compression" => self.image.compression = Some(Encoding::named(value)?),
            "compression-level" => {
                let level = value.parse().map_err(|_| format!("invalid compression-level `{value}`: use a number"))?;
                self.image.level = Some(level);
            }
            "force-compression" => self.image.force = boolean(key, value)?,
            "rewrite-timestamp" => self.image.rewrite_timestamp = boolean(key, value)?,
            "oci-mediatypes" => self.image.oci_media_types = Some(boolean(key, value)?),
            "push-by-digest" => self.image.by_digest = boolean(key, value)?,
            "name-canonical" => self.image.canonical = boolean(key, value)?,
            "store" => self.store = Some(boolean(key, value)?),
            _ => self.elsewhere(&lower, key, value)?,
        }
        Ok(())
    }

    /// Takes options that only other builders' stores and daemons need: those that change nothing here, and those that are refused.
    fn elsewhere(&mut self, lower: &str, key: &str, value: &str) -> Result<(), String> {
        let refused = |why: &str| Err(format!("{key}={value} is not supported: {why}"));
        match lower {
            // Images of the store need no unpacking, attestations are always in the index, and no layer is nondistributable.
            "unpack" | "attestation-inline" | "prefer-nondist-layers" => boolean(key, value).map(drop),
            "registry.insecure" if boolean(key, value)? => refused("name the registry with --insecure-registry HOST"),
            "oci-artifact" if boolean(key, value)? => refused("attestations are image manifests"),
            "registry.insecure" | "oci-artifact" => Ok(()),
            "dangling-name-prefix" | "danging-name-empty-only" | "dangling-name-empty-only" => {
                refused("images of the store need no name")
            }
            "context" => refused("the image goes to the daemon at DOCKER_HOST: set that variable"),
            "compatibility-version" if value == "30" => Ok(()),
            "compatibility-version" => refused("images are written as version 30 of BuildKit writes them"),
            "mode" if value == "copy" => Ok(()),
            "mode" if value == "delete" => {
                refused("files of the directory that are not in the image are kept: remove them before")
            }
            _ => self.annotation(key, value),
        }
    }

    /// Parses an annotation. Its key keeps its case.
    fn annotation(&mut self, key: &str, value: &str) -> Result<(), String> {
        let unknown = || format!("unknown option `{key}`");
        self.image.annotations.push(Annotation::of_attribute(key, value).ok_or_else(unknown)??);
        Ok(())
    }

    fn output(self) -> Result<Output, String> {
        let kind = self.kind.as_deref().ok_or("`type=` is missing")?;
        let path = |dest: &Option<String>| dest.clone().ok_or_else(|| format!("type={kind} needs dest="));
        let stream = |dest: String| match dest.as_str() {
            "-" => Destination::Stdout,
            path => Destination::Path(path.into()),
        };
        // As with buildx, a file without a name is the standard output.
        let file = |dest: &Option<String>| dest.clone().map_or(Destination::Stdout, stream);
        let only = |given: bool, key: &str| {
            if given { Err(format!("`{key}=` has no meaning for type={kind}")) } else { Ok(()) }
        };
        if kind == "docker" && self.tar == Some(false) {
            return Err("tar=false is not supported: type=oci,tar=false writes a directory".into());
        }
        only(self.tar.is_some() && !matches!(kind, "oci" | "docker"), "tar")?;
        only(self.push.is_some() && !matches!(kind, "image" | "registry"), "push")?;
        only(self.platform_split.is_some() && kind != "local", "platform-split")?;
        only(self.dest.is_some() && matches!(kind, "image" | "registry" | "cacheonly"), "dest")?;
        let kind = match kind {
            "oci" => {
                let (dest, tar) = (file(&self.dest), self.tar.unwrap_or(true));
                if !tar && self.dest.is_none() {
                    return Err("tar=false needs dest=, a directory".into());
                }
                if !tar && dest == Destination::Stdout {
                    return Err("a directory cannot go to the standard output".into());
                }
                OutputKind::Oci { dest, tar }
            }
            "docker" => OutputKind::Docker { dest: self.dest.map(stream) },
            "local" => {
                let dest = path(&self.dest)?;
                if dest == "-" {
                    return Err("a directory cannot go to the standard output; type=tar can".into());
                }
                OutputKind::Local { dest: dest.into(), platform_split: self.platform_split.unwrap_or(true) }
            }
            "tar" => OutputKind::Tar { dest: file(&self.dest) },
            "image" if self.store == Some(false) && self.push != Some(true) => OutputKind::CacheOnly,
            "image" => OutputKind::Image { push: self.push.unwrap_or(false) },
            "registry" => OutputKind::Image { push: self.push.unwrap_or(true) },
            "cacheonly" => OutputKind::CacheOnly,
            other => {
                return Err(format!(
                    "unknown type `{other}`: use oci, docker, local, tar, image, registry or cacheonly"
                ));
            }
        };
        Ok(Output { kind, image: self.image })
    }
}

/// Parses a boolean as buildx does.
fn boolean(key: &str, value: &str) -> Result<bool, String> {
    go_bool(value).ok_or_else(|| format!("invalid {key} `{value}`: use true or false"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str) -> OutputKind {
        Output::parse(text).unwrap().kind
    }

    #[test]
    fn types_match_buildx() {
        let file = || Destination::Path("out.tar".into());
        assert_eq!(kind("type=oci,dest=out.tar"), OutputKind::Oci { dest: file(), tar: true });
        assert_eq!(
            kind("type=oci,dest=d,tar=false"),
            OutputKind::Oci { dest: Destination::Path("d".into()), tar: false }
        );
        assert_eq!(kind("type=docker,dest=out.tar"), OutputKind::Docker { dest: Some(file()) });
        assert_eq!(kind("type=docker"), OutputKind::Docker { dest: None });
        assert_eq!(kind("out"), OutputKind::Local { dest: "out".into(), platform_split: true });
        assert_eq!(kind("-"), OutputKind::Tar { dest: Destination::Stdout });
        let streams = |text: &str| Output::parse(text).unwrap().writes_to_stdout();
        assert!(["-", "type=oci,dest=-", "type=docker,dest=-", "type=oci", "type=tar"].into_iter().all(streams));
        assert!(!["out", "type=docker", "type=oci,dest=-x"].into_iter().any(streams));
        assert_eq!(kind("type=tar,dest=-"), OutputKind::Tar { dest: Destination::Stdout });
        assert_eq!(kind("type=registry"), OutputKind::Image { push: true });
        assert_eq!(kind("type=image,push=true"), OutputKind::Image { push: true });
        assert_eq!(kind("type=image"), OutputKind::Image { push: false });
    }

    #[test]
    fn options_may_be_quoted() {
        let text = r#"type=image,"name=a,b",compression=zstd,compression-level=3,force-compression=1,annotation.Key="#;
        let image = Output::parse(&format!("{text}v")).unwrap().image;
        assert_eq!(image.names, ["a", "b"]);
        assert_eq!((image.compression, image.level, image.force), (Some(Encoding::Zstd), Some(3), true));
        assert_eq!((&*image.annotations[0].key, &*image.annotations[0].value), ("Key", "v"));
    }

    #[test]
    fn options_of_pushes_and_stores_are_known() {
        let output =
            Output::parse("type=image,name=h.example/a,push=true,push-by-digest=true,name-canonical=true,unpack=false")
                .unwrap();
        assert_eq!(output.kind, OutputKind::Image { push: true });
        assert!(output.image.by_digest && output.image.canonical);
        assert_eq!(kind("type=image,store=false"), OutputKind::CacheOnly);
        assert_eq!(kind("type=local,dest=d,mode=copy"), kind("d"));
        for (text, named) in [
            ("type=image,push=true,registry.insecure=true", "--insecure-registry"),
            ("type=image,oci-artifact=true", "oci-artifact"),
            ("type=image,compatibility-version=20", "version 30"),
            ("type=local,dest=d,mode=delete", "remove them"),
            ("type=image,unpack=maybe", "`maybe`"),
        ] {
            let message = Output::parse(text).unwrap_err().to_string();
            assert!(message.contains(named), "{text}: {message}");
        }
    }

    #[test]
    fn invalid_outputs_are_errors_with_the_reason() {
        for (text, named) in [
            ("", "empty"),
            ("type=oci,tar=false", "dest="),
            ("type=local", "dest="),
            ("type=docker,dest=d,tar=false", "type=oci,tar=false"),
            ("type=docker,context=remote", "DOCKER_HOST"),
            ("type=nonsense", "`nonsense`"),
            ("dest=x", "type="),
            ("type=oci,dest=x,colour=red", "`colour`"),
            ("type=oci,dest=x,tar=maybe", "`maybe`"),
            ("type=oci,dest=x,compression=estargz", "estargz"),
            ("type=local,dest=-", "standard output"),
            ("type=tar,dest=x,push=true", "push="),
            (r#"type=oci,"dest=x"#, "not closed"),
        ] {
            let message = Output::parse(text).unwrap_err().to_string();
            assert!(message.contains(named), "{text}: {message}");
        }
    }
}

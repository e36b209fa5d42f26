//! Checks an image against the expectations of its workload. Every measured build is checked: a fast build of the
//! wrong image is worthless.

use buildscope_oci::ImageConfig;
use buildscope_record::Digest;
use buildscope_workloads::{Expect, ExpectedFile, ExpectedImage};
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

/// An image as a container sees it: its configuration and the merged files of all its layers.
#[derive(Debug)]
pub struct Image {
    config: ImageConfig,
    files: BTreeMap<PathBuf, ImageFile>,
}

/// A path of an image.
#[derive(Clone, Debug)]
struct ImageFile {
    kind: tar::EntryType,
    mode: u32,
    owner: (u64, u64),
    size: u64,
    digest: Digest,
    /// The beginning of the content, for `contains`.
    head: Vec<u8>,
}

/// The number of bytes of a file that `contains` searches.
const HEAD: usize = 1 << 20;

/// The needed fields of an OCI descriptor.
#[derive(Debug, Deserialize)]
struct Descriptor {
    digest: Digest,
}

#[derive(Debug, Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

#[derive(Debug, Deserialize)]
struct ImageManifest {
    config: Descriptor,
    layers: Vec<Descriptor>,
}

/// An entry of `manifest.json` in the output of `docker save`. Its values are paths in the archive.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerImage {
    config: PathBuf,
    layers: Vec<PathBuf>,
}

impl Image {
    /// Reads an OCI archive (an image layout in a tar file) or the output of `docker save`, with plain or gzip
    /// layers.
    ///
    /// # Errors
    /// Fails if the archive is unreadable or has neither format.
    pub fn read(archive: &Path) -> io::Result<Self> {
        let blobs = Blobs::find(archive)?;
        let (config, layers) = if blobs.has("index.json") { blobs.oci()? } else { blobs.docker()? };
        let config = serde_json::from_slice(&blobs.read(&config)?)?;
        let mut files = BTreeMap::new();
        for layer in &layers {
            apply(&mut files, blobs.open(layer)?)?;
        }
        Ok(Self { config, files })
    }
}

fn blob(descriptor: &Descriptor) -> PathBuf {
    Path::new("blobs/sha256").join(descriptor.digest.hex())
}

/// The positions of the files in an archive. Blobs can be read in any order without unpacking.
struct Blobs<'a> {
    archive: &'a Path,
    positions: HashMap<PathBuf, (u64, u64)>,
}

impl<'a> Blobs<'a> {
    fn find(archive: &'a Path) -> io::Result<Self> {
        let mut positions = HashMap::new();
        for entry in tar::Archive::new(File::open(archive)?).entries_with_seek()? {
            let entry = entry?;
            positions.insert(plain(&entry.path()?), (entry.raw_file_position(), entry.size()));
        }
        Ok(Self { archive, positions })
    }

    fn has(&self, path: &str) -> bool {
        self.positions.contains_key(Path::new(path))
    }

    /// The paths of the configuration and of the layers of the first image, lowest layer first.
    fn oci(&self) -> io::Result<(PathBuf, Vec<PathBuf>)> {
        let index: Index = serde_json::from_slice(&self.read(Path::new("index.json"))?)?;
        let manifest = index.manifests.first().ok_or_else(|| io::Error::other("the image index is empty"))?;
        let manifest: ImageManifest = serde_json::from_slice(&self.read(&blob(manifest))?)?;
        Ok((blob(&manifest.config), manifest.layers.iter().map(blob).collect()))
    }

    /// Like `oci`, for the format of `docker save`.
    fn docker(&self) -> io::Result<(PathBuf, Vec<PathBuf>)> {
        let images: Vec<DockerImage> = serde_json::from_slice(&self.read(Path::new("manifest.json"))?)?;
        let image = images.into_iter().next().ok_or_else(|| io::Error::other("manifest.json is empty"))?;
        Ok((image.config, image.layers))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Read>> {
        use std::io::{BufReader, Seek, SeekFrom};
        let &(start, size) = self
            .positions
            .get(path)
            .ok_or_else(|| io::Error::other(format!("the archive lacks {}", path.display())))?;
        let mut file = File::open(self.archive)?;
        file.seek(SeekFrom::Start(start))?;
        let mut magic = [0; 2];
        let peeked = Read::by_ref(&mut file).take(size).read(&mut magic)?;
        file.seek(SeekFrom::Start(start))?;
        let bytes = BufReader::with_capacity(1 << 18, file.take(size));
        // RFC 1952: a gzip member starts with 1f 8b.
        Ok(if peeked == 2 && magic == [0x1f, 0x8b] {
            Box::new(flate2::bufread::MultiGzDecoder::new(bytes))
        } else {
            Box::new(bytes)
        })
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        self.open(path)?.read_to_end(&mut content)?;
        Ok(content)
    }
}

/// Removes a leading `/` or `./`.
fn plain(path: &Path) -> PathBuf {
    path.components().filter(|part| matches!(part, Component::Normal(_))).collect()
}

/// Applies a layer with its whiteouts to the files below it (OCI image specification, "Layer").
fn apply(files: &mut BTreeMap<PathBuf, ImageFile>, layer: impl Read) -> io::Result<()> {
    let mut added = BTreeMap::new();
    let mut archive = tar::Archive::new(layer);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = plain(&entry.path()?);
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let parent = path.parent().unwrap_or(Path::new("")).to_owned();
        if name == ".wh..wh..opq" {
            files.retain(|below, _| below == &parent || !below.starts_with(&parent));
            continue;
        }
        if let Some(hidden) = name.strip_prefix(".wh.") {
            let hidden = parent.join(hidden);
            files.retain(|below, _| !below.starts_with(&hidden));
            continue;
        }
        let header = entry.header();
        let (kind, mode, owner) = (header.entry_type(), header.mode()? & 0o7777, (header.uid()?, header.gid()?));
        if kind == tar::EntryType::Link
            && let Some(target) = entry.link_name()?
        {
            let target = plain(&target);
            if let Some(found) = added.get(&target).or_else(|| files.get(&target)).cloned() {
                added.insert(path, found);
            }
            continue;
        }
        let mut content = Vec::new();
        if kind.is_file() {
            entry.read_to_end(&mut content)?;
        }
        let (size, digest) = (content.len() as u64, Digest::of(&content));
        content.truncate(HEAD);
        if !kind.is_dir() {
            files.retain(|below, _| !below.starts_with(&path));
        }
        added.insert(path, ImageFile { kind, mode, owner, size, digest, head: content });
    }
    files.extend(added);
    Ok(())
}

/// Returns one sentence per difference from the expectations; empty if there are none.
pub fn check_image(image: &Image, expect: &Expect) -> Vec<String> {
    let mut faults = Vec::new();
    for (path, expected) in &expect.files {
        match image.files.get(&plain(Path::new(path))) {
            None => faults.push(format!("{path} is missing")),
            Some(found) => check_file(path, found, expected, image, &mut faults),
        }
    }
    let there = expect.absent.iter().filter(|path| image.files.contains_key(&plain(Path::new(path))));
    faults.extend(there.map(|path| format!("{path} should not be there")));
    check_config(&image.config, &expect.image, &mut faults);
    faults
}

fn check_file(path: &str, found: &ImageFile, expected: &ExpectedFile, image: &Image, faults: &mut Vec<String>) {
    let mut differs = |what: &str, is: String, should: String| {
        if is != should {
            faults.push(format!("{path} has {what} {is}, not {should}"));
        }
    };
    if let Some(digest) = expected.digest {
        differs("digest", found.digest.to_string(), digest.to_string());
    }
    if let Some(size) = expected.size {
        differs("size", found.size.to_string(), size.to_string());
    }
    if let Some(mode) = &expected.mode {
        differs("mode", format!("{:04o}", found.mode), format!("{mode:0>4}"));
    }
    if let Some(owner) = &expected.owner {
        differs("owner", format!("{}:{}", found.owner.0, found.owner.1), owner.clone());
    }
    if let Some(number) = expected.files_below {
        let root = plain(Path::new(path));
        let below = image.files.iter().filter(|(below, file)| below.starts_with(&root) && file.kind.is_file());
        differs("files below it", below.count().to_string(), number.to_string());
    }
    if let Some(text) = &expected.contains
        && !String::from_utf8_lossy(&found.head).contains(text.as_str())
    {
        faults.push(format!("{path} does not contain `{text}`"));
    }
}

fn check_config(config: &ImageConfig, expected: &ExpectedImage, faults: &mut Vec<String>) {
    let layers = config.rootfs.diff_ids.len();
    if let Some(should) = expected.layers.filter(|&should| should != layers) {
        faults.push(format!("the image has {layers} layers, not {should}"));
    }
    if let Some(should) = &expected.cmd
        && config.config.cmd.as_ref() != Some(should)
    {
        faults.push(format!("CMD is {:?}, not {should:?}", config.config.cmd.as_deref().unwrap_or_default()));
    }
    for (name, value) in &expected.labels {
        if config.config.labels.get(name) != Some(value) {
            faults.push(format!("label {name} is {:?}, not {value:?}", config.config.labels.get(name)));
        }
    }
    let missing = expected.env.iter().filter(|entry| !config.config.env.contains(entry));
    faults.extend(missing.map(|entry| format!("{entry} is missing from the environment")));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(entries: &[(&str, &str)]) -> Vec<u8> {
        let mut archive = tar::Builder::new(Vec::new());
        for (path, content) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_mode(0o644);
            header.set_uid(0);
            header.set_gid(0);
            header.set_size(content.len() as u64);
            archive.append_data(&mut header, path, content.as_bytes()).unwrap();
        }
        archive.into_inner().unwrap()
    }

    fn image(layers: &[Vec<u8>]) -> Image {
        let mut files = BTreeMap::new();
        layers.iter().for_each(|layer| apply(&mut files, &layer[..]).unwrap());
        Image { config: ImageConfig::default(), files }
    }

    #[test]
    fn whiteouts_remove_lower_files() {
        let below = layer(&[("a/x", "1"), ("a/y", "2"), ("b", "3"), ("c/z", "4")]);
        let above = layer(&[("a/.wh.x", ""), (".wh.b", ""), ("c/.wh..wh..opq", ""), ("c/new", "5")]);
        let files: Vec<_> = image(&[below, above]).files.into_keys().collect();
        assert_eq!(files, [Path::new("a/y"), Path::new("c/new")]);
    }

    #[test]
    fn every_difference_is_reported() {
        let image = image(&[layer(&[("d/x", "hello"), ("d/y", "")])]);
        let expect: Expect = toml_expect(
            r#"{"files": {"/d/x": {"digest": "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
                "size": 6, "mode": "755", "owner": "0:0", "contains": "help"}, "/gone": {}, "/d/y": {"size": 0}},
                "absent": ["/d/y"], "image": {"layers": 2}}"#,
        );
        assert_eq!(
            check_image(&image, &expect),
            [
                "/d/x has size 5, not 6",
                "/d/x has mode 0644, not 0755",
                "/d/x does not contain `help`",
                "/gone is missing",
                "/d/y should not be there",
                "the image has 0 layers, not 2"
            ]
        );
    }

    fn toml_expect(json: &str) -> Expect {
        serde_json::from_str(json).unwrap()
    }
}

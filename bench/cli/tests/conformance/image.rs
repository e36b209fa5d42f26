//! An image in the form that is compared: its configuration, and the tree that results from its layers.
//!
//! Layers are read with the `tar` crate, so that an error of the builder's own reader cannot hide an error of its
//! writer.

use buildscope_record::Digest;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::path::{Component, Path, PathBuf};

/// The attributes of a path. Hard links share the inode number.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) attributes: Map<String, Value>,
    inode: usize,
}

pub(crate) type Tree = BTreeMap<String, Node>;

pub(crate) struct Image {
    pub(crate) config: Value,
    /// The number of layers, and of layers that change the tree.
    pub(crate) layers: (usize, usize),
    pub(crate) history: Vec<Value>,
    pub(crate) tree: Tree,
}

/// Mount points of a step, which layers do not describe.
const IGNORED: [&str; 8] =
    ["/dev", "/proc", "/sys", "/etc/resolv.conf", "/etc/hosts", "/etc/hostname", "/.dockerenv", "/run/.containerenv"];

fn ignored(path: &str) -> bool {
    path == "/" || IGNORED.iter().any(|other| path == *other || path.starts_with(&format!("{other}/")))
}

impl Image {
    pub(crate) fn read_folder(layout: &Path) -> Self {
        Self::read(|name| std::fs::read(layout.join(name)).unwrap())
    }

    pub(crate) fn read_archive(archive: &Path) -> Self {
        let mut files = HashMap::new();
        let mut archive = tar::Archive::new(std::fs::File::open(archive).unwrap());
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let name = entry.path().unwrap().display().to_string();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            files.insert(name, bytes);
        }
        Self::read(|name| files.get(name).unwrap_or_else(|| panic!("{name} is missing")).clone())
    }

    /// Reads the only image of an OCI layout and verifies the size and digest of each blob.
    fn read(file: impl Fn(&str) -> Vec<u8>) -> Self {
        let blob = |descriptor: &Value| {
            let digest: Digest = descriptor["digest"].as_str().unwrap().parse().unwrap();
            let bytes = file(&format!("blobs/sha256/{}", digest.hex()));
            assert_eq!((Digest::of(&bytes), json!(bytes.len())), (digest, descriptor["size"].clone()));
            bytes
        };
        let json = |bytes: Vec<u8>| serde_json::from_slice::<Value>(&bytes).unwrap();
        let mut document = json(file("index.json"));
        while let Some(manifests) = document["manifests"].as_array() {
            let image = manifests.iter().find(|manifest| manifest["platform"]["os"] != "unknown").unwrap();
            document = json(blob(image));
        }
        let config = json(blob(&document["config"]));
        let ids = config["rootfs"]["diff_ids"].as_array().unwrap();
        let layers = document["layers"].as_array().unwrap();
        assert_eq!(ids.len(), layers.len());
        let mut build = TreeBuilder::default();
        let mut changing = 0;
        for (layer, id) in layers.iter().zip(ids) {
            let bytes = decompressed(blob(layer));
            assert_eq!(Digest::of(&bytes).to_string(), id.as_str().unwrap(), "a layer and its diff id");
            changing += usize::from(build.apply(&bytes));
        }
        let history = config["history"].as_array().cloned().unwrap_or_default();
        Self {
            layers: (layers.len(), changing),
            history: history.iter().map(|entry| json!([entry["created_by"], entry["empty_layer"] == true])).collect(),
            tree: build.finish(),
            config: config["config"].clone(),
        }
    }
}

fn decompressed(bytes: Vec<u8>) -> Vec<u8> {
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return bytes;
    }
    let mut plain = Vec::new();
    flate2::read::MultiGzDecoder::new(bytes.as_slice()).read_to_end(&mut plain).unwrap();
    plain
}

#[derive(Default)]
struct TreeBuilder {
    nodes: Tree,
    inodes: usize,
}

impl TreeBuilder {
    fn drop_below(&mut self, path: &str) -> Vec<String> {
        let prefix = format!("{}/", path.trim_end_matches('/'));
        let below: Vec<String> = self.nodes.keys().filter(|other| other.starts_with(&prefix)).cloned().collect();
        below.iter().for_each(|path| drop(self.nodes.remove(path)));
        below
    }

    /// Applies a layer: first its removals, then its additions. Returns whether anything relevant has changed.
    fn apply(&mut self, layer: &[u8]) -> bool {
        let entries = entries(layer);
        let mut changed = false;
        for (path, _) in &entries {
            let (folder, name) = path.rsplit_once('/').unwrap();
            if name == ".wh..wh..opq" {
                changed |= self.drop_below(folder).iter().any(|path| !ignored(path));
            } else if let Some(hidden) = name.strip_prefix(".wh.") {
                let path = format!("{folder}/{hidden}");
                let below = self.drop_below(&path);
                changed |= (self.nodes.remove(&path).is_some() || !below.is_empty()) && !ignored(&path);
            }
        }
        for (path, attributes) in entries {
            if path != "/" && !path.rsplit_once('/').unwrap().1.starts_with(".wh.") {
                changed |= self.add(&path, attributes);
            }
        }
        changed
    }

    fn add(&mut self, path: &str, attributes: Map<String, Value>) -> bool {
        let mut changed = false;
        let mut parent = path;
        while let Some((above, _)) = parent.rsplit_once('/').filter(|(above, _)| !above.is_empty()) {
            parent = above;
            if !self.nodes.contains_key(parent) {
                let made = json!({ "type": "dir", "mode": "0755" }).as_object().unwrap().clone();
                self.inodes += 1;
                self.nodes.insert(parent.to_owned(), Node { attributes: made, inode: self.inodes });
                changed |= !ignored(parent);
            }
            assert_eq!(self.nodes[parent].attributes["type"], "dir", "{path} is below a file");
        }
        let old = self.nodes.get(path).cloned();
        let node = if attributes["type"] == "hardlink" {
            let target = attributes["link"].as_str().unwrap();
            self.nodes.get(target).unwrap_or_else(|| panic!("{path} is a link to {target}, which is missing")).clone()
        } else {
            self.inodes += 1;
            Node { attributes, inode: self.inodes }
        };
        if old.as_ref().is_some_and(|old| old.attributes["type"] == "dir") && node.attributes["type"] != "dir" {
            self.drop_below(path);
        }
        let counted = |node: &Node| {
            let mut counted = node.attributes.clone();
            if counted["type"] == "dir" {
                counted.remove("mtime");
            }
            counted
        };
        if !ignored(path) {
            changed |= old.is_none_or(|old| counted(&old) != counted(&node));
        }
        self.nodes.insert(path.to_owned(), node);
        changed
    }

    /// The relevant paths. Further names of a file refer to the first one in `hard`.
    fn finish(mut self) -> Tree {
        let mut first: HashMap<usize, (String, usize)> = HashMap::new();
        for (path, node) in &self.nodes {
            first.entry(node.inode).or_insert_with(|| (path.clone(), 0)).1 += 1;
        }
        self.nodes.retain(|path, _| !ignored(path));
        for node in self.nodes.values_mut() {
            if let Some((path, 2..)) = first.get(&node.inode) {
                node.attributes.insert("hard".to_owned(), json!(path));
            }
        }
        self.nodes
    }
}

/// Each path of a layer, from the root, with its attributes in the form of the goldens.
fn entries(layer: &[u8]) -> Vec<(String, Map<String, Value>)> {
    let mut archive = tar::Archive::new(layer);
    let mut found = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = rooted(&entry.path().unwrap());
        let header = entry.header().clone();
        let mut times = header.mtime().unwrap().cast_signed();
        let mut xattrs = Map::new();
        for record in entry.pax_extensions().unwrap().into_iter().flatten() {
            let record = record.unwrap();
            let (name, value) = (record.key().unwrap(), record.value_bytes());
            if name == "mtime" {
                let text = std::str::from_utf8(value).unwrap();
                times = text.split('.').next().unwrap().parse().unwrap();
            } else if let Some(name) = name.strip_prefix("SCHILY.xattr.") {
                let printable = value.iter().all(|byte| (b' '..=b'~').contains(byte));
                let text = match std::str::from_utf8(value) {
                    Ok(text) if printable => text.to_owned(),
                    _ => format!("hex:{}", value.iter().map(|byte| format!("{byte:02x}")).collect::<String>()),
                };
                if name.starts_with("user.") || name == "security.capability" {
                    xattrs.insert(name.to_owned(), json!(text));
                }
            }
        }
        let mut attributes = Map::new();
        let mut set = |name: &str, value: Value| drop(attributes.insert(name.to_owned(), value));
        let link = || entry.link_name().unwrap().unwrap().into_owned();
        let mut mode = header.mode().unwrap() & 0o7777;
        let kind = match header.entry_type() {
            tar::EntryType::Directory => "dir",
            tar::EntryType::Symlink => {
                mode = 0o777;
                set("link", json!(link().to_str().unwrap()));
                "symlink"
            }
            tar::EntryType::Link => {
                set("link", json!(rooted(&link())));
                "hardlink"
            }
            tar::EntryType::Fifo => "fifo",
            kind @ (tar::EntryType::Char | tar::EntryType::Block) => {
                let [major, minor] =
                    [header.device_major(), header.device_minor()].map(|number| number.unwrap().unwrap());
                set("dev", json!(format!("{major}:{minor}")));
                if kind == tar::EntryType::Char { "char" } else { "block" }
            }
            _ => "file",
        };
        set("type", json!(kind));
        set("mode", json!(format!("{mode:04o}")));
        set("mtime", json!(times));
        for (name, id) in [("uid", header.uid().unwrap()), ("gid", header.gid().unwrap())] {
            if id != 0 {
                set(name, json!(id));
            }
        }
        if !xattrs.is_empty() {
            set("xattrs", Value::Object(xattrs));
        }
        if kind == "file" {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            attributes.insert("size".to_owned(), json!(bytes.len()));
            attributes.insert("sha256".to_owned(), json!(Digest::of(&bytes).hex()));
        }
        found.push((path, attributes));
    }
    found
}

/// A path of a tar from the root, without `.` and `..`.
fn rooted(path: &Path) -> String {
    let mut clean = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => drop(clean.pop()),
            _ => {}
        }
    }
    clean.to_str().unwrap().to_owned()
}

//! A build case: its context on disk, and the command that builds it.

use crate::{bases, compare, image};
use base64::Engine;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A case with BuildKit's result.
pub(crate) struct Case {
    case: Value,
    golden: Value,
}

impl Case {
    pub(crate) fn read(home: &Path, name: &str) -> Self {
        let read = |folder: &str| {
            let text = fs::read_to_string(home.join(folder).join(format!("{name}.json"))).unwrap();
            serde_json::from_str(&text).unwrap()
        };
        Self { case: read("cases"), golden: read("goldens") }
    }

    /// Builds the case under the driver and returns the differences from BuildKit's result.
    pub(crate) fn differences(&self, driver: &str, store: &Path) -> Vec<String> {
        let scratch = tempfile::tempdir().unwrap();
        let (context, archive) = (scratch.path().join("context"), scratch.path().join("image.tar"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_buildscope"));
        command.args(["build", "--progress", "plain", "--driver", driver, "--root"]).arg(store);
        command.env_remove("SOURCE_DATE_EPOCH").env_remove("BUILDSCOPE_ROOT");
        let dockerfile = self.materialise(&context, &mut command);
        for (reference, base) in self.case["bases"].as_object().into_iter().flatten() {
            let base = base.as_str().unwrap();
            let layout = scratch.path().join("bases").join(base);
            bases::write(base, &layout);
            command.arg("--build-context").arg(format!("{reference}=oci-layout://{}", layout.display()));
        }
        command.arg("--file").arg(dockerfile).arg("--output").arg(format!("type=oci,dest={}", archive.display()));
        let run = command.arg(&context).stdin(Stdio::null()).output().unwrap();
        let printed = String::from_utf8_lossy(&run.stderr).into_owned();

        let expected = &self.golden["buildkit"];
        match (run.status.success(), expected["ok"] == true) {
            (true, true) => {
                // The golden's tree is a difference from this base, which need not be the one of the Dockerfile.
                let base = self.golden["base"].as_str().map(|name| {
                    let layout = scratch.path().join("golden");
                    bases::write(name, &layout);
                    image::Image::read_folder(&layout).tree
                });
                let found = image::Image::read_archive(&archive);
                compare::differences(&self.case, expected, base.as_ref(), &found)
            }
            (false, false) => self.unmentioned(run.status.code(), &printed),
            (true, false) => vec!["the build succeeds; BuildKit's fails".to_owned()],
            (false, true) => vec![format!("the build fails: {printed}")],
        }
    }

    /// Checks the exit code and the message of a failing build.
    fn unmentioned(&self, code: Option<i32>, printed: &str) -> Vec<String> {
        let Some(pattern) = self.case["mustMention"].as_str() else { return Vec::new() };
        let pattern = regex::RegexBuilder::new(pattern).case_insensitive(true).build().unwrap();
        // The message is wrapped, which may break lines within words of the pattern.
        let unbroken: String = printed.split_whitespace().collect::<Vec<_>>().join(" ");
        if code == Some(1) && (pattern.is_match(printed) || pattern.is_match(&unbroken)) {
            return Vec::new();
        }
        vec![format!("exit code {code:?}; the message does not match {pattern}: {printed}")]
    }

    /// Writes the context and adds the case's options to the command. Returns the path of the Dockerfile.
    fn materialise(&self, context: &Path, command: &mut Command) -> PathBuf {
        let case = &self.case;
        let mtime = case["mtime"].as_i64().unwrap();
        make_directory(context, 0o755);
        apply(context, &case["context"]["ops"]);
        let dockerfile = context.join(case["dockerfile"].as_str().unwrap());
        fs::create_dir_all(dockerfile.parent().unwrap()).unwrap();
        write(&dockerfile, case["text"].as_str().unwrap().as_bytes(), 0o644);
        stamp(context, mtime);
        let entries = |field: &str| case[field].as_object().cloned().into_iter().flatten();
        for (name, value) in entries("buildArgs") {
            let argument = value.as_str().map_or_else(|| name.clone(), |value| format!("{name}={value}"));
            command.args(["--build-arg", &argument]);
        }
        if let Some(target) = case["target"].as_str() {
            command.args(["--target", target]);
        }
        for (name, secret) in entries("secrets") {
            let path = context.with_extension(format!("secret-{name}"));
            fs::write(&path, secret.as_str().unwrap()).unwrap();
            command.arg("--secret").arg(format!("id={name},src={}", path.display()));
        }
        for (name, operations) in entries("contexts") {
            let folder = context.with_extension(format!("named-{name}"));
            make_directory(&folder, 0o755);
            apply(&folder, &operations);
            stamp(&folder, mtime);
            command.arg("--build-context").arg(format!("{name}={}", folder.display()));
        }
        dockerfile
    }
}

/// Performs the operations that create a context.
fn apply(root: &Path, operations: &Value) {
    for operation in operations.as_array().into_iter().flatten() {
        let text = |field: &str| operation[field].as_str();
        let mode = |default: u32| text("mode").map_or(default, |mode| u32::from_str_radix(mode, 8).unwrap());
        let path = root.join(text("path").unwrap());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match text("op").unwrap() {
            "mkdir" => make_directory(&path, mode(0o755)),
            "write" => {
                let bytes = match text("b64") {
                    Some(encoded) => base64::engine::general_purpose::STANDARD.decode(encoded).unwrap(),
                    None => text("content").unwrap_or_default().as_bytes().to_vec(),
                };
                write(&path, &bytes, mode(0o644));
                if let Some(size) = operation["size"].as_u64() {
                    fs::File::options().write(true).open(&path).unwrap().set_len(size).unwrap();
                }
            }
            "symlink" => symlink(text("target").unwrap(), &path).unwrap(),
            "hardlink" => fs::hard_link(root.join(text("target").unwrap()), &path).unwrap(),
            "tar" => write(&path, &archive(&operation["entries"]), 0o644),
            other => panic!("unknown operation {other}"),
        }
    }
}

/// A tar of regular files with their PAX records.
fn archive(entries: &Value) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for entry in entries.as_array().unwrap() {
        let text = |field: &str| entry[field].as_str();
        let mut records: Vec<(String, Vec<u8>)> = Vec::new();
        for (name, value) in entry["pax"].as_object().into_iter().flatten() {
            records.push((name.clone(), value.as_str().unwrap().into()));
        }
        for (name, value) in entry["paxHex"].as_object().into_iter().flatten() {
            let digits = value.as_str().unwrap().as_bytes();
            let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
            records.push((name.clone(), digits.chunks(2).map(byte).collect()));
        }
        archive.append_pax_extensions(records.iter().map(|(name, value)| (name.as_str(), value.as_slice()))).unwrap();
        let (kind, content) = match text("type").unwrap_or("file") {
            "file" => (tar::EntryType::Regular, text("content").unwrap_or_default()),
            "dir" => (tar::EntryType::Directory, ""),
            "symlink" => (tar::EntryType::Symlink, ""),
            "hardlink" => (tar::EntryType::Link, ""),
            other => panic!("unknown type {other}"),
        };
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(text("mode").map_or(0o644, |mode| u32::from_str_radix(mode, 8).unwrap()));
        header.set_uid(entry["uid"].as_u64().unwrap_or(0));
        header.set_gid(entry["gid"].as_u64().unwrap_or(0));
        header.set_mtime(entry["mtime"].as_u64().unwrap_or(1_485_449_953));
        header.set_size(content.len() as u64);
        if let Some(target) = text("target") {
            header.set_link_name(target).unwrap();
        }
        archive.append_data(&mut header, text("name").unwrap(), content.as_bytes()).unwrap();
    }
    archive.into_inner().unwrap()
}

/// Sets the time of everything below a directory, symbolic links included.
fn stamp(path: &Path, mtime: i64) {
    if fs::symlink_metadata(path).unwrap().is_dir() {
        fs::read_dir(path).unwrap().for_each(|entry| stamp(&entry.unwrap().path(), mtime));
    }
    let time = Timespec { tv_sec: mtime, tv_nsec: 0 };
    let times = Timestamps { last_access: time, last_modification: time };
    rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

fn make_directory(path: &Path, mode: u32) {
    fs::create_dir_all(path).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn write(path: &Path, bytes: &[u8], mode: u32) {
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

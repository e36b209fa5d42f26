//! Actions: a command with its input files, as the blobs that describe it.

use super::messages::command::EnvironmentVariable;
use super::messages::platform::Property;
use super::messages::{self, Command, Digest, Directory, DirectoryNode, FileNode, Platform};
use super::{Blob, Upload};
use bazel_remote_apis::google::protobuf;
use std::collections::BTreeMap;
use std::time::Duration;

/// A command to execute.
#[derive(Clone, Debug, Default)]
pub struct Action {
    /// The program and its arguments. A program with a slash is relative to the input root.
    pub arguments: Vec<String>,
    /// The environment, as pairs (name, value).
    pub environment: Vec<(String, String)>,
    /// The input files.
    pub inputs: Vec<Input>,
    /// The paths of the output files, relative to the input root.
    pub outputs: Vec<String>,
    /// The required properties of the worker, as pairs (name, value).
    pub properties: Vec<(String, String)>,
    /// The time limit of the execution.
    pub timeout: Option<Duration>,
}

/// An input file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// The path, relative to the input root.
    pub path: String,
    /// The content.
    pub blob: Blob,
    /// Whether it can be executed.
    pub executable: bool,
}

/// An action as blobs.
#[derive(Clone, Debug)]
pub struct PreparedAction {
    /// The digest of the action, which is its key in the action cache.
    pub digest: Blob,
    /// The action, its command and its directories. The input files are not among them.
    pub uploads: Vec<Upload>,
}

/// A directory of the input root.
#[derive(Default)]
struct Folder {
    files: BTreeMap<String, (Blob, bool)>,
    folders: BTreeMap<String, Folder>,
}

impl Action {
    /// The messages of the action. REAPI asks for sorted fields, so that equal actions have equal digests.
    #[expect(deprecated, reason = "servers before REAPI 2.2 read the platform of the command")]
    pub fn prepare(&self) -> PreparedAction {
        let mut uploads = Vec::new();
        let mut root = Folder::default();
        self.inputs.iter().for_each(|input| root.add(&input.path, input));
        let input_root = root.upload(&mut uploads);
        let platform = self.platform();
        let mut environment: Vec<_> = self.environment.clone();
        environment.sort();
        let variable = |(name, value): (String, String)| EnvironmentVariable { name, value };
        let mut outputs = self.outputs.clone();
        outputs.sort();
        let command = Command {
            arguments: self.arguments.clone(),
            environment_variables: environment.into_iter().map(variable).collect(),
            output_paths: outputs,
            platform: platform.clone(),
            ..Command::default()
        };
        let command = Upload::message(&command);
        let action = messages::Action {
            command_digest: Some(command.blob.to_message()),
            input_root_digest: Some(input_root),
            timeout: self.timeout.map(duration),
            platform,
            ..messages::Action::default()
        };
        let action = Upload::message(&action);
        let digest = action.blob;
        uploads.extend([command, action]);
        PreparedAction { digest, uploads }
    }

    fn platform(&self) -> Option<Platform> {
        let mut properties = self.properties.clone();
        properties.sort();
        let property = |(name, value): (String, String)| Property { name, value };
        (!properties.is_empty()).then(|| Platform { properties: properties.into_iter().map(property).collect() })
    }
}

impl Folder {
    fn add(&mut self, path: &str, input: &Input) {
        match path.split_once('/') {
            Some((folder, rest)) => self.folders.entry(folder.to_owned()).or_default().add(rest, input),
            None => drop(self.files.insert(path.to_owned(), (input.blob, input.executable))),
        }
    }

    fn upload(&self, uploads: &mut Vec<Upload>) -> Digest {
        let folder = |(name, folder): (&String, &Self)| DirectoryNode {
            name: name.clone(),
            digest: Some(folder.upload(uploads)),
        };
        let directories = self.folders.iter().map(folder).collect();
        let file = |(name, (blob, executable)): (&String, &(Blob, bool))| FileNode {
            name: name.clone(),
            digest: Some(blob.to_message()),
            is_executable: *executable,
            ..FileNode::default()
        };
        let directory = Directory { files: self.files.iter().map(file).collect(), directories, ..Directory::default() };
        let upload = Upload::message(&directory);
        let digest = upload.blob.to_message();
        uploads.push(upload);
        digest
    }
}

fn duration(time: Duration) -> protobuf::Duration {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    protobuf::Duration { seconds, nanos: i32::try_from(time.subsec_nanos()).unwrap_or_default() }
}

#[cfg(test)]
mod tests {
    use super::super::Content;
    use super::*;
    use prost::Message;

    fn of(inputs: &[(&str, &str)]) -> Action {
        let input =
            |(path, text): &(&str, &str)| Input { path: (*path).into(), blob: Blob::of(text), executable: false };
        Action { arguments: vec!["a".into()], inputs: inputs.iter().map(input).collect(), ..Action::default() }
    }

    #[test]
    fn the_order_of_inputs_does_not_change_the_digest() {
        let one = of(&[("b/y", "1"), ("a", "2"), ("b/x", "3")]).prepare();
        let other = of(&[("b/x", "3"), ("b/y", "1"), ("a", "2")]).prepare();
        assert_eq!(one.digest, other.digest);
        assert_ne!(one.digest, of(&[("b/x", "3"), ("b/y", "1"), ("a", "4")]).prepare().digest);
    }

    #[test]
    fn the_directories_have_sorted_names() {
        let prepared = of(&[("b/y", "1"), ("z", "9"), ("a", "2"), ("b/x", "3")]).prepare();
        let Content::Bytes(bytes) = &prepared.uploads[1].content else { panic!("a message is in memory") };
        let root = Directory::decode(&bytes[..]).unwrap();
        let names: Vec<_> = root.files.iter().map(|file| file.name.as_str()).collect();
        assert_eq!((names, root.directories[0].name.as_str()), (vec!["a", "z"], "b"));
        assert_eq!(root.directories[0].digest.as_ref(), Some(&prepared.uploads[0].blob.to_message()));
    }
}

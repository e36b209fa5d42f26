//! The image configuration after a step, kept as the changes that made it.

use super::chain::Chain;
use buildscope_dockerfile::{Ports, Text};
use buildscope_oci::{Healthcheck, ImageConfig, Unit};
use indexmap::IndexMap;
use std::sync::Arc;

/// An image configuration without layers, history and times. Cheap to clone; [`Config::image`] makes the document.
#[derive(Clone, Default, Debug, PartialEq)]
pub struct Config(Chain<Change>);

/// What an instruction changes.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Change {
    /// Everything is as the base image has it.
    Base(Arc<ImageConfig>),
    Env(Text, Arc<str>),
    Labels(Vec<(String, String)>),
    User(String),
    WorkingDir(String),
    Cmd(Vec<String>),
    /// The command, and whether it resets CMD.
    Entrypoint(Vec<String>, bool),
    Shell(Vec<String>),
    Expose(Arc<[Ports]>),
    Volumes(Vec<String>),
    StopSignal(String),
    Healthcheck(Healthcheck),
    Author(String),
    OnBuild(String),
    /// Triggers do not go from stage to stage.
    NoTriggers,
}

impl Config {
    pub(super) fn push(&mut self, change: Change) {
        self.0.push(change);
    }

    /// The document.
    pub fn image(&self) -> ImageConfig {
        let mut image = ImageConfig::default();
        // By name, so that many variables take linear time: a variable that is set again keeps its place.
        let mut env: IndexMap<Text, String> = IndexMap::new();
        for change in self.0.oldest_first() {
            match change {
                Change::Base(base) => {
                    image.clone_from(base);
                    let name = |entry: &String| entry.split_once('=').map_or(&**entry, |(name, _)| name).into();
                    env = image.config.env.drain(..).map(|entry| (name(&entry), entry)).collect();
                }
                Change::Env(name, value) => {
                    env.insert(name.clone(), format!("{name}={value}"));
                }
                change => change.apply(&mut image),
            }
        }
        image.config.env = env.into_values().collect();
        image
    }
}

impl Change {
    fn apply(&self, image: &mut ImageConfig) {
        let config = &mut image.config;
        match self {
            // Kept apart by the caller.
            Self::Base(_) | Self::Env(..) => {}
            Self::Labels(labels) => config.labels.extend(labels.iter().cloned()),
            Self::User(user) => config.user.clone_from(user),
            Self::WorkingDir(path) => config.working_dir.clone_from(path),
            Self::Cmd(args) => {
                // Go leaves an empty list out.
                config.cmd = (!args.is_empty()).then(|| args.clone());
                config.args_escaped = Some(true);
            }
            Self::Entrypoint(args, reset) => {
                config.entrypoint = (!args.is_empty()).then(|| args.clone());
                if *reset {
                    config.cmd = None;
                }
            }
            Self::Shell(args) => config.shell = Some(args.clone()),
            Self::Expose(ports) => {
                config.exposed_ports.extend(ports.iter().flat_map(Ports::each).map(|port| (port, Unit {})));
            }
            Self::Volumes(paths) => config.volumes.extend(paths.iter().map(|path| (path.clone(), Unit {}))),
            Self::StopSignal(signal) => config.stop_signal = Some(signal.clone()),
            Self::Healthcheck(check) => config.healthcheck = Some(check.clone()),
            Self::Author(author) => image.author = Some(author.clone()),
            Self::OnBuild(trigger) => config.on_build.push(trigger.clone()),
            Self::NoTriggers => config.on_build.clear(),
        }
    }
}

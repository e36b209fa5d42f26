//! The image configuration after a step, stored as the list of changes that lead to it.

use super::chain::Chain;
use buildscope_dockerfile::{Ports, Text};
use buildscope_oci::{Healthcheck, ImageConfig, Unit};
use indexmap::IndexMap;
use std::sync::Arc;

/// An image configuration without layers, history and times. It is cheap to clone. [`Config::image`] returns the
/// document.
#[derive(Clone, Default, Debug, PartialEq)]
pub struct Config(Chain<ConfigChange>);

/// A change of the configuration by an instruction.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum ConfigChange {
    /// Replaces the whole configuration with that of the base image.
    Base(Arc<ImageConfig>),
    Env(Text, Arc<str>),
    Labels(Vec<(String, String)>),
    User(String),
    WorkingDir(String),
    Cmd(Vec<String>),
    /// Sets the command. The flag says whether it resets CMD.
    Entrypoint(Vec<String>, bool),
    Shell(Vec<String>),
    Expose(Arc<[Ports]>),
    Volumes(Vec<String>),
    StopSignal(String),
    Healthcheck(Healthcheck),
    Author(String),
    OnBuild(String),
    /// Removes the ONBUILD triggers, because a stage does not inherit those of another stage.
    NoTriggers,
}

impl Config {
    pub(super) fn push(&mut self, change: ConfigChange) {
        self.0.push(change);
    }

    /// Returns the configuration as a document.
    pub fn image(&self) -> ImageConfig {
        let mut image = ImageConfig::default();
        // A map keeps the time linear in the number of variables. A variable that is set again keeps its position.
        let mut env: IndexMap<Text, String> = IndexMap::new();
        for change in self.0.oldest_first() {
            match change {
                ConfigChange::Base(base) => {
                    image.clone_from(base);
                    let name = |entry: &String| entry.split_once('=').map_or(&**entry, |(name, _)| name).into();
                    env = image.config.env.drain(..).map(|entry| (name(&entry), entry)).collect();
                }
                ConfigChange::Env(name, value) => {
                    env.insert(name.clone(), format!("{name}={value}"));
                }
                change => change.apply(&mut image),
            }
        }
        image.config.env = env.into_values().collect();
        image
    }
}

impl ConfigChange {
    fn apply(&self, image: &mut ImageConfig) {
        let config = &mut image.config;
        match self {
            // `Config::image` applies these itself.
            Self::Base(_) | Self::Env(..) => {}
            Self::Labels(labels) => config.labels.extend(labels.iter().cloned()),
            Self::User(user) => config.user.clone_from(user),
            Self::WorkingDir(path) => config.working_dir.clone_from(path),
            Self::Cmd(args) => {
                // Go omits an empty list.
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

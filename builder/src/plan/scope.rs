//! The scope of an instruction: variables, working directory, user and shell.

use super::chain::Chain;
use super::config::{Config, ConfigChange};
use super::environment::{Environment, Variable};
use super::trie::Trie;
use buildscope_dockerfile::{Text, Variables};
use std::sync::Arc;

/// The state between two instructions of a stage. It is cheap to clone, because a stage that is based on another stage
/// starts with a clone of the last state of that stage.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope {
    values: Trie,
    /// The variables of the image configuration.
    of_image: Trie,
    /// The variables of the image that an argument of the same name hides until the next stage.
    hidden: Vec<Text>,
    pub(super) env: Environment,
    /// The names that ARG declares, in order.
    pub(super) declared: Chain<Text>,
    pub(super) config: Config,
    pub(super) workdir: String,
    pub(super) user: String,
    pub(super) shell: Option<Arc<[String]>>,
    /// Whether CMD is set in this stage. Then ENTRYPOINT does not reset it.
    pub(super) cmd_set: bool,
}

impl Variables for Scope {
    fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(|value| &**value)
    }
}

impl Scope {
    /// Sets a variable of steps and of the image configuration.
    pub(super) fn set_env(&mut self, name: &str, value: &str) {
        let value: Arc<str> = value.into();
        self.set(Variable { name: name.into(), value: value.clone(), argument: false });
        self.config.push(ConfigChange::Env(name.into(), value));
    }

    /// Sets a variable of steps that is not part of the image configuration.
    pub(super) fn set_argument(&mut self, name: &str, value: &str) {
        self.set(Variable { name: name.into(), value: value.into(), argument: true });
    }

    /// Sets a variable that is already part of the image configuration.
    pub(super) fn inherit_env(&mut self, name: &str, value: &str) {
        self.set(Variable { name: name.into(), value: value.into(), argument: false });
    }

    /// Starts a stage that is based on the stage of this scope.
    pub(super) fn start_stage(&mut self) {
        self.env.start_stage();
        for name in std::mem::take(&mut self.hidden) {
            if let Some(value) = self.of_image.get(&name).cloned() {
                self.values.insert(name, value);
            }
        }
        self.cmd_set = false;
        self.config.push(ConfigChange::NoTriggers);
    }

    fn set(&mut self, variable: Variable) {
        let Variable { name, value, argument } = &variable;
        if !argument {
            self.of_image.insert(name.clone(), value.clone());
        } else if self.of_image.get(name).is_some() {
            self.hidden.push(name.clone());
        }
        self.values.insert(name.clone(), value.clone());
        self.env.set(variable);
    }

    /// Returns the arguments that run a text in the current shell.
    pub(super) fn with_shell(&self, text: &str) -> Vec<String> {
        let mut args: Vec<String> = match &self.shell {
            Some(shell) if !shell.is_empty() => shell.to_vec(),
            _ => vec!["/bin/sh".into(), "-c".into()],
        };
        args.push(text.to_owned());
        args
    }
}

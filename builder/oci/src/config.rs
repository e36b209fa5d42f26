//! The image configuration: `config.md` of the OCI image specification, with docker's extensions.

use super::Platform;
use buildscope_record::DiffId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The search path of a container whose image sets no `PATH`. It is docker's default.
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The configuration document of an image. Fields are written in the order in which they are declared. That is
/// BuildKit's order: its exporter sorts the keys of the outermost object and keeps the specification's order elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ImageConfig {
    /// The architecture of the binaries, as a GOARCH name.
    #[serde(default)]
    pub architecture: String,
    /// The person or organisation that made the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// The defaults of a container that runs the image.
    #[serde(default, deserialize_with = "null_is_default")]
    pub config: RuntimeConfig,
    /// The time of creation in RFC 3339 format.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// The instructions that made the image, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub history: Vec<History>,
    /// The operating system of the binaries, as a GOOS name.
    #[serde(default)]
    pub os: String,
    /// The layers of the image.
    #[serde(default)]
    pub rootfs: RootFs,
    /// The variant of the architecture, such as `v7`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// The fields of a base image's configuration that are unknown here. They are written back unchanged.
    #[serde(flatten)]
    pub other: BTreeMap<String, serde_json::Value>,
}

impl ImageConfig {
    /// The platform of the image, normalised.
    pub fn platform(&self) -> Platform {
        Platform::new(&self.os, &self.architecture, self.variant.as_deref())
    }
}

/// The defaults of a container that runs the image.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RuntimeConfig {
    /// The user and group of `USER`; empty means root.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// The ports of `EXPOSE`, such as `80/tcp`.
    #[serde(default, skip_serializing_if = "is_empty", deserialize_with = "null_is_default")]
    pub exposed_ports: BTreeMap<String, Unit>,
    /// The variables of `ENV`, each as `NAME=value`.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub env: Vec<String>,
    /// The arguments of `ENTRYPOINT`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// The arguments of `CMD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cmd: Option<Vec<String>>,
    /// The paths of `VOLUME`.
    #[serde(default, skip_serializing_if = "is_empty", deserialize_with = "null_is_default")]
    pub volumes: BTreeMap<String, Unit>,
    /// The path of `WORKDIR`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub working_dir: String,
    /// The labels of `LABEL`.
    #[serde(default, skip_serializing_if = "is_empty", deserialize_with = "null_is_default")]
    pub labels: BTreeMap<String, String>,
    /// The signal of `STOPSIGNAL`, such as `SIGTERM`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
    /// Whether `CMD` is already escaped for Windows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub args_escaped: Option<bool>,
    /// The check of `HEALTHCHECK` (docker's extension).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    /// The instructions of `ONBUILD` (docker's extension).
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub on_build: Vec<String>,
    /// The arguments of `SHELL` (docker's extension).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shell: Option<Vec<String>>,
    /// The fields of a base image's configuration that are unknown here. They are written back unchanged.
    #[serde(flatten)]
    pub other: BTreeMap<String, serde_json::Value>,
}

impl RuntimeConfig {
    /// The first field for a process that contains a NUL character: the kernel's strings end at one.
    pub fn nul(&self) -> Option<String> {
        let has = |text: &&String| text.contains('\0');
        if let Some(variable) = self.env.iter().find(has) {
            let name = variable.split(['=', '\0']).next().unwrap_or_default();
            return Some(format!("the variable `{name}`"));
        }
        let lists = [("Entrypoint", &self.entrypoint), ("Cmd", &self.cmd), ("Shell", &self.shell)];
        let texts = [("User", &self.user), ("WorkingDir", &self.working_dir)];
        let list = lists.into_iter().find(|(_, list)| list.iter().flatten().any(|text| has(&text)));
        let text = texts.into_iter().find(|(_, text)| has(text));
        list.map(|(name, _)| name).or(text.map(|(name, _)| name)).map(|name| format!("`{name}`"))
    }
}

/// The JSON value `{}`. Go writes a set as a map with this value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {}

/// The check of `HEALTHCHECK`. Times are in nanoseconds. An absent field is inherited from the base image.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Healthcheck {
    /// The command: `["NONE"]`, `["CMD", ...]` or `["CMD-SHELL", text]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub test: Vec<String>,
    /// The nanoseconds between checks (`--interval`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<i64>,
    /// The nanoseconds after which a check has failed (`--timeout`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<i64>,
    /// The nanoseconds after the start in which failures do not count (`--start-period`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_period: Option<i64>,
    /// The nanoseconds between checks during the start period (`--start-interval`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_interval: Option<i64>,
    /// The number of failures after which the container is unhealthy (`--retries`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<i64>,
}

/// The layers of an image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RootFs {
    /// The type, which is always `layers`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The digests of the uncompressed layer tars, lowest layer first.
    #[serde(default, deserialize_with = "null_is_default")]
    pub diff_ids: Vec<DiffId>,
}

impl Default for RootFs {
    fn default() -> Self {
        Self { kind: "layers".into(), diff_ids: Vec::new() }
    }
}

/// An instruction that made an image.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// The time of the instruction in RFC 3339 format.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// The text of the instruction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// The author of the instruction, from `MAINTAINER`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// A comment. BuildKit writes `buildkit.dockerfile.v0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Whether the instruction made no layer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub empty_layer: bool,
}

fn is_empty<K, V>(map: &BTreeMap<K, V>) -> bool {
    map.is_empty()
}

/// Deserializes `null` as the default value, because Go writes an absent list or map as `null`.
pub fn null_is_default<'de, D: serde::Deserializer<'de>, T: Default + Deserialize<'de>>(
    from: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_fields_survive_a_round_trip() {
        let text = r#"{"architecture":"amd64","os":"linux","config":{"Env":null,"Domainname":"x"},"rootfs":{"type":"layers","diff_ids":null},"container":"abc"}"#;
        let config: ImageConfig = serde_json::from_str(text).unwrap();
        assert_eq!((&config.config.other["Domainname"], &config.other["container"]), (&"x".into(), &"abc".into()));
        let again: ImageConfig = serde_json::from_value(serde_json::to_value(&config).unwrap()).unwrap();
        assert_eq!(again, config);
    }

    #[test]
    fn a_nul_character_is_found_with_its_field() {
        let field = |config: &str| serde_json::from_str::<RuntimeConfig>(config).unwrap().nul();
        for (config, expected) in [
            (r#"{"Env": ["A=1", "B=x\u0000"]}"#, Some("the variable `B`")),
            (r#"{"Env": ["A\u0000B=1"]}"#, Some("the variable `A`")),
            (r#"{"Cmd": ["x", "\u0000"]}"#, Some("`Cmd`")),
            (r#"{"Entrypoint": ["\u0000"]}"#, Some("`Entrypoint`")),
            (r#"{"Shell": ["\u0000"]}"#, Some("`Shell`")),
            (r#"{"User": "a\u0000"}"#, Some("`User`")),
            (r#"{"WorkingDir": "/\u0000"}"#, Some("`WorkingDir`")),
            (r#"{"Labels": {"a": "\u0000"}, "Env": ["A=1"], "Cmd": ["x"]}"#, None),
        ] {
            assert_eq!(field(config).as_deref(), expected, "{config}");
        }
    }
}

//! Limits of a target's steps: `resources`.

use serde::Serialize;

use crate::value::{Number, Type, Value, convert, whole};

/// Limits of the cgroup of each RUN.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Resources {
    /// The most memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<String>,
    /// The most memory and swap together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_swap: Option<String>,
    /// The weight of its CPU time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_shares: Option<i64>,
    /// The period of the quota, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_period: Option<i64>,
    /// The CPU time in a period, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_quota: Option<i64>,
    /// The processors.
    #[serde(rename = "cpuset-cpus", skip_serializing_if = "Option::is_none")]
    pub processors: Option<String>,
    /// The memory nodes.
    #[serde(rename = "cpuset-mems", skip_serializing_if = "Option::is_none")]
    pub memory_nodes: Option<String>,
}

impl Resources {
    pub(super) fn merge(&mut self, other: &Resources) {
        fn replace<T: Clone>(own: &mut Option<T>, other: &Option<T>) {
            if other.is_some() {
                own.clone_from(other);
            }
        }
        replace(&mut self.memory, &other.memory);
        replace(&mut self.memory_swap, &other.memory_swap);
        replace(&mut self.cpu_shares, &other.cpu_shares);
        replace(&mut self.cpu_period, &other.cpu_period);
        replace(&mut self.cpu_quota, &other.cpu_quota);
        replace(&mut self.processors, &other.processors);
        replace(&mut self.memory_nodes, &other.memory_nodes);
    }

    /// Sets one limit from text.
    pub(super) fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let number = || {
            value
                .parse::<i64>()
                .map(Some)
                .map_err(|_| format!("invalid value {value} for resources.{name}: not a whole number"))
        };
        match name {
            "memory" => self.memory = Some(value.to_owned()),
            "memory-swap" => self.memory_swap = Some(value.to_owned()),
            "cpu-shares" => self.cpu_shares = number()?,
            "cpu-period" => self.cpu_period = number()?,
            "cpu-quota" => self.cpu_quota = number()?,
            "cpuset-cpus" => self.processors = Some(value.to_owned()),
            "cpuset-mems" => self.memory_nodes = Some(value.to_owned()),
            _ => return Err(format!("unknown resources key {name}")),
        }
        Ok(())
    }

    pub(super) fn kind() -> Type {
        Type::optional_fields([
            ("memory", Type::String),
            ("memory-swap", Type::String),
            ("cpu-shares", Type::Number),
            ("cpu-period", Type::Number),
            ("cpu-quota", Type::Number),
            ("cpuset-cpus", Type::String),
            ("cpuset-mems", Type::String),
        ])
    }

    pub(super) fn from_value(value: Value) -> Result<Resources, String> {
        let Value::Object(fields) = convert(value, &Resources::kind())? else {
            return Ok(Resources::default());
        };
        let mut resources = Resources::default();
        for (name, value) in fields {
            match value {
                Value::String(text) => resources.set(&name, &text)?,
                Value::Number(number) => resources.set(&name, &whole_text(&number)?)?,
                _ => {}
            }
        }
        Ok(resources)
    }
}

fn whole_text(number: &Number) -> Result<String, String> {
    whole(number).map(|number| number.to_string()).ok_or_else(|| "a whole number is required".into())
}

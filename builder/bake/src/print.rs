//! The output of `--print` and `--list`, byte for byte that of buildx.

use std::{collections::BTreeMap, fmt::Write as _};

use serde::Serialize;

use crate::{
    definition::{Definition, Group},
    select::Selection,
    target::{Attest, BakeTarget, CacheEntry, Export, Policy, Resources, Secret, Ssh},
};

/// Writes compact JSON with Go's escapes: `<`, `>` and `&` as `\u003c`.
pub(crate) fn go_json(value: &impl Serialize) -> String {
    escape(&serde_json::to_string(value).unwrap_or_default())
}

/// Writes indented JSON with Go's escapes.
pub(crate) fn go_json_pretty(value: &impl Serialize) -> String {
    escape(&serde_json::to_string_pretty(value).unwrap_or_default())
}

/// These characters occur in JSON only inside of strings.
fn escape(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                let _ = write!(text, "\\u{:04x}", c as u32);
            }
            c => text.push(c),
        }
    }
    text
}

impl Selection {
    /// These targets as JSON that bake can read again.
    #[must_use]
    pub fn print(&self) -> String {
        self.document(|_, target| Printed::of(target))
    }

    /// The groups and targets as one JSON document, with what is said about each target, as buildx prints it for `--call`.
    /// `call` is the name of the answers.
    #[must_use]
    pub fn print_answers(&self, call: &str, answers: &BTreeMap<String, serde_json::Value>) -> String {
        self.document(|name, target| {
            let answer = answers.get(name).map(|answer| (call, answer)).into_iter().collect();
            Answered { build: Printed::of(target), answer }
        })
    }

    /// The groups, and what `of` makes of each target.
    fn document<'a, T: Serialize>(&'a self, of: impl Fn(&str, &'a BakeTarget) -> T) -> String {
        let groups = self.groups.iter().map(|(name, group)| (name.as_str(), PrintedGroup::of(group))).collect();
        let targets = self.targets.iter().map(|(name, target)| (name.as_str(), of(name, target))).collect();
        go_json_pretty(&PrintedDefinition { group: groups, target: targets })
    }
}

#[derive(Serialize)]
struct PrintedDefinition<'a, Target> {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    group: BTreeMap<&'a str, PrintedGroup<'a>>,
    target: BTreeMap<&'a str, Target>,
}

/// A target with what is said about it.
#[derive(Serialize)]
struct Answered<'a> {
    build: Printed<'a>,
    #[serde(flatten)]
    answer: BTreeMap<&'a str, &'a serde_json::Value>,
}

#[derive(Serialize)]
struct PrintedGroup<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    description: &'a str,
    targets: &'a Option<Vec<String>>,
}

impl<'a> PrintedGroup<'a> {
    fn of(group: &'a Group) -> PrintedGroup<'a> {
        PrintedGroup { description: &group.description, targets: &group.targets }
    }
}

/// A target in the order of buildx's attributes. Text that could be read as a template is escaped.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Printed<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    description: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    annotations: Vec<String>,
    #[serde(skip_serializing_if = "no_entries")]
    attest: &'a Option<Vec<Attest>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: &'a Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    contexts: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dockerfile: &'a Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dockerfile_inline: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    args: BTreeMap<&'a str, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<&'a str, String>,
    #[serde(skip_serializing_if = "no_entries")]
    tags: &'a Option<Vec<String>>,
    #[serde(skip_serializing_if = "no_entries")]
    cache_from: &'a Option<Vec<CacheEntry>>,
    #[serde(skip_serializing_if = "no_entries")]
    cache_to: &'a Option<Vec<CacheEntry>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: &'a Option<String>,
    #[serde(skip_serializing_if = "no_entries")]
    secret: &'a Option<Vec<Secret>>,
    #[serde(skip_serializing_if = "no_entries")]
    ssh: &'a Option<Vec<Ssh>>,
    #[serde(skip_serializing_if = "no_entries")]
    platforms: &'a Option<Vec<String>>,
    #[serde(skip_serializing_if = "no_entries")]
    output: &'a Option<Vec<Export>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pull: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    no_cache: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    network: &'a Option<String>,
    #[serde(skip_serializing_if = "no_entries")]
    no_cache_filter: &'a Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shm_size: &'a Option<String>,
    #[serde(skip_serializing_if = "no_entries")]
    ulimits: &'a Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resources: &'a Option<Resources>,
    #[serde(skip_serializing_if = "Option::is_none")]
    call: &'a Option<String>,
    #[serde(skip_serializing_if = "no_entries")]
    entitlements: &'a Option<Vec<String>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    extra_hosts: BTreeMap<&'a str, String>,
    #[serde(skip_serializing_if = "no_entries")]
    policy: &'a Option<Vec<Policy>>,
}

fn no_entries<T>(list: &Option<Vec<T>>) -> bool {
    list.as_ref().is_none_or(Vec::is_empty)
}

fn literal(text: &str) -> String {
    text.replace("${", "$${").replace("%{", "%%{")
}

fn literals(map: &BTreeMap<String, String>) -> BTreeMap<&str, String> {
    map.iter().map(|(name, value)| (name.as_str(), literal(value))).collect()
}

impl<'a> Printed<'a> {
    fn of(target: &'a BakeTarget) -> Printed<'a> {
        Printed {
            description: &target.description,
            annotations: target.annotations.iter().flatten().map(|text| literal(text)).collect(),
            attest: &target.attest,
            context: &target.context,
            contexts: &target.contexts,
            dockerfile: &target.dockerfile,
            dockerfile_inline: target.dockerfile_inline.as_deref().map(literal),
            args: literals(&target.args),
            labels: literals(&target.labels),
            tags: &target.tags,
            cache_from: &target.cache_from,
            cache_to: &target.cache_to,
            target: &target.target,
            secret: &target.secrets,
            ssh: &target.ssh,
            platforms: &target.platforms,
            output: &target.outputs,
            pull: target.pull,
            no_cache: target.no_cache,
            network: &target.network,
            no_cache_filter: &target.no_cache_filter,
            shm_size: &target.shm_size,
            ulimits: &target.ulimits,
            resources: &target.resources,
            call: &target.call,
            entitlements: &target.entitlements,
            extra_hosts: literals(&target.extra_hosts),
            policy: &target.policy,
        }
    }
}

/// The form of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListFormat {
    /// Columns.
    Table,
    /// A JSON array.
    Json,
}

#[derive(Serialize)]
struct ListedTarget<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    description: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    group: bool,
}

impl Definition {
    /// Targets and groups by name. Those that start with `_` are private.
    #[must_use]
    pub fn list_targets(&self, format: ListFormat) -> String {
        let groups: BTreeMap<&str, String> =
            self.groups.iter().map(|group| (group.name.as_str(), members(group))).collect();
        let mut list: Vec<ListedTarget<'_>> = self
            .targets
            .iter()
            .map(|target| ListedTarget { name: &target.name, description: &target.description, group: false })
            .collect();
        list.extend(groups.iter().map(|(name, members)| ListedTarget { name, description: members, group: true }));
        list.sort_by(|left, right| left.name.cmp(right.name));
        list.retain(|target| !target.name.starts_with('_'));
        match format {
            ListFormat::Json => go_json_pretty(&(!list.is_empty()).then_some(&list)) + "\n",
            ListFormat::Table => {
                let rows = list.iter().map(|target| vec![target.name, target.description]);
                table(&[vec!["TARGET", "DESCRIPTION"]], rows)
            }
        }
    }

    /// Variables by name.
    #[must_use]
    pub fn list_variables(&self, format: ListFormat) -> String {
        match format {
            ListFormat::Json => go_json_pretty(&self.variables) + "\n",
            ListFormat::Table => {
                let rows = self.variables.iter().flatten().map(|variable| {
                    let value = variable.value.as_deref().unwrap_or("<null>");
                    vec![variable.name.as_str(), variable.kind.as_str(), value, variable.description.as_str()]
                });
                table(&[vec!["VARIABLE", "TYPE", "VALUE", "DESCRIPTION"]], rows)
            }
        }
    }
}

fn members(group: &Group) -> String {
    let mut names = group.targets.clone().unwrap_or_default();
    names.sort();
    match (group.description.as_str(), names.is_empty()) {
        (description, true) => description.to_owned(),
        ("", false) => names.join(", "),
        (description, false) => format!("{description} ({})", names.join(", ")),
    }
}

/// Columns that end at multiples of eight characters, filled with tabs, as Go's tabwriter does it.
fn table<'a>(head: &[Vec<&'a str>], rows: impl Iterator<Item = Vec<&'a str>>) -> String {
    let rows: Vec<Vec<&str>> = head.iter().cloned().chain(rows).collect();
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| {
        let longest = rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        (longest + 1).div_ceil(8) * 8
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        for (column, cell) in row.iter().enumerate() {
            text.push_str(cell);
            if column + 1 < columns {
                let missing = widths[column] - cell.chars().count();
                text.push_str(&"\t".repeat(missing.div_ceil(8)));
            }
        }
        text.push('\n');
    }
    text
}

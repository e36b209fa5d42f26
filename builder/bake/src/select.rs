//! Selects the targets that a command builds, with everything that they inherit.
//!
//! *Takes* a definition, names, patterns and overrides. *Gives* complete targets and the groups that lead to them.

use std::collections::{BTreeMap, HashMap};

use crate::{
    definition::{Definition, Group, dedup},
    error::Error,
    paths,
    target::{BakeTarget, Export, Overrides, SetFlag},
};
use buildscope_oci::Platform;

/// The most targets that refer to each other in a row.
const MAX_LINKS: usize = 256;

/// The targets of a command.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selection {
    /// The groups. `default` has the names of the command line.
    pub groups: BTreeMap<String, Group>,
    /// The targets, with those that are built because others use them.
    pub targets: BTreeMap<String, BakeTarget>,
}

impl Definition {
    /// Selects targets and completes them.
    ///
    /// # Errors
    /// A target does not exist, an override does not fit, or targets use each other in a cycle.
    pub fn select(
        &self,
        names: &[String],
        settings: &[String],
        environment: &BTreeMap<String, String>,
    ) -> Result<Selection, Error> {
        let mut wanted = Vec::new();
        for name in names {
            wanted.extend(self.matching(&name.replace('.', "_"))?);
        }
        dedup(&mut wanted);
        let resolver = Resolver { definition: self, overrides: self.overrides(settings, environment)? };
        let mut selection = Selection::default();
        for name in &wanted {
            let (targets, groups) = self.members(name);
            for target in targets {
                let resolved = resolver.target(&target)?;
                selection.targets.insert(target, resolved);
            }
            for group in groups {
                if let Some(found) = self.group(&group) {
                    selection.groups.insert(group, found.clone());
                }
            }
        }
        add_default_group(&mut selection, &wanted);
        for name in selection.targets.keys().cloned().collect::<Vec<_>>() {
            resolver.link(&name, &mut selection.targets, &mut Vec::new())?;
        }
        for target in selection.targets.values_mut() {
            locate(target)?;
            date(target, environment);
            check_platforms(target)?;
        }
        Ok(selection)
    }

    /// The groups and targets that a pattern matches.
    fn matching(&self, pattern: &str) -> Result<Vec<String>, Error> {
        if !pattern.contains(['*', '?', '[', ']']) {
            return Ok(vec![pattern.to_owned()]);
        }
        let groups = self.groups.iter().map(|group| &group.name);
        let targets = self.targets.iter().map(|target| &target.name);
        let names: Vec<String> = groups.chain(targets).filter(|name| glob(pattern, name)).cloned().collect();
        if names.is_empty() { Err(self.no_match(pattern)) } else { Ok(names) }
    }

    fn no_match(&self, pattern: &str) -> Error {
        Error::new(format!("could not find any target matching '{pattern}'"))
    }

    /// The overrides of each target.
    fn overrides(
        &self,
        settings: &[String],
        environment: &BTreeMap<String, String>,
    ) -> Result<HashMap<String, Overrides>, Error> {
        let mut overrides: HashMap<String, Overrides> = HashMap::new();
        for setting in settings {
            let setting = SetFlag::parse(setting)?;
            let matching: Vec<String> = match self.target(setting.pattern) {
                Some(target) => vec![target.name.clone()],
                None => {
                    let names = self.targets.iter().map(|target| &target.name);
                    names.filter(|name| glob(setting.pattern, name)).cloned().collect()
                }
            };
            if matching.is_empty() {
                return Err(self.no_match(setting.pattern));
            }
            for name in matching {
                setting.add(overrides.entry(name).or_default(), environment)?;
            }
        }
        Ok(overrides)
    }

    /// The targets of a group, also through other groups, and those groups. A name that is not a group is a target.
    fn members(&self, name: &str) -> (Vec<String>, Vec<String>) {
        let mut visited = HashMap::new();
        let (mut targets, mut groups) = self.members_of(name, &mut visited);
        dedup(&mut targets);
        dedup(&mut groups);
        (targets, groups)
    }

    fn members_of(
        &self,
        name: &str,
        visited: &mut HashMap<String, (Vec<String>, Vec<String>)>,
    ) -> (Vec<String>, Vec<String>) {
        if let Some(known) = visited.get(name) {
            return known.clone();
        }
        let Some(group) = self.group(name) else {
            return (vec![name.to_owned()], Vec::new());
        };
        visited.insert(name.to_owned(), Default::default());
        let mut targets = Vec::new();
        let mut groups = vec![name.to_owned()];
        for member in &group.targets {
            let (inner, inner_groups) = self.members_of(member, visited);
            if inner.is_empty() {
                targets.push(member.clone());
            }
            targets.extend(inner);
            groups.extend(inner_groups);
        }
        visited.insert(name.to_owned(), (targets.clone(), groups.clone()));
        (targets, groups)
    }
}

/// Fails for names of platforms that nothing can be built for.
fn check_platforms(target: &BakeTarget) -> Result<(), Error> {
    for platform in target.platforms.iter().flatten().filter(|platform| *platform != "local") {
        let parsed = platform.parse::<Platform>();
        parsed.map_err(|error| Error::new(format!("target {}: {error}", target.name)))?;
    }
    Ok(())
}

/// Sets the group `default` to the names of the command line.
fn add_default_group(selection: &mut Selection, wanted: &[String]) {
    for name in wanted {
        if name == "default" && selection.groups.contains_key("default") {
            continue;
        }
        let group = selection
            .groups
            .entry("default".into())
            .or_insert_with(|| Group { name: "default".into(), ..Group::default() });
        group.targets.push(name.clone());
    }
    if let Some(group) = selection.groups.get_mut("default") {
        dedup(&mut group.targets);
        group.targets.sort();
    }
}

struct Resolver<'a> {
    definition: &'a Definition,
    overrides: HashMap<String, Overrides>,
}

impl Resolver<'_> {
    /// A target with its inherited attributes, its overrides and the defaults.
    fn target(&self, name: &str) -> Result<BakeTarget, Error> {
        let mut target = self.inherited(name, &mut HashMap::new())?.unwrap_or_default();
        target.inherits.clear();
        target.context.get_or_insert_with(|| ".".into());
        if target.dockerfile.as_deref().is_none_or(str::is_empty) {
            target.dockerfile = Some("Dockerfile".into());
        }
        Ok(target)
    }

    /// A target with its inherited attributes; `None` if it is being resolved, because targets inherit from each other.
    fn inherited(
        &self,
        name: &str,
        visited: &mut HashMap<String, Option<BakeTarget>>,
    ) -> Result<Option<BakeTarget>, Error> {
        if let Some(known) = visited.get(name) {
            return Ok(known.clone());
        }
        visited.insert(name.to_owned(), None);
        let own = self.definition.target(name).ok_or_else(|| self.unknown(name))?;
        let mut target = BakeTarget { name: name.to_owned(), ..BakeTarget::default() };
        for parent in &own.inherits {
            if let Some(parent) = self.inherited(parent, visited)? {
                target.merge(&parent);
            }
        }
        target.merge(own);
        if let Some(overrides) = self.overrides.get(name) {
            target.apply(overrides)?;
        }
        target.normalize();
        visited.insert(name.to_owned(), Some(target.clone()));
        Ok(Some(target))
    }

    fn unknown(&self, name: &str) -> Error {
        let names = self.definition.targets.iter().map(|target| target.name.as_str());
        let similar = names
            .filter(|known| strsim::damerau_levenshtein(known, name) <= 2)
            .min_by_key(|known| strsim::damerau_levenshtein(known, name));
        let hint = similar.map_or_else(String::new, |known| format!("; did you mean {known}?"));
        Error::new(format!("failed to find target {name}{hint}"))
    }

    /// Adds the targets that a target uses as contexts. They pass their entitlements on.
    fn link(
        &self,
        name: &str,
        targets: &mut BTreeMap<String, BakeTarget>,
        visited: &mut Vec<String>,
    ) -> Result<(), Error> {
        if visited.len() == MAX_LINKS {
            return Err(Error::new(format!("more than {MAX_LINKS} targets use each other in a row")));
        }
        visited.push(name.to_owned());
        let contexts: Vec<String> = targets[name].contexts.values().cloned().collect();
        for context in contexts {
            let Some(used) = context.strip_prefix("target:") else {
                continue;
            };
            if used == name {
                return Err(Error::new(format!("target {name} cannot link to itself")));
            }
            if visited.iter().any(|visited| visited == used) {
                return Err(Error::new(format!("infinite loop from {name} to {used}")));
            }
            if !targets.contains_key(used) {
                let mut target = self.target(used)?;
                target.outputs = Some(vec![Export {
                    kind: "cacheonly".into(),
                    destination: String::new(),
                    attributes: BTreeMap::new(),
                }]);
                target.linked = true;
                targets.insert(used.to_owned(), target);
            }
            self.link(used, targets, visited)?;
            let entitlements = targets[used].entitlements.clone().unwrap_or_default();
            let platforms = targets[used].platforms.clone().unwrap_or_default();
            if let Some(target) = targets.get_mut(name) {
                for entitlement in entitlements {
                    let own = target.entitlements.get_or_insert_default();
                    if !own.contains(&entitlement) {
                        own.push(entitlement);
                    }
                }
                let own = target.platforms.clone().unwrap_or_default();
                let missing = own.len() > 1 && platforms.len() > 1 && !own.iter().all(|own| platforms.contains(own));
                if missing {
                    let message = format!(
                        "target {used} can't be used by {name} because its platforms {own:?} are not a subset of {platforms:?}"
                    );
                    return Err(Error::new(message));
                }
            }
        }
        visited.pop();
        Ok(())
    }
}

/// `SOURCE_DATE_EPOCH` of the environment is an argument of every target that does not set it.
fn date(target: &mut BakeTarget, environment: &BTreeMap<String, String>) {
    const NAME: &str = "SOURCE_DATE_EPOCH";
    if let Some(date) = environment.get(NAME).filter(|date| !date.is_empty()) {
        target.args.entry(NAME.into()).or_insert_with(|| date.clone());
    }
}

/// Cleans the path of the context. Standard input cannot be a context, because several targets would read it.
fn locate(target: &mut BakeTarget) -> Result<(), Error> {
    if target.dockerfile.as_deref() == Some("-") {
        return Err(Error::new("dockerfile from stdin not allowed in bake"));
    }
    if let Some(context) = &mut target.context {
        if context == "-" {
            return Err(Error::new("context from stdin not allowed in bake"));
        }
        if let Some(local) = context.strip_prefix("cwd://") {
            *context = paths::clean(local);
        } else if !paths::is_remote(context) {
            *context = paths::clean(context);
        }
    }
    Ok(())
}

/// Whether a name matches a pattern with `*`, `?` and `[a-z]`. An invalid pattern matches nothing.
fn glob(pattern: &str, name: &str) -> bool {
    fn matches(pattern: &[char], name: &[char]) -> Option<bool> {
        let Some((first, rest)) = pattern.split_first() else {
            return Some(name.is_empty());
        };
        match first {
            '*' => {
                for skip in 0..=name.len() {
                    if matches(rest, &name[skip..])? {
                        return Some(true);
                    }
                }
                Some(false)
            }
            '?' => Some(!name.is_empty() && matches(rest, &name[1..])?),
            '[' => {
                let end = rest.iter().skip(1).position(|c| *c == ']')? + 1;
                let (negated, set) = match rest[..end].split_first() {
                    Some(('^', set)) => (true, set),
                    _ => (false, &rest[..end]),
                };
                let Some((given, name)) = name.split_first() else {
                    return Some(false);
                };
                Some(in_set(set, *given) != negated && matches(&rest[end + 1..], name)?)
            }
            '\\' => {
                let (literal, rest) = rest.split_first()?;
                Some(name.first() == Some(literal) && matches(rest, &name[1..])?)
            }
            literal => Some(name.first() == Some(literal) && matches(rest, &name[1..])?),
        }
    }
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    matches(&pattern, &name).unwrap_or(false)
}

fn in_set(set: &[char], given: char) -> bool {
    match set {
        [from, '-', to, rest @ ..] => (*from..=*to).contains(&given) || in_set(rest, given),
        [one, rest @ ..] => *one == given || in_set(rest, given),
        [] => false,
    }
}

//! Selects the targets that a command builds, with everything that they inherit.
//!
//! *Takes* a definition, names, patterns and overrides. *Gives* complete targets and the groups that lead to them.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::{
    definition::{ByName, Definition, Group, dedup},
    error::Error,
    paths,
    target::{BakeTarget, Export, Overrides, SetFlag},
};
use buildscope_oci::Platform;

/// The most targets that refer to each other in a row.
const MAX_LINKS: usize = 256;
/// The most policies of a target. They are added up where a target inherits.
const MAX_POLICIES: usize = 1000;

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
        let resolver = Resolver { definition: self.by_name(), overrides: self.overrides(settings, environment)? };
        let mut selection = Selection::default();
        for name in &wanted {
            let (targets, groups) = resolver.definition.members(name);
            for target in targets {
                if selection.targets.contains_key(&target) {
                    continue;
                }
                let resolved = resolver.target(&target)?;
                selection.targets.insert(target, resolved);
            }
            for group in groups {
                if let Some(&found) = resolver.definition.groups.get(group.as_str()) {
                    selection.groups.insert(group, found.clone());
                }
            }
        }
        add_default_group(&mut selection, &wanted);
        let mut linked = Linked::default();
        for name in selection.targets.keys().cloned().collect::<Vec<_>>() {
            resolver.link(&name, &mut selection.targets, &mut linked)?;
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
}

impl ByName<'_> {
    /// The targets of a group, also through other groups, and those groups. A name that is not a group is a target.
    fn members(&self, name: &str) -> (Vec<String>, Vec<String>) {
        let mut visited = HashMap::new();
        self.members_of(name, &mut visited)
    }

    fn members_of(
        &self,
        name: &str,
        visited: &mut HashMap<String, (Vec<String>, Vec<String>)>,
    ) -> (Vec<String>, Vec<String>) {
        if let Some(known) = visited.get(name) {
            return known.clone();
        }
        let Some(group) = self.groups.get(name) else {
            return (vec![name.to_owned()], Vec::new());
        };
        visited.insert(name.to_owned(), Default::default());
        let mut targets = Vec::new();
        let mut groups = vec![name.to_owned()];
        for member in group.targets.iter().flatten() {
            let (inner, inner_groups) = self.members_of(member, visited);
            if inner.is_empty() {
                targets.push(member.clone());
            }
            targets.extend(inner);
            groups.extend(inner_groups);
        }
        // Not only at the end: groups that name two groups each would double the lists at each level.
        dedup(&mut targets);
        dedup(&mut groups);
        visited.insert(name.to_owned(), (targets.clone(), groups.clone()));
        (targets, groups)
    }
}

/// Fails for names of platforms that nothing can be built for.
fn check_platforms(target: &BakeTarget) -> Result<(), Error> {
    let names = target.platforms.iter().flatten().flat_map(|names| names.split(','));
    for platform in names.filter(|platform| *platform != "local") {
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
        group.targets.get_or_insert_default().push(name.clone());
    }
    if let Some(targets) = selection.groups.get_mut("default").and_then(|group| group.targets.as_mut()) {
        dedup(targets);
        targets.sort();
    }
}

struct Resolver<'a> {
    definition: ByName<'a>,
    overrides: HashMap<String, Overrides>,
}

/// The targets whose contexts are followed.
#[derive(Default)]
struct Linked {
    /// From a target of the command to the one that is followed, to find cycles.
    way: Vec<String>,
    /// Those that were followed to their ends. Without them, two contexts each would double the work at each level.
    done: HashSet<String>,
}

impl Resolver<'_> {
    /// A target with its inherited attributes, its overrides and the defaults.
    fn target(&self, name: &str) -> Result<BakeTarget, Error> {
        let mut target = self.inherited(name, &mut HashMap::new())?.unwrap_or_default();
        let directory = target.directory.take();
        target.context.get_or_insert_with(|| directory.unwrap_or_else(|| ".".into()));
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
        let own = *self.definition.targets.get(name).ok_or_else(|| self.unknown(name))?;
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
        // They are followed. With each level, they could double.
        target.inherits.clear();
        if target.policy.as_ref().is_some_and(|policies| policies.len() > MAX_POLICIES) {
            return Err(Error::new(format!("target {name} has more than {MAX_POLICIES} policies")));
        }
        visited.insert(name.to_owned(), Some(target.clone()));
        Ok(Some(target))
    }

    fn unknown(&self, name: &str) -> Error {
        let distances = self.definition.targets.keys().map(|known| (strsim::damerau_levenshtein(known, name), *known));
        let similar = distances.filter(|(distance, _)| *distance <= 2).min().map(|(_, known)| known);
        let hint = similar.map_or_else(String::new, |known| format!("; did you mean {known}?"));
        Error::new(format!("failed to find target {name}{hint}"))
    }

    /// Adds the targets that a target uses as contexts. They pass their entitlements on.
    fn link(&self, name: &str, targets: &mut BTreeMap<String, BakeTarget>, linked: &mut Linked) -> Result<(), Error> {
        if linked.done.contains(name) {
            return Ok(());
        }
        if linked.way.len() == MAX_LINKS {
            return Err(Error::new(format!("more than {MAX_LINKS} targets use each other in a row")));
        }
        linked.way.push(name.to_owned());
        let contexts: Vec<String> = targets[name].contexts.values().cloned().collect();
        for context in contexts {
            let Some(used) = context.strip_prefix("target:") else {
                continue;
            };
            if used == name {
                return Err(Error::new(format!("target {name} cannot link to itself")));
            }
            if linked.way.iter().any(|before| before == used) {
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
            self.link(used, targets, linked)?;
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
        linked.way.pop();
        linked.done.insert(name.to_owned());
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
            target.context_is_here = true;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{definition::Inputs, error::File};

    fn select(text: String) -> Result<Selection, Error> {
        let file = File { name: "x.hcl".into(), text };
        Definition::read(&[file], &Inputs::default())?.select(&["all".into()], &[], &BTreeMap::new())
    }

    /// Forty levels, each of which names the one before twice: 2^40 ways to the first.
    fn levels(level: impl Fn(usize) -> String, all: &str) -> String {
        (1..40).map(level).chain([all.to_owned()]).collect()
    }

    #[test]
    fn targets_that_name_two_others_at_each_level_do_not_double_the_work() {
        let inherits = levels(
            |level| format!("target \"t{level}\" {{\n inherits = [\"t{0}\", \"t{0}\"]\n}}\n", level - 1),
            "target \"t0\" {\n args = { A = \"x\" }\n}\ntarget \"all\" {\n inherits = [\"t39\"]\n}\n",
        );
        assert_eq!(select(inherits).unwrap().targets["all"].args["A"], "x");
        let contexts = levels(
            |level| {
                format!(
                    "target \"t{level}\" {{\n contexts = {{ a = \"target:t{0}\", b = \"target:t{0}\" }}\n}}\n",
                    level - 1
                )
            },
            "target \"t0\" {\n}\ntarget \"all\" {\n contexts = { a = \"target:t39\" }\n}\n",
        );
        assert_eq!(select(contexts).unwrap().targets.len(), 41);
        let groups = levels(
            |level| {
                let members = format!("targets = [\"g{0}\", \"h{0}\"]", level - 1);
                format!("group \"g{level}\" {{\n {members}\n}}\ngroup \"h{level}\" {{\n {members}\n}}\n")
            },
            "target \"g0\" {\n}\ntarget \"h0\" {\n}\ngroup \"all\" {\n targets = [\"g39\"]\n}\n",
        );
        assert_eq!(select(groups).unwrap().targets.into_keys().collect::<Vec<_>>(), ["g0", "h0"]);
    }

    #[test]
    fn a_cycle_of_contexts_is_an_error() {
        let link = |name: &str, to: &str| format!("target \"{name}\" {{\n contexts = {{ a = \"target:{to}\" }}\n}}\n");
        let error = select(link("all", "a") + &link("a", "b") + &link("b", "a")).unwrap_err();
        assert!(error.message.contains("infinite loop"), "{error}");
    }
}

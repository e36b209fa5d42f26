//! The files that an install needs, among those of the build context.

use super::copies::CopiedDirectory;
use super::path_pattern::matches;
use super::project::Project;
use crate::usage::{DependencyFile, Presence, Tool};
use std::collections::BTreeSet;

/// The part of a manifest's path that stands for any number of directories.
const ANYWHERE: &str = "**/";

/// The files of the context among these, as a COPY from the context names them; directories end with a slash. `None` if one that must
/// exist does not come from this COPY.
pub(super) fn manifests_in(
    manifests: &[DependencyFile],
    tree: &CopiedDirectory,
    listed: Option<&BTreeSet<String>>,
) -> Option<Vec<String>> {
    let mut present: Vec<String> = Vec::new();
    for manifest in manifests {
        let folder = manifest.path.ends_with('/');
        let path = match tree.origin(manifest.path.trim_end_matches('/')) {
            Some(path) => path,
            None if manifest.presence == Presence::Possible => continue,
            None => return None,
        };
        let Some(listed) = listed else {
            if manifest.presence != Presence::Possible {
                present.push(path);
            }
            continue;
        };
        let found: Vec<String> = if folder {
            let prefix = format!("{path}/");
            listed
                .range(prefix.clone()..)
                .next()
                .filter(|file| file.starts_with(&prefix))
                .map(|_| prefix)
                .into_iter()
                .collect()
        } else if let Some((folder, name)) = path.split_once(ANYWHERE) {
            let named = |file: &&String| {
                file.starts_with(folder) && file.rsplit('/').next().is_some_and(|last| matches(name, last))
            };
            listed.iter().filter(named).cloned().collect()
        } else if path.contains('*') {
            listed.iter().filter(|file| matches(&path, file)).cloned().collect()
        } else {
            listed.contains(&path).then_some(path).into_iter().collect()
        };
        if found.is_empty() && manifest.presence == Presence::Required {
            return None;
        }
        for path in found {
            if !present.contains(&path) {
                present.push(path);
            }
        }
    }
    let needed = manifests.iter().any(|manifest| manifest.presence != Presence::Possible);
    (!needed || !present.is_empty()).then_some(present)
}

/// Whether the files of a COPY to a directory of the system may change programs or their settings.
pub(super) fn reaches_system(files: &BTreeSet<String>, tree: &CopiedDirectory) -> bool {
    let prefix = if tree.source.is_empty() { String::new() } else { format!("{}/", tree.source) };
    let system = ["etc/", "usr/", "var/", "root/", "lib/", "lib64/", "bin/", "sbin/", "home/", "opt/"];
    let names = files.iter().filter_map(|file| file.strip_prefix(&prefix));
    tree.target != "/"
        || names.clone().any(|name| system.iter().any(|folder| name.starts_with(folder)))
        || names.clone().any(|name| name.starts_with('.'))
}

/// Whether the later COPY would replace files of the install, or the install may need more than the files that are copied for it.
pub(super) fn taken_over(
    files: &BTreeSet<String>,
    tree: &CopiedDirectory,
    manifests: &[DependencyFile],
    present: &[String],
    tool: Tool,
) -> bool {
    let Some(main) = manifests.iter().find(|manifest| manifest.presence != Presence::Possible) else { return false };
    let Some(path) = tree.origin(&main.path) else { return true };
    let (folder, name) = match path.split_once(ANYWHERE) {
        Some((folder, name)) => (folder.trim_end_matches('/'), name),
        None => path.rsplit_once('/').map_or(("", path.as_str()), |(folder, name)| (folder, name)),
    };
    let below = if folder.is_empty() { String::new() } else { format!("{folder}/") };
    let made = tool.installs_into();
    let replaced = files
        .iter()
        .filter_map(|file| file.strip_prefix(&below))
        .any(|file| made.iter().any(|made| file.split('/').next() == Some(made)));
    let project = Project { tool, folder: &below, name, present };
    // Files that an earlier install left in the context are not part of the project.
    let installed = |file: &&String| file.split('/').any(|part| made.contains(&part));
    replaced || files.iter().filter(|file| !installed(file)).any(|file| project.may_need(file))
}

//! The cache of Yarn from version 2 on. Programs run from it, unless the project has its packages in `node_modules`.
//!
//! *Takes* the lock file and the settings of a project. *Gives* the cache that a mount may keep.

use super::copies::origin;
use super::facts::Facts;
use crate::file::{File, Run};
use crate::path::join;
use crate::usage::{Cache, Content, Sharing, Tool, Work};

/// The version of the lock file from which on packages are kept in the home directory and not in that of the project (Yarn 4).
const GLOBAL: u32 = 8;

/// The caches of the installs in a RUN. Without a lock file of version 2 or later that can be read, the command decides.
pub(super) fn caches(file: &File<'_>, step: usize, run: &Run, facts: &dyn Facts) -> Option<Vec<Cache>> {
    let here = &file.steps[step];
    let mut found = Vec::new();
    for (_, command, usage) in &run.usages {
        if usage.tool != Tool::Yarn || usage.work != Work::Install {
            continue;
        }
        let folder = join(here.folder.as_deref()?, usage.folder.as_deref()?);
        let text = |name: &str| facts.text(&origin(file, step, &join(&folder, name), facts)?);
        let version = text("yarn.lock").as_deref().and_then(version)?;
        let settings = text(".yarnrc.yml").unwrap_or_default();
        let value = |variable: &str, name: &str| {
            here.around.variable(command, variable).or_else(|| setting(&settings, name)).map(str::to_owned)
        };
        let is_global = value("YARN_ENABLE_GLOBAL_CACHE", "enableGlobalCache")
            .map_or(version >= GLOBAL, |on| matches!(&*on, "true" | "1"));
        let is_elsewhere = ["YARN_CACHE_FOLDER", "YARN_GLOBAL_FOLDER"].into_iter().zip(["cacheFolder", "globalFolder"]);
        let is_elsewhere = is_elsewhere.map(|(variable, name)| value(variable, name)).any(|value| value.is_some());
        let is_copied = value("YARN_NODE_LINKER", "nodeLinker").as_deref() == Some("node-modules");
        if is_global && is_copied && !is_elsewhere {
            let target = here.around.below_home(command, &[], ".yarn/berry/cache")?;
            let cache = Cache::new(target, Content::Downloads, Sharing::Locked);
            if !found.contains(&cache) {
                found.push(cache);
            }
        }
    }
    Some(found)
}

/// The version of a lock file in the form of Yarn 2 and later.
fn version(lock: &str) -> Option<u32> {
    let mut lines = lock.lines().skip_while(|line| *line != "__metadata:").skip(1);
    lines.find_map(|line| line.trim().strip_prefix("version:"))?.trim().parse().ok()
}

/// The value of a setting in a file of Yarn's settings.
fn setting<'s>(settings: &'s str, name: &str) -> Option<&'s str> {
    let mut values = settings.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let value = values.next()?.split(" #").next()?;
    Some(value.trim().trim_matches(['"', '\'']))
}

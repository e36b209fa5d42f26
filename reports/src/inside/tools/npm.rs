//! npm, yarn, pnpm and the tools that their packages run.

use super::Activity::{Compile, Download, Plan, Scripts, Test, Unpack};
use super::{Family, LineRule, ProcessRule, Says, ToolLine, begins, by_lines, ended, only_activity, rule};
use buildscope_record::Process;

/// npx is a script, which resolves packages, installs what is missing, and starts their program.
const NPX: &str = "/npx";

const RULES: &[ProcessRule] = &[
    // The arguments of these are names of packages, which may be those of other tools.
    by_lines(&["node"], NPX, Plan),
    by_lines(&["npx"], "", Plan),
    by_lines(&["node"], "/npm =install", Unpack),
    by_lines(&["node"], "/npm =i", Unpack),
    by_lines(&["node"], "/yarn =add", Unpack),
    by_lines(&["node"], "/pnpm =add", Unpack),
    by_lines(&["npm*", "yarn*", "pnpm*", "bun"], "=install", Unpack),
    by_lines(&["npm*", "yarn*", "pnpm*", "bun"], "=add", Unpack),
    rule(&["bun"], "=run", Scripts),
    rule(&["bun"], "=build", Compile),
    by_lines(&["bun"], "=i", Unpack),
    by_lines(&["bun"], "=ci", Unpack),
    by_lines(&["bun"], "=update", Unpack),
    by_lines(&["bun"], "=remove", Unpack),
    rule(&["node", "npm*", "yarn*", "pnpm*"], "node-gyp", Compile),
    rule(&["jest", "mocha", "vitest"], "", Test),
    rule(&["node", "npm*"], "jest", Test),
    rule(&["tsc", "esbuild", "webpack", "vite", "rollup", "next"], "", Compile),
    rule(&["node"], "/.bin/tsc", Compile),
    rule(&["node"], "/.bin/rollup", Compile),
    rule(&["node"], "/.bin/esbuild", Compile),
    rule(&["node"], "/.bin/next", Compile),
    rule(&["node"], "/.bin/mocha", Test),
    rule(&["node"], "/.bin/vitest", Test),
    rule(&["node"], "typescript/bin/tsc", Compile),
    rule(&["node"], "mocha/bin/", Test),
    rule(&["node"], "vitest/vitest.mjs", Test),
    rule(&["node"], "/webpack", Compile),
    rule(&["node"], "/vite", Compile),
    rule(&["node"], "/npm =run", Scripts),
    rule(&["node"], "/npm =test", Test),
    rule(&["node"], "/npm =prune", Unpack),
    rule(&["node"], "/npm =cache", Plan),
    // The words after yarn and pnpm are a command of theirs or the name of a script.
    rule(&["node"], "/yarn =run", Scripts),
    rule(&["node"], "/yarn =test", Test),
    rule(&["node"], "/yarn =cache", Plan),
    rule(&["node"], "/yarn =config", Plan),
    by_lines(&["node"], "/yarn =install", Unpack),
    by_lines(&["node"], "$/yarn", Unpack),
    rule(&["node"], "/yarn", Scripts),
    rule(&["node"], "/pnpm =run", Scripts),
    rule(&["node"], "/pnpm =test", Test),
    rule(&["node"], "/pnpm =store", Plan),
    rule(&["node"], "/pnpm =config", Plan),
    by_lines(&["node"], "/pnpm =install", Unpack),
    by_lines(&["node"], "/pnpm =i", Unpack),
    by_lines(&["node"], "/pnpm =fetch", Unpack),
    by_lines(&["node"], "/pnpm =prune", Unpack),
    by_lines(&["node"], "/pnpm =deploy", Unpack),
    rule(&["node"], "/pnpm", Scripts),
    rule(&["npm*", "yarn*", "pnpm*"], "=run", Scripts),
    rule(&["npm*", "yarn*", "pnpm*", "bun"], "=test", Test),
    by_lines(&["npm*", "yarn*", "pnpm*"], "", Unpack),
    by_lines(&["node"], "/bin/npm", Unpack),
];

/// Commands that run the scripts of a project.
const MANAGERS: &[&str] = &["npm", "yarn", "pnpm", "bun", "node", "corepack"];
/// Commands that install by npm.
const NPM: &[&str] = &["npm", "npx"];
/// Commands that install by bun.
const BUN: &[&str] = &["bun install", "bun i", "bun ci", "bun add", "bun update"];
/// Commands that install by yarn from 2 on, which may be a file of the project.
const YARN: &[&str] = &["yarn", "corepack", "node"];

/// Lines as the tools print them.
const LINES: &[LineRule] = &[
    begins("npm http fetch ", Download).by(NPM),
    // The third word is the name of the script: `> app@1.0.0 build`.
    begins("> *@* ", Scripts).named(2),
    // From npm 12 on the fifth.
    begins("npm notice run *@* ", Scripts).by(NPM).named(4),
    ended("added * package", Unpack).by(NPM).took().last(),
    ended("changed * package", Unpack).by(NPM).took().last(),
    ended("up to date", Unpack).by(NPM).took().last(),
    ended("removed * package", Unpack).by(NPM).took().last(),
    // There is one step more if the project says which engines it needs.
    begins("[1/*] Validating package.json", Plan).by(&["yarn"]),
    begins("[*] Resolving packages", Plan).by(&["yarn"]),
    begins("[*] Fetching packages", Download).by(&["yarn"]),
    begins("[*] Linking dependencies", Unpack).by(&["yarn"]),
    begins("[*] Building fresh packages", Scripts).by(&["yarn"]),
    begins("[*] Rebuilding all packages", Scripts).by(&["yarn"]),
    begins("➤ YN0000: ┌ Resolution step", Plan).by(YARN),
    begins("➤ YN0000: ┌ Fetch step", Download).by(YARN),
    begins("➤ YN0000: ┌ Link step", Unpack).by(YARN),
    begins("➤ YN0000: · Done ", Plan).by(YARN).took().last(),
    begins("➤ YN0000: Done ", Plan).by(YARN).took().last(),
    // pnpm 12 asks for each package whether it may be installed.
    begins("? Verifying lockfile against ", Plan).by(&["pnpm"]),
    ended("✓ Lockfile passes ", Plan).by(&["pnpm"]),
    // The times of these by `--reporter=ndjson`: packages are fetched and unpacked from the line "Packages" on.
    begins("Progress: resolved 1, reused 0, downloaded 0, ", Plan).by(&["pnpm"]),
    begins("Progress: *, reused 0, downloaded 0, ", Download).by(&["pnpm"]),
    begins("Progress: *, downloaded 1, added 0", Download).by(&["pnpm"]),
    begins("Packages: +", Download).by(&["pnpm"]),
    // The store has all packages.
    ended("Progress: *, downloaded 0, ", Unpack).by(&["pnpm"]),
    ended("Progress: resolved ", Download).by(&["pnpm"]),
    begins("Packages: -", Unpack).by(&["pnpm"]),
    begins("Lockfile is up to date", Plan).by(&["pnpm"]).unless("fetch"),
    // yarn ends the line with a full stop, after an install as after a script. pnpm has unpacked packages since its last line.
    begins("Done in *s.", Plan).by(&["yarn"]).took().last(),
    ended("Done in ", Unpack).by(&["pnpm"]).took().last(),
    ended("success Saved lockfile", Scripts).by(&["yarn"]),
    begins("* *install$ ", Scripts).by(&["pnpm"]),
    ended("* *install: Done", Scripts).by(&["pnpm"]),
    begins("* prepare$ ", Scripts).by(&["pnpm"]),
    ended("* prepare: Done", Scripts).by(&["pnpm"]),
    begins("bun install v", Unpack).by(BUN),
    begins("bun add v", Unpack).by(&["bun add"]),
    begins("bun remove v", Unpack).by(&["bun remove"]),
    begins("bun update v", Unpack).by(&["bun update"]),
    ended("* package* installed [", Unpack).by(BUN).took().last(),
    ended("Checked * installs across ", Unpack).by(BUN).took().last(),
    ended("[*] done", Unpack).by(&["bun add", "bun remove"]).took().last(),
    begins("bun test v", Test).by(&["bun test"]),
    ended("Ran * test* across ", Test).by(&["bun test"]).took().last(),
    ended("Bundled * module", Compile).by(&["bun build"]).took().last(),
    begins("vite v* building ", Compile).by(MANAGERS).with("vite"),
    ended("✓ built in ", Compile).by(MANAGERS).with("vite").took().each(),
    ended("⚡ Done in ", Compile).by(MANAGERS).with("esbuild").took().each(),
    // Next 12 has a word before its lines, and later versions a mark.
    begins("Creating an optimized production build", Compile).by(MANAGERS).with("next"),
    begins("info  - Creating an optimized production build", Compile).by(MANAGERS).with("next"),
    ended("* Compiled successfully", Compile).by(MANAGERS).with("next"),
    ended("webpack *compiled ", Compile).by(MANAGERS).with("webpack").took().last(),
    ended("PASS ", Test).by(MANAGERS).with("jest"),
    ended("FAIL ", Test).by(MANAGERS).with("jest"),
    ended("Test Suites: ", Test).by(MANAGERS).with("jest"),
    ended("Time:        ", Test).by(MANAGERS).with("jest").took().last(),
    ended("* passing (", Test).by(MANAGERS).with("mocha").took().last(),
    begins("RUN  v", Test).by(MANAGERS).with("vitest"),
    ended("Test Files  ", Test).by(MANAGERS).with("vitest"),
    ended("Duration  ", Test).by(MANAGERS).with("vitest").took().last(),
];

pub(super) const FAMILY: Family =
    Family { names: &["npm", "npx", "yarn", "pnpm", "node", "bun", "corepack"], rules: RULES, lines: LINES };

/// How the line of a package manager with the command of a script begins, which it runs then: npm 12, npm and pnpm before it, yarn and bun.
const SCRIPT_LINES: &[&str] = &["npm notice run ", "> ", "$ "];

/// The line of a package manager with the command of a script.
pub(super) fn script_line(line: &str) -> Option<ToolLine> {
    let command = SCRIPT_LINES.iter().find_map(|start| line.strip_prefix(start))?;
    let says = Says::Begins(only_activity(command)?);
    Some(ToolLine::of(says, MANAGERS))
}

/// Whether a shell only waits for the end of pnpm, to end what pnpm has left (pnpm 12).
pub(in crate::inside) fn only_waits(process: &Process) -> bool {
    process.arguments.iter().any(|word| word.starts_with("trap '' INT TERM HUP"))
}

/// Whether a process runs scripts of packages by a shell: it installs packages, or runs a program of one.
pub(super) fn runs_scripts(process: &Process) -> bool {
    let rule = RULES.iter().find(|rule| rule.fits(process));
    rule.is_some_and(|rule| rule.activity == Unpack || rule.argument == NPX || rule.programs == ["npx"])
}

#[cfg(test)]
mod tests {
    use super::super::of;
    use super::*;

    #[test]
    fn installing_bundling_and_testing_differ() {
        assert_eq!(of("node /usr/bin/npm ci"), Some(Unpack));
        assert_eq!(of("node /app/node_modules/.bin/tsc -p ."), Some(Compile));
        assert_eq!(of("node /app/node_modules/.bin/jest"), Some(Test));
        assert_eq!(of("node /usr/bin/npm prune --omit=dev"), Some(Unpack));
        assert_eq!(of("node /usr/bin/npm run build"), Some(Scripts));
        assert_eq!(of("node server.js"), None);
        let named = "node /usr/bin/npm install --save-dev jest @types/webpack";
        assert_eq!(of(named), Some(Unpack), "packages of these names");
        assert_eq!(of("npm install jest"), Some(Unpack));
    }
}

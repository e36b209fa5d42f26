//! npm, yarn, pnpm and what their packages run.

use super::Activity::{Compile, Test, Unpack};
use super::{Rule, rule};

pub(super) const RULES: &[Rule] = &[
    rule(&["node", "npm*", "yarn*", "pnpm*"], "node-gyp", Compile),
    rule(&["jest", "mocha", "vitest"], "", Test),
    rule(&["node", "npm*"], "jest", Test),
    rule(&["tsc", "esbuild", "webpack", "vite", "rollup", "next"], "", Compile),
    rule(&["node"], "/.bin/tsc", Compile),
    rule(&["node"], "/webpack", Compile),
    rule(&["node"], "/vite", Compile),
    rule(&["npm*", "yarn*", "pnpm*"], "", Unpack),
    rule(&["node"], "/bin/npm", Unpack),
    rule(&["node"], "npm-cli.js", Unpack),
];

#[cfg(test)]
mod tests {
    use super::super::of;
    use super::*;

    #[test]
    fn installing_bundling_and_testing_differ() {
        assert_eq!(of("node /usr/bin/npm ci"), Some(Unpack));
        assert_eq!(of("node /app/node_modules/.bin/tsc -p ."), Some(Compile));
        assert_eq!(of("node /app/node_modules/.bin/jest"), Some(Test));
        assert_eq!(of("node server.js"), None);
    }
}

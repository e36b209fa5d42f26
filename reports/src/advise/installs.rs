//! Commands that install dependencies: their tools, the files that they need, and the caches of the tools.

use super::commands::{CLEANING, chain, commands};

/// A tool that installs dependencies.
pub(super) struct Installer {
    /// Prefixes of the commands that install.
    commands: &'static [&'static str],
    /// The files that list the dependencies. They seldom change.
    manifests: &'static [&'static str],
    /// The cache directory of the tool for root, from its documentation; empty if the layer keeps the same files anyway.
    pub(super) cache: &'static str,
    /// Whether the cache must not be used by two processes at a time.
    pub(super) locked: bool,
    /// How dependencies are fetched alone, if the command itself also compiles the sources.
    compiles: Option<Fetch>,
}

/// How dependencies are fetched without the sources.
#[derive(Clone, Copy)]
enum Fetch {
    By(&'static str),
    /// The tool has no command for it.
    Hard,
}

/// What an install needs from the context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    /// Only these files.
    Files(Vec<String>),
    /// Nothing: the command names what it installs.
    Nothing,
    /// The sources. With these files, this command would fetch the dependencies first.
    Sources(Vec<String>, Option<&'static str>),
}

const fn plain(
    commands: &'static [&'static str],
    manifests: &'static [&'static str],
    cache: &'static str,
) -> Installer {
    Installer { commands, manifests, cache, locked: false, compiles: None }
}

const INSTALLERS: [Installer; 14] = [
    plain(&["npm ci", "npm install", "npm i"], &["package.json", "package-lock.json"], "/root/.npm"),
    plain(&["yarn install", "yarn --frozen-lockfile"], &["package.json", "yarn.lock"], "/usr/local/share/.cache/yarn"),
    plain(&["pnpm install", "pnpm i"], &["package.json", "pnpm-lock.yaml"], "/root/.local/share/pnpm/store"),
    plain(
        &["pip install", "pip3 install", "python -m pip install", "python3 -m pip install"],
        &["requirements.txt"],
        "/root/.cache/pip",
    ),
    plain(&["poetry install --no-root"], &["pyproject.toml", "poetry.lock"], "/root/.cache/pypoetry"),
    Installer {
        compiles: Some(Fetch::By("poetry install --no-root")),
        ..plain(&["poetry install"], &["pyproject.toml", "poetry.lock"], "/root/.cache/pypoetry")
    },
    plain(&["go mod download"], &["go.mod", "go.sum"], ""),
    Installer {
        compiles: Some(Fetch::By("go mod download")),
        ..plain(&["go build", "go install", "go test", "go vet"], &["go.mod", "go.sum"], "/root/.cache/go-build")
    },
    Installer {
        compiles: Some(Fetch::Hard),
        ..plain(&["cargo build", "cargo install"], &["Cargo.toml", "Cargo.lock"], "/usr/local/cargo/registry")
    },
    Installer { compiles: Some(Fetch::Hard), ..plain(&["cargo fetch"], &["Cargo.toml", "Cargo.lock"], "") },
    plain(&["bundle install"], &["Gemfile", "Gemfile.lock"], "/usr/local/bundle/cache"),
    plain(&["composer install"], &["composer.json", "composer.lock"], "/root/.composer/cache"),
    Installer { compiles: Some(Fetch::By("mvn dependency:go-offline")), ..plain(&["mvn"], &["pom.xml"], "/root/.m2") },
    Installer {
        locked: true,
        ..plain(&["apt-get install", "apt-get -y install", "apt install"], &[], "/var/cache/apt")
    },
];

fn begins(command: &str, with: &str) -> bool {
    command.strip_prefix(with).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
}

impl Installer {
    fn is(&self, command: &str) -> bool {
        self.commands.iter().any(|begin| begins(command, begin))
    }

    /// What a command of this tool needs.
    fn needs(&self, command: &str) -> Needs {
        let begin = self.commands.iter().filter(|begin| begins(command, begin)).map(|begin| begin.len()).max();
        let mut words = command[begin.unwrap_or(0)..].split_whitespace();
        let manifests = || self.manifests.iter().map(|&file| file.to_owned()).collect();
        let (mut files, mut named, mut sources) = (Vec::new(), false, false);
        while let Some(word) = words.next() {
            match word {
                "-r" | "--requirement" | "-c" | "--constraint" => files.extend(words.next().map(str::to_owned)),
                "-e" | "--editable" => sources = true,
                _ if word.starts_with("--requirement=") || word.starts_with("--constraint=") => {
                    files.extend(word.split_once('=').map(|(_, file)| file.to_owned()));
                }
                _ if word.starts_with('-') => {}
                // A path of the context, or a word that the shell expands.
                _ if word == "." || word.starts_with("./") || word.contains(['$', '<', '>', '*', '`']) => {
                    sources = true
                }
                _ => named = true,
            }
        }
        match self.compiles {
            // `go install example.org/tool@v1`, `cargo install tool`: not from the context.
            Some(_) if named && !sources && command.split_whitespace().nth(1) == Some("install") => Needs::Nothing,
            Some(Fetch::By(fetch)) => Needs::Sources(manifests(), Some(fetch)),
            Some(Fetch::Hard) => Needs::Sources(manifests(), None),
            None if sources => Needs::Sources(manifests(), None),
            None if !files.is_empty() => Needs::Files(files),
            None if named => Needs::Nothing,
            None => Needs::Files(manifests()),
        }
    }
}

/// The installer that a RUN uses, and what it needs.
pub(super) fn installs(text: &str) -> Option<(&'static Installer, Needs)> {
    let find = |installer: &'static Installer| {
        let command = commands(text).find(|command| installer.is(command))?;
        Some((installer, installer.needs(command)))
    };
    INSTALLERS.iter().find_map(find)
}

/// The installer that a RUN uses.
pub(super) fn installer(text: &str) -> Option<&'static Installer> {
    installs(text).map(|(installer, _)| installer)
}

/// Whether a RUN only installs. Then it may be moved before the copy of other files.
pub(super) fn only_installs(text: &str) -> bool {
    let installing = |command: &&str| {
        let prepares = ["apt-get update", "apt update", "pip install --upgrade pip"];
        prepares.contains(command) || installer(&format!("RUN {command}")).is_some()
    };
    let cleaning = |command: &&str| CLEANING.iter().any(|begin| command.starts_with(begin));
    chain(text).is_some_and(|commands| commands.iter().all(|command| installing(command) || cleaning(command)))
}

/// A RUN that installs and then does something else, split in two. `None` if the second would miss a directory or variable that the
/// first sets.
pub(super) fn installed_first(text: &str) -> Option<(String, String)> {
    let commands = chain(text)?;
    let installs = |command: &&str| installer(&format!("RUN {command}")).is_some();
    let last = commands.iter().rposition(installs)?;
    let cleaning = |command: &&&str| CLEANING.iter().any(|begin| command.starts_with(begin));
    let end = last + 1 + commands[last + 1..].iter().take_while(cleaning).count();
    let (install, rest) = commands.split_at(end);
    let leaks = install.iter().any(|command| command.starts_with("cd ") || command.starts_with("export "));
    (!leaks && !rest.iter().all(|command| cleaning(&command)))
        .then(|| (format!("RUN {}", install.join(" && ")), format!("RUN {}", rest.join(" && "))))
}

/// Whether a command runs offline or without a cache.
pub(super) fn offline(text: &str) -> bool {
    text.split_whitespace().any(|word| matches!(word, "--no-index" | "--offline" | "--no-cache-dir" | "--no-download"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn installers_are_recognised_where_they_run() {
        let cache = |text| installer(text).map(|installer| installer.cache);
        assert_eq!(cache("RUN cd /app && npm ci"), Some("/root/.npm"));
        assert_eq!(cache("RUN --mount=type=cache,target=/x pip install -r requirements.txt"), Some("/root/.cache/pip"));
        assert_eq!(cache("RUN echo npm ci"), None);
        assert_eq!(cache("RUN npm cider"), None);
    }

    #[test]
    fn what_an_install_needs_is_in_its_words() {
        let needs = |text| installs(text).unwrap().1;
        let files = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        assert_eq!(needs("RUN npm ci"), Needs::Files(files(&["package.json", "package-lock.json"])));
        assert_eq!(needs("RUN npm install -g serve"), Needs::Nothing);
        assert_eq!(needs("RUN pip install -r deps/prod.txt"), Needs::Files(files(&["deps/prod.txt"])));
        assert_eq!(needs("RUN pip install --requirement=a.txt"), Needs::Files(files(&["a.txt"])));
        assert_eq!(needs("RUN pip install flask"), Needs::Nothing);
        assert_eq!(needs("RUN pip install --no-deps ."), Needs::Sources(files(&["requirements.txt"]), None));
        assert_eq!(
            needs("RUN go build -o /app ."),
            Needs::Sources(files(&["go.mod", "go.sum"]), Some("go mod download"))
        );
        assert_eq!(needs("RUN go install example.org/tool@v1"), Needs::Nothing);
        assert_eq!(needs("RUN go mod download"), Needs::Files(files(&["go.mod", "go.sum"])));
        assert_eq!(needs("RUN cargo build --release"), Needs::Sources(files(&["Cargo.toml", "Cargo.lock"]), None));
        assert_eq!(needs("RUN apt-get install -y gcc"), Needs::Nothing);
        assert_eq!(needs("RUN apt-get install -y ./x.deb"), Needs::Sources(Vec::new(), None));
    }

    #[test]
    fn an_install_alone_may_be_moved() {
        assert!(only_installs("RUN apt-get update && apt-get install -y gcc && rm -rf /var/lib/apt/lists"));
        assert!(!only_installs("RUN npm ci && npm run build"));
        assert!(!only_installs("RUN --mount=type=bind,target=/x npm ci"));
    }

    #[test]
    fn an_install_is_split_off_where_that_changes_nothing() {
        let split = installed_first;
        assert_eq!(
            split("RUN apt-get update && apt-get install -y gcc && rm -r /var/lib/apt/lists && make"),
            Some((
                "RUN apt-get update && apt-get install -y gcc && rm -r /var/lib/apt/lists".into(),
                "RUN make".into()
            ))
        );
        assert_eq!(split("RUN npm ci && rm -r /tmp/x"), None, "nothing but clearing up follows");
        assert_eq!(split("RUN cd /app && npm ci && npm run build"), None, "the directory would be lost");
        assert_eq!(split("RUN make && make install"), None);
    }
}

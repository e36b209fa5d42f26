//! The tools that install and build: their commands, their needs, and the directories of their caches. Facts are from the tools' own
//! documentation.

mod compilers;
mod downloads;
mod jvm;
mod native;
mod node;
mod others;
mod python;
mod simple;
mod systems;
mod uv;

use crate::invocation::Invocation;
use crate::usage::{Surroundings, Usage};
use crate::word::Word;

/// Returns the usage of a tool by a command; `None` if the tool is unknown.
pub fn recognise(command: &Invocation, around: &Surroundings) -> Option<Usage> {
    let program = command.program();
    match program {
        "apt-get" | "apt" | "aptitude" | "nala" | "apt-fast" => systems::apt(command),
        "install_packages" => systems::install_packages(command),
        "apk" => systems::apk(command),
        "dnf" | "dnf5" | "dnf-3" | "microdnf" | "yum" | "tdnf" => systems::dnf(command, around),
        "zypper" => systems::zypper(command),
        "pacman" => systems::pacman(command),
        "npm" => node::npm(command, around),
        "npx" => node::npx(command),
        "bunx" => node::bunx(command),
        "yarn" | "yarnpkg" => node::yarn(command, around),
        "pnpm" => node::pnpm(command, around),
        "bun" => node::bun(command, around),
        "deno" => node::deno(command, around),
        "uv" => uv::uv(command, around),
        "uvx" => uv::uvx(command, around),
        "poetry" => python::poetry(command, around),
        "pipenv" => python::pipenv(command, around),
        "pipx" => python::pipx(command, around),
        "pip-sync" => python::pip_sync(command, around),
        "pdm" => python::pdm(command, around),
        "conda" | "mamba" | "micromamba" => python::conda(command, around),
        "mvn" | "mvnw" | "mvnd" => jvm::maven(command, around),
        "gradle" | "gradlew" => jvm::gradle(command, around),
        "sbt" => jvm::sbt(command, around),
        "go" => compilers::go(command, around),
        "cargo" | "cross" => compilers::cargo(command, around),
        "rustup" => compilers::rustup(command),
        "gem" => others::gem(command, around),
        "bundle" | "bundler" => others::bundler(command, around),
        "composer" | "composer.phar" => others::composer(command, around),
        "dotnet" => others::dotnet(command, around),
        "nuget" => others::nuget(command, around),
        "mix" => others::mix(command, around),
        "stack" => compilers::stack(command, around),
        "cabal" => compilers::cabal(command, around),
        "swift" => compilers::swift(command, around),
        "dart" | "flutter" => others::dart(command, around),
        "helm" => others::helm(command, around),
        "curl" | "wget" | "aria2c" | "git" | "svn" => downloads::download(command),
        "ccache" | "sccache" => native::ccache(command, around),
        "make" | "gmake" | "ninja" | "cmake" | "ctest" | "meson" | "gcc" | "g++" | "cc" | "c++" | "clang"
        | "clang++" | "rustc" | "scons" | "bazel" | "bazelisk" | "javac" | "ant" | "autoreconf" => {
            native::build(command, around)
        }
        // Scripts of a source package that write its makefiles.
        "configure" | "autogen.sh" if command.program_folder().is_some() => native::build(command, around),
        "conan" => native::conan(command, around),
        "vcpkg" => native::vcpkg(command, around),
        "R" | "Rscript" => simple::r(command),
        _ if is_version_of(program, "pip") => python::pip(command, around),
        _ if is_version_of(program, "python") || program == "pypy3" => python::module(command, around),
        "php" if command.words.get(1).is_some_and(|word| word.text.ends_with("composer.phar")) => {
            others::composer(&without_first(command, 1), around)
        }
        _ => simple::simple(command, around),
    }
}

/// Whether a program is a version of another: `pip`, `pip3`, `pip3.11`.
fn is_version_of(program: &str, name: &str) -> bool {
    program.strip_prefix(name).is_some_and(|version| version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'))
}

/// The command in the arguments of another.
fn without_first(command: &Invocation, count: usize) -> Invocation {
    Invocation { words: command.words[count..].to_vec(), ..command.clone() }
}

/// Whether these words name packages, and not files of the build context.
fn are_names(words: &[&Word]) -> bool {
    words.iter().all(|word| {
        let text = word.text.as_str();
        let expanded = text.contains("$(") || text.contains('`') || text.contains("$@");
        let path = matches!(text, "." | "..") || text.starts_with(['.', '/', '~']) || text.starts_with("file:");
        let file = [".deb", ".apk", ".rpm", ".whl", ".tar.gz", ".tgz", ".zip", ".gem", ".pkg.tar.zst", ".spec", ".dsc"];
        let url = text.contains("://");
        !expanded && !path && (url || !file.iter().any(|end| text.ends_with(end)))
    })
}

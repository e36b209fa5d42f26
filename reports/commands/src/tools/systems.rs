//! Package managers of operating systems.

use super::are_names;
use crate::arguments::Arguments;
use crate::invocation::Invocation;
use crate::usage::{Cache, Cacheless, Content, Needs, Sharing, Surroundings, Tool, Usage, Work};
use crate::word::Word;

fn locked(target: &str) -> Option<Cache> {
    // Each of them locks a file of the system, which other builds do not share.
    Some(Cache::new(target, Content::Downloads, Sharing::Locked))
}

/// The needs of an install of these packages.
fn of_packages(words: &[&Word]) -> Needs {
    if are_names(words) { Needs::Nothing } else { Needs::Sources(None) }
}

/// apt-get(8), apt(8).
pub(super) fn apt(command: &Invocation) -> Option<Usage> {
    const VALUED: [&str; 9] =
        ["-o", "-t", "-c", "-a", "-P", "--option", "--target-release", "--config-file", "--default-release"];
    let arguments = Arguments::of(command.arguments(), &VALUED);
    let work = match arguments.action() {
        "install" | "satisfy" | "upgrade" | "dist-upgrade" | "full-upgrade" | "safe-upgrade" | "build-dep"
        | "reinstall" | "download" | "source" => Work::Install,
        "update" => Work::Prepare,
        "clean" | "autoclean" | "autoremove" | "auto-remove" | "purge" | "remove" | "distclean" => Work::Clean,
        _ => return None,
    };
    let mut usage = Usage::new(Tool::Apt, work, of_packages(arguments.rest()), command);
    usage.offline = arguments.has(&["--no-download"]);
    // The state in /var/lib/apt belongs to the image; only the lists below it can be fetched again. What `download` and `source` fetch goes
    // to the working directory.
    let kept = !matches!(arguments.action(), "download" | "source");
    let lists = locked("/var/lib/apt/lists");
    Some(match work {
        Work::Install => usage.caching([locked("/var/cache/apt").filter(|_| kept), lists]),
        Work::Prepare => usage.caching([lists]),
        _ => usage,
    })
}

/// The script of minideb and Bitnami's images: updates the lists, installs, and removes the lists with their directory, which therefore
/// cannot be a mount.
pub(super) fn install_packages(command: &Invocation) -> Option<Usage> {
    let arguments = Arguments::of(command.arguments(), &[]);
    (!arguments.plain.is_empty()).then(|| Usage::new(Tool::Apt, Work::Install, of_packages(&arguments.plain), command))
}

/// apk(8): packages are kept where /etc/apk/cache exists.
pub(super) fn apk(command: &Invocation) -> Option<Usage> {
    const VALUED: [&str; 10] =
        ["-t", "-X", "-p", "--virtual", "--repository", "--root", "--arch", "--cache-dir", "--keys-dir", "--wait"];
    let arguments = Arguments::of(command.arguments(), &VALUED);
    let work = match arguments.action() {
        "add" | "upgrade" => Work::Install,
        "update" => Work::Prepare,
        "del" | "cache" => Work::Clean,
        _ => return None,
    };
    // `apk del .build-deps` names a group of packages.
    let needs = if work == Work::Clean { Needs::Nothing } else { of_packages(arguments.rest()) };
    let mut usage = Usage::new(Tool::Apk, work, needs, command);
    usage.offline = arguments.has(&["--no-network"]);
    let cacheless = arguments.has(&["--no-cache"]);
    // Another root has its own cache, which belongs to the files there.
    let cache = locked("/etc/apk/cache").filter(|_| !arguments.has(&["-p", "--root"]));
    if work == Work::Install || work == Work::Prepare && !cacheless {
        usage = usage.caching([cache]);
    }
    usage.cacheless = (work == Work::Install && cacheless).then_some(Cacheless::Option("--no-cache"));
    Some(usage)
}

/// dnf(8), yum(8). Packages are removed after an install unless `keepcache` is set.
pub(super) fn dnf(command: &Invocation, around: &Surroundings) -> Option<Usage> {
    const VALUED: [&str; 12] = [
        "-c",
        "-d",
        "-e",
        "-R",
        "-x",
        "--config",
        "--enablerepo",
        "--disablerepo",
        "--repo",
        "--installroot",
        "--releasever",
        "--exclude",
    ];
    let arguments = Arguments::of(command.arguments(), &VALUED);
    let work = match arguments.action() {
        "install" | "update" | "upgrade" | "distro-sync" | "groupinstall" | "localinstall" | "reinstall"
        | "builddep" | "group" | "swap" => Work::Install,
        "makecache" | "check-update" => Work::Prepare,
        "clean" | "remove" | "erase" | "autoremove" => Work::Clean,
        _ => return None,
    };
    let tool = match command.program() {
        "microdnf" | "tdnf" => Tool::Microdnf,
        "yum" => Tool::Yum,
        _ => Tool::Dnf,
    };
    let mut usage = Usage::new(tool, work, of_packages(arguments.rest()), command);
    usage.offline = arguments.has(&["-C", "--cacheonly"]);
    if work != Work::Clean && !arguments.has(&["--installroot"]) {
        // dnf 5 has another directory. Fedora has it since 41.
        let fifth = command.program() == "dnf5"
            || around.image == "fedora" && around.tag.parse::<u32>().map_or(true, |version| version >= 41);
        let older = fifth.then(|| locked("/var/cache/libdnf5")).flatten();
        usage = usage.caching(match tool {
            Tool::Dnf if older.is_some() => [older],
            Tool::Dnf => [locked("/var/cache/dnf")],
            _ if command.program() == "tdnf" => [locked("/var/cache/tdnf")],
            _ => [locked("/var/cache/yum")],
        });
        let keeps = command.arguments().iter().any(|word| word.text.contains("keepcache"));
        if work == Work::Install && !keeps {
            usage.cacheless = Some(Cacheless::Option("keepcache"));
        }
    }
    Some(usage)
}

/// zypper(8). Packages are removed after an install unless the repository keeps them.
pub(super) fn zypper(command: &Invocation) -> Option<Usage> {
    const VALUED: [&str; 10] = ["-R", "-D", "-C", "-r", "-t", "--root", "--repo", "--from", "--type", "--plus-repo"];
    let arguments = Arguments::of(command.arguments(), &VALUED);
    let work = match arguments.action() {
        "install" | "in" | "update" | "up" | "dist-upgrade" | "dup" | "patch" => Work::Install,
        "refresh" | "ref" | "addrepo" | "ar" | "modifyrepo" | "mr" => Work::Prepare,
        "clean" | "cc" | "remove" | "rm" => Work::Clean,
        _ => return None,
    };
    let mut usage = Usage::new(Tool::Zypper, work, of_packages(arguments.rest()), command);
    usage.offline = arguments.has(&["--no-refresh"]);
    if work != Work::Clean && !arguments.has(&["-R", "--root"]) {
        usage = usage.caching([locked("/var/cache/zypp")]);
        // The lists of packages are kept.
        usage.cacheless = (work == Work::Install).then_some(Cacheless::Option("keep-packages"));
    }
    Some(usage)
}

/// pacman(8).
pub(super) fn pacman(command: &Invocation) -> Option<Usage> {
    const VALUED: [&str; 6] = ["--cachedir", "--root", "--config", "--dbpath", "--ignore", "--arch"];
    let arguments = Arguments::of(command.arguments(), &VALUED);
    let words: Vec<&Word> = arguments.plain.clone();
    let letters: String = command
        .arguments()
        .iter()
        .filter(|word| word.is_option() && !word.text.starts_with("--"))
        .map(|word| word.text.trim_start_matches('-'))
        .collect();
    let work = if letters.contains('R') || letters.contains('S') && letters.contains('c') {
        Work::Clean
    } else if letters.contains('U') {
        return Some(Usage::new(Tool::Pacman, Work::Install, of_packages(&words), command));
    } else if letters.contains('S') && words.is_empty() && !letters.contains('u') {
        Work::Prepare
    } else if letters.contains('S') || arguments.has(&["--sync"]) {
        Work::Install
    } else {
        return None;
    };
    let usage = Usage::new(Tool::Pacman, work, of_packages(&words), command);
    let cache = match work {
        Work::Install => locked("/var/cache/pacman/pkg"),
        Work::Prepare => locked("/var/lib/pacman/sync"),
        _ => None,
    };
    Some(usage.caching([cache.filter(|_| !arguments.has(&["--root", "-r", "--sysroot"]))]))
}

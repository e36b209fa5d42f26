//! The proxies of this machine, for helper programs that fetch something.

use std::ffi::OsString;

/// The variables that curl, git and apt read, each also in upper case.
const NAMES: [&str; 5] = ["http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy"];

/// The variables of this process that name its proxies.
pub(crate) fn proxies() -> impl Iterator<Item = (String, OsString)> {
    let names = NAMES.into_iter().flat_map(|name| [name.to_owned(), name.to_uppercase()]);
    names.filter_map(|name| std::env::var_os(&name).map(|value| (name, value)))
}

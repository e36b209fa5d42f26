//! Files that a command writes at its end: whether they can be written is checked at its beginning, so that a wrong path
//! does not cost the work.

use crate::Failure;
use crate::output::is_stdout;
use miette::{IntoDiagnostic, WrapErr, miette};
use std::fs::OpenOptions;
use std::path::Path;

/// Fails if a result cannot be written to `path`: a file, or `-` for standard output.
pub(crate) fn check_result(flag: &str, path: &Path) -> Result<(), Failure> {
    if is_stdout(path) { Ok(()) } else { check_file(flag, path) }
}

/// Fails if a file cannot be created or replaced at `path`. Nothing is left behind, and an existing file keeps its content. The file
/// cannot be standard output: it is written several times, or has other files next to it.
pub(crate) fn check_file(flag: &str, path: &Path) -> Result<(), Failure> {
    let named = || format!("{flag} {}", path.display());
    if is_stdout(path) {
        let help = "give a file (`./-` for one of this name)";
        return Err(Failure::usage(miette!(help = help, "{}: this cannot be written to standard output", named())));
    }
    let checked = match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => return Err(Failure::usage(miette!("{}: it is a directory", named()))),
        Ok(found) if found.is_file() => OpenOptions::new().append(true).open(path).map(drop),
        // A pipe or a device. Opening a pipe waits for its reader.
        Ok(_) => Ok(()),
        Err(_) => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            tempfile::tempfile_in(folder.unwrap_or(Path::new("."))).map(drop)
        }
    };
    checked.into_diagnostic().wrap_err_with(named).map_err(Failure::Usage)
}

/// Fails if files cannot be created in the directory `path`, which need not exist yet.
pub(crate) fn check_folder(flag: &str, path: &Path) -> Result<(), Failure> {
    let existing = path.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("."));
    let checked = tempfile::tempfile_in(existing);
    checked.map(drop).into_diagnostic().wrap_err_with(|| format!("{flag} {}", path.display())).map_err(Failure::Usage)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_cannot_be_written_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "kept").unwrap();
        for good in [&file, &folder.path().join("new")] {
            assert!(check_file("--record", good).is_ok(), "{}", good.display());
        }
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
        assert_eq!(std::fs::read(&file).unwrap(), b"kept");
        for bad in [folder.path(), &file.join("below"), &folder.path().join("missing/new")] {
            let failure = check_file("--record", bad).unwrap_err().to_string();
            assert!(failure.contains("--record") && failure.contains(bad.to_str().unwrap()), "{failure}");
        }
        assert!(check_folder("--out", &folder.path().join("a/b")).is_ok());
        assert!(check_folder("--out", &file.join("b")).is_err());
    }
}

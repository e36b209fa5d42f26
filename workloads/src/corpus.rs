//! The folder of workloads, and the contexts created from it.

use crate::{Category, Edit, Expect, FileChange, Manifest, Scenario, WorkloadError};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// A folder of workloads.
#[derive(Clone, Debug)]
pub struct Corpus {
    root: PathBuf,
}

/// One workload of a corpus.
#[derive(Clone, Debug)]
pub struct Workload {
    /// The name of its folder.
    pub name: String,
    /// Its manifest.
    pub manifest: Manifest,
    folder: PathBuf,
    /// The folder of the workload of which this one is another form.
    form_of: Option<PathBuf>,
    /// The files that are not part of the context, as paths below the folder.
    left_out: BTreeSet<PathBuf>,
}

/// The files in a workload's folder that are not part of the context.
const NOT_CONTEXT: [&str; 2] = ["workload.toml", "README.md"];

/// The text that an edit of a directory outside of the corpus appends. It does no harm in any text format.
const EMPTY_LINE: &str = "\n";

impl Corpus {
    /// Opens the corpus in that folder.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, WorkloadError> {
        let root = root.into();
        if root.is_dir() { Ok(Self { root }) } else { Err(WorkloadError::NoCorpus(root)) }
    }

    /// Finds the corpus of the source tree that contains one of these paths (the working directory or the
    /// executable).
    pub fn find<'a>(near: impl IntoIterator<Item = &'a Path>) -> Result<Self, WorkloadError> {
        let ancestors = near.into_iter().flat_map(Path::ancestors);
        let found = ancestors.map(|folder| folder.join("workloads/corpus")).find(|folder| folder.is_dir());
        found.map_or_else(|| Err(WorkloadError::NoCorpus("workloads/corpus".into())), Self::open)
    }

    /// All names, sorted.
    pub fn names(&self) -> Result<Vec<String>, WorkloadError> {
        let entries = fs::read_dir(&self.root).map_err(WorkloadError::io(&self.root))?;
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(WorkloadError::io(&self.root))?;
            if entry.path().join("workload.toml").is_file() {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    /// Loads the workload of that name.
    pub fn load(&self, name: &str) -> Result<Workload, WorkloadError> {
        let (mut manifest, folder) = self.read(name)?;
        let mut form_of = None;
        if let Some(other) = &manifest.form_of {
            let invalid = |message| WorkloadError::Invalid { workload: name.to_owned(), message };
            let (first, first_folder) = self.read(other).map_err(|error| invalid(format!("`form_of`: {error}")))?;
            if first.form_of.is_some() {
                return Err(invalid(format!("`form_of`: `{other}` is itself a form of another workload")));
            }
            form_of = Some(first_folder);
            manifest.generate.splice(0..0, first.generate);
            manifest.edit.splice(0..0, first.edit);
        }
        let left_out = NOT_CONTEXT.into_iter().map(PathBuf::from).collect();
        let workload = Workload { name: name.to_owned(), manifest, folder, form_of, left_out };
        workload.check()?;
        Ok(workload)
    }

    /// Reads a manifest without resolving `form_of`, and returns it with its folder.
    fn read(&self, name: &str) -> Result<(Manifest, PathBuf), WorkloadError> {
        let folder = self.root.join(name);
        let path = folder.join("workload.toml");
        if name.contains('/') || !path.is_file() {
            return Err(WorkloadError::Unknown { name: name.to_owned(), known: self.names()? });
        }
        let text = fs::read_to_string(&path).map_err(WorkloadError::io(&path))?;
        let manifest = toml::from_str(&text).map_err(|error| WorkloadError::Manifest { path, error: error.into() })?;
        Ok((manifest, folder))
    }

    /// Loads all workloads, shapes first, then by name within a category.
    pub fn all(&self) -> Result<Vec<Workload>, WorkloadError> {
        let mut all = self.names()?.iter().map(|name| self.load(name)).collect::<Result<Vec<_>, _>>()?;
        all.sort_by(|a, b| (a.manifest.category, &a.name).cmp(&(b.manifest.category, &b.name)));
        Ok(all)
    }
}

impl Workload {
    /// A build context that is not in the corpus. Nothing is known about its image, so it is not checked. `left_out` are
    /// paths below the directory that are not copied, and `edited` is the file that the scenario `edit` changes, if any.
    pub fn of_directory(folder: &Path, left_out: BTreeSet<PathBuf>, edited: Option<PathBuf>) -> Self {
        let full = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        let name = full.file_name().map_or_else(|| "context".to_owned(), |name| name.to_string_lossy().into_owned());
        let change = |path| Edit { scenario: Scenario::Edit, path, change: FileChange::Append(EMPTY_LINE.to_owned()) };
        let edit: Vec<Edit> = edited.into_iter().map(change).collect();
        let mut scenarios = vec![Scenario::Cold, Scenario::Warm];
        scenarios.extend(edit.first().map(|edit| edit.scenario));
        let manifest = Manifest {
            category: Category::Real,
            why: "The user asked for this directory.".to_owned(),
            issue: None,
            form_of: None,
            scenarios,
            bases: Vec::new(),
            quick: false,
            generate: Vec::new(),
            edit,
            first: Vec::new(),
            bake: None,
            expect: Expect::default(),
        };
        Self { name, manifest, folder: full, form_of: None, left_out }
    }

    /// Writes the context to `context`, which must be missing or empty.
    pub fn materialise(&self, context: &Path) -> Result<(), WorkloadError> {
        let all_of = |folder: &PathBuf| copy_tree(folder, context, Path::new(""), &self.left_out);
        self.form_of.iter().try_for_each(all_of)?;
        self.manifest.generate.iter().try_for_each(|part| part.write(context))?;
        all_of(&self.folder)?;
        set_times(context)
    }

    /// Applies the scenario's edits for the `n`th time.
    pub fn edit(&self, scenario: Scenario, context: &Path, n: u32) -> Result<(), WorkloadError> {
        let edits = self.manifest.edit.iter().filter(|edit| edit.scenario == scenario);
        edits.into_iter().try_for_each(|edit| edit.apply(context, n))
    }

    fn check(&self) -> Result<(), WorkloadError> {
        let manifest = &self.manifest;
        let edits = |scenario| manifest.edit.iter().any(|edit| edit.scenario == scenario);
        let wrong = if manifest.why.split_whitespace().count() < 5 {
            Some("`why` must be a sentence".to_owned())
        } else if manifest.expect.is_empty() {
            Some("it has no expectations, so its builds could not be checked".to_owned())
        } else if manifest.scenarios.is_empty() {
            Some("`scenarios` is empty".to_owned())
        } else if manifest.category != Category::Real && manifest.bases.iter().any(|base| base != "busybox") {
            Some("a shape or storage workload must build from busybox or scratch".to_owned())
        } else {
            let unedited =
                |scenario: &&Scenario| matches!(scenario, Scenario::Edit | Scenario::Dependency) && !edits(**scenario);
            manifest
                .scenarios
                .iter()
                .find(unedited)
                .map(|scenario| format!("the scenario `{scenario}` needs an [[edit]]"))
        };
        wrong.map_or(Ok(()), |message| Err(WorkloadError::Invalid { workload: self.name.clone(), message }))
    }
}

/// 2020-01-01T00:00:00Z. A fixed time makes the layers of a context's files the same on every machine and day.
const MADE: Duration = Duration::from_secs(1_577_836_800);

#[cfg(unix)]
fn symlink(link: &Path, path: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(link, path)
}

/// Contexts are only written where builds run, which is Linux.
#[cfg(not(unix))]
fn symlink(_: &Path, _: &Path) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

/// Sets the time of `path` and everything below it.
fn set_times(path: &Path) -> Result<(), WorkloadError> {
    if path.is_symlink() {
        return Ok(());
    }
    if path.is_dir() {
        for entry in fs::read_dir(path).map_err(WorkloadError::io(path))? {
            set_times(&entry.map_err(WorkloadError::io(path))?.path())?;
        }
    }
    let file = fs::File::open(path).map_err(WorkloadError::io(path))?;
    file.set_modified(SystemTime::UNIX_EPOCH + MADE).map_err(WorkloadError::io(path))
}

/// Copies files with their modes, except those in `left_out`. `below` is the path of `from` in the context. Sockets, pipes and
/// devices are not part of a context.
fn copy_tree(from: &Path, to: &Path, below: &Path, left_out: &BTreeSet<PathBuf>) -> Result<(), WorkloadError> {
    fs::create_dir_all(to).map_err(WorkloadError::io(to))?;
    for entry in fs::read_dir(from).map_err(WorkloadError::io(from))? {
        let entry = entry.map_err(WorkloadError::io(from))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let path = below.join(entry.file_name());
        if left_out.contains(&path) {
            continue;
        }
        let kind = entry.file_type().map_err(WorkloadError::io(&source))?;
        if !kind.is_dir() && target.symlink_metadata().is_ok() {
            fs::remove_file(&target).map_err(WorkloadError::io(&target))?;
        }
        if kind.is_dir() {
            copy_tree(&source, &target, &path, left_out)?;
        } else if kind.is_symlink() {
            let link = fs::read_link(&source).map_err(WorkloadError::io(&source))?;
            symlink(&link, &target).map_err(WorkloadError::io(&target))?;
        } else if kind.is_file() {
            fs::copy(&source, &target).map_err(WorkloadError::io(&source))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Generate;

    fn corpus() -> Corpus {
        Corpus::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")).unwrap()
    }

    #[test]
    fn every_workload_is_valid_and_has_a_dockerfile() {
        for workload in corpus().all().unwrap() {
            let makes_one = workload.manifest.generate.iter().any(|part| {
                matches!(
                    part,
                    Generate::Stages { .. } | Generate::Tree { .. } | Generate::Steps { .. } | Generate::Fleet { .. }
                )
            });
            let file = if workload.manifest.bake.is_some() { "compose.yaml" } else { "Dockerfile" };
            let has_one = workload.folder.join(file).is_file() || workload.folder.join("docker-bake.hcl").is_file();
            assert!(makes_one || has_one, "{}", workload.name);
        }
    }

    #[test]
    fn a_context_contains_only_build_inputs() {
        let context = tempfile::tempdir().unwrap();
        corpus().load("diamond").unwrap().materialise(context.path()).unwrap();
        assert!(context.path().join("Dockerfile").is_file());
        assert!(!context.path().join("workload.toml").exists());
        let modified = fs::metadata(context.path().join("Dockerfile")).unwrap().modified().unwrap();
        assert_eq!(modified, SystemTime::UNIX_EPOCH + MADE);
    }

    #[test]
    fn a_directory_is_a_workload_with_all_its_files() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["Dockerfile", "README.md", "src/main.c", "target/large"] {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, name).unwrap();
        }
        let left_out = BTreeSet::from([PathBuf::from("target")]);
        let workload = Workload::of_directory(folder.path(), left_out, Some("src/main.c".into()));
        assert_eq!(workload.manifest.scenarios, [Scenario::Cold, Scenario::Warm, Scenario::Edit]);
        let context = tempfile::tempdir().unwrap();
        workload.materialise(context.path()).unwrap();
        assert!(context.path().join("README.md").is_file() && !context.path().join("target").exists());
        workload.edit(Scenario::Edit, context.path(), 1).unwrap();
        assert_eq!(fs::read_to_string(context.path().join("src/main.c")).unwrap(), "src/main.c\n");
        assert_eq!(fs::read_to_string(folder.path().join("src/main.c")).unwrap(), "src/main.c");
    }

    #[test]
    fn a_form_differs_only_in_its_own_files() {
        let made = |name: &str| {
            let context = tempfile::tempdir().unwrap();
            corpus().load(name).unwrap().materialise(context.path()).unwrap();
            context
        };
        let (good, bad) = (made("go-service"), made("go-service-bad"));
        let read = |context: &tempfile::TempDir, file: &str| fs::read_to_string(context.path().join(file)).unwrap();
        for same in ["go.mod", "cmd/shop/main.go", "internal/price/price.go"] {
            assert_eq!(read(&good, same), read(&bad, same));
        }
        let own = fs::read_to_string(corpus().root.join("go-service-bad/Dockerfile")).unwrap();
        assert_eq!(read(&bad, "Dockerfile"), own);
        assert_ne!(read(&good, "Dockerfile"), own);
        let edits = |name: &str| corpus().load(name).unwrap().manifest.edit;
        assert!(!edits("go-service").is_empty() && edits("go-service") == edits("go-service-bad"));
        assert_eq!(
            corpus().load("c-project-bad").unwrap().manifest.generate.len(),
            3,
            "the generated parts of c-project"
        );
    }

    #[test]
    fn invalid_forms_are_rejected() {
        let folder = tempfile::tempdir().unwrap();
        let workload = |name: &str, form_of: &str| {
            let head = "category = \"shape\"\nwhy = \"It is here to test the corpus itself.\"\nscenarios = [\"cold\"]\nbases = []\n";
            fs::create_dir(folder.path().join(name)).unwrap();
            let text = format!("{head}{form_of}[expect]\nabsent = [\"/x\"]\n");
            fs::write(folder.path().join(name).join("workload.toml"), text).unwrap();
        };
        workload("one", "");
        workload("two", "form_of = \"one\"\n");
        workload("three", "form_of = \"two\"\n");
        workload("lost", "form_of = \"none\"\n");
        let corpus = Corpus::open(folder.path()).unwrap();
        assert!(corpus.load("two").is_ok());
        let error_of = |name: &str| corpus.load(name).unwrap_err().to_string();
        assert!(error_of("three").contains("`two` is itself a form of another workload"), "{}", error_of("three"));
        assert!(error_of("lost").contains("`lost`: `form_of`: unknown workload `none`"), "{}", error_of("lost"));
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        let error = corpus().load("no-such").unwrap_err().to_string();
        assert!(error.contains("diamond") && error.contains("no-such"), "{error}");
    }
}

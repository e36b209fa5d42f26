//! pip, uv and the tools that build Python packages.

use super::Activity::{Compile, Configure, Download, Pack, Plan, Test, Unpack};
use super::{Family, LineRule, ProcessRule, begins, by_lines, ended, rule};
use buildscope_record::Process;

const RULES: &[ProcessRule] = &[
    // Its arguments are names of packages, which may be those of other tools.
    by_lines(&["python*"], "=-m =pip", Unpack),
    by_lines(&["python*"], "/bin/pip", Unpack),
    by_lines(&["python*"], "/=__pip-runner__.py", Unpack),
    by_lines(&["python*"], "/=get-pip.py", Unpack),
    by_lines(&["python*"], "=-m =ensurepip", Unpack),
    rule(&["python*"], "get_requires_for_build", Configure),
    rule(&["python*"], "prepare_metadata_for_build", Configure),
    rule(&["python*", "pip*"], "pyproject_hooks/_in_process", Compile),
    rule(&["uv"], "=venv", Configure),
    // pip before 23.1 installs a package without a wheel so if the package `wheel` is missing.
    rule(&["python*"], "pip-setuptools-caller =install", Unpack),
    rule(&["python*"], "setup.py", Compile),
    rule(&["python*"], "=hatchling =build", Pack),
    rule(&["python*"], "=compileall", Compile),
    rule(&["python*"], "=py_compile", Compile),
    rule(&["pytest", "py.test", "tox", "nox"], "", Test),
    rule(&["python*"], "=pytest", Test),
    rule(&["python*"], "/bin/pytest", Test),
    rule(&["python*"], "=unittest", Test),
    rule(&["python*"], "=venv", Configure),
    rule(&["virtualenv"], "", Configure),
    by_lines(&["pip", "pip3*", "uv"], "", Unpack),
    by_lines(&["poetry", "pipenv", "pdm"], "=lock", Plan),
    by_lines(&["poetry", "pipenv", "pdm"], "=install", Unpack),
    by_lines(&["poetry", "pipenv", "pdm"], "=sync", Unpack),
    by_lines(&["poetry", "pdm"], "=add", Unpack),
    // What `ctypes.util.find_library` of Python starts to find a library.
    rule(&["gcc", "cc", "ld"], "-Wl,-t", Configure),
    rule(&["ld"], "=-t =/dev/null", Configure),
    rule(&["cython*", "maturin"], "", Compile),
];

/// Commands that install by pip.
const PIP: &[&str] = &["pip", "python -m pip", "pipenv", "virtualenv"];
/// Commands that print poetry's lines.
const POETRY: &[&str] = &["poetry", "python -m poetry"];
/// Commands that print uv's lines about packages: `uv venv` does not.
const UV: &[&str] = &["uv pip", "uv sync", "uv add", "uv lock", "uv run", "uv tool", "uv build", "uvx"];
/// Commands of hatch that make environments.
const HATCH: &[&str] = &["hatch"];
/// Commands that run tests by pytest.
const TESTERS: &[&str] = &[
    "pytest",
    "py.test",
    "python pytest",
    "tox",
    "nox",
    "uv run",
    "poetry run",
    "pdm run",
    "hatch test",
    "hatch run",
    "coverage",
    "python",
];
/// Commands that run tests by unittest.
const UNITTEST: &[&str] = &[
    "python unittest",
    "python test",
    "tox",
    "nox",
    "uv run",
    "poetry run",
    "pdm run",
    "hatch run",
    "coverage",
    "python",
];

/// Lines as the tools print them.
const LINES: &[LineRule] = &[
    begins("Collecting ", Download).by(PIP),
    begins("Downloading *B)", Download).by(PIP),
    // pip installs them in a process of its own, whose lines it does not print.
    begins("Installing build dependencies: started", Unpack).by(PIP),
    begins("Installing backend dependencies: started", Unpack).by(PIP),
    begins("Preparing metadata ", Configure).by(PIP),
    begins("Getting requirements to build wheel: started", Configure).by(PIP),
    begins("Building wheel for ", Compile).by(PIP),
    begins("Building wheels for collected packages", Compile).by(PIP),
    begins("Creating virtual environment at: ", Configure).by(&["uv"]),
    begins("Building *==", Compile).by(UV),
    begins("Building * @ ", Compile).by(UV),
    ended("Built ", Compile).by(UV),
    ended("Created wheel for ", Compile).by(PIP),
    begins("Installing collected packages: ", Unpack).by(PIP),
    ended("Successfully installed ", Unpack).by(PIP).last(),
    // Also with `-q`.
    ended("WARNING: Running pip as the 'root' user", Unpack).by(PIP).after_last(),
    ended("Resolved * package", Plan).by(UV),
    ended("Prepared * package", Download).by(UV),
    ended("Installed * package", Unpack).by(UV).last(),
    ended("Bytecode compiled * file", Compile).by(UV).after_last(),
    begins("Creating virtualenv ", Configure).by(POETRY),
    begins("Resolving dependencies...", Plan).by(POETRY),
    ended("Writing lock file", Plan).by(POETRY).last(),
    begins("Installing dependencies from lock file", Unpack).by(POETRY),
    begins("Package operations: ", Unpack).by(POETRY),
    begins("=*= test session starts =", Test).by(TESTERS),
    ended("* passed in ", Test).by(TESTERS).took().last(),
    ended("* failed in ", Test).by(TESTERS).took().last(),
    ended("=* passed", Test).by(TESTERS).took().last(),
    ended("=* failed", Test).by(TESTERS).took().last(),
    ended("Ran * test* in ", Test).by(UNITTEST).took().last(),
    // tox and nox, which name what they run
    begins("*: install_deps> ", Unpack).by(&["tox"]),
    begins("*: commands[", Test).by(&["tox"]),
    begins("nox > python -m pip install ", Unpack).by(&["nox"]),
    begins("nox > pytest", Test).by(&["nox"]),
    begins("Installing dependencies from Pipfile.lock", Unpack).by(&["pipenv"]),
    ended("All dependencies are now up-to-date!", Unpack).by(&["pipenv"]).last(),
    begins("STATUS: Resolving packages from lockfile", Plan).by(&["pdm"]),
    ended("Virtualenv is created successfully ", Configure).by(&["pdm"]),
    ended("*Lock successful", Plan).by(&["pdm"]),
    begins("Synchronizing working set ", Unpack).by(&["pdm"]),
    ended("*All complete! ", Unpack).by(&["pdm"]).last(),
    // hatch, which names its environments
    begins("Creating environment: hatch-build", Configure).by(&["hatch build"]),
    begins("Creating environment: hatch-test", Configure).by(&["hatch test"]),
    begins("Creating environment: ", Configure).by(&["hatch env", "hatch run"]),
    begins("Installing project in development mode", Unpack).by(HATCH),
    begins("Checking dependencies", Plan).by(HATCH),
    begins("Syncing dependencies", Unpack).by(HATCH),
    begins("Inspecting build dependencies", Plan).by(&["hatch build"]),
    begins("─*─ sdist ─", Pack).by(&["hatch build"]),
    begins("─*─ wheel ─", Pack).by(&["hatch build"]),
    // Cython
    begins("Compiling *.pyx because it ", Compile),
    begins("[*/*] Cythonizing ", Compile),
    // setuptools
    begins("building '*' extension", Compile),
];

/// Whether a process runs a hook of a package's build backend. A backend without a hook for the metadata builds the package for it
/// (meson-python), so what the hook starts is known by itself.
pub(super) fn runs_hook(process: &Process) -> bool {
    process.arguments.iter().any(|word| word.contains("pyproject_hooks/_in_process"))
}

pub(super) const FAMILY: Family = Family {
    names: &[
        "pip",
        "pip3",
        "python",
        "python3",
        "uv",
        "pytest",
        "py.test",
        "poetry",
        "pipenv",
        "tox",
        "nox",
        "cython",
        "cythonize",
    ],
    rules: RULES,
    lines: LINES,
};

#[cfg(test)]
mod tests {
    use super::super::of;
    use super::*;

    /// Command lines of `pip install` of a source distribution, pip 24.
    #[test]
    fn building_a_wheel_is_compiling() {
        assert_eq!(of("/usr/bin/python3 -m pip install x"), Some(Unpack));
        assert_eq!(of("pip install -r requirements.txt"), Some(Unpack));
        assert_eq!(
            of(
                "/usr/bin/python3 /usr/lib/python3/dist-packages/pip/_vendor/pyproject_hooks/_in_process/_in_process.py build_wheel /tmp/x"
            ),
            Some(Compile)
        );
        assert_eq!(of("python3 -m pytest tests"), Some(Test));
        assert_eq!(of("/venv/bin/python -m compileall -q /venv/lib"), Some(Compile));
        assert_eq!(of("python3 server.py"), None);
        assert_eq!(of("python3.11 -m pip install -q poetry uv pytest"), Some(Unpack), "a package of this name");
        assert_eq!(of("/app/venv/bin/python -m pip install flask"), Some(Unpack), "a directory of this name");
        assert_eq!(of("/app/venv/bin/python server.py"), None);
    }
}

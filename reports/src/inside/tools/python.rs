//! pip, uv and what builds Python's packages.

use super::Activity::{Compile, Configure, Test, Unpack};
use super::{Rule, rule};

pub(super) const RULES: &[Rule] = &[
    rule(&["python*", "pip*"], "pyproject_hooks/_in_process", Compile),
    rule(&["python*"], "setup.py", Compile),
    rule(&["pytest", "py.test", "tox", "nox"], "", Test),
    rule(&["python*"], "pytest", Test),
    rule(&["python*"], "unittest", Test),
    rule(&["python*"], "venv", Configure),
    rule(&["virtualenv"], "", Configure),
    rule(&["pip", "pip3*", "uv"], "", Unpack),
    rule(&["python*"], "pip", Unpack),
    rule(&["cython*", "maturin"], "", Compile),
];

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
        assert_eq!(of("python3 server.py"), None);
    }
}

//! Parts of a context that are made from a seed: the same bytes from the same manifest, on every machine.

use crate::WorkloadError;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;
use std::fmt::Write as _;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Something to make. All paths are relative to the context.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Generate {
    /// A tree of small text files, `directories` × `files_each`.
    Files {
        /// The tree's root.
        into: PathBuf,
        /// Directories directly below it.
        directories: u32,
        /// Files in each.
        files_each: u32,
        /// Smallest file in bytes.
        smallest: u32,
        /// Largest file in bytes.
        largest: u32,
        /// Where the sizes and the text come from.
        seed: u64,
    },
    /// One file of random bytes.
    Blob {
        /// The file.
        into: PathBuf,
        /// Its size in bytes.
        bytes: u64,
        /// Of a thousand bytes, how many are zero instead of random (what a compressor finds).
        #[serde(default)]
        zeros_per_mille: u32,
        /// Where the bytes come from.
        seed: u64,
    },
    /// Directories in directories, a small file in each.
    Deep {
        /// The outermost.
        into: PathBuf,
        /// How many levels.
        levels: u32,
    },
    /// C sources with functions that take a compiler's time, and a header that declares one a file.
    C {
        /// The directory.
        into: PathBuf,
        /// The prefix of all names.
        prefix: String,
        /// Source files.
        files: u32,
        /// Functions in each.
        functions: u32,
    },
    /// Source files of any language from a pattern: enough of them to give a real toolchain work. In all text `{n}` is the
    /// file's number and `{k}` that of the repetition.
    Sources {
        /// The files; `{n}` makes them several.
        into: String,
        /// How many.
        #[serde(default = "one")]
        files: u32,
        /// What each begins with.
        #[serde(default)]
        head: String,
        /// What is repeated in each.
        each: String,
        /// How often.
        times: u32,
        /// What each ends with.
        #[serde(default)]
        foot: String,
    },
    /// A Dockerfile of that many independent stages, and one that copies from each of the last `joined`.
    Stages {
        /// How many.
        stages: u32,
        /// The instruction that each consists of; `{n}` is its number.
        step: String,
        /// The instruction of the last stage, once a stage; `{n}` is the stage's number.
        join: String,
        /// What all are from.
        base: String,
    },
    /// A Dockerfile of stages that form a binary tree: stage n is made from stages 2n and 2n + 1, and stage 1 is the image.
    Tree {
        /// How many.
        stages: u32,
        /// The instructions of a stage that nothing goes into; `{n}` is its number.
        leaf: String,
        /// The instructions of every other; `{left}` and `{right}` are the numbers of what goes into it.
        inner: String,
        /// What all are from.
        base: String,
    },
    /// A Dockerfile of one stage that repeats an instruction; `{n}` is its number.
    Steps {
        /// How often.
        steps: u32,
        /// The instruction.
        step: String,
        /// What the stage is from.
        base: String,
    },
}

fn one() -> u32 {
    1
}

impl Generate {
    /// Makes it in `context`.
    pub fn write(&self, context: &Path) -> Result<(), WorkloadError> {
        match self {
            Self::Files { into, directories, files_each, smallest, largest, seed } => {
                let mut random = ChaCha8Rng::seed_from_u64(*seed);
                for directory in 0..*directories {
                    let directory = context.join(into).join(format!("d{directory}"));
                    make_directory(&directory)?;
                    for file in 0..*files_each {
                        let size = random.random_range(*smallest..=*largest) as usize;
                        write(&directory.join(format!("f{file}.txt")), &text(&mut random, size))?;
                    }
                }
                Ok(())
            }
            Self::Blob { into, bytes, zeros_per_mille, seed } => {
                blob(&context.join(into), *bytes, *zeros_per_mille, &mut ChaCha8Rng::seed_from_u64(*seed))
            }
            Self::Deep { into, levels } => {
                let mut directory = context.join(into);
                for level in 0..*levels {
                    make_directory(&directory)?;
                    write(&directory.join("here"), format!("level {level}\n").as_bytes())?;
                    directory.push("d");
                }
                Ok(())
            }
            Self::C { into, prefix, files, functions } => c_sources(&context.join(into), prefix, *files, *functions),
            Self::Sources { into, files, head, each, times, foot } => {
                for n in 0..*files {
                    let fill = |text: &str| text.replace("{n}", &n.to_string());
                    let each = fill(each);
                    let repeated = (0..*times).map(|k| each.replace("{k}", &k.to_string())).collect::<String>();
                    write(&context.join(fill(into)), (fill(head) + &repeated + &fill(foot)).as_bytes())?;
                }
                Ok(())
            }
            Self::Stages { stages, step, join, base } => {
                let mut text = String::new();
                for n in 0..*stages {
                    // Writing to a String cannot fail.
                    let _ = writeln!(text, "FROM {base} AS s{n}\n{}", step.replace("{n}", &n.to_string()));
                }
                let _ = writeln!(text, "FROM {base}");
                for n in 0..*stages {
                    let _ = writeln!(text, "{}", join.replace("{n}", &n.to_string()));
                }
                write(&context.join("Dockerfile"), text.as_bytes())
            }
            Self::Tree { stages, leaf, inner, base } => {
                let mut text = String::new();
                // A stage must stand before those that copy from it.
                for n in (1..=*stages).rev() {
                    let (left, right) = (2 * n, (2 * n + 1).min(*stages));
                    let body = if left > *stages { leaf } else { inner };
                    let body = body.replace("{left}", &left.to_string()).replace("{right}", &right.to_string());
                    // Writing to a String cannot fail.
                    let _ = writeln!(text, "FROM {base} AS s{n}\n{}", body.trim_end().replace("{n}", &n.to_string()));
                }
                write(&context.join("Dockerfile"), text.as_bytes())
            }
            Self::Steps { steps, step, base } => {
                let mut text = format!("FROM {base}\n");
                for n in 0..*steps {
                    let _ = writeln!(text, "{}", step.replace("{n}", &n.to_string()));
                }
                write(&context.join("Dockerfile"), text.as_bytes())
            }
        }
    }
}

/// Words and line ends: compresses about as source code does.
fn text(random: &mut ChaCha8Rng, size: usize) -> Vec<u8> {
    const WORDS: [&str; 16] = [
        "stage", "layer", "context", "copy", "build", "image", "return", "let", "for", "(", ")", "{", "}", "=", "0",
        "\n",
    ];
    let mut text = Vec::with_capacity(size + 8);
    while text.len() < size {
        text.extend_from_slice(WORDS[random.random_range(0..WORDS.len())].as_bytes());
        text.push(b' ');
    }
    text.truncate(size);
    text
}

fn blob(path: &Path, bytes: u64, zeros_per_mille: u32, random: &mut ChaCha8Rng) -> Result<(), WorkloadError> {
    const BLOCK: usize = 64 * 1024;
    if let Some(parent) = path.parent() {
        make_directory(parent)?;
    }
    let mut file = fs::File::create(path).map_err(WorkloadError::io(path))?;
    let (mut left, mut block) = (bytes, vec![0; BLOCK]);
    while left > 0 {
        let size = left.min(BLOCK as u64) as usize;
        let zeros = size * zeros_per_mille.min(1000) as usize / 1000;
        block[..zeros].fill(0);
        random.fill_bytes(&mut block[zeros..size]);
        file.write_all(&block[..size]).map_err(WorkloadError::io(path))?;
        left -= size as u64;
    }
    Ok(())
}

fn c_sources(into: &Path, prefix: &str, files: u32, functions: u32) -> Result<(), WorkloadError> {
    make_directory(into)?;
    let mut header = String::new();
    for file in 0..files {
        let mut source = format!("#include \"{prefix}.h\"\n");
        for function in 0..functions {
            // Writing to a String cannot fail.
            let _ = writeln!(
                source,
                "static int {prefix}_{file}_{function}(int n) {{ int s = 0; for (int i = 0; i < n; i++) s += (i * {}) ^ {file}; return s; }}",
                function + 3
            );
        }
        let calls: Vec<_> = (0..functions).map(|function| format!("{prefix}_{file}_{function}(n)")).collect();
        let _ = writeln!(source, "int {prefix}_{file}(int n) {{ return {}; }}", calls.join(" + "));
        let _ = writeln!(header, "int {prefix}_{file}(int n);");
        write(&into.join(format!("{prefix}{file}.c")), source.as_bytes())?;
    }
    write(&into.join(format!("{prefix}.h")), header.as_bytes())
}

fn make_directory(path: &Path) -> Result<(), WorkloadError> {
    fs::create_dir_all(path).map_err(WorkloadError::io(path))
}

fn write(path: &Path, content: &[u8]) -> Result<(), WorkloadError> {
    if let Some(parent) = path.parent() {
        make_directory(parent)?;
    }
    fs::write(path, content).map_err(WorkloadError::io(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use buildscope_record::Digest;

    #[test]
    fn the_same_manifest_gives_the_same_bytes() {
        let files =
            Generate::Files { into: "src".into(), directories: 2, files_each: 3, smallest: 20, largest: 200, seed: 7 };
        let contents = || {
            let context = tempfile::tempdir().unwrap();
            files.write(context.path()).unwrap();
            let path = |n| context.path().join(format!("src/d{}/f{}.txt", n / 3, n % 3));
            (0..6).map(|n| fs::read(path(n)).unwrap()).collect::<Vec<_>>()
        };
        let first = contents();
        assert_eq!(first, contents());
        assert!(first.iter().all(|content| (20..=200).contains(&content.len())));
        // A digest of the bytes: it changes only if every archived measurement becomes incomparable.
        assert_eq!(Digest::of(first.concat()).short(), "e38fc553ca48");
    }

    #[test]
    fn a_blob_has_its_size_and_its_share_of_zeros() {
        let context = tempfile::tempdir().unwrap();
        Generate::Blob { into: "b".into(), bytes: 100_000, zeros_per_mille: 500, seed: 1 }
            .write(context.path())
            .unwrap();
        let content = fs::read(context.path().join("b")).unwrap();
        assert_eq!(content.len(), 100_000);
        // Half are zeros by design; of the random half, one in 256.
        let zeros = content.iter().filter(|&&byte| byte == 0).count();
        assert!((50_000..50_500).contains(&zeros), "{zeros}");
    }

    #[test]
    fn a_tree_names_only_stages_above() {
        let context = tempfile::tempdir().unwrap();
        let (leaf, inner) = ("RUN : {n}".into(), "COPY --from=s{left} /o /a\nCOPY --from=s{right} /o /b\n".into());
        Generate::Tree { stages: 4, leaf, inner, base: "busybox".into() }.write(context.path()).unwrap();
        let text = fs::read_to_string(context.path().join("Dockerfile")).unwrap();
        let expected = "FROM busybox AS s4\nRUN : 4\nFROM busybox AS s3\nRUN : 3\n\
                        FROM busybox AS s2\nCOPY --from=s4 /o /a\nCOPY --from=s4 /o /b\n\
                        FROM busybox AS s1\nCOPY --from=s2 /o /a\nCOPY --from=s3 /o /b\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn dockerfiles_are_written_out() {
        let context = tempfile::tempdir().unwrap();
        let stages = Generate::Stages {
            stages: 2,
            step: "RUN : {n}".into(),
            join: "COPY --from=s{n} /{n} /".into(),
            base: "busybox".into(),
        };
        stages.write(context.path()).unwrap();
        let text = fs::read_to_string(context.path().join("Dockerfile")).unwrap();
        assert_eq!(
            text,
            "FROM busybox AS s0\nRUN : 0\nFROM busybox AS s1\nRUN : 1\nFROM busybox\nCOPY --from=s0 /0 /\nCOPY --from=s1 /1 /\n"
        );
    }
}

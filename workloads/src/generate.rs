//! Generated parts of a context. The same manifest gives the same bytes on every machine.

use crate::WorkloadError;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;
use std::fmt::Write as _;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// A generated part. All paths are relative to the context.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Generate {
    /// A tree of small text files, `directories` × `files_each`.
    Files {
        /// The root of the tree.
        into: PathBuf,
        /// Number of directories directly below the root.
        directories: u32,
        /// Number of files in each directory.
        files_each: u32,
        /// Size of the smallest file in bytes.
        smallest: u32,
        /// Size of the largest file in bytes.
        largest: u32,
        /// The seed of sizes and text.
        seed: u64,
    },
    /// One file of random bytes.
    Blob {
        /// The path of the file.
        into: PathBuf,
        /// The size in bytes.
        bytes: u64,
        /// The number of zero bytes among a thousand; the others are random. It determines how well the file compresses.
        #[serde(default)]
        zeros_per_mille: u32,
        /// The seed of the random bytes.
        seed: u64,
    },
    /// Nested directories with a small file in each.
    Deep {
        /// The outermost directory.
        into: PathBuf,
        /// The number of levels.
        levels: u32,
    },
    /// C sources whose functions take noticeable time to compile, and a header that declares one function per file.
    C {
        /// The directory of the sources.
        into: PathBuf,
        /// The prefix of all names.
        prefix: String,
        /// Number of source files.
        files: u32,
        /// Number of functions per file.
        functions: u32,
    },
    /// Source files of any language from a pattern, enough to give a real toolchain work. In all texts `{n}` is the
    /// number of the file and `{k}` that of the repetition.
    Sources {
        /// The path of the files; `{n}` gives several.
        into: String,
        /// Number of files.
        #[serde(default = "one")]
        files: u32,
        /// The beginning of each file.
        #[serde(default)]
        head: String,
        /// The repeated text of each file.
        each: String,
        /// Number of repetitions.
        times: u32,
        /// The end of each file.
        #[serde(default)]
        foot: String,
    },
    /// A Dockerfile of independent stages, and a last stage that copies from the last `joined` of them.
    Stages {
        /// Number of stages.
        stages: u32,
        /// The instruction of each stage; `{n}` is the number of the stage.
        step: String,
        /// The instruction of the last stage, repeated for each joined stage; `{n}` is the number of that stage.
        join: String,
        /// The base image of all stages.
        base: String,
    },
    /// A Dockerfile of stages that form a binary tree: stage n is built from stages 2n and 2n + 1; stage 1 is the
    /// image.
    Tree {
        /// Number of stages.
        stages: u32,
        /// The instructions of a leaf stage; `{n}` is its number.
        leaf: String,
        /// The instructions of an inner stage; `{left}` and `{right}` are the numbers of its children.
        inner: String,
        /// The base image of all stages.
        base: String,
    },
    /// A Dockerfile of one stage that repeats an instruction; `{n}` is the number of the repetition.
    Steps {
        /// Number of repetitions.
        steps: u32,
        /// The instruction.
        step: String,
        /// The base image of the stage.
        base: String,
    },
    /// A bake file with many images of several teams, and a Dockerfile for each image: `images/N/Dockerfile`. In all texts `{n}` is
    /// the number of the image, `{team}` that of its team, and `{base}` that of its base.
    Fleet {
        /// Number of images.
        images: u32,
        /// Number of teams; image `n` belongs to team `n` modulo this.
        teams: u32,
        /// Number of bases; the images of team `t` have base `t` modulo this.
        bases: u32,
        /// The instructions of the first stage, which has the name `base`.
        first: String,
        /// The instructions of the last stage.
        last: String,
    },
}

fn one() -> u32 {
    1
}

impl Generate {
    /// Writes the generated part to `context`.
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
                // A stage must precede the stages that copy from it.
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
            Self::Fleet { images, teams, bases, first, last } => fleet(context, *images, *teams, *bases, [first, last]),
        }
    }
}

fn fleet(context: &Path, images: u32, teams: u32, bases: u32, stages: [&str; 2]) -> Result<(), WorkloadError> {
    let (mut targets, mut names) = (String::new(), Vec::new());
    for n in 0..images {
        let team = n % teams.max(1);
        let base = team % bases.max(1);
        let fill = |text: &str| {
            let text = text.trim_end().replace("{n}", &n.to_string()).replace("{team}", &team.to_string());
            text.replace("{base}", &base.to_string())
        };
        let [first, last] = stages.map(fill);
        let text = format!("FROM busybox AS base\n{first}\n\nFROM base\n{last}\n");
        write(&context.join(format!("images/{n}/Dockerfile")), text.as_bytes())?;
        let name = format!("team{team}-image{n}");
        // Writing to a String cannot fail.
        let _ = writeln!(
            targets,
            "target \"{name}\" {{\n  dockerfile = \"images/{n}/Dockerfile\"\n  tags = [\"fleet/{name}:latest\"]\n}}\n"
        );
        names.push(format!("\"{name}\""));
    }
    let group = format!("group \"default\" {{\n  targets = [{}]\n}}\n\n", names.join(", "));
    write(&context.join("docker-bake.hcl"), (group + targets.trim_end() + "\n").as_bytes())
}

/// Words and line ends, which compress about as well as source code.
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
    fn generated_bytes_are_reproducible() {
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
        // The digest of the bytes. If it changes, archived measurements become incomparable.
        assert_eq!(Digest::of(first.concat()).short(), "e38fc553ca48");
    }

    #[test]
    fn a_blob_has_the_requested_size_and_zeros() {
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
    fn tree_stages_reference_only_earlier_stages() {
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
    fn a_fleet_has_a_dockerfile_and_a_target_for_each_image() {
        let context = tempfile::tempdir().unwrap();
        let (first, last) = ("RUN : {base}".into(), "RUN : {team}\nCOPY images/{n} /\n".into());
        Generate::Fleet { images: 5, teams: 4, bases: 3, first, last }.write(context.path()).unwrap();
        let read = |path: &str| fs::read_to_string(context.path().join(path)).unwrap();
        assert_eq!(
            read("images/4/Dockerfile"),
            "FROM busybox AS base\nRUN : 0\n\nFROM base\nRUN : 0\nCOPY images/4 /\n"
        );
        assert!(read("images/3/Dockerfile").starts_with("FROM busybox AS base\nRUN : 0\n\nFROM base\nRUN : 3\n"));
        let bake = read("docker-bake.hcl");
        assert!(bake.contains("target \"team0-image4\" {\n  dockerfile = \"images/4/Dockerfile\"\n"), "{bake}");
        assert_eq!(bake.matches("\ntarget ").count(), 5);
    }

    #[test]
    fn generated_dockerfiles_have_the_expected_text() {
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

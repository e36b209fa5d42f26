//! Annotations of an image, where each belongs: `--annotation`, and `annotation...=` of an output.

use crate::Annotations;
use crate::Platform;

/// One annotation that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Annotation {
    /// What is annotated.
    pub level: Level,
    /// Only this platform's; none is all of them.
    pub platform: Option<Platform>,
    /// Its name.
    pub key: String,
    /// What it says.
    pub value: String,
}

/// What an annotation stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// An image's manifest.
    Manifest,
    /// The descriptor that leads to a manifest.
    ManifestDescriptor,
    /// The index.
    Index,
    /// The descriptor that leads to the index, in a layout's `index.json`.
    IndexDescriptor,
}

impl Annotation {
    /// Reads `[LEVEL[PLATFORM],...:]KEY=VALUE`, buildx's `--annotation`: one for each level that is named; none is the
    /// manifest's.
    ///
    /// # Errors
    /// What is wrong with it, in a sentence.
    pub fn of_flag(text: &str) -> Result<Vec<Self>, String> {
        let fault = || format!("`{text}` should be [LEVEL[PLATFORM]:]KEY=VALUE, like index:org.example.key=value");
        let (key, value) = text.split_once('=').ok_or_else(fault)?;
        let (levels, key) = key.split_once(':').unwrap_or(("manifest", key));
        if key.is_empty() {
            return Err(fault());
        }
        levels.split(',').map(|level| Self::of(level, key, value)).collect()
    }

    /// Reads an output's `annotation[-LEVEL][PLATFORM].KEY`; none where the key is another.
    pub fn of_attribute(name: &str, value: &str) -> Option<Result<Self, String>> {
        let rest = name.get(.."annotation".len()).filter(|word| word.eq_ignore_ascii_case("annotation"));
        let rest = rest.map(|word| &name[word.len()..])?;
        let (level, key) = rest.split_once('.')?;
        let level = match level.strip_prefix('-') {
            Some(level) => level.to_owned(),
            None => format!("manifest{level}"),
        };
        Some(Self::of(&level.to_ascii_lowercase(), key, value))
    }

    fn of(level: &str, key: &str, value: &str) -> Result<Self, String> {
        let (word, platform) = match level.strip_suffix(']').and_then(|level| level.split_once('[')) {
            Some((word, platform)) => (word, Some(platform.parse().map_err(|error| format!("annotation: {error}"))?)),
            None => (level, None),
        };
        let level = match word {
            "manifest" => Level::Manifest,
            "manifest-descriptor" => Level::ManifestDescriptor,
            "index" => Level::Index,
            "index-descriptor" => Level::IndexDescriptor,
            _ => {
                return Err(format!(
                    "`{word}` cannot be annotated: it takes manifest, manifest-descriptor, index or index-descriptor"
                ));
            }
        };
        Ok(Self { level, platform, key: key.to_owned(), value: value.to_owned() })
    }
}

/// Those of a level: for a platform's documents, those that are for all or for it.
pub fn annotations(of: &[Annotation], level: Level, platform: Option<&Platform>) -> Annotations {
    let here = |annotation: &&Annotation| {
        annotation.level == level && annotation.platform.as_ref().is_none_or(|only| Some(only) == platform)
    };
    of.iter().filter(here).map(|annotation| (annotation.key.clone(), annotation.value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buildx_s_words() {
        let of = |text: &str| Annotation::of_flag(text).unwrap();
        let plain = of("org.example.title=a=b");
        assert_eq!((plain[0].level, &*plain[0].key, &*plain[0].value), (Level::Manifest, "org.example.title", "a=b"));
        let two = of("index,manifest-descriptor[linux/arm64]:k=v");
        assert_eq!((two[0].level, two[1].level), (Level::Index, Level::ManifestDescriptor));
        assert_eq!(two[1].platform, Some("linux/arm64".parse().unwrap()));
        let attribute = Annotation::of_attribute("annotation-index.org.Key", "v").unwrap().unwrap();
        assert_eq!((attribute.level, &*attribute.key), (Level::Index, "org.Key"));
        let attribute = Annotation::of_attribute("annotation[linux/arm64].k", "v").unwrap().unwrap();
        assert_eq!((attribute.level, attribute.platform.is_some()), (Level::Manifest, true));
        assert!(Annotation::of_attribute("annex", "v").is_none());
        for wrong in ["key", "=v", "layer:k=v", "index:=v"] {
            assert!(Annotation::of_flag(wrong).is_err(), "{wrong}");
        }
    }
}

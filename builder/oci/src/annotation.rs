//! Annotations that the user asks for: `--annotation`, and the `annotation...=` attributes of `--output`.

use crate::Annotations;
use crate::Platform;

/// An annotation that the user asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Annotation {
    /// The document that gets the annotation.
    pub level: Level,
    /// The platform whose document gets the annotation. `None` means the documents of all platforms.
    pub platform: Option<Platform>,
    /// The key, such as `org.opencontainers.image.title`.
    pub key: String,
    /// The value as given, without any expansion.
    pub value: String,
}

/// The document that an annotation belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// The manifest of an image.
    Manifest,
    /// The descriptor that points at a manifest.
    ManifestDescriptor,
    /// The index of an image.
    Index,
    /// The descriptor that points at the index, in the `index.json` of an OCI layout.
    IndexDescriptor,
}

impl Annotation {
    /// Parses `[LEVEL[PLATFORM],...:]KEY=VALUE`, the value of buildx's `--annotation`. Each named level gives one
    /// annotation. Without a level, the annotation is the manifest's.
    ///
    /// # Errors
    /// A sentence for the user that says what is wrong with the text.
    pub fn of_flag(text: &str) -> Result<Vec<Self>, String> {
        let invalid = || format!("`{text}` should be [LEVEL[PLATFORM]:]KEY=VALUE, like index:org.example.key=value");
        let (key, value) = text.split_once('=').ok_or_else(invalid)?;
        let (levels, key) = key.split_once(':').unwrap_or(("manifest", key));
        if key.is_empty() {
            return Err(invalid());
        }
        levels.split(',').map(|level| Self::of(level, key, value)).collect()
    }

    /// Parses an attribute `annotation[-LEVEL][PLATFORM].KEY` of `--output`. Returns `None` if the attribute has
    /// another name.
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
                    "unknown annotation level `{word}`: use manifest, manifest-descriptor, index or index-descriptor"
                ));
            }
        };
        Ok(Self { level, platform, key: key.to_owned(), value: value.to_owned() })
    }
}

/// Returns the annotations of a document at `level`. For the document of a platform, these are the annotations for that
/// platform and the annotations without a platform.
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
    fn a_flag_without_level_is_for_the_manifest() {
        let plain = Annotation::of_flag("org.example.title=a=b").unwrap();
        assert_eq!((plain[0].level, &*plain[0].key, &*plain[0].value), (Level::Manifest, "org.example.title", "a=b"));
    }

    #[test]
    fn a_flag_may_name_several_levels_and_platforms() {
        let two = Annotation::of_flag("index,manifest-descriptor[linux/arm64]:k=v").unwrap();
        assert_eq!((two[0].level, two[1].level), (Level::Index, Level::ManifestDescriptor));
        assert_eq!(two[1].platform, Some("linux/arm64".parse().unwrap()));
    }

    #[test]
    fn attributes_of_output_name_level_and_platform() {
        let attribute = Annotation::of_attribute("annotation-index.org.Key", "v").unwrap().unwrap();
        assert_eq!((attribute.level, &*attribute.key), (Level::Index, "org.Key"));
        let attribute = Annotation::of_attribute("annotation[linux/arm64].k", "v").unwrap().unwrap();
        assert_eq!((attribute.level, attribute.platform.is_some()), (Level::Manifest, true));
        assert!(Annotation::of_attribute("annex", "v").is_none());
    }

    #[test]
    fn malformed_flags_are_errors() {
        for wrong in ["key", "=v", "layer:k=v", "index:=v"] {
            assert!(Annotation::of_flag(wrong).is_err(), "{wrong}");
        }
    }
}

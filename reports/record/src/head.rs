//! The head of a record: what is known of a build without reading its steps.

use crate::file::without_credentials;
use crate::{Options, SCHEMA};
use serde::de::{Deserializer as _, Error as _, IgnoredAny, MapAccess, Visitor};
use std::fmt;
use std::io::Read;

/// The first fields of a record. Records are written in the order of their fields, so that the rest need not be read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Head {
    /// The options of the build.
    pub options: Options,
    /// The start of the build, in RFC 3339; `None` if unknown.
    pub started: Option<String>,
}

impl Head {
    /// Reads the head of a record, without the credentials in addresses. `None` if the text is not a record of a known version.
    pub fn read(from: impl Read) -> Option<Self> {
        let mut reader = HeadReader::default();
        let mut json = serde_json::Deserializer::from_reader(from);
        // The reader stops with an error as soon as it has everything.
        let read = json.deserialize_map(&mut reader);
        let Self { options, started } = reader.head;
        let is_whole = reader.is_known && (reader.is_complete || read.is_ok());
        is_whole.then(|| Self { options: without_credentials(options), started })
    }
}

#[derive(Default)]
struct HeadReader {
    head: Head,
    is_known: bool,
    is_complete: bool,
}

impl<'de> Visitor<'de> for &mut HeadReader {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "schema" => self.is_known = map.next_value::<u32>()? <= SCHEMA,
                // Other documents have other first keys.
                _ if !self.is_known => return Err(A::Error::custom("not a record")),
                "options" => self.head.options = map.next_value()?,
                "started" => self.head.started = map.next_value()?,
                // The fields from here on are not part of the head.
                "steps" => {
                    self.is_complete = true;
                    return Err(A::Error::custom("the head is complete"));
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Fidelity, Record, Source, Tool};

    #[test]
    fn the_head_is_read_without_the_steps() {
        let source = Source { tool: Tool::Buildscope, version: None, fidelity: Fidelity::FULL };
        let mut record = Record { started: Some("2026-11-01T00:00:00Z".into()), ..Record::of(source) };
        record.options.dockerfile = Some("app/Dockerfile".into());
        let mut text = Vec::new();
        record.write(&mut text).unwrap();
        let head = Head { options: record.options, started: record.started };
        assert_eq!(Head::read(&text[..]), Some(head.clone()));
        let steps = text.windows(7).position(|bytes| bytes == b"\"steps\"").unwrap();
        assert_eq!(Head::read(&text[..steps + 20]), Some(head));
        assert_eq!(Head::read(&text[..steps - 10]), None, "a torn head");
    }

    /// Records of other programs may have credentials.
    #[test]
    fn a_head_has_no_credentials() {
        let text = r#"{"schema":1,"options":{"dockerfile":"https://me:secret@host/Dockerfile"},"steps":[]}"#;
        let dockerfile = Head::read(text.as_bytes()).unwrap().options.dockerfile;
        assert_eq!(dockerfile.as_deref(), Some("https://me:xxxxx@host/Dockerfile"));
    }

    #[test]
    fn other_documents_have_no_head() {
        for text in ["", "{}", "[1]", "#1 [internal] x", "{\"vertexes\":[]}", "{\"schema\":99,\"steps\":[]}"] {
            assert_eq!(Head::read(text.as_bytes()), None, "{text}");
        }
    }
}

//! Bake and compose files.

use buildscope_bake::{Definition, File, Inputs};
use std::collections::BTreeMap;

/// Reads the bytes as a file of each kind. What is printed must read as the same targets again.
pub(crate) fn bake(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    for name in ["docker-bake.hcl", "docker-bake.json", "compose.yaml"] {
        // A compose file may name other files, which must not be read here.
        if name == "compose.yaml" && ["include", "extends", "env_file"].iter().any(|word| text.contains(word)) {
            continue;
        }
        let file = File { name: name.into(), text: text.into() };
        let Ok(definition) = Definition::read(&[file], &Inputs::default()) else { continue };
        let names: Vec<String> = definition.targets.iter().map(|target| target.name.clone()).collect();
        let Ok(selection) = definition.select(&names, &[], &BTreeMap::new()) else { continue };
        let printed = selection.print();
        let again = File { name: "docker-bake.json".into(), text: printed.clone() };
        let read = match Definition::read(&[again], &Inputs::default()) {
            Ok(read) => read,
            // Like buildx, `--print` escapes what could be read as a template in some attributes only.
            Err(_) if printed.contains("${") || printed.contains("%{") => continue,
            Err(error) => panic!("{error}: {printed}"),
        };
        assert_eq!(read.targets.len(), selection.targets.len());
    }
}

//! Which vertices of a log belong to one build, by what they need.
//!
//! A client names each vertex with the vertices that it needs, so what is connected belongs together. Images of a registry are the same vertex
//! in all builds: they connect nothing.

use petgraph::unionfind::UnionFind;
use std::collections::{HashMap, HashSet};

/// Vertices that are connected have one number.
#[derive(Debug, Default)]
pub(crate) struct Families(HashMap<String, usize>);

impl Families {
    /// The families of vertices, each with its digest, its name and what it needs.
    pub(crate) fn of<'v>(vertices: impl Iterator<Item = (&'v str, &'v str, &'v [String])> + Clone) -> Self {
        let mut numbers: HashMap<&str, usize> = HashMap::new();
        for digest in vertices.clone().flat_map(|(digest, _, needs)| needs.iter().map(String::as_str).chain([digest])) {
            let next = numbers.len();
            numbers.entry(digest).or_insert(next);
        }
        let is_image =
            |(_, name, _): &(&str, &str, &[String])| name.contains("FROM ") || name.starts_with("docker-image://");
        let images: HashSet<&str> = vertices.clone().filter(is_image).map(|(digest, ..)| digest).collect();
        let mut union = UnionFind::<usize>::new(numbers.len());
        for (digest, _, needs) in vertices {
            for need in needs.iter().filter(|need| !images.contains(&***need)) {
                union.union(numbers[digest], numbers[&**need]);
            }
        }
        let known = numbers.iter().filter(|(digest, _)| !images.contains(*digest));
        Self(known.map(|(&digest, &number)| (digest.to_owned(), union.find(number))).collect())
    }

    /// The family of a vertex; `None` for an image.
    pub(crate) fn find(&self, digest: &str) -> Option<usize> {
        self.0.get(digest).copied()
    }
}

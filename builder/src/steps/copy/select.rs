//! The selection of a COPY or ADD: finds the files that the sources mean.

use super::CopyError;
use super::group::{Detail, FileGroup, InodeNumbers, Items};
use super::missing::{missing, unresolved};
use super::origin::{CopyOrigin, OriginEntry, relative};
use super::remote;
use super::summary::{Summary, WholeDirectory};
use super::target::join;
use super::walk::{base_name, bytes, clean};
use crate::plan;
use crate::sources::{Checkout, ContextNode, FileList, Memory};
use buildscope_dockerfile::{Glob, Ignore};
use buildscope_record::{BlobDigest, Digest, Phase, Probe};
use buildscope_storage::{BlobStore, Content, Store};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Everything that a COPY or ADD copies, independent of the destination.
#[derive(Debug)]
pub struct Selection {
    pub(super) groups: Vec<FileGroup>,
    /// The digest cache of the context that the files are from.
    pub(super) memory: Option<Arc<Memory>>,
    /// Checkouts that contain selected files. They are kept until the files are copied.
    checkouts: Vec<Checkout>,
}

/// A selection, or its digests alone.
#[derive(Debug)]
pub enum ListOrSummary {
    /// The list of all items.
    List(Selection),
    /// The digests of a large directory.
    Summary(Summary),
}

impl Selection {
    /// Finds the files that the sources of `op` mean in `origin`, and hashes those of a context.
    ///
    /// # Errors
    /// If a source without wildcards does not exist, nor the directory before the first wildcard of a pattern; if a pattern is malformed, or a
    /// source cannot be read or fetched.
    pub fn of(op: &plan::Copy, origin: &CopyOrigin<'_>, store: &Store, probe: &Probe) -> Result<Self, CopyError> {
        let mut finder = Finder::new(op, origin, probe)?;
        let checkouts = finder.sources(store)?;
        Self::listed(finder, checkouts, store)
    }

    /// Computes the digests of a selection. It is listed, unless it is a whole directory of a context with more than `most` entries.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub(crate) fn or_summary(
        op: &plan::Copy,
        origin: &CopyOrigin<'_>,
        most: usize,
        store: &Store,
        probe: &Probe,
    ) -> Result<ListOrSummary, CopyError> {
        let mut finder = Finder::new(op, origin, probe)?;
        let plain = op.exclude.is_empty() && op.inline.is_empty() && op.checksum.is_none() && !op.parents;
        let one = matches!(&op.sources[..], [source] if split_pattern(&clean(Path::new(source))).1.is_none());
        finder.most = (plain && one).then_some(most);
        let checkouts = finder.sources(store)?;
        match finder.summary.take() {
            Some(summary) => Ok(ListOrSummary::Summary(summary)),
            None => Self::listed(finder, checkouts, store).map(ListOrSummary::List),
        }
    }

    /// Completes the list of what was found.
    fn listed(mut finder: Finder<'_>, checkouts: Vec<Checkout>, store: &Store) -> Result<Self, CopyError> {
        finder.learn(store.blobs())?;
        let Finder { op, origin, mut groups, .. } = finder;
        for (name, text) in &op.inline {
            let content = Content::Bytes(Arc::from(text.as_bytes()));
            let found = OriginEntry::file("", 0o644, Default::default(), content, text.len() as u64);
            let detail = Detail { digest: Some(Digest::of(text)), timeless: true, ..Detail::default() };
            groups.push(FileGroup::file(format!("<<{name}"), base_name(Path::new(name)).to_owned(), found, detail));
        }
        let memory = match origin {
            CopyOrigin::Context(context) => Some(Arc::clone(context.memory())),
            _ => None,
        };
        let selection = Self { groups, memory, checkouts };
        selection.check(op)?;
        Ok(selection)
    }

    /// Selects all files of a repository's checkout.
    fn repository(
        op: &plan::Copy,
        url: &str,
        checkout: &Checkout,
        store: &Store,
        probe: &Probe,
    ) -> Result<Vec<FileGroup>, CopyError> {
        let context = remote::context(op, checkout)?;
        let whole = plan::Copy { exclude: op.exclude.clone(), ..plan::Copy::of(plan::CopyFrom::Context, ".", "/") };
        let mut groups = Self::of(&whole, &CopyOrigin::Context(&context), store, probe)?.groups;
        remote::normalize(&mut groups, url, checkout);
        Ok(groups)
    }

    /// Takes over the checkouts, so that the rest can be dropped before the files are copied.
    pub(super) fn take_checkouts(&mut self) -> Vec<Checkout> {
        std::mem::take(&mut self.checkouts)
    }

    fn check(&self, op: &plan::Copy) -> Result<(), CopyError> {
        if let Some(expected) = &op.checksum {
            let file = self
                .groups
                .iter()
                .find(|group| !group.directory)
                .and_then(|group| Some((group, group.items.first()?.1.digest?)));
            if let Some((group, found)) = file
                && found.to_string() != *expected
            {
                let (source_path, expected) = (group.source.clone(), expected.clone());
                return Err(CopyError::Checksum { source_path, expected, found: found.to_string() });
            }
        }
        Ok(())
    }
}

/// Turns sources into groups.
struct Finder<'a> {
    op: &'a plan::Copy,
    origin: &'a CopyOrigin<'a>,
    exclude: Option<Ignore>,
    probe: &'a Probe,
    groups: Vec<FileGroup>,
    /// The files of a context that are not hashed yet, in the order of the unread items.
    unread: Vec<&'a ContextNode>,
    /// For each group of a context, the path that its items are relative to.
    bases: Vec<PathBuf>,
    inodes: InodeNumbers,
    /// The number of entries above which a directory is summarised; `None` lists all.
    most: Option<usize>,
    summary: Option<Summary>,
}

impl<'a> Finder<'a> {
    fn new(op: &'a plan::Copy, origin: &'a CopyOrigin<'a>, probe: &'a Probe) -> Result<Self, CopyError> {
        Ok(Self {
            op,
            origin,
            exclude: ignore(&op.exclude)?,
            probe,
            groups: Vec::new(),
            unread: Vec::new(),
            bases: Vec::new(),
            inodes: InodeNumbers::default(),
            most: None,
            summary: None,
        })
    }

    /// Finds all sources of the instruction. Returns the checkouts of repositories.
    fn sources(&mut self, store: &Store) -> Result<Vec<Checkout>, CopyError> {
        let (op, probe, mut checkouts) = (self.op, self.probe, Vec::new());
        for source in &op.sources {
            if op.add && plan::is_git(source) {
                let checkout = remote::check_out(op, source, store, probe)?;
                for group in Selection::repository(op, source, &checkout, store, probe)? {
                    self.add(group, PathBuf::new());
                }
                checkouts.push(checkout);
            } else if op.add && plan::is_url(source) {
                self.add(remote::file(op, source, store, probe)?, PathBuf::new());
            } else if op.parents {
                self.with_parents(source)?;
            } else {
                self.plain(source)?;
            }
        }
        Ok(checkouts)
    }

    /// Finds a source without `--parents`: a path, or a pattern.
    fn plain(&mut self, source: &str) -> Result<(), CopyError> {
        let path = clean(Path::new(source));
        let span = self.probe.phase(Phase::ContextScan);
        let probe = span.probe();
        let (base, pattern) = split_pattern(&path);
        let Some(pattern) = pattern else {
            let path = match self.follow(source, &path)? {
                found if self.origin.look(&found)?.is_some() => path,
                // A backslash escapes in a pattern. A pattern in which everything is escaped means the plain name.
                _ => unescaped(&path).ok_or_else(|| self.not_found(source, &path))?,
            };
            return self.matched(source, &path, &probe);
        };
        let text = pattern.to_str().ok_or_else(|| CopyError::BadPattern(source.to_owned()))?;
        let glob = Glob::parse(text).map_err(|_| CopyError::BadPattern(source.to_owned()))?;
        let depth = pattern.components().count();
        let base = self.follow(source, &base)?;
        // The name of a directory that does not exist is a typing error, or the files were not built.
        if self.origin.look(&base)?.is_none() {
            return Err(self.not_found(source, &base));
        }
        let mut matches = Vec::new();
        self.origin.walk(&base, &mut |path, found| {
            let below = relative(path, &base);
            let fits = !below.as_os_str().is_empty() && glob.matches(bytes(below));
            if fits {
                matches.push(path.to_owned());
            }
            // A pattern has as many components as the paths it matches: `*` does not match a slash.
            Ok(found.is_dir() && !fits && below.components().count() < depth)
        })?;
        for path in matches {
            self.matched(source, &path, &probe)?;
        }
        Ok(())
    }

    /// Adds one file or directory. A symbolic link that the source names is followed. Links inside a directory are
    /// copied.
    fn matched(&mut self, source: &str, path: &Path, probe: &Probe) -> Result<(), CopyError> {
        let followed = self.follow(source, path)?;
        let found = self.origin.look(&followed)?.ok_or_else(|| self.not_found(source, path))?;
        let unpack = self.op.unpack.unwrap_or(self.op.add);
        if !found.is_dir() {
            let name = base_name(path);
            if self.exclude.as_ref().is_some_and(|exclude| exclude.excludes(name.as_encoded_bytes())) {
                return Ok(());
            }
            let group = FileGroup { unpack, ..FileGroup::directory(path) };
            self.add(FileGroup { directory: false, name: name.to_owned(), ..group }, followed);
            self.item(found, Path::new(""), Detail::default());
            return Ok(());
        }
        let mut found = None;
        if let (CopyOrigin::Context(context), Some(node)) = (self.origin, self.node(&followed)?) {
            let count = context.scan(node, &followed, probe)?;
            if self.most.is_some_and(|most| count > most) {
                let whole = WholeDirectory { context, node, count, path: &followed, source: path };
                self.summary = Some(Summary::of(self.op, &whole, probe)?);
                return Ok(());
            }
            found = Some(count);
        }
        self.add(FileGroup::directory(path), followed.clone());
        if let (None, Some(count)) = (&self.exclude, found) {
            self.items().reserve(count);
            self.unread.reserve_exact(count);
        }
        self.directory(&followed, &followed, None)
    }

    fn node(&self, path: &Path) -> Result<Option<&'a ContextNode>, CopyError> {
        match self.origin {
            CopyOrigin::Context(context) => Ok(context.node(path)?),
            _ => Ok(None),
        }
    }

    /// Finds a source with `--parents`. The path after `/./`, or the whole path, is kept at the destination.
    fn with_parents(&mut self, source: &str) -> Result<(), CopyError> {
        let _span = self.probe.phase(Phase::ContextScan);
        let (pivot, pattern) = source.split_once("/./").unwrap_or(("/", source));
        let pivot = self.follow(source, &clean(Path::new(pivot)))?;
        let pattern = clean(Path::new(pattern));
        if !self.origin.look(&pivot)?.is_some_and(|found| found.is_dir()) {
            return Err(self.not_found(source, &pivot));
        }
        let (literal, wild) = split_pattern(&pattern);
        let text = pattern.to_str().ok_or_else(|| CopyError::BadPattern(source.to_owned()))?;
        // The pattern becomes an ignore file that excludes everything else. That has the same rules, and it knows which
        // directories may contain matches.
        let include = match text {
            "" => None,
            text => Some(
                Ignore::from_patterns(["**", &format!("!{text}")])
                    .map_err(|_| CopyError::BadPattern(source.to_owned()))?,
            ),
        };
        self.add(FileGroup { partial: true, ..FileGroup::directory(&pivot) }, pivot.clone());
        // Only the directory of the pattern's literal part can contain matches.
        let start = pivot.join(&literal);
        for ancestor in ancestors(&pivot, &start) {
            let Some(found) = self.origin.look(&ancestor)?.filter(OriginEntry::is_dir) else { break };
            self.item(found, relative(&ancestor, &pivot), Detail { implied: true, ..Detail::default() });
        }
        let before = self.items().len();
        self.directory(&start, &pivot, include.as_ref())?;
        if self.items().len() == before && wild.is_none() {
            return Err(self.not_found(source, &start));
        }
        self.items().drop_hollow();
        Ok(())
    }

    /// Adds the entry at `from`, and everything below it, to the last group, if the patterns select it. Patterns match
    /// paths relative to `base`.
    fn directory(&mut self, from: &Path, base: &Path, include: Option<&Ignore>) -> Result<(), CopyError> {
        let (exclude, origin) = (self.exclude.take(), self.origin);
        let mut implied_any = false;
        let walked = origin.walk(from, &mut |path, found| {
            let below = relative(path, base);
            let root = below.as_os_str().is_empty();
            // Patterns match paths relative to the group, so they cannot match its root.
            let wants = |rules: Option<&Ignore>| match rules {
                Some(rules) if !root => !rules.excludes(bytes(below)),
                _ => true,
            };
            let may_below = |rules: Option<&Ignore>| rules.is_none_or(|rules| rules.may_include_below(bytes(below)));
            let (included, kept) = (wants(include) && !(root && include.is_some()), wants(exclude.as_ref()));
            let wanted = included && kept;
            let directory = found.is_dir();
            let enter = directory && (included || may_below(include)) && (kept || may_below(exclude.as_ref()));
            if wanted || enter {
                implied_any |= !wanted;
                self.item(found, below, Detail { implied: !wanted, ..Detail::default() });
            }
            Ok(enter)
        });
        self.exclude = exclude;
        walked?;
        if implied_any {
            self.items().drop_hollow();
        }
        Ok(())
    }

    /// Adds a group, whose items are relative to `base` in the origin.
    fn add(&mut self, group: FileGroup, base: PathBuf) {
        self.groups.push(group);
        self.bases.push(base);
    }

    fn items(&mut self) -> &mut Items {
        // Only called after a group was added.
        &mut self.groups.last_mut().expect("a group was added before").items
    }

    /// Adds an item to the current group. Its content is read later.
    fn item(&mut self, found: OriginEntry<'a>, below: &Path, detail: Detail) {
        self.unread.extend(found.node());
        let inode = found.inode.clone().map(|inode| self.inodes.number(inode));
        self.items().push(found, below, Detail { inode, ..detail });
    }

    /// Determines the content of the context's files. Files that are not in the digest cache are read.
    fn learn(&mut self, blobs: &BlobStore) -> Result<(), CopyError> {
        let CopyOrigin::Context(context) = self.origin else { return Ok(()) };
        if self.unread.is_empty() {
            return Ok(());
        }
        let mut items: Vec<(u32, u32)> = Vec::with_capacity(self.unread.len());
        items.extend(self.groups.iter().enumerate().flat_map(|(group, found)| {
            let unread = found.items.details.iter().enumerate().filter(|(_, detail)| detail.unread);
            unread.map(move |(item, _)| (group as u32, item as u32))
        }));
        let unread = UnreadFiles { nodes: &self.unread, items: &items, groups: &self.groups, bases: &self.bases };
        context.hash(&unread, self.probe)?;
        // All files of a layer are in the same blob, so few blobs are looked up.
        let mut there: HashMap<BlobDigest, bool> = HashMap::new();
        let mut has = |blob: &BlobDigest| *there.entry(*blob).or_insert_with(|| blobs.contains(blob));
        for (node, (group, item)) in self.unread.iter().zip(&items) {
            let Some(content) = node.content() else { continue };
            let source = {
                let below = self.groups[*group as usize].items.entries.get(*item as usize).path();
                let base = &self.bases[*group as usize];
                context.content(node, || join(base, below), &mut has)
            };
            let items = &mut self.groups[*group as usize].items;
            items.set_host(*item as usize, node.host());
            let detail = &mut items.details[*item as usize];
            (detail.unread, detail.digest) = (false, Some(content.digest));
            items.set_content(*item as usize, node, source);
        }
        Ok(())
    }

    /// Resolves the symbolic links in a path of a source.
    fn follow(&self, source: &str, path: &Path) -> Result<PathBuf, CopyError> {
        self.origin.follow(path).map_err(|error| unresolved(self.origin, source, path, error))
    }

    fn not_found(&self, source: &str, path: &Path) -> CopyError {
        missing(self.origin, source, path)
    }
}

/// The files of a context whose items have no content yet.
struct UnreadFiles<'a> {
    nodes: &'a [&'a ContextNode],
    /// The group and the item of each.
    items: &'a [(u32, u32)],
    groups: &'a [FileGroup],
    bases: &'a [PathBuf],
}

impl FileList for UnreadFiles<'_> {
    fn count(&self) -> usize {
        self.nodes.len()
    }

    fn node(&self, number: usize) -> &ContextNode {
        self.nodes[number]
    }

    fn path(&self, number: usize) -> PathBuf {
        let (group, item) = self.items[number];
        let below = self.groups[group as usize].items.entries.get(item as usize).path();
        join(&self.bases[group as usize], below)
    }
}

/// Compiles `--exclude`.
fn ignore(patterns: &[String]) -> Result<Option<Ignore>, CopyError> {
    if patterns.is_empty() {
        return Ok(None);
    }
    // A leading slash is the root of the source, as in an ignore file.
    let relative = patterns.iter().map(|pattern| match pattern.strip_prefix('!') {
        Some(rest) => format!("!{}", rest.trim_start_matches('/')),
        None => pattern.trim_start_matches('/').to_owned(),
    });
    Ignore::from_patterns(relative).map(Some).map_err(|_| CopyError::BadPattern(patterns.join(" ")))
}

/// The directories from `base` to the parent of `path`, outermost first.
fn ancestors(base: &Path, path: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        path.ancestors().skip(1).take_while(|ancestor| ancestor.starts_with(base)).map(Path::to_owned).collect();
    found.reverse();
    found
}

/// Splits a path before its first component with a wildcard.
fn split_pattern(path: &Path) -> (PathBuf, Option<PathBuf>) {
    let (mut literal, mut pattern) = (PathBuf::new(), PathBuf::new());
    for name in path {
        if pattern.as_os_str().is_empty() && !has_wildcard(name) {
            literal.push(name);
        } else {
            pattern.push(name);
        }
    }
    let pattern = (!pattern.as_os_str().is_empty()).then_some(pattern);
    (literal, pattern)
}

/// Whether a name contains a wildcard that is not escaped.
fn has_wildcard(name: &OsStr) -> bool {
    let mut bytes = name.as_encoded_bytes().iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => drop(bytes.next()),
            b'*' | b'?' | b'[' => return true,
            _ => {}
        }
    }
    false
}

fn unescaped(path: &Path) -> Option<PathBuf> {
    let text = path.to_str().filter(|text| text.contains('\\'))?;
    let mut plain = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        plain.push(if c == '\\' { chars.next()? } else { c });
    }
    Some(plain.into())
}

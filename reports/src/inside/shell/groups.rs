//! The smallest part of a shell's text that is a command, or a list of commands, and contains several of its units.

use super::super::owner::Owner;
use super::Unit;
use std::collections::BTreeMap;
use std::ops::Range;

/// The commands of a text whose parts are units of their own: `{ … }`, branches and loops.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Groups(Vec<Group>);

/// A command with its lists of commands, as ranges of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Group {
    span: Range<usize>,
    lists: Vec<Range<usize>>,
}

impl Groups {
    pub(super) fn add(&mut self, span: Range<usize>, lists: Vec<Range<usize>>) {
        self.0.push(Group { span, lists });
    }

    /// The smallest part of the text with this range that has each command as a whole.
    fn around(&self, mut range: Range<usize>) -> Range<usize> {
        let within = |inner: &Range<usize>, outer: &Range<usize>| outer.start <= inner.start && inner.end <= outer.end;
        loop {
            let is_cut = |group: &&Group| {
                let overlaps = group.span.start < range.end && range.start < group.span.end;
                let in_list = group.lists.iter().any(|list| within(&range, list));
                overlaps && !in_list && !within(&group.span, &range)
            };
            let Some(group) = self.0.iter().find(is_cut) else { return range };
            range = range.start.min(group.span.start)..range.end.max(group.span.end);
        }
    }

    /// The parts of the text that have what belongs to an unknown one of several units, as their first and last byte, with the owners.
    pub(crate) fn of_several(
        &self,
        units: &[Unit],
        owners: impl Iterator<Item = Owner>,
    ) -> BTreeMap<(usize, usize), Vec<Owner>> {
        let mut parts: BTreeMap<(usize, usize), Vec<Owner>> = BTreeMap::new();
        for owner in owners {
            let Owner::Several(first, last) = owner else { continue };
            let end = units[first..=last].iter().map(|unit| unit.span.end).max().unwrap_or_default();
            let part = self.around(units[first].span.start..end);
            let known = parts.entry((part.start, part.end)).or_default();
            if !known.contains(&owner) {
                known.push(owner);
            }
        }
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::super::script;
    use super::*;

    #[test]
    fn several_commands_belong_to_the_smallest_part_of_the_text() {
        let part = |text: &str, owner| {
            let script = script(text);
            let parts = script.groups.of_several(&script.units, [owner].into_iter());
            let [&(start, end)] = parts.keys().collect::<Vec<_>>()[..] else { panic!("one part") };
            text[start..end].to_owned()
        };
        let several = Owner::Several;
        assert_eq!(part("a; b && c; d", several(1, 2)), "b && c");
        assert_eq!(part("a; { b; c; d; }; e", several(1, 2)), "b; c");
        assert_eq!(part("a; { b; c; d; }; e", several(3, 4)), "{ b; c; d; }; e");
        assert_eq!(part("x; if a; then b; c; else d; fi; e", several(2, 3)), "b; c");
        assert_eq!(part("x; if a; then b; c; else d; fi; e", several(3, 4)), "if a; then b; c; else d; fi");
        assert_eq!(part("x; case $a in b) c; d;; *) e;; esac", several(1, 2)), "c; d");
        assert_eq!(part("x; case $a in b) c; d;; *) e;; esac", several(2, 3)), "case $a in b) c; d;; *) e;; esac");
        assert_eq!(part("{ a; if b; then c; fi; }; d", several(1, 2)), "if b; then c; fi");
    }
}

//! The results of a build that a later step needs together. The steps that make them are best placed on one machine.

use crate::StepId;

/// The number of inputs of a step whose strands are partners of one another. A step with more inputs is rare.
const MOST_INPUTS: usize = 16;

/// The strands of a build, and the machine on which each is. A strand is a longest sequence of steps in which each step needs only the
/// one before it, and nothing else needs that one. Two strands are partners if a step needs the results of both.
#[derive(Clone, Debug, Default)]
pub struct Strands<M> {
    /// By step, its strand.
    of: Vec<u32>,
    /// By strand, its partners.
    partners: Vec<Vec<u32>>,
    /// By strand, the machine of the step that was placed last.
    at: Vec<Option<M>>,
}

/// The location of the partners of a step's strand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Partner {
    /// No partner was placed.
    #[default]
    None,
    /// At least one is on the machine.
    There,
    /// All are on other machines.
    Elsewhere,
}

impl<M: PartialEq> Strands<M> {
    /// The strands of a graph. `needs` has, by step, the steps whose results it needs.
    pub fn new(needs: &[Vec<StepId>]) -> Self {
        let needs: Vec<Vec<usize>> =
            needs.iter().map(|needs| distinct(needs.iter().map(|need| need.index()))).collect();
        let mut users = vec![0_u32; needs.len()];
        needs.iter().flatten().for_each(|&need| users[need] += 1);
        // The step before in the same strand.
        let before = |step: usize| match needs[step][..] {
            [need] if users[need] == 1 => Some(need),
            _ => None,
        };
        let mut after = vec![None; needs.len()];
        (0..needs.len()).for_each(|step| before(step).into_iter().for_each(|need| after[need] = Some(step)));
        let (mut of, mut count) = (vec![0; needs.len()], 0);
        for first in (0..needs.len()).filter(|&step| before(step).is_none()) {
            std::iter::successors(Some(first), |&step| after[step]).for_each(|step| of[step] = count);
            count += 1;
        }
        let mut partners = vec![Vec::new(); count as usize];
        for needs in needs.iter().filter(|needs| needs.len() > 1) {
            let meeting = distinct(needs.iter().take(MOST_INPUTS).map(|&need| of[need]));
            for &strand in &meeting {
                partners[strand as usize].extend(meeting.iter().filter(|&&other| other != strand));
            }
        }
        let partners: Vec<Vec<u32>> = partners.into_iter().map(distinct).collect();
        let at = partners.iter().map(|_| None).collect();
        Self { of, partners, at }
    }

    /// Notes that a step was given to a machine.
    pub fn put(&mut self, step: StepId, machine: M) {
        if let Some(&strand) = self.of.get(step.index()) {
            self.at[strand as usize] = Some(machine);
        }
    }

    /// The location of the partners of a step's strand, seen from a machine.
    pub fn partner(&self, step: StepId, machine: &M) -> Partner {
        let strand = self.of.get(step.index());
        let partners = strand.into_iter().flat_map(|&strand| &self.partners[strand as usize]);
        let placed = partners.filter_map(|&partner| self.at[partner as usize].as_ref());
        placed.fold(Partner::None, |found, at| match found {
            _ if at == machine => Partner::There,
            Partner::There => Partner::There,
            Partner::None | Partner::Elsewhere => Partner::Elsewhere,
        })
    }
}

fn distinct<T: Ord>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut items: Vec<T> = items.into_iter().collect();
    items.sort_unstable();
    items.dedup();
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strands(needs: &[&[u32]]) -> Strands<char> {
        let needs: Vec<Vec<StepId>> = needs.iter().map(|needs| needs.iter().copied().map(StepId).collect()).collect();
        Strands::new(&needs)
    }

    /// A base (0) with the stages 1, 2 and 3, 4; the COPY 5 needs both, and the RUN 6 follows it.
    const PAIR: &[&[u32]] = &[&[], &[0], &[1], &[0], &[3], &[2, 4, 2], &[5]];

    #[test]
    fn a_strand_goes_on_while_one_step_needs_only_one() {
        assert_eq!(strands(PAIR).of, [0, 1, 1, 2, 2, 3, 3]);
        // Two steps need step 1.
        assert_eq!(strands(&[&[], &[0], &[1], &[1], &[3]]).of, [0, 0, 1, 2, 2]);
        // The order of the numbers does not matter.
        assert_eq!(strands(&[&[1], &[2], &[]]).of, [0, 0, 0]);
        assert!(strands(&[]).of.is_empty());
    }

    #[test]
    fn partners_are_what_a_later_step_needs_together() {
        let mut strands = strands(PAIR);
        let partner = |strands: &Strands<char>, step, machine| strands.partner(StepId(step), &machine);
        assert_eq!(partner(&strands, 3, 'a'), Partner::None, "nothing is placed");
        strands.put(StepId(1), 'a');
        assert_eq!(partner(&strands, 3, 'a'), Partner::There);
        assert_eq!(partner(&strands, 4, 'b'), Partner::Elsewhere);
        assert_eq!(partner(&strands, 2, 'b'), Partner::None, "a strand is not its own partner");
        assert_eq!(partner(&strands, 6, 'b'), Partner::None, "nothing needs the last step");
        assert_eq!(partner(&strands, 99, 'b'), Partner::None);
        // The strand has moved.
        strands.put(StepId(2), 'c');
        assert_eq!(partner(&strands, 3, 'a'), Partner::Elsewhere);
        assert_eq!(partner(&strands, 3, 'c'), Partner::There);
    }

    #[test]
    fn a_step_with_many_inputs_takes_little_time() {
        let count = 20_000;
        let mut needs: Vec<Vec<StepId>> = vec![Vec::new(); count];
        needs.push((0..count as u32).map(StepId).collect());
        let strands = Strands::<char>::new(&needs);
        assert_eq!(strands.partners.iter().map(Vec::len).max(), Some(MOST_INPUTS - 1));
    }
}

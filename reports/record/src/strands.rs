//! The results of a build that a later step needs together. The steps that make them are best placed on one machine.

use crate::StepId;

/// The number of inputs of a step whose strands are partners of one another. A step with more inputs is rare.
const MOST_INPUTS: usize = 16;

/// What the strands of a build are made from: a step.
#[derive(Clone, Debug, Default)]
pub struct StrandStep {
    /// The steps whose results it needs.
    pub needs: Vec<StepId>,
    /// Whether it runs a process, and so takes a slot of a machine.
    pub runs: bool,
}

/// The strands of a build, and the machine on which each is. A strand is a longest sequence of steps in which each step needs only the
/// one before it, and nothing else needs that one. Two strands are partners if a step needs the results of both.
#[derive(Clone, Debug, Default)]
pub struct Strands<M> {
    /// By step, its strand.
    of: Vec<u32>,
    /// By strand, its partners.
    partners: Vec<Vec<u32>>,
    /// By strand, whether one of its steps runs a process.
    runs: Vec<bool>,
    /// By strand, the machine of the step that was placed last.
    at: Vec<Option<M>>,
    /// By strand, whether a slot of its machine is better left to a partner that was not placed yet.
    waits: Vec<bool>,
    /// The number of strands that wait for a partner, by machine.
    waiting: Vec<(M, usize)>,
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

impl<M: Copy + PartialEq> Strands<M> {
    /// The strands of the steps of a build.
    pub fn new(steps: &[StrandStep]) -> Self {
        let needs: Vec<Vec<usize>> =
            steps.iter().map(|step| distinct(step.needs.iter().map(|need| need.index()))).collect();
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
        let mut runs = vec![false; partners.len()];
        of.iter().zip(steps).for_each(|(&strand, step)| runs[strand as usize] |= step.runs);
        let (at, waits) = (vec![None; partners.len()], vec![false; partners.len()]);
        Self { of, partners, runs, at, waits, waiting: Vec::new() }
    }

    /// Notes that a step was given to a machine.
    pub fn put(&mut self, step: StepId, machine: M) {
        let Some(strand) = self.of.get(step.index()).map(|&strand| strand as usize) else { return };
        if let Some(before) = self.at[strand].replace(machine) {
            if self.waits[strand] {
                self.count(before, -1);
                self.count(machine, 1);
            }
            return;
        }
        let mut misses_one = false;
        for partner in self.partners[strand].clone().into_iter().map(|partner| partner as usize) {
            match self.at[partner] {
                Some(at) if std::mem::take(&mut self.waits[partner]) => self.count(at, -1),
                Some(_) => {}
                None => misses_one |= self.runs[partner],
            }
        }
        if misses_one {
            self.waits[strand] = true;
            self.count(machine, 1);
        }
    }

    fn count(&mut self, machine: M, by: isize) {
        match self.waiting.iter_mut().find(|(known, _)| *known == machine) {
            Some((_, waiting)) => *waiting = waiting.saturating_add_signed(by),
            None => self.waiting.push((machine, usize::from(by > 0))),
        }
    }

    /// The location of the partners of a step's strand, seen from a machine.
    pub fn partner(&self, step: StepId, machine: M) -> Partner {
        let placed = self.partners_of(step).filter_map(|partner| self.at[partner]);
        placed.fold(Partner::None, |found, at| match found {
            _ if at == machine => Partner::There,
            Partner::There => Partner::There,
            Partner::None | Partner::Elsewhere => Partner::Elsewhere,
        })
    }

    /// The number of slots of a machine that are better left to partners of what runs there, without those of the step itself.
    pub fn reserved(&self, step: StepId, machine: M) -> usize {
        let waiting = self.waiting.iter().find(|(known, _)| *known == machine).map_or(0, |(_, waiting)| *waiting);
        let own = self.partners_of(step).filter(|&partner| self.waits[partner] && self.at[partner] == Some(machine));
        waiting.saturating_sub(own.count())
    }

    fn partners_of(&self, step: StepId) -> impl Iterator<Item = usize> {
        let strand = self.of.get(step.index());
        strand.into_iter().flat_map(|&strand| &self.partners[strand as usize]).map(|&partner| partner as usize)
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
        let step = |needs: &&[u32]| StrandStep { needs: needs.iter().copied().map(StepId).collect(), runs: true };
        Strands::new(&needs.iter().map(step).collect::<Vec<_>>())
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
        let partner = |strands: &Strands<char>, step, machine| strands.partner(StepId(step), machine);
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
    fn a_slot_is_left_to_a_partner_until_it_is_placed() {
        let mut strands = strands(PAIR);
        let reserved = |strands: &Strands<char>, step, machine| strands.reserved(StepId(step), machine);
        strands.put(StepId(1), 'a');
        assert_eq!([0, 3, 6].map(|step| reserved(&strands, step, 'a')), [1, 0, 1], "step 3 is the partner");
        assert_eq!(reserved(&strands, 0, 'b'), 0);
        strands.put(StepId(2), 'b');
        assert_eq!(['a', 'b'].map(|machine| reserved(&strands, 0, machine)), [0, 1], "the strand has moved");
        strands.put(StepId(3), 'c');
        assert_eq!(['a', 'b', 'c'].map(|machine| reserved(&strands, 0, machine)), [0, 0, 0]);
        // A partner that runs no process needs no slot.
        let copies =
            PAIR.iter().map(|needs| StrandStep { needs: needs.iter().copied().map(StepId).collect(), runs: false });
        let mut strands = Strands::new(&copies.collect::<Vec<_>>());
        strands.put(StepId(1), 'a');
        assert_eq!(reserved(&strands, 0, 'a'), 0);
    }

    #[test]
    fn a_step_with_many_inputs_takes_little_time() {
        let count = 20_000;
        let mut steps = vec![StrandStep::default(); count];
        steps.push(StrandStep { needs: (0..count as u32).map(StepId).collect(), runs: true });
        let strands = Strands::<char>::new(&steps);
        assert_eq!(strands.partners.iter().map(Vec::len).max(), Some(MOST_INPUTS - 1));
    }
}

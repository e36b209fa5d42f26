//! Chooses one of several machines for a step. The builder and the replay of a record use the same rule.

use crate::Partner;

/// Layers up to this size, in bytes, come and go with the messages of their steps, so that they need no round trip of their own.
pub const SMALL_LAYER: u64 = 32 << 10;

/// The known facts about a machine that a step could go to. Times are nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Candidate {
    /// The number of steps of the build that run there, or will.
    pub steps: usize,
    /// The number of steps that it runs at a time; `None` if there is no limit.
    pub slots: Option<usize>,
    /// The bytes of the step's layers that it lacks, counted once for each link that they have to cross.
    pub lacking: f64,
    /// The time at which these bytes, and those that are on the way there already, have arrived.
    pub transfer: f64,
    /// The location of the results that a later step needs together with the result of the step ([`Strands`](crate::Strands)).
    pub partner: Partner,
    /// The slots that are better left to steps whose results are needed together with those of steps that run there.
    pub reserved: usize,
    /// The expected time to bring two results of different machines together; 0 if it is unknown.
    pub meeting: f64,
}

impl Candidate {
    /// The time after which a slot is expected to be free, if steps take `mean` on average and end evenly spread over that time: the first
    /// of n slots after mean / (n + 1). Without a mean, a slot is never expected to be free.
    pub fn wait(&self, mean: Option<f64>) -> f64 {
        self.wait_behind(self.steps, mean)
    }

    /// [`wait`](Self::wait) if that many steps run there.
    fn wait_behind(&self, steps: usize, mean: Option<f64>) -> f64 {
        match self.slots.map(|slots| (slots, (steps + 1).saturating_sub(slots))) {
            None | Some((_, 0)) => 0.0,
            Some((slots, before)) => mean.map_or(f64::INFINITY, |mean| mean * before as f64 / (slots + 1) as f64),
        }
    }

    /// The time after which a step is expected to start. Its layers arrive while it waits for a slot.
    pub fn start(&self, mean: Option<f64>) -> f64 {
        self.wait(mean).max(self.transfer)
    }

    /// When a step is expected to start, slots that are better left to others counted as used; and how long its result will take to where it
    /// is needed.
    fn cost(&self, mean: Option<f64>) -> f64 {
        let meeting = if self.partner == Partner::Elsewhere { self.meeting } else { 0.0 };
        self.wait_behind(self.steps + self.reserved, mean).max(self.transfer) + meeting
    }

    /// The number of times that all of its slots have to become free before the step starts.
    fn rounds(&self) -> usize {
        self.slots.map_or(0, |slots| (self.steps + self.reserved) / slots.max(1))
    }
}

/// The machine that a step goes to: that on which it is expected to start first, if slots that are better left to others count as used, and
/// the later transfer of its result to where it is needed together with others counts as a delay. Of equal ones it is the one whose slots have
/// to become free the fewest times; then the one that lacks the fewest bytes; then one that has a result which is needed together
/// with that of the step; then the one with the fewest steps; then the first. `None` without machines.
pub fn best_machine<M>(
    machines: impl IntoIterator<Item = (M, Candidate)>,
    mean: Option<f64>,
) -> Option<(M, Candidate)> {
    machines.into_iter().min_by(|(_, one), (_, other)| {
        let cost = one.cost(mean).total_cmp(&other.cost(mean)).then(one.rounds().cmp(&other.rounds()));
        let ties = |machine: &Candidate| (machine.partner != Partner::There, machine.steps);
        cost.then(one.lacking.total_cmp(&other.lacking)).then(ties(one).cmp(&ties(other)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{StepId, StrandStep, Strands};
    use std::collections::BTreeMap;

    fn load(steps: usize, lacking: f64, transfer: f64) -> Candidate {
        Candidate { steps, slots: Some(2), lacking, transfer, ..Candidate::default() }
    }

    fn chosen(machines: &[Candidate], mean: Option<f64>) -> Option<usize> {
        best_machine(machines.iter().copied().enumerate(), mean).map(|(index, _)| index)
    }

    #[test]
    fn slots_are_free_after_even_parts_of_the_mean() {
        let wait = |steps| load(steps, 0.0, 0.0).wait(Some(30.0));
        assert_eq!([0, 1, 2, 3, 4].map(wait), [0.0, 0.0, 10.0, 20.0, 30.0]);
        assert_eq!(load(2, 0.0, 0.0).wait(None), f64::INFINITY);
        assert_eq!(Candidate { slots: None, ..load(99, 0.0, 0.0) }.wait(None), 0.0);
    }

    #[test]
    fn a_step_goes_where_it_starts_first() {
        // A free slot far from the data, or a wait of 10 where it is.
        assert_eq!(chosen(&[load(2, 0.0, 0.0), load(0, 5.0, 11.0)], Some(30.0)), Some(0));
        assert_eq!(chosen(&[load(2, 0.0, 0.0), load(0, 5.0, 9.0)], Some(30.0)), Some(1));
        assert_eq!(chosen(&[load(2, 0.0, 0.0), load(0, 5.0, 11.0)], None), Some(1), "the length of steps is unknown");
        // Layers arrive during the wait.
        assert_eq!(chosen(&[load(2, 0.0, 12.0), load(3, 0.0, 1.0)], Some(30.0)), Some(0));
        assert_eq!(chosen(&[], None), None);
    }

    #[test]
    fn of_equal_machines_data_comes_first_and_then_the_load() {
        assert_eq!(chosen(&[load(0, 5.0, 0.0), load(1, 0.0, 0.0)], None), Some(1));
        assert_eq!(chosen(&[load(1, 5.0, 1.0), load(0, 5.0, 1.0)], None), Some(1));
        assert_eq!(chosen(&[load(1, 5.0, 1.0), load(1, 5.0, 1.0)], None), Some(0));
    }

    #[test]
    fn a_step_goes_to_the_results_that_are_needed_together_with_its_own() {
        let there = |steps| Candidate { partner: Partner::There, ..load(steps, 0.0, 0.0) };
        let elsewhere = |steps, meeting| Candidate { partner: Partner::Elsewhere, meeting, ..load(steps, 0.0, 0.0) };
        // Both have a free slot, or none, and nothing is known.
        assert_eq!(chosen(&[elsewhere(0, 0.0), there(1)], None), Some(1));
        assert_eq!(chosen(&[elsewhere(2, 0.0), there(3)], None), Some(1));
        // But not a whole round of slots later.
        assert_eq!(chosen(&[elsewhere(2, 0.0), there(4)], None), Some(0));
        // A slot is left to another step.
        let reserved = Candidate { reserved: 1, ..load(1, 0.0, 0.0) };
        assert_eq!(chosen(&[reserved, load(0, 5.0, 0.0)], None), Some(1));
        assert_eq!(chosen(&[reserved, load(2, 0.0, 0.0)], None), Some(0), "no other has a free slot");
        // A free slot is left to another step also by a step that then waits.
        let full = Candidate { reserved: 1, ..there(2) };
        assert_eq!(chosen(&[Candidate { reserved: 1, ..elsewhere(1, 0.0) }, full], None), Some(1));
        // The wait is 20 there and 10 elsewhere.
        assert_eq!(chosen(&[elsewhere(2, 9.0), there(3)], Some(30.0)), Some(0));
        assert_eq!(chosen(&[elsewhere(2, 11.0), there(3)], Some(30.0)), Some(1));
    }

    /// Eight pairs of steps are ready at once, in 200 orders. Four machines have two slots each, so that every machine has to take two pairs.
    #[test]
    fn pairs_that_start_at_once_are_not_split_in_any_order() {
        let need = |needs: &[u32]| StrandStep { needs: needs.iter().copied().map(StepId).collect(), runs: true };
        let steps: Vec<StrandStep> =
            (0..8).flat_map(|pair| [need(&[]), need(&[]), need(&[3 * pair, 3 * pair + 1])]).collect();
        let mut order: Vec<u32> = (0..24).filter(|step| step % 3 < 2).collect();
        let mut random = 1_u64;
        for _ in 0..200 {
            for last in (1..order.len()).rev() {
                // Knuth's multiplier for 64 bits.
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                order.swap(last, (random >> 33) as usize % (last + 1));
            }
            let (mut strands, mut running) = (Strands::new(&steps), [0; 4]);
            let mut machine_of = BTreeMap::new();
            for &step in &order {
                let id = StepId(step);
                let candidate = |machine: usize| Candidate {
                    partner: strands.partner(id, machine),
                    reserved: strands.reserved(id, machine),
                    ..load(running[machine], 0.0, 0.0)
                };
                let (machine, _) = best_machine((0..4).map(|machine| (machine, candidate(machine))), None).unwrap();
                strands.put(id, machine);
                running[machine] += 1;
                machine_of.insert(step, machine);
            }
            assert!(
                (0..8).all(|pair| machine_of[&(3 * pair)] == machine_of[&(3 * pair + 1)]),
                "{order:?}: {machine_of:?}"
            );
            assert_eq!(running, [4; 4], "{order:?}");
        }
    }
}

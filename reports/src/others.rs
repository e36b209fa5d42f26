//! The use of the machine by other programs during the build.
//!
//! Their load makes the times of a record longer than the build's own work. Explanations say so, and neither advice nor predictions blame
//! the build for it.

use buildscope_record::{Nanos, Record};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The least share of the processors that is mentioned.
const NOTED: f64 = 0.05;
/// The least share of the processors that the answer mentions.
const IMPORTANT: f64 = 0.25;
/// The least CPU time that is mentioned: the kernel counts in hundredths of a second on each processor.
const LEAST: Nanos = Nanos(50_000_000);

/// The load of other programs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Others {
    /// The CPU time that other programs used while the build ran.
    pub cpu: Nanos,
    /// That time as a share of the capacity of the machine's processors.
    pub share: f64,
    /// The share of the wall time in which at least one task of the machine waited for a processor; `None` if unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<f64>,
}

impl Others {
    /// The load of a record; `None` if it is unknown or too small to matter.
    pub(crate) fn of(record: &Record) -> Option<Self> {
        let load = record.load?;
        let capacity = record.wall.as_secs_f64() * f64::from(load.processors);
        let share = if capacity > 0.0 { (load.others.as_secs_f64() / capacity).min(1.0) } else { 0.0 };
        let waiting = load.waited.map(|waited| (waited.as_secs_f64() / record.wall.as_secs_f64()).min(1.0));
        (share >= NOTED && load.others >= LEAST).then_some(Self { cpu: load.others, share, waiting })
    }

    /// Whether the answer mentions it.
    pub(crate) fn is_important(self) -> bool {
        self.share >= IMPORTANT
    }

    /// "other programs used 48 % of the processors".
    pub(crate) fn sentence(self) -> String {
        format!("other programs used {:.0} % of the processors", self.share * 100.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::{Synthetic, ms};
    use buildscope_record::MachineLoad;

    fn others(cpu: u64) -> Option<Others> {
        let mut made = Synthetic::default();
        made.with(|record| record.load = Some(MachineLoad { others: ms(cpu), processors: 2, waited: Some(ms(700)) }));
        Others::of(&made.finish(1000))
    }

    #[test]
    fn the_load_of_others_is_a_share_of_all_processors() {
        let found = others(960).unwrap();
        assert_eq!((found.share, found.waiting, found.is_important()), (0.48, Some(0.7), true));
        assert_eq!(found.sentence(), "other programs used 48 % of the processors");
        assert!(!others(200).unwrap().is_important());
        assert_eq!(others(90), None, "4.5 %");
        assert_eq!(others(5000).unwrap().share, 1.0);
    }
}

//! Predicts the time of a build from earlier builds.

use super::kept::{KeptBuild, Subject};
use buildscope_record::Nanos;

/// The fewest earlier builds from which a median is taken.
const LEAST: usize = 3;

/// The number of earlier builds that count, the last ones.
const MOST: usize = 20;

/// By how much the cached shares of two builds may differ so that their times can be compared.
const SHARE: f64 = 0.25;

/// The wall times of earlier builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) median: Nanos,
    /// The first and the third quartile.
    pub(crate) quartiles: [Nanos; 2],
    /// The number of builds.
    pub(crate) builds: usize,
}

impl Expected {
    /// Reads the wall times of the listed builds of a Dockerfile that succeeded. The list starts with the newest. `None` if there are
    /// fewer than three.
    pub(crate) fn of(list: &[KeptBuild], subject: &Subject) -> Option<Self> {
        subject.context.as_ref()?;
        let same = list.iter().filter(|kept| kept.succeeded && kept.subject == *subject);
        Self::of_walls(same.map(|kept| kept.wall).take(MOST).collect())
    }

    /// Reads the wall times of the listed builds of the same Dockerfile as `build` that succeeded and had about as much in the
    /// cache, without `build` itself. `None` if there are fewer than three.
    pub(crate) fn like(list: &[KeptBuild], build: &KeptBuild) -> Option<Self> {
        build.subject.context.as_ref()?;
        let same = list.iter().filter(|kept| kept.succeeded && kept.subject == build.subject);
        let other = same.filter(|kept| kept.id != build.id && comparable(kept, build));
        Self::of_walls(other.map(|kept| kept.wall).take(MOST).collect())
    }

    /// The median and the quartiles of these wall times.
    pub(crate) fn of_walls(mut walls: Vec<Nanos>) -> Option<Self> {
        if walls.len() < LEAST {
            return None;
        }
        walls.sort_unstable();
        Some(Self {
            median: quantile(&walls, 0.5),
            quartiles: [0.25, 0.75].map(|share| quantile(&walls, share)),
            builds: walls.len(),
        })
    }
}

/// Whether the times of two builds can be compared. A build whose steps are all cached is like no build that ran one.
fn comparable(one: &KeptBuild, other: &KeptBuild) -> bool {
    let ran = |build: &KeptBuild| build.cached < build.steps;
    ran(one) == ran(other) && (one.cached_share() - other.cached_share()).abs() <= SHARE
}

/// The quantile of sorted times, interpolated between neighbours (type 7 of Hyndman and Fan, 1996).
fn quantile(sorted: &[Nanos], share: f64) -> Nanos {
    let at = share * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    Nanos(below.0 + ((above.0 - below.0) as f64 * at.fract()).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_lie_between_neighbours() {
        let expected = Expected::of_walls([40, 10, 30, 20].map(Nanos).to_vec()).unwrap();
        // R: quantile(c(10, 20, 30, 40)) is 17.5, 25 and 32.5.
        assert_eq!((expected.median, expected.quartiles), (Nanos(25), [Nanos(18), Nanos(33)]));
        assert_eq!(Expected::of_walls(vec![Nanos(1); 2]), None);
    }
}

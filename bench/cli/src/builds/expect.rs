//! How long a build will take, by its earlier builds.

use super::kept::{Kept, Subject};
use buildscope_record::Nanos;

/// The least number of earlier builds that say something.
const LEAST: usize = 3;

/// How many earlier builds count, the last ones.
const MOST: usize = 20;

/// The wall times of earlier builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) median: Nanos,
    /// The first and the third quartile.
    pub(crate) quartiles: [Nanos; 2],
    /// How many builds they are.
    pub(crate) builds: usize,
}

impl Expected {
    /// Of those of the listed builds, the newest first, that are of a Dockerfile and succeeded, except the one with this id; `None` if there are fewer than three.
    pub(crate) fn of(list: &[Kept], subject: &Subject, except: Option<&str>) -> Option<Self> {
        subject.context.as_ref()?;
        let same = list.iter().filter(|kept| kept.succeeded && kept.subject == *subject);
        let other = same.filter(|kept| except != Some(kept.id.as_str()));
        Self::of_walls(other.map(|kept| kept.wall).take(MOST).collect())
    }

    /// Of these wall times.
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

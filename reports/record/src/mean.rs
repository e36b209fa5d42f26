//! The mean of values that come one by one.

/// The mean of all values that were added.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mean {
    count: u32,
    total: f64,
}

impl Mean {
    /// Adds a value.
    pub fn add(&mut self, value: f64) {
        self.count += 1;
        self.total += value;
    }

    /// The mean; `None` before the first value.
    pub fn get(self) -> Option<f64> {
        (self.count > 0).then(|| self.total / f64::from(self.count))
    }
}

#[cfg(test)]
mod tests {
    use super::Mean;

    #[test]
    fn the_mean_is_the_sum_divided_by_the_number_of_values() {
        let mut mean = Mean::default();
        assert_eq!(mean.get(), None);
        [2.0, 4.0, 9.0].into_iter().for_each(|value| mean.add(value));
        assert_eq!(mean.get(), Some(5.0));
    }
}

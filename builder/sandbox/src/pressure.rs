//! Pressure stall information (Documentation/accounting/psi.rst of the kernel).

use buildscope_record::Nanos;

/// The time in which at least one task waited, from the text of a pressure file: `total` of the line `some`, which is in microseconds.
pub fn time_waited(pressure: &str) -> Option<Nanos> {
    let some = pressure.lines().find_map(|line| line.strip_prefix("some "))?;
    let total: u64 = some.split(' ').find_map(|field| field.strip_prefix("total="))?.parse().ok()?;
    Some(Nanos(total.checked_mul(1000)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_of_the_line_some_counts() {
        let text = "some avg10=0.00 avg60=0.00 avg300=0.00 total=123
full avg10=0.00 avg60=0.00 avg300=0.00 total=7
";
        assert_eq!(time_waited(text), Some(Nanos(123_000)));
        assert_eq!([time_waited("full total=1"), time_waited("some total=x"), time_waited("")], [None; 3]);
    }
}

//! A record that begins earlier than the first line of its log: that line was read after a step had started.

use buildscope_record::{Nanos, Record};
use std::time::Duration;

/// Lets the record begin earlier by this time. What began with it does so still.
pub(super) fn earlier(record: &mut Record, by: Nanos) {
    if by.is_zero() {
        return;
    }
    let began: Option<jiff::Timestamp> = record.started.as_deref().and_then(|text| text.parse().ok());
    if let Some(began) = began.and_then(|began| began.checked_sub(Duration::from_nanos(by.0)).ok()) {
        record.started = Some(began.to_string());
    }
    let moved = |time: &mut Nanos| {
        if !time.is_zero() {
            *time += by;
        }
    };
    record.wall += by;
    for step in &mut record.steps {
        step.start.iter_mut().chain(&mut step.end).for_each(moved);
        step.output.iter_mut().for_each(|line| moved(&mut line.at));
    }
    for target in &mut record.targets {
        target.start.iter_mut().chain(&mut target.end).for_each(moved);
    }
    record.spans.iter_mut().flat_map(|span| [&mut span.start, &mut span.end]).for_each(moved);
    record.waits.iter_mut().flat_map(|wait| [&mut wait.start, &mut wait.end]).for_each(moved);
    record.counters.iter_mut().flat_map(|counter| &mut counter.samples).for_each(|sample| moved(&mut sample.at));
}

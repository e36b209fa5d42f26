//! The targets of a build of several as track groups of the timeline: in each the steps that the target needs, its critical path and
//! its delivery. A step that several targets need is in each of their groups.

use super::instant;
use crate::{Explanation, StepExplanation, TargetExplanation};
use buildscope_record::{Nanos, Record, StepId, Target};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The tracks of a group. The steps come after them.
const DELIVERY: u64 = 1;
const PATH: u64 = 2;
const FIRST_LANE: u64 = 10;

/// The events of all targets. `group` returns the id of a target's track group, by the index of the target.
pub(super) fn tracks(record: &Record, explanation: &Explanation, group: impl Fn(usize) -> u64) -> Vec<Value> {
    let needed = record.steps_of_targets();
    let mut users = vec![0_usize; record.steps.len()];
    needed.iter().flatten().for_each(|step| users[step.index()] += 1);
    let mut events = Vec::new();
    for (index, (target, explained)) in record.targets.iter().zip(&explanation.targets).enumerate() {
        let mut group = TrackGroup { id: group(index), record, explanation, events: &mut events };
        group.name(target, explained);
        group.steps(&needed[index], &users);
        group.path(explained);
        group.delivery(target);
    }
    events
}

struct TrackGroup<'g> {
    id: u64,
    record: &'g Record,
    explanation: &'g Explanation,
    events: &'g mut Vec<Value>,
}

impl TrackGroup<'_> {
    fn name(&mut self, target: &Target, explained: &TargetExplanation) {
        let label = match explained.end {
            Some(end) => format!("{} after {end}", target.outcome.name()),
            None => target.outcome.name().to_owned(),
        };
        self.metadata("process_name", 0, json!({"name": format!("target {}", target.name)}));
        self.metadata("process_labels", 0, json!({"labels": label}));
        self.metadata("process_sort_index", 0, json!({"sort_index": self.id}));
    }

    fn metadata(&mut self, name: &str, track: u64, args: Value) {
        self.events.push(json!({"ph": "M", "pid": self.id, "tid": track, "name": name, "args": args}));
    }

    fn track(&mut self, track: u64, name: &str) {
        self.metadata("thread_name", track, json!({"name": name}));
        self.metadata("thread_sort_index", track, json!({"sort_index": track}));
    }

    fn slice(&mut self, track: u64, name: &str, category: &str, time: (Nanos, Nanos), args: Value) {
        let event = json!({"pid": self.id, "tid": track, "name": name, "cat": category, "args": args});
        let wall = self.record.wall;
        self.events.push(instant::placed(event, time.0.min(wall), time.1.min(wall)));
    }

    /// Each step on the first track that is free.
    fn steps(&mut self, needed: &BTreeSet<StepId>, users: &[usize]) {
        let steps = needed.iter().map(|step| &self.explanation.steps[step.index()]);
        let mut steps: Vec<(Nanos, &StepExplanation)> = steps.filter_map(|step| Some((step.start?, step))).collect();
        steps.sort_by_key(|&(start, step)| (start, step.id));
        let mut ends: Vec<Nanos> = Vec::new();
        for (start, step) in steps {
            let lane = ends.iter().position(|&end| end <= start).unwrap_or_else(|| {
                ends.push(Nanos::ZERO);
                ends.len() - 1
            });
            ends[lane] = start + step.duration;
            let users = users[step.id.index()];
            let category = if users > 1 { "step,shared" } else { "step" };
            let args = json!({"step": step.id.0, "targets": users, "drag_ms": step.drag.as_millis_f64()});
            self.slice(FIRST_LANE + lane as u64, &step.text, category, (start, start + step.duration), args);
        }
        for lane in 0..ends.len() as u64 {
            self.track(FIRST_LANE + lane, &format!("steps {lane}"));
        }
    }

    fn path(&mut self, explained: &TargetExplanation) {
        let legs = explained.path.iter().filter(|leg| leg.end > leg.start);
        for leg in legs {
            let text = self.explanation.steps[leg.step.index()].text.clone();
            self.slice(PATH, &text, "path", (leg.start, leg.end), json!({"step": leg.step.0}));
        }
        self.track(PATH, "critical path");
    }

    fn delivery(&mut self, target: &Target) {
        if let (Some(start), Some(end)) = (target.start, target.end) {
            self.slice(DELIVERY, "delivery", "delivery", (start, end), json!({"image": target.image}));
            self.track(DELIVERY, "delivery");
        }
    }
}

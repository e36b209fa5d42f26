//! The build as a timeline in the Trace Event format ("Chrome JSON"), as Perfetto and chrome://tracing open it.
//!
//! Each build is a process with a track for its own work, one for the critical path, one for each slot and each other machine, and
//! tracks for waiting steps. Each target of a build of several is a process too. Flows follow the edges. Counters show how many steps are active and what was measured.
//! Source: "Trace Event Format" (Duffy, Sinclair), sections "Duration", "Flow", "Counter" and "Metadata Events".

use super::instant::{self, micros};
use crate::attribute::{Attributed, Link};
use crate::{Explanation, StepExplanation};
use buildscope_record::{CacheState, DriverName, EdgeKind, Nanos, Policy, Record, Span, StepId, Wait, WaitKind};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap};

/// Tracks of the build as a whole. The tracks of slots and waits come after them.
const BUILD: u64 = 1;
const PATH: u64 = 2;
const FIRST_SLOT: u64 = 10;
/// The tracks of other machines, and how many of them each may have at most.
const FIRST_MACHINE: u64 = 100_000;
const TRACKS_OF_MACHINE: u64 = 1_000;
/// The track groups of a build's steps begin at its number times this, and those of its targets half as much before.
const GROUPS: u64 = 1_000_000;

/// The timeline of several builds, each with its explanation.
pub fn timeline(builds: &[(&Record, &Explanation)]) -> Value {
    let mut events = Vec::new();
    for (number, &(record, explanation)) in builds.iter().enumerate() {
        Process { pid: number as u64 + 1, record, explanation, events: &mut events, flow: number as u64 * 100_000_000 }
            .write();
        let target_group = |target: usize| GROUPS * (number as u64 + 1) - GROUPS / 2 + target as u64;
        events.extend(super::target_tracks::tracks(record, explanation, target_group));
        let group = |step: usize| GROUPS * (number as u64 + 1) + step as u64;
        events.extend(super::processes::tracks(record, group));
    }
    json!({"traceEvents": events, "displayTimeUnit": "ms"})
}

struct Process<'p> {
    pid: u64,
    record: &'p Record,
    explanation: &'p Explanation,
    events: &'p mut Vec<Value>,
    flow: u64,
}

impl Process<'_> {
    fn write(mut self) {
        let options = &self.record.options;
        let words = [
            Some(self.record.source.tool.name()),
            options.policy.map(Policy::name),
            options.driver.map(DriverName::name),
            options.cache.map(CacheState::name),
        ];
        let name = words.into_iter().flatten().collect::<Vec<_>>().join(" ");
        self.metadata("process_name", None, json!({"name": name}));
        self.metadata("process_labels", None, json!({"labels": format!("wall {}", self.record.wall)}));
        self.metadata("process_sort_index", None, json!({"sort_index": self.pid}));
        self.track(BUILD, "build");
        self.track(PATH, "critical path");
        let lanes = self.lanes();
        self.steps(&lanes);
        self.spans(&lanes);
        self.path();
        let last = lanes.values().max().map_or(FIRST_SLOT, |lane| lane + 1);
        self.waits(last);
        self.edges(&lanes);
        self.counters();
    }

    fn metadata(&mut self, name: &str, track: Option<u64>, args: Value) {
        self.events.push(json!({"ph": "M", "pid": self.pid, "tid": track.unwrap_or(0), "name": name, "args": args}));
    }

    fn track(&mut self, track: u64, name: &str) {
        self.metadata("thread_name", Some(track), json!({"name": name}));
        self.metadata("thread_sort_index", Some(track), json!({"sort_index": track}));
    }

    fn slice(&mut self, track: u64, name: &str, category: &str, time: (Nanos, Nanos), args: Value) {
        let event = json!({"pid": self.pid, "tid": track, "name": name, "cat": category, "args": args});
        let wall = self.record.wall;
        self.events.push(instant::placed(event, time.0.min(wall), time.1.min(wall)));
    }

    /// The track of each step: the first free one of the machine that ran it; for the builder's own that of its slot, or, if slots
    /// are unknown, the first that is free.
    fn lanes(&mut self) -> HashMap<StepId, u64> {
        let mut lanes = HashMap::new();
        let mut machines: Vec<&str> = Vec::new();
        let mut ends: BTreeMap<u64, Nanos> = BTreeMap::new();
        let mut steps: Vec<&StepExplanation> =
            self.explanation.steps.iter().filter(|step| step.start.is_some()).collect();
        steps.sort_by_key(|step| (step.start, step.id));
        for step in steps {
            let start = step.start.unwrap_or(Nanos::ZERO);
            let recorded = &self.record.steps[step.id.index()];
            let free = |lane: &u64| ends.get(lane).is_none_or(|&end| end <= start);
            let lane = match recorded.ran_on.as_ref().and_then(|ran_on| ran_on.machine.as_deref()) {
                Some(machine) => {
                    let index = machines.iter().position(|known| *known == machine).unwrap_or_else(|| {
                        machines.push(machine);
                        machines.len() - 1
                    });
                    let first = FIRST_MACHINE + TRACKS_OF_MACHINE * index as u64;
                    (first..).find(free).unwrap_or(first)
                }
                None => {
                    let wanted = recorded.slot.map(|slot| FIRST_SLOT + u64::from(slot));
                    // Slices on one track must nest, so a step whose slot is still busy by the clock goes to another track.
                    wanted.filter(free).or_else(|| (FIRST_SLOT..).find(free)).unwrap_or(FIRST_SLOT)
                }
            };
            ends.insert(lane, start + step.duration);
            lanes.insert(step.id, lane);
        }
        let has_slots = self.record.steps.iter().any(|step| step.slot.is_some());
        for (number, &lane) in ends.keys().enumerate() {
            let name = match lane.checked_sub(FIRST_MACHINE) {
                Some(of_machine) => {
                    let machine = machines[(of_machine / TRACKS_OF_MACHINE) as usize];
                    match of_machine % TRACKS_OF_MACHINE {
                        0 => machine.to_owned(),
                        more => format!("{machine} ({})", more + 1),
                    }
                }
                None if has_slots => format!("slot {}", lane - FIRST_SLOT),
                None => format!("lane {number}"),
            };
            self.track(lane, &name);
        }
        lanes
    }

    fn steps(&mut self, lanes: &HashMap<StepId, u64>) {
        for step in &self.explanation.steps {
            let (Some(start), Some(&lane)) = (step.start, lanes.get(&step.id)) else { continue };
            let mut args = Map::new();
            let mut number = |name: &str, value: Option<Value>| value.map(|value| args.insert(name.to_owned(), value));
            number("step", Some(step.id.0.into()));
            number("line", step.source.map(|source| source.line.into()));
            number("wall_ms", Some(step.wall.as_millis_f64().into()));
            number("drag_ms", Some(step.drag.as_millis_f64().into()));
            number("slack_ms", Some(step.slack.as_millis_f64().into()));
            number("held_ms", Some(step.held.as_millis_f64().into()));
            number("layer_bytes", step.layer.map(|layer| layer.bytes.0.into()));
            number("layer_files", step.layer.map(|layer| layer.files.into()));
            if let Some(used) = step.resources {
                number("cpu_user_ms", Some(used.cpu_user.as_millis_f64().into()));
                number("cpu_system_ms", Some(used.cpu_system.as_millis_f64().into()));
                number("peak_memory_bytes", Some(used.peak_memory.0.into()));
            }
            number("stage", step.stage.clone().map(Value::from));
            let category = if step.on_path { "step,critical" } else { "step" };
            self.slice(lane, &step.text, category, (start, start + step.duration), Value::Object(args));
        }
    }

    fn spans(&mut self, lanes: &HashMap<StepId, u64>) {
        // Slices nest on the track of their step. Those that do not (parallel threads of one step) get another track after it.
        let mut spans: Vec<&Span> = self.record.spans.iter().collect();
        spans.sort_by_key(|span| (span.start, std::cmp::Reverse(span.end), span.id));
        let mut open: BTreeMap<(u64, u64), Vec<Nanos>> = BTreeMap::new();
        for span in spans {
            let within = span.step.and_then(|step| {
                let explained = &self.explanation.steps[step.index()];
                let (start, lane) = (explained.start?, *lanes.get(&step)?);
                (span.start >= start && span.end <= start + explained.duration).then_some(lane)
            });
            // Work for a step outside its slot is on the track of the build.
            let lane = within.unwrap_or(BUILD);
            let mut beside = 0;
            loop {
                let ends = open.entry((lane, beside)).or_default();
                while ends.last().is_some_and(|&end| end <= span.start) {
                    ends.pop();
                }
                if ends.last().is_none_or(|&end| span.end <= end) {
                    ends.push(span.end);
                    break;
                }
                beside += 1;
            }
            let track = if beside == 0 { lane } else { lane * 1000 + beside };
            let mut args: Map<String, Value> =
                span.fields.iter().map(|(name, &value)| (name.clone(), value.into())).collect();
            if let Some(step) = span.step {
                args.insert("step".into(), step.0.into());
            }
            let name =
                span.name.as_ref().map_or_else(|| span.phase.to_string(), |name| format!("{} {name}", span.phase));
            self.slice(track, &name, span.phase.group().name(), (span.start, span.end), Value::Object(args));
        }
        let beside: Vec<_> = open.into_keys().filter(|&(_, beside)| beside > 0).collect();
        for (lane, beside) in beside {
            let name = if lane == BUILD { "build".to_owned() } else { format!("slot {}", lane - FIRST_SLOT) };
            self.metadata(
                "thread_name",
                Some(lane * 1000 + beside),
                json!({"name": format!("{name}, thread {}", beside + 1)}),
            );
            self.metadata("thread_sort_index", Some(lane * 1000 + beside), json!({"sort_index": lane}));
        }
    }

    fn path(&mut self) {
        for leg in &self.explanation.path {
            let step = &self.explanation.steps[leg.step.index()];
            let args = json!({"step": leg.step.0, "drag_ms": step.drag.as_millis_f64()});
            let why = match leg.after {
                None => "begin",
                Some(Link::Data) => "data",
                Some(Link::Order) => "order",
                Some(Link::Slot) => "slot",
                Some(Link::Lock) => "lock",
            };
            if leg.end > leg.start {
                self.slice(PATH, &step.text, &format!("path,{why}"), (leg.start, leg.end), args);
            }
        }
        for segment in &self.explanation.segments {
            let name = Attributed::from(segment.phase).to_string();
            let args = segment.step.map_or_else(|| json!({}), |step| json!({"step": step.0}));
            self.slice(PATH, &name, "path,phase", (segment.start, segment.end), args);
        }
    }

    /// Waits for slots and locks, on as many tracks as steps wait at a time.
    fn waits(&mut self, first: u64) {
        let mut waits: Vec<&Wait> =
            self.record.waits.iter().filter(|wait| matches!(wait.kind, WaitKind::Slot | WaitKind::Lock)).collect();
        waits.sort_by_key(|wait| (wait.start, wait.end));
        let mut ends: Vec<Nanos> = Vec::new();
        for wait in waits.into_iter().filter(|wait| wait.end > wait.start) {
            let track = ends.iter().position(|&end| end <= wait.start).unwrap_or_else(|| {
                ends.push(Nanos::ZERO);
                ends.len() - 1
            });
            ends[track] = wait.end;
            let kind = if wait.kind == WaitKind::Slot { "queue" } else { "lock" };
            let name = format!("{kind}: {}", self.record.steps[wait.step.index()].text);
            let mut args = json!({"step": wait.step.0});
            if let Some(on) = wait.on {
                args["on"] = on.0.into();
            }
            self.slice(first + track as u64, &name, kind, (wait.start, wait.end), args);
        }
        for track in 0..ends.len() as u64 {
            self.track(first + track, &format!("queue {track}"));
        }
    }

    fn edges(&mut self, lanes: &HashMap<StepId, u64>) {
        for edge in &self.record.edges {
            let end_point = |step: StepId| {
                let explained = &self.explanation.steps[step.index()];
                Some((explained.start?, explained.duration, *lanes.get(&step)?))
            };
            let (Some(from), Some(to)) = (end_point(edge.from), end_point(edge.to)) else { continue };
            let name = if edge.kind == EdgeKind::Data { "data" } else { "order" };
            self.flow += 1;
            // Each end of a flow binds to the slice around its instant: just before the end of one step, and at the start of the other.
            let leave = from.0 + Nanos(from.1.0.saturating_sub(1));
            for (phase, at, lane) in [("s", leave, from.2), ("f", to.0.max(leave), to.2)] {
                let mut event = json!({
                    "ph": phase, "pid": self.pid, "tid": lane, "ts": micros(at), "id": self.flow, "name": name, "cat": "edge",
                });
                if phase == "f" {
                    event["bp"] = "e".into();
                }
                self.events.push(event);
            }
        }
    }

    fn counters(&mut self) {
        let parallelism = &self.explanation.parallelism;
        for (index, levels) in parallelism.over_time.iter().enumerate() {
            let at = Nanos(parallelism.interval.0.saturating_mul(index as u64));
            let args =
                json!({"active": levels.active, "ready": levels.ready, "held": levels.held, "blocked": levels.blocked});
            self.events.push(json!({"ph": "C", "pid": self.pid, "name": "steps", "ts": micros(at), "args": args}));
        }
        for counter in &self.record.counters {
            let name = counter.step.map_or_else(|| counter.name.clone(), |step| format!("{} {step}", counter.name));
            for sample in &counter.samples {
                let args = json!({"value": sample.value});
                self.events
                    .push(json!({"ph": "C", "pid": self.pid, "name": name, "ts": micros(sample.at), "args": args}));
            }
        }
    }
}

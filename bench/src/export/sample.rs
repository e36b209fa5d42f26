//! A small run for the tests of the formats.

use crate::environment::Environment;
use crate::run::{Case, CaseSamples, RUN_SCHEMA, Run, Sample, Subject};
use buildscope_record::{DriverChoice, Policy};
use buildscope_workloads::Scenario;

/// Returns a run of two policies with three samples each, one of them wrong.
pub(crate) fn run() -> Run {
    let case = |policy: Policy, walls: [f64; 3]| {
        let subject = Subject {
            builder: "buildscope".into(),
            version: None,
            policy: Some(policy),
            driver: DriverChoice::Auto,
            jobs: 0,
        };
        let sample = |(round, wall): (u32, f64)| Sample {
            round,
            position: round,
            wall,
            user: wall / 4.0,
            system: wall / 8.0,
            exit_code: Some(0),
            load: None,
            io_pressure: None,
            record: None,
            fault: (wall > 100.0).then(|| "/x is missing".to_owned()),
        };
        CaseSamples {
            case: Case { workload: "diamond".into(), scenario: Scenario::Cold, subject },
            command: format!("buildscope build --policy {policy} --no-cache diamond"),
            samples: (0..).zip(walls).map(sample).collect(),
            calls: vec![],
        }
    };
    Run {
        schema: RUN_SCHEMA,
        started: "2026-11-25T03:00:00Z".into(),
        seed: 1,
        runs: 3,
        interrupted: false,
        environment: Environment::default(),
        page_cache: String::new(),
        canary: vec![],
        throttled: None,
        cases: vec![case(Policy::Serial, [2.5, 2.25, 2.75]), case(Policy::Stages, [1.5, 101.0, 1.75])],
    }
}

//! `buildscope whatif`.

use super::{Failure, Root, builds, write_out};
use buildscope_record::{Nanos, Policy, Record, StepId};
use buildscope_reports::whatif::{MAX_DRIFT, Prediction, Scenario, Selector, whatif};
use clap::Args;
use miette::{IntoDiagnostic, miette};
use std::fmt::Write as _;
use std::path::PathBuf;

/// Predict how long a recorded build would take under other resources
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// A kept build (`last`, `^1`, an id), a build record, or anything that `import` reads
    #[arg(value_name = "BUILD")]
    build: PathBuf,
    /// Maximum number of steps that run at once; 0 means no limit
    #[arg(short, long, value_name = "N")]
    jobs: Option<u32>,
    /// Number of processors
    #[arg(long, value_name = "N")]
    cores: Option<f64>,
    /// Granularity of the build graph: serial, stages or instructions
    #[arg(long = "granularity", alias = "policy", value_name = "GRANULARITY")]
    policy: Option<Policy>,
    /// Remove the time of a group (storage), a phase (copy), an instruction (RUN), stage:NAME, step:N, line:N, command:TEXT
    /// (commands inside steps that start so), or of all `locks`; may be repeated
    #[arg(long, value_name = "WHAT")]
    without: Vec<String>,
    /// Speed something up by a factor (2 is twice as fast); may be repeated
    #[arg(long, value_name = "WHAT=TIMES")]
    faster: Vec<String>,
    /// Add a delay to each occurrence; may be repeated
    #[arg(long, value_name = "WHAT=SECONDS")]
    delay: Vec<String>,
    /// Assume that this step is in the cache; may be repeated
    #[arg(long, value_name = "STEP")]
    cached: Vec<u32>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    root: Root,
}

const EXAMPLES: &str = "Examples:
  buildscope whatif last --jobs 2
  buildscope whatif build.json --granularity serial
  buildscope whatif build.json --cores 8 --without storage
  buildscope whatif build.json --faster line:12=2 --cached 7
  buildscope whatif build.json --without 'command:apt-get update' --faster command:make=2";

/// Prints the prediction.
pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    let record = builds::read(&arguments.build, &arguments.root)?;
    let scenario = arguments.scenario()?;
    let prediction = whatif(&record, &scenario).into_diagnostic().map_err(Failure::Usage)?;
    if arguments.json {
        let text = serde_json::to_string_pretty(&prediction).map_err(Failure::internal)?;
        write_out(&(text + "\n"));
    } else {
        write_out(&format_prediction(&record, &prediction));
    }
    Ok(())
}

impl Arguments {
    fn scenario(&self) -> Result<Scenario, Failure> {
        let usage = |result: Result<_, _>| result.into_diagnostic().map_err(Failure::Usage);
        let selector = |text: &str| usage(text.parse::<Selector>());
        let mut scenario = Scenario {
            jobs: self.jobs,
            cores: self.cores,
            policy: self.policy,
            cached: self.cached.iter().copied().map(StepId).collect(),
            ..Scenario::default()
        };
        if self.cores.is_some_and(|cores| !(cores > 0.0 && cores.is_finite())) {
            return Err(Failure::usage(miette!("--cores must be above 0")));
        }
        for what in &self.without {
            match what.as_str() {
                "locks" => scenario.without_locks = true,
                what => scenario.faster.push((selector(what)?, f64::INFINITY)),
            }
        }
        for text in &self.faster {
            let (what, times) = pair("--faster", text)?;
            scenario.faster.push((selector(what)?, times));
        }
        for text in &self.delay {
            let (what, seconds) = pair("--delay", text)?;
            scenario.delays.push((selector(what)?, Nanos::from_secs_f64(seconds)));
        }
        Ok(scenario)
    }
}

/// Parses `WHAT=NUMBER` with a number above 0.
fn pair<'t>(flag: &str, text: &'t str) -> Result<(&'t str, f64), Failure> {
    let parsed = text.rsplit_once('=').and_then(|(what, number)| Some((what, number.parse::<f64>().ok()?)));
    let above = parsed.filter(|(_, number)| *number > 0.0);
    above.ok_or_else(|| Failure::usage(miette!("{flag} takes WHAT=NUMBER with a number above 0, not `{text}`")))
}

fn format_prediction(record: &Record, prediction: &Prediction) -> String {
    let Prediction { wall, measured, drift, .. } = prediction;
    let change = match prediction.speedup() {
        speedup if speedup >= 1.0 => format!("{speedup:.2}x faster"),
        speedup => format!("{:.2}x slower", 1.0 / speedup),
    };
    let mut text = format!("{wall} instead of {measured} ({change}).\n");
    let percent = drift * 100.0;
    // Writing to a String cannot fail.
    let _ = if prediction.credible() {
        writeln!(text, "The replay of the unchanged build is {percent:.1} % off.")
    } else {
        let most = MAX_DRIFT * 100.0;
        writeln!(text, "Unreliable: the replay of the unchanged build is {percent:.1} % off, more than {most:.0} %.")
    };
    for caveat in &prediction.caveats {
        let _ = writeln!(text, "  caveat: {caveat}");
    }
    let mut moved: Vec<_> =
        record.steps.iter().zip(&prediction.steps).filter_map(|(step, times)| Some((step, (*times)?))).collect();
    moved.sort_by_key(|(step, (_, end))| std::cmp::Reverse(step.end.unwrap_or(*end).0.abs_diff(end.0)));
    for (step, (start, end)) in moved
        .iter()
        .take(5)
        .filter(|(step, (_, end))| step.end.is_some_and(|known| known.0.abs_diff(end.0) > measured.0 / 100))
    {
        let _ = writeln!(text, "  {start} .. {end}: {}", step.text);
    }
    text
}

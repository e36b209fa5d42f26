//! `buildscope whatif`.

mod text;

use super::output::folded;
use super::{Failure, Root, builds, shown, units, write_out};
use buildscope_record::{Nanos, Policy, Record, StepId};
use buildscope_reports::whatif::{Bandwidth, BaseImages, Here, Machines, Processors, Scenario, Selector, whatif};
use clap::Args;
use miette::{IntoDiagnostic, miette};
use std::path::PathBuf;
use std::time::Duration;
use text::{format_prediction, format_settings};

/// Predict how long a recorded build would take with other resources
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// A kept build (`last`, `^1`, an id), a build record, or anything that `import` reads
    #[arg(value_name = "BUILD")]
    build: PathBuf,
    /// Take this build of a file with several, counted from 1 [default: the slowest]
    #[arg(long = "build", value_name = "N")]
    number: Option<usize>,
    /// Predict this target of a build of several (`bake`) as if it were a build of its own
    #[arg(long, value_name = "NAME")]
    target: Option<String>,
    /// Maximum number of steps that run at once (on each machine); 0 means no limit. Several numbers give a line each (1,2,4)
    #[arg(short, long, value_name = "N", value_delimiter = ',')]
    jobs: Vec<u32>,
    /// Number of processors (of each machine). Several numbers give a line each (4,8)
    #[arg(long, value_name = "N", value_delimiter = ',')]
    cores: Vec<f64>,
    /// Number of machines that share the steps, with the one that builds. Several numbers give a line each (1,2,4)
    #[arg(long, value_name = "N", value_delimiter = ',')]
    machines: Vec<u32>,
    /// Bandwidth of each machine's link: 100MB/s, 1Gbit/s. Several give a line each [default: data moves in no time]
    #[arg(long, value_name = "RATE", value_delimiter = ',', requires = "machines")]
    bandwidth: Vec<Bandwidth>,
    /// Time of a round trip between the machines: 10ms [default: none]
    #[arg(long, value_name = "TIME", value_parser = units::duration, requires = "machines")]
    rtt: Option<Duration>,
    /// The machine that builds runs only what has to run there, as in `build --remote`. Each other machine has a server of its own,
    /// keeps its results, and gets those of others through this machine
    #[arg(long, requires = "machines")]
    all_remote: bool,
    /// What a step on another machine costs in addition: 100ms [default: as in the record, or 22ms and 1.6ms for each MB of its layer]
    #[arg(long, value_name = "TIME", value_parser = units::duration, requires = "machines")]
    step_cost: Option<Duration>,
    /// The machines are on one host, whose processors (--cores) they share
    #[arg(long, requires = "machines")]
    same_host: bool,
    /// All machines have the base images from earlier builds [default: each of them fetches the base images that its steps need]
    #[arg(long, requires = "machines")]
    with_base_images: bool,
    /// Granularity of the build graph: serial, stages or instructions
    #[arg(long = "granularity", alias = "policy", value_name = "GRANULARITY")]
    policy: Option<Policy>,
    /// Remove the time of a group (storage), a phase (copy), an instruction (RUN), stage:NAME, step:N, line:N, command:TEXT
    /// (commands inside steps that start with these words), class:NAME (of Docker Desktop's Builds view), or of all `locks`; may be repeated
    #[arg(long, value_name = "WHAT")]
    without: Vec<String>,
    /// Speed something up by a factor (2 is twice as fast); may be repeated
    #[arg(long, value_name = "WHAT=TIMES")]
    faster: Vec<String>,
    /// Add a delay to each occurrence; may be repeated
    #[arg(long, value_name = "WHAT=SECONDS")]
    delay: Vec<String>,
    /// Assume that these are in the cache: line:N, step:N, stage:NAME, an instruction, or command:TEXT; may be repeated
    #[arg(long, value_name = "WHICH")]
    cached: Vec<String>,
    /// Move commands (command:TEXT) to a stage of their own with the same base; may be repeated
    #[arg(long = "move", value_name = "WHICH")]
    moved: Vec<String>,
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
  buildscope whatif build.json --faster line:12=2 --cached line:7
  buildscope whatif last --cores 2,4,8
  buildscope whatif last --machines 1,2,4 --jobs 4 --cores 4 --bandwidth 1Gbit/s --rtt 1ms
  buildscope whatif last --without 'command:apt-get update' --faster command:make=2
  buildscope whatif last --move 'command:npm ci' --cached 'command:pip install'";

/// Prints the prediction.
pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    let record = builds::find(&arguments.build, arguments.number, &arguments.root)?.record;
    let record = builds::narrowed(record, arguments.target.as_deref())?;
    let scenario = arguments.scenario(&record)?;
    let scenarios = arguments.settings(&scenario);
    let predict = |scenario: &Scenario| whatif(&record, scenario).into_diagnostic().map_err(Failure::Usage);
    let predictions = scenarios.iter().map(predict).collect::<Result<Vec<_>, _>>()?;
    write_out(&match &predictions[..] {
        [prediction] if arguments.json => serde_json::to_string_pretty(prediction).map_err(Failure::internal)? + "\n",
        [prediction] => shown(&folded(&format_prediction(&record, prediction))).into_owned(),
        several if arguments.json => serde_json::to_string_pretty(several).map_err(Failure::internal)? + "\n",
        several => format_settings(&scenarios, several),
    });
    Ok(())
}

impl Arguments {
    /// One scenario for each combination of machines, bandwidths, slots and processors.
    fn settings(&self, scenario: &Scenario) -> Vec<Scenario> {
        let rtt = self.rtt.map_or(Nanos::ZERO, Nanos::from);
        let here = if self.all_remote { Here::OnlyBuilds } else { Here::Shares };
        let step_cost = self.step_cost.map(Nanos::from);
        let processors = if self.same_host { Processors::OfHost } else { Processors::OfEach };
        let base_images = if self.with_base_images { BaseImages::Everywhere } else { BaseImages::Here };
        let mut settings = vec![scenario.clone()];
        vary(&mut settings, &self.machines, |scenario, &count| {
            scenario.machines =
                Some(Machines { count, bandwidth: None, rtt, step_cost, processors, here, base_images });
        });
        vary(&mut settings, &self.bandwidth, |scenario, &bandwidth| {
            let machines = scenario.machines.as_mut();
            machines.into_iter().for_each(|machines| machines.bandwidth = Some(bandwidth));
        });
        vary(&mut settings, &self.jobs, |scenario, &jobs| scenario.jobs = Some(jobs));
        vary(&mut settings, &self.cores, |scenario, &cores| scenario.cores = Some(cores));
        settings
    }

    /// The changes in every setting.
    fn scenario(&self, record: &Record) -> Result<Scenario, Failure> {
        let usage = |result: Result<_, _>| result.into_diagnostic().map_err(Failure::Usage);
        let selector = |text: &str| usage(text.parse::<Selector>());
        let mut scenario = Scenario { policy: self.policy, ..Scenario::default() };
        if self.cores.iter().any(|cores| !(*cores > 0.0 && cores.is_finite())) {
            return Err(Failure::usage(miette!("--cores must be above 0")));
        }
        for text in &self.moved {
            match selector(text)? {
                command @ Selector::Command(_) => scenario.moved.push(command),
                _ => return Err(Failure::usage(miette!("--move takes command:TEXT, not `{text}`"))),
            }
        }
        for text in &self.cached {
            // A command in the cache takes no time; the rest of its step runs.
            if let Ok(command @ Selector::Command(_)) = text.parse() {
                scenario.faster.push((command, f64::INFINITY));
                continue;
            }
            let steps = cached(text, record)?;
            if steps.is_empty() {
                return Err(Failure::usage(miette!("--cached {text} matches no step of this build")));
            }
            scenario.cached.extend(steps);
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

/// Replaces each setting by one for each value; without values, nothing changes.
fn vary<T>(settings: &mut Vec<Scenario>, values: &[T], set: impl Fn(&mut Scenario, &T)) {
    if values.is_empty() {
        return;
    }
    let with = |scenario: &Scenario, value: &T| {
        let mut changed = scenario.clone();
        set(&mut changed, value);
        changed
    };
    *settings = settings.iter().flat_map(|scenario| values.iter().map(move |value| with(scenario, value))).collect();
}

/// The steps that `--cached` means; a number is that of a step.
fn cached(text: &str, record: &Record) -> Result<Vec<StepId>, Failure> {
    let wrong = || miette!("--cached takes line:N, step:N, stage:NAME, an instruction or command:TEXT, not `{text}`");
    let selector = match text.parse::<u32>() {
        Ok(number) => Ok(Selector::Step(StepId(number))),
        Err(_) => text.parse::<Selector>().map_err(|_| Failure::usage(wrong())),
    };
    match selector? {
        Selector::Group(_) | Selector::Phase(_) | Selector::Command(_) | Selector::Class(_) => {
            Err(Failure::usage(wrong()))
        }
        selector => Ok(selector.steps(record)),
    }
}

/// Parses `WHAT=NUMBER` with a number above 0.
fn pair<'t>(flag: &str, text: &'t str) -> Result<(&'t str, f64), Failure> {
    let parsed = text.rsplit_once('=').and_then(|(what, number)| Some((what, number.parse::<f64>().ok()?)));
    let above = parsed.filter(|(_, number)| *number > 0.0);
    above.ok_or_else(|| Failure::usage(miette!("{flag} takes WHAT=NUMBER with a number above 0, not `{text}`")))
}

//! The HTML page around the plots.

use super::overview::overview;
use super::reading::{against_first, doubts};
use super::svg::{self, Series, escape, seconds};
use crate::run::{CaseSamples, Run};
use crate::stats::{self, ALPHA, ChangePoint, Comparison, Summary, Verdict};
use std::fmt::Write as _;
use std::path::PathBuf;

/// A case over past runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Trend {
    /// The case.
    pub name: String,
    /// The medians, oldest first, in seconds.
    pub medians: Vec<f64>,
    /// The change points of the medians.
    pub changes: Vec<ChangePoint>,
}

/// Results of the median build of a case.
#[derive(Clone, Debug, PartialEq)]
pub struct MedianBuild {
    /// The path of the build's page, relative to the run's page.
    pub page: PathBuf,
    /// The path of the build's timeline, relative to the run's page.
    pub timeline: PathBuf,
    /// The share of storage in the wall time, from 0 to 1.
    pub storage: f64,
}

const STYLE: &str = "body{font:14px/1.5 system-ui,sans-serif;max-width:1360px;margin:2em auto;padding:0 1em;color:#222;background:#fff}\
h1{font-size:22px}h2{font-size:17px;margin-top:2em;border-top:1px solid #ddd;padding-top:1em}h3{font-size:14px;margin-bottom:.2em}\
table{border-collapse:collapse}td,th{padding:2px 10px;text-align:right;border-bottom:1px solid #eee;white-space:nowrap}td:first-child,th:first-child{text-align:left}\
svg{max-width:100%;height:auto;font-size:12px}svg text{fill:#333}.axis{stroke:#888}.grid{stroke:#eee}.box{fill:#9ecae1}.median{stroke:#08519c;stroke-width:2}\
.dot{fill:#08519c;fill-opacity:.6}.point{fill:#d62728}.interval{stroke:#d62728;stroke-width:2}.note{color:#767676;margin:.2em 0}.tick{fill:#888}.line{fill:none;stroke-width:1.5}\
.c0{stroke:#1f77b4}.c1{stroke:#d62728}.c2{stroke:#2ca02c}.c3{stroke:#9467bd}.c4{stroke:#ff7f0e}.c5{stroke:#8c564b}.c6{stroke:#e377c2}.c7{stroke:#7f7f7f}\
.warning{background:#fff3cd;padding:.3em .8em}.fault{background:#f8d7da;padding:.3em .8em}code{background:#f4f4f4}\
@media(prefers-color-scheme:dark){body{background:#161616;color:#ddd}svg text{fill:#ccc}td,th{border-color:#333}code{background:#222}.warning,.fault{color:#222}.grid{stroke:#333}}";

/// Renders the run as HTML. `built` returns the results of a case's median build, if there is a record of it.
pub fn page<'a>(run: &Run, trends: &[Trend], built: impl Fn(&CaseSamples) -> Option<&'a MedianBuild>) -> String {
    let mut html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>buildscope: run of {0}</title><style>{STYLE}</style><h1>Run of {0}</h1>",
        escape(&run.started)
    );
    html.push_str(&head(run));
    let groups = against_first(run);
    html.push_str(&summary(&groups));
    html.push_str(&overview(run, &built));
    for group in groups {
        section(&mut html, &group, &built);
    }
    if !trends.is_empty() {
        html.push_str("<h2>Over past runs</h2>");
    }
    for trend in trends {
        // Writing to a String cannot fail.
        let _ = write!(html, "<h3>{}</h3><p>{}</p>", escape(&trend.name), escape(&describe(trend)));
        html.push_str(&svg::trend(&trend.medians, &trend.changes));
    }
    html + "</html>\n"
}

/// Describes a history: its change points and its trend.
fn describe(trend: &Trend) -> String {
    let changes: Vec<_> = trend
        .changes
        .iter()
        .map(|change| format!("run {}: {:+.1} %", change.at + 1, (change.after / change.before - 1.0) * 100.0))
        .collect();
    let changes = if changes.is_empty() { "no change point".to_owned() } else { changes.join(", ") };
    match stats::trend(&trend.medians).filter(|found| found.p < ALPHA) {
        Some(found) => {
            let way = if found.tau > 0.0 { "rises" } else { "falls" };
            let p = if found.p < 0.001 { "< 0.001".to_owned() } else { format!("{:.3}", found.p) };
            format!("{changes}; it {way} (tau {:.2}, p {p})", found.tau)
        }
        None => changes,
    }
}

fn head(run: &Run) -> String {
    let environment = &run.environment;
    let unknown = || "unknown".to_owned();
    let mut html = format!(
        "<p>{} on {} processors, {}, kernel {}, store on {}. At the start: {}. {} builds per case in a random order (seed {}){}.</p><p>{}</p>",
        escape(&environment.cpu.clone().unwrap_or_else(unknown)),
        environment.cpus.unwrap_or(0),
        environment.memory.map_or_else(unknown, |bytes| format!("{:.1} GB of memory", bytes as f64 / 1e9)),
        escape(&environment.kernel.clone().unwrap_or_else(unknown)),
        escape(&environment.filesystem.clone().unwrap_or_else(unknown)),
        escape(&environment.state()),
        run.runs,
        run.seed,
        if run.interrupted { "; interrupted" } else { "" },
        code(&escape(&run.page_cache)),
    );
    for warning in environment.warnings().iter().map(ToString::to_string).chain(doubts(run)) {
        // Writing to a String cannot fail.
        let _ = write!(html, "<p class=\"warning\">{}</p>", code(&escape(&warning)));
    }
    for (case, sample) in run.faults() {
        let fault = sample.fault.as_deref().unwrap_or_default();
        let _ = write!(
            html,
            "<p class=\"fault\">{}, round {}: {}</p>",
            escape(&case.to_string()),
            sample.round,
            escape(fault)
        );
    }
    html
}

/// Texts between backticks as code.
fn code(text: &str) -> String {
    let parts = text.split('`').enumerate();
    parts.map(|(index, part)| if index % 2 == 1 { format!("<code>{part}</code>") } else { part.to_owned() }).collect()
}

/// The whole run in one figure: each case against the first of its group.
fn summary(groups: &[Vec<(&CaseSamples, Option<Comparison>)>]) -> String {
    let compared = groups.iter().flatten().filter_map(|(case, comparison)| {
        let ratio = comparison.as_ref()?.ratio;
        Some((format!("{}, {}: {}", case.case.workload, case.case.scenario, case.case.subject), Some(ratio)))
    });
    let rows: Vec<_> = compared.collect();
    if rows.is_empty() {
        return String::new();
    }
    format!(
        "<h2>Summary</h2><p class=\"note\">Wall time in relation to the first case of the same workload and cache state, with the \
         95 % interval. 1: no difference.</p>{}",
        svg::ratios(&rows)
    )
}

/// The ratio of each case to the first one.
fn ratio_rows(group: &[(&CaseSamples, Option<Comparison>)]) -> Vec<svg::RatioRow> {
    let row = |(case, comparison): &(&CaseSamples, Option<Comparison>)| {
        (case.case.subject.to_string(), comparison.as_ref().map(|comparison| comparison.ratio))
    };
    group.iter().map(row).collect()
}

fn section<'a>(
    html: &mut String,
    group: &[(&CaseSamples, Option<Comparison>)],
    built: &impl Fn(&CaseSamples) -> Option<&'a MedianBuild>,
) {
    let first = &group[0].0.case;
    let series: Vec<Series> = group.iter().map(|(case, _)| (case.case.subject.to_string(), case.times())).collect();
    // Writing to a String cannot fail.
    let _ = write!(
        html,
        "<h2>{}, {}</h2><table><tr><th><th>n<th>median<th>95 %<th>min<th>max<th>ratio<th>95 %<th>",
        escape(&first.workload),
        first.scenario
    );
    for (case, comparison) in group {
        let name = escape(&case.case.subject.to_string());
        let name = built(case).map_or_else(
            || name.clone(),
            |built| {
                let [page, timeline] = [&built.page, &built.timeline].map(|path| escape(&path.display().to_string()));
                format!("<a href=\"{page}\">{name}</a> (<a href=\"{timeline}\" download>timeline</a>)")
            },
        );
        let Some(summary) = Summary::of(&case.times()) else {
            let _ = write!(html, "<tr><td>{name}<td>0");
            continue;
        };
        let interval = summary
            .interval
            .map_or_else(|| "-".to_owned(), |(low, high)| format!("{} .. {}", seconds(low), seconds(high)));
        let _ = write!(
            html,
            "<tr><td>{name}<td>{}<td>{}<td>{interval}<td>{}<td>{}",
            summary.count,
            seconds(summary.median),
            seconds(summary.min),
            seconds(summary.max)
        );
        if let Some(comparison) = comparison {
            let ratio = comparison.ratio;
            let verdict =
                if comparison.verdict == Verdict::Nothing { "~".to_owned() } else { comparison.verdict.to_string() };
            let _ = write!(html, "<td>{:.3}<td>{:.3} .. {:.3}<td>{verdict}", ratio.point, ratio.low, ratio.high);
        }
    }
    let against = match group {
        [_] => String::new(),
        _ => format!(
            "<h3>Against the first</h3><p class=\"note\">Ratio of wall times in the same round, with the 95 % interval.</p>{}",
            svg::ratios(&ratio_rows(group))
        ),
    };
    let _ = write!(
        html,
        "</table><h3>Times</h3><p class=\"note\">Line: fastest to slowest. Box: quartiles. Mark: median; below it its 95 % interval. \
         Dots: builds.</p>{}{against}<h3>Distribution</h3><p class=\"note\">Height: number of builds, each row by its own largest.</p>{}<h3>In the order of rounds</h3>{}",
        svg::whiskers(&series),
        svg::histograms(&series),
        svg::progressions(&series)
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::sample::run;
    use buildscope_record::Policy;

    #[test]
    fn the_page_lists_workloads_and_faults() {
        let trends = [Trend {
            name: "t".into(),
            medians: vec![1.0, 1.0, 2.0],
            changes: vec![ChangePoint { at: 2, before: 1.0, after: 2.0, p: 0.01 }],
        }];
        let built = MedianBuild { page: "x/a.html".into(), timeline: "x/a.json".into(), storage: 0.5 };
        let run = Run { page_cache: "cold: `--no-cache`".into(), ..run() };
        let html = page(&run, &trends, |case| (case.case.subject.policy == Some(Policy::Stages)).then_some(&built));
        assert_eq!(html.matches("<h2>diamond, cold</h2>").count(), 1);
        // 1.5 to 2.5 and 1.75 to 2.75; the second round is incomplete.
        assert!(html.contains("<td>0.618<td>0.600 .. 0.636<td>"));
        let summary = html.find("<h2>Summary</h2>").unwrap();
        assert!(summary < html.find("<h2>diamond, cold</h2>").unwrap(), "the summary comes first");
        assert!(html.contains("/x is missing") && html.contains("run 3: +100.0 %"));
        assert!(html.contains("At the start: "), "{html}");
        assert!(html.contains("cold: <code>--no-cache</code>") && !html.contains('`'), "{html}");
        assert!(
            html.contains("<a href=\"x/a.html\">buildscope stages</a> (<a href=\"x/a.json\" download>timeline</a>)")
        );
        // The page is self-contained.
        assert!(!html.contains("http://") && !html.contains("https://") && !html.contains("<script"));
    }

    #[test]
    fn a_monotone_history_is_described_as_a_trend() {
        let rising = Trend { name: "t".into(), medians: (1..=10).map(f64::from).collect(), changes: vec![] };
        // Each value is larger than all before. S = 45, its variance 10·9·25/18 = 125: z = 44/11.18 = 3.935, p <
        // 0.001.
        assert_eq!(describe(&rising), "no change point; it rises (tau 1.00, p < 0.001)");
        let level = Trend { medians: vec![1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0], ..rising };
        assert_eq!(describe(&level), "no change point");
    }
}

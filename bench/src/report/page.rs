//! The page around the plots.

use super::svg::{self, Series, escape, seconds};
use crate::run::{CaseSamples, Run};
use crate::stats::{ChangePoint, Summary, Verdict, compare};
use std::fmt::Write as _;
use std::path::PathBuf;

/// A case over past runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Trend {
    /// The case.
    pub name: String,
    /// Its medians, oldest first, in seconds.
    pub medians: Vec<f64>,
    /// Where they change.
    pub changes: Vec<ChangePoint>,
}

const STYLE: &str = "body{font:14px/1.5 system-ui,sans-serif;max-width:960px;margin:2em auto;padding:0 1em;color:#222;background:#fff}\
h1{font-size:22px}h2{font-size:17px;margin-top:2em;border-top:1px solid #ddd;padding-top:1em}h3{font-size:14px;margin-bottom:.2em}\
table{border-collapse:collapse}td,th{padding:2px 10px;text-align:right;border-bottom:1px solid #eee}td:first-child,th:first-child{text-align:left}\
svg{max-width:100%;height:auto;font-size:12px}svg text{fill:#333}.axis{stroke:#888}.grid{stroke:#eee}.box{fill:#9ecae1}.median{stroke:#08519c;stroke-width:2}\
.dot{fill:#08519c;fill-opacity:.6}.tick{fill:#888}.line{fill:none;stroke-width:1.5}\
.c0{stroke:#1f77b4}.c1{stroke:#d62728}.c2{stroke:#2ca02c}.c3{stroke:#9467bd}.c4{stroke:#ff7f0e}.c5{stroke:#8c564b}.c6{stroke:#e377c2}.c7{stroke:#7f7f7f}\
.warning{background:#fff3cd;padding:.3em .8em}.fault{background:#f8d7da;padding:.3em .8em}code{background:#f4f4f4}\
@media(prefers-color-scheme:dark){body{background:#161616;color:#ddd}svg text{fill:#ccc}td,th{border-color:#333}code{background:#222}.warning,.fault{color:#222}.grid{stroke:#333}}";

/// The run as HTML. `links` gives a case's page of its median build, where there is one.
pub fn page(run: &Run, trends: &[Trend], links: impl Fn(&CaseSamples) -> Option<PathBuf>) -> String {
    let mut html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>buildscope: run of {0}</title><style>{STYLE}</style><h1>Run of {0}</h1>",
        escape(&run.started)
    );
    html.push_str(&head(run));
    for group in run.cases.chunk_by(|a, b| (&a.case.workload, a.case.scenario) == (&b.case.workload, b.case.scenario)) {
        section(&mut html, group, &links);
    }
    if !trends.is_empty() {
        html.push_str("<h2>Over past runs</h2>");
    }
    for trend in trends {
        let changes: Vec<_> = trend
            .changes
            .iter()
            .map(|change| format!("run {}: {:+.1} %", change.at + 1, (change.after / change.before - 1.0) * 100.0))
            .collect();
        let changes = if changes.is_empty() { "no change point".to_owned() } else { changes.join(", ") };
        // Writing to a String cannot fail.
        let _ = write!(html, "<h3>{}</h3><p>{changes}</p>", escape(&trend.name));
        html.push_str(&svg::progressions(&[(trend.name.clone(), trend.medians.clone())]));
    }
    html + "</html>\n"
}

fn head(run: &Run) -> String {
    let environment = &run.environment;
    let unknown = || "unknown".to_owned();
    let mut html = format!(
        "<p>{} on {} processors, {}, kernel {}, store on {}. {} builds a case in a random order (seed {}){}.</p><p>{}</p>",
        escape(&environment.cpu.clone().unwrap_or_else(unknown)),
        environment.cpus.unwrap_or(0),
        environment.memory.map_or_else(unknown, |bytes| format!("{:.1} GB of memory", bytes as f64 / 1e9)),
        escape(&environment.kernel.clone().unwrap_or_else(unknown)),
        escape(&environment.filesystem.clone().unwrap_or_else(unknown)),
        run.runs,
        run.seed,
        if run.interrupted { "; interrupted" } else { "" },
        escape(&run.page_cache),
    );
    for warning in environment.warnings() {
        // Writing to a String cannot fail.
        let _ = write!(html, "<p class=\"warning\">{}</p>", escape(&warning.to_string()));
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

fn section(html: &mut String, group: &[CaseSamples], links: &impl Fn(&CaseSamples) -> Option<PathBuf>) {
    let first = &group[0].case;
    let series: Vec<Series> = group.iter().map(|case| (case.case.subject.to_string(), case.times())).collect();
    let pairs: Vec<_> = series[1..].iter().map(|(_, times)| (series[0].1.clone(), times.clone())).collect();
    let mut comparisons = compare(&pairs).into_iter();
    // Writing to a String cannot fail.
    let _ = write!(
        html,
        "<h2>{}, {}</h2><table><tr><th><th>n<th>median<th>95 %<th>min<th>max<th>ratio<th>95 %<th>",
        escape(&first.workload),
        first.scenario
    );
    for (place, case) in group.iter().enumerate() {
        let comparison = if place > 0 { comparisons.next().flatten() } else { None };
        let name = escape(&case.case.subject.to_string());
        let name = links(case).map_or_else(
            || name.clone(),
            |path| format!("<a href=\"{}\">{name}</a>", escape(&path.display().to_string())),
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
    let _ = write!(
        html,
        "</table><h3>Whiskers</h3>{}<h3>Against the first</h3>{}<h3>Distribution</h3>{}<h3>In the order of rounds</h3>{}",
        svg::whiskers(&series),
        svg::ratios(&series),
        svg::histograms(&series),
        svg::progressions(&series)
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::sample::run;

    #[test]
    fn a_page_has_a_section_a_workload_and_names_what_was_wrong() {
        let trends = [Trend {
            name: "t".into(),
            medians: vec![1.0, 1.0, 2.0],
            changes: vec![ChangePoint { at: 2, before: 1.0, after: 2.0, p: 0.01 }],
        }];
        let html = page(&run(), &trends, |case| Some(format!("x/{}.html", case.case.slug()).into()));
        assert_eq!(html.matches("<h2>diamond, cold</h2>").count(), 1);
        assert!(html.contains("/x is missing") && html.contains("run 3: +100.0 %"));
        assert!(html.contains("href=\"x/diamond-cold-buildscope-stages.html\""));
        // One file without network.
        assert!(!html.contains("http://") && !html.contains("https://") && !html.contains("<script"));
    }
}

//! The plots. Coordinates are pixels. Time axes start at zero, so that lengths can be compared.

use crate::stats::{ChangePoint, Ratio, Summary, quantile};
use buildscope_record::redacted;
use buildscope_reports::render::neutralised;
use std::fmt::Write as _;

/// A name and its times, in the order of measurement.
pub(super) type Series = (String, Vec<f64>);

const WIDTH: f64 = 900.0;
const LABEL: f64 = 260.0;
const ROW: f64 = 26.0;
/// The height of a line of a legend.
const LEGEND: f64 = 16.0;

/// Draws whiskers from the smallest to the largest time, a box from quartile to quartile, the median with its 95 % interval
/// below the box, and every sample as a dot.
pub(super) fn whiskers(series: &[Series]) -> String {
    let largest = largest(series);
    let x = |time: f64| LABEL + time / largest * (WIDTH - LABEL - 20.0);
    let mut svg = open(series.len() as f64 * ROW + 24.0);
    for (row, (name, times)) in (0..).map(f64::from).zip(series) {
        let mut sorted = times.clone();
        sorted.sort_by(f64::total_cmp);
        let (Some(&min), Some(&max)) = (sorted.first(), sorted.last()) else { continue };
        let y = row * ROW + 13.0;
        let [q1, median, q3] = [0.25, 0.5, 0.75].map(|q| quantile(&sorted, q));
        // Writing to a String cannot fail.
        let _ = write!(svg, r#"<text x="{}" y="{}" text-anchor="end">{}</text>"#, LABEL - 8.0, y + 4.0, escape(name));
        let _ = write!(svg, r#"<line x1="{:.1}" x2="{:.1}" y1="{y}" y2="{y}" class="axis"/>"#, x(min), x(max));
        let width = (x(q3) - x(q1)).max(1.0);
        let _ = write!(svg, r#"<rect x="{:.1}" y="{}" width="{width:.1}" height="14" class="box"/>"#, x(q1), y - 7.0);
        let _ = write!(
            svg,
            r#"<line x1="{0:.1}" x2="{0:.1}" y1="{1}" y2="{2}" class="median"/>"#,
            x(median),
            y - 9.0,
            y + 9.0
        );
        if let Some((low, high)) = Summary::of(times).and_then(|summary| summary.interval) {
            let below = y + 9.0;
            let _ = write!(
                svg,
                r#"<line x1="{:.1}" x2="{:.1}" y1="{below}" y2="{below}" class="interval"/>"#,
                x(low),
                x(high)
            );
        }
        for time in times {
            let _ = write!(
                svg,
                r#"<circle cx="{:.1}" cy="{y}" r="2" class="dot"><title>{time:.4} s</title></circle>"#,
                x(*time)
            );
        }
    }
    axis(&mut svg, series.len() as f64 * ROW + 14.0, largest, x);
    svg + "</svg>"
}

/// Draws the distribution of each series as a row of bars, all with the same scale.
pub(super) fn histograms(series: &[Series]) -> String {
    const BINS: usize = 40;
    let largest = largest(series);
    let x = |time: f64| LABEL + time / largest * (WIDTH - LABEL - 20.0);
    let mut svg = open(series.len() as f64 * 44.0 + 24.0);
    for (row, (name, times)) in (0..).map(f64::from).zip(series) {
        let mut bins = [0_u32; BINS];
        for time in times {
            bins[((time / largest * BINS as f64) as usize).min(BINS - 1)] += 1;
        }
        let most = bins.iter().copied().max().unwrap_or(1).max(1);
        let bottom = row * 44.0 + 40.0;
        // Writing to a String cannot fail.
        let _ =
            write!(svg, r#"<text x="{}" y="{}" text-anchor="end">{}</text>"#, LABEL - 8.0, bottom - 8.0, escape(name));
        for (bin, &count) in bins.iter().enumerate().filter(|bin| *bin.1 > 0) {
            let height = f64::from(count) / f64::from(most) * 36.0;
            let left = x(bin as f64 / BINS as f64 * largest);
            let width = (WIDTH - LABEL - 20.0) / BINS as f64 - 1.0;
            let _ = write!(
                svg,
                r#"<rect x="{left:.1}" y="{:.1}" width="{width:.1}" height="{height:.1}" class="box"><title>{count}</title></rect>"#,
                bottom - height
            );
        }
    }
    axis(&mut svg, series.len() as f64 * 44.0 + 14.0, largest, x);
    svg + "</svg>"
}

/// Draws the builds in the order of rounds, with a legend. Drift and slow first builds are visible here.
pub(super) fn progressions(series: &[Series]) -> String {
    let scale =
        Scale { largest: largest(series), points: series.iter().map(|series| series.1.len()).max().unwrap_or(1) };
    let mut svg = scale.open(20.0 + series.len() as f64 * LEGEND);
    for (number, (name, _)) in series.iter().enumerate() {
        let y = Scale::HEIGHT + 30.0 + number as f64 * LEGEND;
        // Writing to a String cannot fail.
        let _ = write!(svg, r#"<line x1="50" x2="80" y1="{y}" y2="{y}" class="line c{}"/>"#, number % 8);
        let _ = write!(svg, r#"<text x="88" y="{}">{}</text>"#, y + 4.0, escape(name));
    }
    for (number, (name, times)) in series.iter().enumerate() {
        // Writing to a String cannot fail.
        let _ = write!(
            svg,
            r#"<polyline points="{}" class="line c{}"><title>{}</title></polyline>"#,
            scale.line(times),
            number % 8,
            escape(name)
        );
        // A line needs two points.
        if let [only] = times[..] {
            let _ = write!(svg, r#"<circle cx="{:.1}" cy="{:.1}" r="2" class="dot"/>"#, scale.x(0), scale.y(only));
        }
    }
    svg + "</svg>"
}

/// Draws the medians of a case over runs, and the levels between change points.
pub(super) fn trend(medians: &[f64], changes: &[ChangePoint]) -> String {
    let scale = Scale { largest: medians.iter().copied().fold(f64::MIN_POSITIVE, f64::max), points: medians.len() };
    let mut svg = scale.open(20.0);
    // Writing to a String cannot fail.
    let _ = write!(svg, r#"<polyline points="{}" class="line c0"/>"#, scale.line(medians));
    for (run, median) in medians.iter().enumerate() {
        let (x, y) = (scale.x(run), scale.y(*median));
        let _ = write!(
            svg,
            r#"<circle cx="{x:.1}" cy="{y:.1}" r="2" class="dot"><title>run {}: {median:.4} s</title></circle>"#,
            run + 1
        );
    }
    let mut from = 0;
    for (to, level) in changes
        .iter()
        .map(|change| (change.at, change.before))
        .chain(changes.last().map(|last| (medians.len(), last.after)))
    {
        let (left, right, y) = (scale.x(from), scale.x(to - 1), scale.y(level));
        let _ = write!(svg, r#"<line x1="{left:.1}" x2="{right:.1}" y1="{y:.1}" y2="{y:.1}" class="line c1"/>"#);
        from = to;
    }
    svg + "</svg>"
}

/// The axes of times over rounds or runs.
struct Scale {
    largest: f64,
    points: usize,
}

impl Scale {
    const HEIGHT: f64 = 180.0;

    fn x(&self, at: usize) -> f64 {
        50.0 + at as f64 / (self.points.max(2) - 1) as f64 * (WIDTH - 70.0)
    }

    fn y(&self, time: f64) -> f64 {
        Self::HEIGHT - time / self.largest * (Self::HEIGHT - 10.0)
    }

    fn open(&self, below: f64) -> String {
        let mut svg = open(Self::HEIGHT + below);
        for tick in [0.0, 0.5, 1.0] {
            let (time, y) = (tick * self.largest, self.y(tick * self.largest));
            // Writing to a String cannot fail.
            let _ = write!(svg, r#"<text x="44" y="{:.1}" text-anchor="end">{}</text>"#, y + 4.0, seconds(time));
            let _ = write!(svg, r#"<line x1="50" x2="{WIDTH}" y1="{y:.1}" y2="{y:.1}" class="grid"/>"#);
        }
        svg
    }

    fn line(&self, times: &[f64]) -> String {
        let points = times.iter().enumerate().map(|(at, &time)| format!("{:.1},{:.1}", self.x(at), self.y(time)));
        points.collect::<Vec<_>>().join(" ")
    }
}

/// A name and a ratio to a baseline; `None` is the baseline itself.
pub(super) type RatioRow = (String, Option<Ratio>);

/// Draws each ratio as a point with its 95 % interval, and a line where there is no difference.
pub(super) fn ratios(rows: &[RatioRow]) -> String {
    let known = || rows.iter().filter_map(|row| row.1);
    let largest = known().map(|ratio| ratio.high).fold(1.0, f64::max) * 1.02;
    let x = |ratio: f64| LABEL + ratio / largest * (WIDTH - LABEL - 160.0);
    let height = rows.len() as f64 * ROW;
    let mut svg = open(height + 24.0);
    // Writing to a String cannot fail.
    let _ = write!(svg, r#"<line x1="{0:.1}" x2="{0:.1}" y1="0" y2="{height}" class="axis"/>"#, x(1.0));
    for (row, (name, ratio)) in (0..).map(f64::from).zip(rows) {
        let y = row * ROW + 13.0;
        let _ = write!(svg, r#"<text x="{}" y="{}" text-anchor="end">{}</text>"#, LABEL - 8.0, y + 4.0, escape(name));
        let Ratio { point, low, high } = ratio.unwrap_or(Ratio { point: 1.0, low: 1.0, high: 1.0 });
        let _ = write!(svg, r#"<line x1="{:.1}" x2="{:.1}" y1="{y}" y2="{y}" class="interval"/>"#, x(low), x(high));
        let _ = write!(svg, r#"<circle cx="{:.1}" cy="{y}" r="4" class="point"/>"#, x(point));
        let text =
            if ratio.is_some() { format!("{point:.3} ({low:.3} to {high:.3})") } else { "1 (baseline)".to_owned() };
        let _ = write!(svg, r#"<text x="{:.1}" y="{}">{text}</text>"#, x(high) + 8.0, y + 4.0);
    }
    for tick in 0..=4 {
        let ratio = f64::from(tick) / 4.0 * largest;
        let _ = write!(
            svg,
            r#"<text x="{:.1}" y="{}" text-anchor="middle" class="tick">{ratio:.2}</text>"#,
            x(ratio),
            height + 16.0
        );
    }
    svg + "</svg>"
}

fn largest(series: &[Series]) -> f64 {
    series.iter().flat_map(|series| &series.1).copied().fold(f64::MIN_POSITIVE, f64::max)
}

fn open(height: f64) -> String {
    format!(r#"<svg viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">"#)
}

fn axis(svg: &mut String, y: f64, largest: f64, x: impl Fn(f64) -> f64) {
    for tick in 0..=4 {
        let time = f64::from(tick) / 4.0 * largest;
        // The last one is at the edge of the plot: a long text would be cut.
        let anchor = if tick == 4 { "end" } else { "middle" };
        // Writing to a String cannot fail.
        let _ = write!(
            svg,
            r#"<text x="{:.1}" y="{y}" text-anchor="{anchor}" class="tick">{}</text>"#,
            if tick == 4 { WIDTH } else { x(time) },
            seconds(time)
        );
    }
}

/// Formats seconds with three significant digits in the unit that fits.
pub(super) fn seconds(seconds: f64) -> String {
    match seconds {
        0.0 => "0".to_owned(),
        s if s < 1.0 => format!("{:.0} ms", s * 1e3),
        s if s < 10.0 => format!("{s:.2} s"),
        s => format!("{s:.1} s"),
    }
}

/// Escapes a text for XML text and attribute values.
pub(super) fn escape(text: &str) -> String {
    neutralised(&redacted(text)).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plots_have_every_sample_and_escape_names() {
        let series = [("a <b>".to_owned(), vec![1.0, 2.0, 3.0]), ("c".to_owned(), vec![4.0])];
        let plot = whiskers(&series);
        assert_eq!(plot.matches("<circle").count(), 4);
        assert!(plot.contains("a &lt;b&gt;") && !plot.contains("<b>"));
        // The largest is at the right end of the scale: 260 + (900 - 260 - 20).
        assert!(plot.contains(r#"cx="880.0""#), "{plot}");
        assert_eq!(progressions(&series).matches("<polyline").count(), 2);
        assert!(progressions(&series).contains("a &lt;b&gt;</text>"), "the legend");
        // The axis goes from 260 to 740, and ends at 2.04: 260 + 480 / 2.04 is 495.3, 260 + 960 / 2.04 is 730.6.
        let drawn = ratios(&[("base".into(), None), ("b".into(), Some(Ratio { point: 1.5, low: 1.0, high: 2.0 }))]);
        assert!(drawn.contains("1.500 (1.000 to 2.000)") && drawn.contains(r#"x1="495.3" x2="730.6""#), "{drawn}");
        assert!(histograms(&[]).ends_with("</svg>"));
    }

    #[test]
    fn a_change_has_a_level_on_each_side() {
        let changes = [ChangePoint { at: 2, before: 1.0, after: 2.0, p: 0.01 }];
        let plot = trend(&[1.0, 1.0, 2.0, 2.0, 2.0], &changes);
        // From 50 to 880 in four steps; 2 s is at the top, 10, and 1 s in the middle, 95.
        assert!(plot.contains(r#"x1="50.0" x2="257.5" y1="95.0""#), "{plot}");
        assert!(plot.contains(r#"x1="465.0" x2="880.0" y1="10.0""#), "{plot}");
        assert_eq!(trend(&[1.0; 4], &[]).matches("c1").count(), 0);
    }
}

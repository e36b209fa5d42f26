//! Draws the figures of the studies: `cargo run -p buildscope-bench --example figures` in the source tree. Each figure is drawn
//! from the raw samples next to it, with intervals, and is readable on light and on dark pages.

use buildscope_bench::run::{Run, Sample};
use buildscope_bench::stats::{paired_ratio, quantile};
use buildscope_record::{DriverName, Policy};
use plotters::coord::Shift;
use plotters::coord::ranged1d::{AsRangedCoord, Ranged, ValueFormatter};
use plotters::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Lines and text. [`themed`] makes it light on dark pages.
const INK: RGBColor = RGBColor(31, 35, 40);
/// Series, in the order of legends: blue, orange and green that differ in lightness, also for colour-blind readers (Okabe and
/// Ito, 2008), and have contrast on white and on black.
const SERIES: [RGBColor; 3] = [RGBColor(0, 114, 178), RGBColor(213, 94, 0), RGBColor(0, 158, 115)];
/// The granularities that build in parallel, in the order of their series.
const FINER: [Policy; 2] = [Policy::Stages, Policy::Instructions];
const WIDTH: u32 = 900;
const ROW: u32 = 22;

/// A value with its interval.
#[derive(Clone, Copy)]
struct Mark {
    value: f64,
    low: f64,
    high: f64,
}

/// A figure with one line for each row, and one mark on it for each series that has a value there.
struct Figure {
    title: &'static str,
    axis: &'static str,
    series: Vec<&'static str>,
    rows: Vec<(String, Vec<Option<Mark>>)>,
    scale: Scale,
    /// The value of "no difference", which is drawn as a line.
    neutral: Option<f64>,
}

#[derive(Clone, Copy)]
enum Scale {
    Linear,
    Logarithmic,
}

fn main() -> Result<()> {
    let studies = Path::new(env!("CARGO_MANIFEST_DIR")).join("../reports/studies");
    granularity(&studies.join("2026-11-27-granularity"))?;
    storage(&studies.join("2026-11-27-storage"))?;
    predictions(&studies.join("2026-11-27-predictions"))?;
    census(&studies.join("2026-11-28-census"))?;
    night(&studies.join("2026-11-27-night"))?;
    bake(&studies.join("2026-11-28-bake"))?;
    machines(&studies.join("2026-11-29-machines"))?;
    account(&studies.join("../../docs/pictures/account.svg"))
}

/// The wall time of both finer granularities in relation to the serial build.
fn granularity(folder: &Path) -> Result<()> {
    let mut rows = Vec::new();
    for path in files(folder, "json")? {
        let run: Run = serde_json::from_slice(&fs::read(&path)?)?;
        let walls = |policy: Policy| -> Vec<f64> {
            let cases = run.cases.iter().filter(|case| case.case.subject.policy == Some(policy));
            let unlimited = cases.filter(|case| case.case.subject.jobs == 0 || policy == Policy::Serial);
            unlimited.take(1).flat_map(|case| case.samples.iter().filter(good).map(|sample| sample.wall)).collect()
        };
        let serial = walls(Policy::Serial);
        let ratio = |policy: Policy| {
            let ratio = paired_ratio(&serial, &walls(policy))?;
            Some(Mark { value: ratio.point, low: ratio.low, high: ratio.high })
        };
        rows.push((stem(&path), FINER.map(ratio).to_vec()));
    }
    rows.sort_by(|one, other| first(one).total_cmp(&first(other)));
    Figure {
        title: "Cold builds by granularity",
        axis: "wall time in relation to the serial build, 95 % interval (1: no difference)",
        series: FINER.map(Policy::name).to_vec(),
        rows,
        scale: Scale::Logarithmic,
        neutral: Some(1.0),
    }
    .draw(&folder.join("ratios.svg"))
}

/// The share of storage in the wall time of cold builds, by driver.
fn storage(folder: &Path) -> Result<()> {
    let samples = table(&folder.join("samples.csv"))?;
    let of = |sample: &BTreeMap<String, String>, name: &str| sample.get(name).cloned().unwrap_or_default();
    let number = |sample: &BTreeMap<String, String>, name: &str| of(sample, name).parse::<f64>().ok();
    let drivers = [DriverName::Erofs, DriverName::Overlay, DriverName::Copy];
    let workloads = ["compile", "chain", "fan", "big", "chown", "files"];
    let cell = |workload: &str, driver: DriverName| {
        let wanted = |sample: &&BTreeMap<String, String>| {
            [
                ("workload", workload),
                ("driver", driver.name()),
                ("scenario", "cold"),
                ("policy", Policy::Instructions.name()),
                ("output", "none"),
            ]
            .iter()
            .all(|(name, value)| of(sample, name) == *value)
        };
        let share = |sample| Some(number(sample, "storage")? / number(sample, "wall")? * 100.0);
        spread(samples.iter().filter(wanted).filter_map(share).collect())
    };
    let row =
        |workload: &&str| ((*workload).to_owned(), drivers.iter().map(|driver| cell(workload, *driver)).collect());
    Figure {
        title: "Storage in cold builds, by driver",
        axis: "share of the wall time in percent (median and quartiles)",
        series: drivers.map(DriverName::name).to_vec(),
        rows: workloads.iter().map(row).collect(),
        scale: Scale::Linear,
        neutral: None,
    }
    .draw(&folder.join("shares.svg"))
}

/// The errors of predictions, by what was changed.
fn predictions(folder: &Path) -> Result<()> {
    let mut errors: BTreeMap<&str, [Vec<f64>; 2]> = BTreeMap::new();
    for (set, file) in ["hermetic.txt", "real.txt"].into_iter().enumerate() {
        for line in fs::read_to_string(folder.join(file))?.lines().skip(1) {
            let Some((kind, error)) = error(line) else { continue };
            errors.entry(kind).or_default()[set].push(error);
        }
    }
    let mark = |errors: Vec<f64>| {
        let mut errors = errors;
        errors.sort_by(f64::total_cmp);
        let at = |share| quantile(&errors, share);
        (!errors.is_empty()).then(|| Mark { value: at(0.5), low: at(0.05), high: at(0.95) })
    };
    Figure {
        title: "Errors of what-if predictions",
        axis: "error in percent of the measured wall time (median, 5th to 95th percentile)",
        series: vec!["hermetic workloads", "real workloads"],
        rows: errors.into_iter().map(|(kind, sets)| (kind.to_owned(), sets.map(mark).to_vec())).collect(),
        scale: Scale::Linear,
        neutral: None,
    }
    .draw(&folder.join("errors.svg"))
}

/// The kind of change and the error in a line of the table of predictions.
fn error(line: &str) -> Option<(&'static str, f64)> {
    let kind = [
        (", from ", "another granularity"),
        ("--jobs", "other slots"),
        (" ms ", "a delay"),
        ("no export", "without the export"),
        ("one processor", "one processor"),
    ];
    let (_, kind) = kind.iter().find(|(mark, _)| line.contains(mark))?;
    // The first share is the error.
    let (before, _) = line.split_once(" %")?;
    Some((kind, before.split_whitespace().next_back()?.parse().ok()?))
}

/// The distribution of the longest chain of steps in public Dockerfiles.
fn census(folder: &Path) -> Result<()> {
    let text = fs::read_to_string(folder.join("files.jsonl"))?;
    let files =
        text.lines().map(serde_json::from_str::<serde_json::Value>).collect::<std::result::Result<Vec<_>, _>>()?;
    let multi: Vec<_> = files.iter().filter(|file| file["stages"].as_u64() > Some(1)).collect();
    let share = |chain: &str, policy: Policy| {
        let with = multi.iter().filter(|file| file[chain][Policy::Serial.name()].as_u64() > Some(0));
        // For each repository, its files and those that gain.
        let mut repositories: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
        for file in with {
            let counts = repositories.entry(file["repository"].as_str().unwrap_or_default()).or_default();
            counts.0 += 1.0;
            counts.1 +=
                f64::from(u8::from(file[chain][policy.name()].as_u64() < file[chain][Policy::Serial.name()].as_u64()));
        }
        Some(by_cluster(&repositories.into_values().collect::<Vec<_>>()))
    };
    let rows = [("longest chain of RUNs", "run_chain"), ("longest chain of all work", "work_chain")];
    let row = |(name, chain): &(&str, &str)| ((*name).to_owned(), FINER.map(|policy| share(chain, policy)).to_vec());
    Figure {
        title: "Public multi-stage Dockerfiles whose longest chain becomes shorter",
        axis: "percent of files, 95 % interval (bootstrap by repository)",
        series: FINER.map(Policy::name).to_vec(),
        rows: rows.iter().map(row).collect(),
        scale: Scale::Linear,
        neutral: None,
    }
    .draw(&folder.join("gains.svg"))
}

/// A share in percent, with the interval of a bootstrap that draws whole clusters: files of one repository resemble each other. Each
/// cluster is its size and its hits.
fn by_cluster(clusters: &[(f64, f64)]) -> Mark {
    const RESAMPLES: usize = 4999;
    let share = |drawn: &[(f64, f64)]| {
        let (size, hits) = drawn.iter().fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        hits / f64::max(size, 1.0) * 100.0
    };
    let mut random = ChaCha8Rng::seed_from_u64(0x5eed);
    let mut drawn = clusters.to_vec();
    let mut shares: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            drawn.iter_mut().for_each(|slot| *slot = clusters[random.random_range(0..clusters.len())]);
            share(&drawn)
        })
        .collect();
    shares.sort_by(f64::total_cmp);
    Mark { value: share(clusters), low: quantile(&shares, 0.025), high: quantile(&shares, 0.975) }
}

/// The wall times of one night, by binary.
fn night(folder: &Path) -> Result<()> {
    let mut walls: BTreeMap<String, BTreeMap<String, Vec<f64>>> = BTreeMap::new();
    for sample in table(&folder.join("samples.csv"))? {
        let (Some(builder), Some(wall)) =
            (sample.get("builder"), sample.get("wall_s").and_then(|wall| wall.parse().ok()))
        else {
            continue;
        };
        let case = format!("{}, {}", sample["workload"], sample["cache"]);
        walls.entry(case).or_default().entry(builder.clone()).or_default().push(wall);
    }
    let builders = ["base", "again", "head"];
    let row = |(case, walls): (String, BTreeMap<String, Vec<f64>>)| {
        (case, builders.iter().map(|builder| walls.get(*builder).and_then(|walls| spread(walls.clone()))).collect())
    };
    Figure {
        title: "One night: the same binary twice, and the next one",
        axis: "wall time in seconds (median and quartiles)",
        series: builders.to_vec(),
        rows: walls.into_iter().map(row).collect(),
        scale: Scale::Logarithmic,
        neutral: None,
    }
    .draw(&folder.join("walls.svg"))
}

/// The wall times of the builds of many images, by how they were built.
fn bake(folder: &Path) -> Result<()> {
    let mut rows: Vec<(String, Vec<f64>)> = Vec::new();
    for sample in table(&folder.join("samples.csv"))?.iter().filter(|sample| sample["ok"] == "True") {
        let case = match sample["workload"].as_str() {
            "fleet-40" => format!("{}: {}", sample["scenario"], sample["way"]),
            other => format!("{other}: {}", sample["way"]),
        };
        let wall = sample["wall"].parse()?;
        match rows.iter_mut().find(|row| row.0 == case) {
            Some(row) => row.1.push(wall),
            None => rows.push((case, vec![wall])),
        }
    }
    rows.sort_by(|one, other| one.0.cmp(&other.0));
    Figure {
        title: "Forty images, and eight steps with 3 GB each",
        axis: "wall time in seconds (median and quartiles)",
        series: vec!["builds that succeeded"],
        rows: rows.into_iter().map(|(case, walls)| (case, vec![spread(walls)])).collect(),
        scale: Scale::Logarithmic,
        neutral: None,
    }
    .draw(&folder.join("walls.svg"))
}

fn machines(folder: &Path) -> Result<()> {
    let mut rows: BTreeMap<[u32; 3], [Vec<f64>; 2]> = BTreeMap::new();
    for sample in
        table(&folder.join("samples.csv"))?.iter().filter(|sample| sample["machines"] != "0" && sample["rtt"] == "0")
    {
        let number = |name| sample[name].parse::<u32>();
        let case = [number("megabytes")?, number("megabits")?, number("machines")?];
        let granularity: Policy = sample["granularity"].parse()?;
        let series = FINER.iter().position(|&finer| finer == granularity).ok_or("a serial build")?;
        rows.entry(case).or_default()[series].push(sample["wall"].parse()?);
    }
    let named = |[layer, megabits, machines]: [u32; 3]| format!("{layer} MB, {megabits} Mbit/s, {machines}x2 slots");
    Figure {
        title: "Sixteen stages by the size of a layer, the link, and the machines",
        axis: "wall time in seconds (median and quartiles)",
        series: FINER.map(Policy::name).to_vec(),
        rows: rows.into_iter().map(|(case, walls)| (named(case), walls.into_iter().map(spread).collect())).collect(),
        scale: Scale::Linear,
        neutral: None,
    }
    .draw(&folder.join("walls.svg"))
}

/// The division of a build's wall time into an account: three steps on two slots, and the rows that they become.
fn account(path: &Path) -> Result<()> {
    // (lane, label, start, end, the part on the critical path)
    let steps = [
        (0.0, "stage a: RUN make", 0.4, 3.0, Some((0.4, 2.0))),
        (1.0, "stage b: COPY, RUN test", 0.4, 2.0, None),
        (1.0, "COPY --from=a", 3.0, 3.6, Some((3.0, 3.6))),
    ];
    let cuts = [
        (0.0, 0.4, "parsing 0.4 s"),
        (0.4, 3.0, "process of `RUN make` 2.6 s"),
        (3.0, 3.6, "storage of `COPY --from=a` 0.6 s"),
        (3.6, 4.0, "export 0.4 s"),
    ];
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH, 260)).into_drawing_area();
        let mut chart = ChartBuilder::on(&area)
            .caption("A wall account: each instant belongs to the one step that the end waited for", font(16))
            .margin(12)
            .x_label_area_size(42)
            .build_cartesian_2d(0.0..4.0, 0.0..4.2)?;
        let style = font(13);
        chart
            .configure_mesh()
            .disable_y_mesh()
            .disable_y_axis()
            .disable_x_mesh()
            .axis_style(INK)
            .label_style(style.clone())
            .x_desc("seconds since the start of the build")
            .draw()?;
        let bar = |lane: f64, from: f64, to: f64, style: ShapeStyle| {
            Rectangle::new([(from, 3.7 - lane), (to, 3.1 - lane)], style)
        };
        for (lane, label, from, to, path) in steps {
            chart.draw_series([bar(lane, from, to, INK.mix(0.15).filled())])?;
            if path.is_some() {
                chart.draw_series([bar(lane, from, to, SERIES[0].mix(0.75).filled())])?;
            }
            chart.draw_series([Text::new(label, (from + 0.04, 3.55 - lane), style.clone())])?;
        }
        for (number, (from, to, label)) in cuts.into_iter().enumerate() {
            let colour = SERIES[number % SERIES.len()];
            chart.draw_series([Rectangle::new([(from, 1.1), (to, 0.6)], colour.mix(0.75).filled())])?;
            chart.draw_series([PathElement::new([(to, 3.8), (to, 0.6)], INK.mix(0.4))])?;
            let below = if number % 2 == 0 { 0.5 } else { 0.25 };
            chart.draw_series([Text::new(label, (from + 0.02, below), style.clone())])?;
        }
        chart.draw_series([Text::new(
            "the account: 0.4 + 2.6 + 0.6 + 0.4 s = the wall time of 4.0 s",
            (0.02, 1.45),
            style,
        )])?;
        area.present()?;
    }
    fs::write(path, themed(&svg)).map_err(Into::into)
}

impl Figure {
    fn draw(&self, path: &Path) -> Result<()> {
        let height = 130 + ROW * u32::try_from(self.rows.len())? * if self.series.len() > 2 { 2 } else { 1 };
        let mut svg = String::new();
        {
            let area = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
            let (low, high) = self.range();
            match self.scale {
                Scale::Linear => self.chart(&area, 0.0..high)?,
                Scale::Logarithmic => self.chart(&area, (low..high).log_scale())?,
            }
            area.present()?;
        }
        fs::write(path, themed(&svg))?;
        Ok(())
    }

    /// All values with their intervals, and the neutral one, with a margin.
    fn range(&self) -> (f64, f64) {
        let marks = || self.rows.iter().flat_map(|(_, marks)| marks.iter().flatten());
        let low = marks().map(|mark| mark.low).chain(self.neutral).fold(f64::INFINITY, f64::min);
        let high = marks().map(|mark| mark.high).chain(self.neutral).fold(0.0, f64::max);
        (low * 0.9, high * 1.08)
    }

    fn chart<X>(&self, area: &DrawingArea<SVGBackend<'_>, Shift>, values: X) -> Result<()>
    where
        X: AsRangedCoord<Value = f64>,
        X::CoordDescType: ValueFormatter<f64> + Ranged<ValueType = f64>,
    {
        let count = self.rows.len() as f64;
        let mut chart = ChartBuilder::on(area)
            .caption(self.title, font(16))
            .margin(10)
            .margin_top(26)
            .margin_right(24)
            .x_label_area_size(46)
            .y_label_area_size(190)
            .build_cartesian_2d(values, 0.0..count)?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .y_labels(0)
            .axis_style(INK)
            .bold_line_style(INK.mix(0.15))
            .light_line_style(INK.mix(0.0))
            .label_style(font(12))
            .x_labels(6)
            .x_label_formatter(&|value| format!("{}", (value * 100.0).round() / 100.0))
            .x_desc(self.axis)
            .draw()?;
        if let Some(neutral) = self.neutral {
            chart.draw_series([PathElement::new([(neutral, 0.0), (neutral, count)], INK.mix(0.6))])?;
        }
        for (number, name) in self.series.iter().enumerate() {
            let colour = SERIES[number % SERIES.len()];
            let offset = (number as f64 + 1.0) / (self.series.len() as f64 + 1.0);
            let marks = self.rows.iter().enumerate().filter_map(|(row, (_, marks))| {
                let mark = marks.get(number).copied().flatten()?;
                Some((count - row as f64 - offset, mark))
            });
            let marks: Vec<_> = marks.collect();
            let lines = marks
                .iter()
                .map(|(y, mark)| PathElement::new([(mark.low, *y), (mark.high, *y)], colour.stroke_width(2)));
            chart.draw_series(lines)?;
            chart.draw_series(marks.iter().map(|(y, mark)| Circle::new((mark.value, *y), 4, colour.filled())))?;
            // The legend is above the title, where no mark can be.
            let x = 200 + 170 * i32::try_from(number)?;
            area.draw(&Circle::new((x, 14), 4, colour.filled()))?;
            area.draw_text(name, &font(12).into_text_style(area), (x + 10, 8))?;
        }
        let plot = chart.plotting_area().get_pixel_range();
        for (row, (label, _)) in self.rows.iter().enumerate() {
            let height = f64::from(plot.1.end - plot.1.start) / count;
            let y = plot.1.start + ((row as f64 + 0.5) * height) as i32 - 6;
            area.draw_text(label, &font(12).into_text_style(area), (12, y))?;
        }
        Ok(())
    }
}

fn font(size: u32) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&INK)
}

/// Makes lines and text light on dark pages: the ink is a colour of its own, which a style of the picture replaces there.
fn themed(svg: &str) -> String {
    let style = "<style>@media (prefers-color-scheme: dark) { [fill=\"#1F2328\"] { fill: #e6edf3 } [stroke=\"#1F2328\"] { stroke: #e6edf3 } }</style>\n";
    match svg.find('>') {
        Some(end) => format!("{}\n{style}{}", &svg[..=end], svg[end + 1..].trim_start()),
        None => svg.to_owned(),
    }
}

/// The median and the quartiles.
fn spread(mut values: Vec<f64>) -> Option<Mark> {
    values.sort_by(f64::total_cmp);
    let at = |share| quantile(&values, share);
    (!values.is_empty()).then(|| Mark { value: at(0.5), low: at(0.25), high: at(0.75) })
}

fn first(row: &(String, Vec<Option<Mark>>)) -> f64 {
    row.1.iter().flatten().map(|mark| mark.value).next_back().unwrap_or(1.0)
}

fn good(sample: &&Sample) -> bool {
    sample.fault.is_none()
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn files(folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|found| found == extension) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The rows of a CSV file by the names of their columns. No field of our files is quoted.
fn table(path: &Path) -> Result<Vec<BTreeMap<String, String>>> {
    let text = fs::read_to_string(path)?;
    let mut lines = text.lines().map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>());
    let head = lines.next().unwrap_or_default();
    Ok(lines.map(|row| head.iter().cloned().zip(row).collect()).collect())
}

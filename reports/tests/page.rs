//! The HTML page: what it is made of, and what it does in Chromium.

use buildscope_record::{Policy, Record, Tool};
use buildscope_reports::whatif::{Scenario, whatif};
use buildscope_reports::{explain, render, synthetic};
use buildscope_testing::{program, test};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::process::ExitCode;

fn main() -> ExitCode {
    buildscope_testing::main()
}

fn page(record: &Record) -> String {
    render::html(record, &explain(record))
}

fn example(name: &str) -> Record {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("record/tests/examples").join(name);
    Record::read(std::fs::File::open(path).unwrap()).unwrap()
}

#[test]
fn the_page_is_one_file_that_needs_no_network() {
    let page = page(&example("diamond.serial.json"));
    assert!(page.contains("default-src 'none'"));
    for mark in ["{{", "src=", "href=\"http", "url(", "@import", "fetch(", "XMLHttpRequest", "import("] {
        assert!(!page.replace("`${", "").contains(mark), "{mark}");
    }
}

#[test]
fn text_of_a_build_cannot_leave_its_element() {
    let mut record = example("diamond.serial.json");
    record.steps[1].text = "RUN echo </script><script>alert(1)</script><!-- {{script}}".into();
    record.source.tool = Tool::Other("<b>x".into());
    let page = page(&record);
    assert_eq!(page.matches("</script>").count(), 2, "those of the page itself");
    assert!(!page.contains("<b>x") && !page.contains("<!--"));
}

/// Names of the browser in its packages.
const CHROMIUM: &[&str] = &["chromium", "chromium-browser", "google-chrome"];

/// Runs the page and then a script of the test in the browser. Returns the document, and the errors that the browser reported.
fn run(name: &str, page: &str, script: &str) -> String {
    run_in(None, name, page, script)
}

/// As [`run`], in a frame of that many pixels: a window of Chromium is never narrower than 500. The result is the document around the
/// frame, with the `data-` attributes of the page's.
fn run_in(width: Option<u32>, name: &str, page: &str, script: &str) -> String {
    let chromium = CHROMIUM.iter().find_map(|name| program(name)).unwrap();
    let folder = std::env::temp_dir().join(format!("buildscope-page-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("page.html");
    let errors = "<script>addEventListener('error', (event) => { document.documentElement.dataset.error = event.message; });</script>";
    let page = page.replacen("<style>", &format!("{errors}<style>"), 1).replacen(
        "</body>",
        &format!("<script>{script}</script></body>"),
        1,
    );
    std::fs::write(&file, page).unwrap();
    let shown = width.map_or(file, |width| {
        let outer = folder.join("outer.html");
        let copy = "setInterval(() => { const inner = document.querySelector('iframe').contentDocument; if (inner) Object.assign(document.documentElement.dataset, inner.documentElement.dataset); }, 20);";
        let frame = format!("<iframe src=\"page.html\" style=\"width: {width}px; height: 900px\"></iframe>");
        std::fs::write(&outer, format!("<!doctype html>{frame}<script>{copy}</script>")).unwrap();
        outer
    });
    let output = Command::new(chromium)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=5000", "--dump-dom"])
        .args(["--window-size=1440,1000", "--allow-file-access-from-files"])
        .arg(format!("--user-data-dir={}", folder.join("profile").display()))
        .arg(format!("file://{}", shown.display()))
        .output()
        .unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn attribute<'d>(document: &'d str, name: &str) -> Option<&'d str> {
    document.split_once(&format!(" {name}=\""))?.1.split_once('"').map(|(value, _)| value)
}

/// The data that the page's scripts read.
fn data(page: &str) -> Value {
    let (_, rest) = page.split_once("<script type=\"application/json\" id=\"data\">").unwrap();
    serde_json::from_str(rest.split_once("</script>").unwrap().0).unwrap()
}

/// The position of a value in a list of the page's what-if.
fn position(table: &Value, list: &str, value: &Value) -> usize {
    table[list].as_array().unwrap().iter().position(|one| one == value).unwrap_or_else(|| panic!("{list}: {value}"))
}

/// The wall time that the page has for a combination of positions. Groups that are not named take what they took.
fn wall(table: &Value, speeds: &[(&str, u32)], policy: &Value, slots: u32, processors: u32) -> u64 {
    let groups = table["groups"].as_array().unwrap().iter().map(|group| {
        let speed = speeds.iter().find(|(name, _)| group == name);
        ("percents", Value::from(speed.map_or(100, |(_, percent)| *percent)))
    });
    let others = [("policies", policy.clone()), ("slots", slots.into()), ("processors", processors.into())];
    let at = groups
        .chain(others)
        .fold(0, |at, (list, value)| at * table[list].as_array().unwrap().len() + position(table, list, &value));
    table["walls"][at].as_u64().unwrap()
}

#[test]
fn each_position_of_the_controls_has_the_prediction_of_the_replay() {
    let mut record = example("diamond.serial.json");
    record.cpu = Some(record.wall);
    let table = &data(&page(&record))["whatif"]["table"];
    let predict = |scenario: &Scenario| whatif(&record, scenario).unwrap().wall.0;
    let parallel = Scenario { policy: Some(Policy::Instructions), jobs: Some(0), ..Scenario::default() };
    let one = Scenario { cores: Some(1.0), ..parallel.clone() };
    let storage = vec![("storage".parse().unwrap(), f64::INFINITY)];
    let both = Scenario { faster: storage.clone(), ..parallel.clone() };
    assert_eq!(wall(table, &[], &json!("instructions"), 0, 2), predict(&parallel));
    assert_eq!(wall(table, &[], &json!("instructions"), 0, 1), predict(&one));
    assert_eq!(wall(table, &[("storage", 0)], &json!("instructions"), 0, 2), predict(&both));
    let slower = Scenario {
        faster: [storage.clone(), vec![("execution".parse().unwrap(), 0.5)]].concat(),
        ..Scenario::default()
    };
    assert_eq!(wall(table, &[("storage", 0), ("execution", 200)], &Value::Null, 1, 2), predict(&slower));
    let free = Scenario { faster: storage, ..Scenario::default() };
    assert_eq!(wall(table, &[("storage", 0)], &Value::Null, 1, 2), predict(&free));
    let recorded = predict(&Scenario::default());
    assert_eq!(wall(table, &[], &Value::Null, 1, 2), recorded);
    assert_eq!(recorded, record.wall.0, "as it was: the drift does not count as a gain");
}

#[test]
fn a_large_build_gets_fewer_positions_and_a_small_page() {
    let (small, large) = (page(&example("diamond.serial.json")), page(&synthetic::chains(50, 20)));
    let count = |page: &str| data(page)["whatif"]["table"]["walls"].as_array().unwrap().len();
    eprintln!(
        "pages of {} bytes ({} predictions) and {} bytes ({})",
        small.len(),
        count(&small),
        large.len(),
        count(&large)
    );
    assert!(count(&small) > 10 * count(&large));
    assert!(small.len() < 250_000, "{} bytes", small.len());
}

#[test]
fn a_record_without_times_says_why_it_has_no_what_if() {
    let mut record = example("diamond.serial.json");
    for step in &mut record.steps {
        (step.start, step.end) = (None, None);
    }
    record.spans.clear();
    let data = data(&page(&record));
    assert_eq!(data["whatif"], json!({ "table": null, "refused": "The record has no steps with times." }));
}

#[test(AnyProgram(crate::CHROMIUM))]
fn the_page_runs_and_its_controls_show_the_predictions() {
    let mut record = example("diamond.serial.json");
    record.cpu = Some(record.wall);
    let page = page(&record);
    let script = "const say = (name, value) => { document.documentElement.dataset[name] = value; };
        const shown = () => document.querySelector('#whatif .verdict').dataset.predicted;
        say('recorded', shown());
        const policy = document.querySelector('#whatif select'); policy.value = 'instructions'; policy.dispatchEvent(new Event('change')); say('instructions', shown());
        const storage = document.querySelector('#whatif input[aria-label=storage]'); storage.value = 0; storage.dispatchEvent(new Event('input')); say('free', shown());
        const execution = document.querySelector('#whatif input[aria-label=execution]'); execution.value = execution.max; execution.dispatchEvent(new Event('input')); say('both', shown());
        select(3); say('drawer', byId('drawer').textContent.includes('exit') ? 'no' : byId('drawer').hidden ? 'hidden' : 'open');";
    let document = run("diamond", &page, script);
    assert_eq!(attribute(&document, "data-error"), None, "{document}");
    assert_eq!(attribute(&document, "data-ready"), Some("yes"));
    assert_eq!(attribute(&document, "data-drawer"), Some("open"));
    let table = &data(&page)["whatif"]["table"];
    for (name, speeds, policy) in [
        ("data-recorded", &[][..], Value::Null),
        ("data-instructions", &[], json!("instructions")),
        ("data-free", &[("storage", 0)], json!("instructions")),
        ("data-both", &[("storage", 0), ("execution", 200)], json!("instructions")),
    ] {
        let expected = wall(table, speeds, &policy, 1, 2).to_string();
        assert_eq!(attribute(&document, name), Some(expected.as_str()), "{name}");
    }
    // The table of steps says the same as the canvas, for readers who do not see it.
    assert!(
        document.contains("aria-sort=\"descending\"") && document.contains("RUN sleep 1.2 &amp;&amp; echo b &gt; /b")
    );
}

/// By keys alone: a step is chosen on the timeline, opened, closed, and the focus is where it was. What a screen reader
/// says of each control has words.
#[test(AnyProgram(crate::CHROMIUM))]
fn keys_and_names_work_like_the_mouse() {
    let record = example("diamond.serial.json");
    let script = "const say = (name, value) => { document.documentElement.dataset[name] = value; };
        const press = (key) => document.activeElement.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true }));
        const canvas = byId('timeline'); canvas.focus(); press('ArrowDown'); press('ArrowDown'); press('ArrowUp');
        const span = timeline.to - timeline.from; press('+'); say('zoomed', timeline.to - timeline.from < span); press('ArrowRight'); say('moved', timeline.from > 0); press('0');
        press('Enter'); say('opened', !byId('drawer').hidden && byId('drawer').contains(document.activeElement)); press('Escape');
        say('closed', byId('drawer').hidden && document.activeElement === canvas);
        const named = (element) => element.getAttribute('aria-label') || element.textContent.trim() || element.closest('label')?.textContent.trim();
        const controls = [...document.querySelectorAll('button, input, select, canvas, [role=img]')];
        say('controls', controls.length); say('unnamed', controls.filter((element) => !named(element)).map((element) => element.outerHTML).join());
        say('order', controls.some((element) => element.tabIndex > 0));
        setTheme(true); dispatchEvent(new Event('beforeprint')); say('paper', palette.back); dispatchEvent(new Event('afterprint')); say('screen', palette.back);";
    let document = run("keys", &page(&record), script);
    assert_eq!(attribute(&document, "data-error"), None, "{document}");
    for name in ["data-zoomed", "data-moved", "data-opened", "data-closed"] {
        assert_eq!(attribute(&document, name), Some("true"), "{name}");
    }
    assert!(attribute(&document, "data-controls").unwrap().parse::<u32>().unwrap() > 20);
    assert_eq!(attribute(&document, "data-unnamed"), Some(""));
    assert_eq!(attribute(&document, "data-order"), Some("false"), "the order of the keys is that of the page");
    assert_eq!(
        (attribute(&document, "data-paper"), attribute(&document, "data-screen")),
        (Some("#fff"), Some("#14161b"))
    );
}

/// A long command and a diff of long lines made the page wider than its window.
#[test(AnyProgram(crate::CHROMIUM))]
fn nothing_is_wider_than_the_page_and_the_charts_line_up() {
    let mut record = example("diamond.serial.json");
    record.steps[1].text = format!("RUN apt-get update && apt-get install -y {}", "build-essential-".repeat(20));
    let page = page(&record);
    let script = "const say = (name, value) => { document.documentElement.dataset[name] = value; };
        document.querySelector('#changes').append(make('pre', {}, 'x'.repeat(400)));
        resize();
        const page = { right: document.documentElement.clientWidth };
        say('scrolls', document.documentElement.scrollWidth > page.right);
        const scrolls = (element) => { for (let box = element.parentElement; box; box = box.parentElement) if (getComputedStyle(box).overflowX !== 'visible') return true; return false; };
        const wide = [...document.querySelectorAll('body *')].filter((element) => element.getBoundingClientRect().right > page.right + 1 && getComputedStyle(element).position !== 'fixed' && !element.closest('.skip, #tip, #drawer') && !scrolls(element));
        say('wide', wide.map((element) => element.tagName + element.id).join());
        const chart = byId('levels-chart').getBoundingClientRect(), canvas = timeline.canvas.getBoundingClientRect();
        say('left', Math.abs(chart.left - canvas.left - timeline.left) < 1); say('right', Math.abs(chart.right - canvas.right) < 1.5);
        move(wall / 2, wall / 4); alignLevels(); say('zoomed', byId('levels-chart').getAttribute('viewBox'));
        select(3); showTip({ clientX: innerWidth - 20, clientY: 200 }, 'x'.repeat(60)); const drawer = byId('drawer').getBoundingClientRect();
        say('tip', tip.getBoundingClientRect().right <= drawer.left || Number(getComputedStyle(byId('drawer')).zIndex) > Number(getComputedStyle(tip).zIndex));
        const caveats = [...document.querySelectorAll('#changes td.soft')];
        say('caveats', caveats.length > 0 && caveats.every((cell) => cell.getBoundingClientRect().width >= 150));
        const texts = [...document.querySelectorAll('#steps td.text, #groups td:nth-child(5)')];
        say('texts', texts.length > 6 && texts.every((cell) => cell.getBoundingClientRect().width >= 180));
        say('code', byId('changes').textContent.includes('`'));";
    for width in [420, 1400] {
        let document = run_in(Some(width), &format!("width-{width}"), &page, script);
        assert_eq!(attribute(&document, "data-error"), None, "{document}");
        assert_eq!(attribute(&document, "data-wide"), Some(""), "{width}");
        assert_eq!(attribute(&document, "data-scrolls"), Some("false"), "{width}");
        let found = ["data-left", "data-right", "data-zoomed", "data-tip", "data-caveats", "data-texts", "data-code"]
            .map(|name| attribute(&document, name).unwrap_or_default());
        assert_eq!(found, ["true", "true", "500 0 250 100", "true", "true", "true", "false"], "{width}");
    }
}

/// A browser shows ESC as nothing, but obeys the marks.
#[test]
fn no_view_has_marks_that_reorder_text() {
    let mut record = example("diamond.serial.json");
    for step in &mut record.steps {
        step.text = "RUN echo a\u{202e}b\u{2066}c\u{9b}d".into();
        step.log = vec!["\u{202e}log".into()];
        step.error = Some("\u{200f}error".into());
    }
    let explanation = explain(&record);
    let views = [
        render::html(&record, &explanation),
        render::markdown(&explanation),
        render::text(&explanation, render::Style::default()),
        buildscope_reports::inside::folded_stacks(&record),
    ];
    for view in views {
        assert!(!view.contains(buildscope_record::acts_on_view), "{}", view.escape_debug());
    }
    assert!(page(&record).contains(r"RUN echo a\\u{202e}b\\u{2066}c\\u{9b}d"));
}

/// speedscope is a viewer of the Trace Event format that says on its console which slices it cannot close in order.
#[test(AnyProgram(crate::CHROMIUM), Program("speedscope"))]
fn speedscope_reads_timelines_without_complaint() {
    // Some steps of this log have no length.
    let log = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples/buildah.ts.log")).unwrap();
    let imported = buildscope_reports::import::import(&log).unwrap();
    let mut odd = synthetic::chains(6, 8);
    // Sevenths are seldom whole microseconds.
    let seventh = |at: &mut buildscope_record::Nanos| at.0 = at.0 / 7 + 1;
    for step in &mut odd.steps {
        step.start.iter_mut().chain(&mut step.end).for_each(seventh);
    }
    for span in &mut odd.spans {
        [&mut span.start, &mut span.end].into_iter().for_each(seventh);
    }
    seventh(&mut odd.wall);
    for (name, record) in [("diamond", &example("diamond.serial.json")), ("imported", &imported), ("odd", &odd)] {
        let trace = render::timeline(&[(record, &explain(record))]).to_string();
        let said = speedscope(name, &trace);
        assert!(said.iter().any(|line| line.contains("Trace Event Format")), "{name}: {said:#?}");
        let complaints: Vec<_> =
            said.iter().filter(|line| line.contains("still open") || line.contains("Tried to end")).collect();
        assert!(complaints.is_empty(), "{name}: {complaints:#?}");
    }
}

/// What speedscope writes to its console when it loads a trace.
fn speedscope(name: &str, trace: &str) -> Vec<String> {
    let chromium = CHROMIUM.iter().find_map(|name| program(name)).unwrap();
    // The command is `bin/cli.mjs` of the package.
    let command = std::fs::canonicalize(program("speedscope").unwrap()).unwrap();
    let release = command.parent().and_then(Path::parent).unwrap().join("dist/release/index.html");
    let folder = std::env::temp_dir().join(format!("buildscope-speedscope-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    // As its own command does: a script that hands the profile over.
    let bytes: Vec<String> = trace.bytes().map(|byte| byte.to_string()).collect();
    let binary = format!("[{}].map((byte) => String.fromCharCode(byte)).join('')", bytes.join(","));
    let script = format!("speedscope.loadFileFromBase64('{name}.json', btoa({binary}))");
    let profile = folder.join("profile.js");
    std::fs::write(&profile, script).unwrap();
    let output = Command::new(chromium)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files"])
        .args(["--enable-logging=stderr", "--virtual-time-budget=8000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", folder.join("browser").display()))
        .arg(format!("file://{}#localProfilePath={}", release.display(), profile.display()))
        .output()
        .unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    let lines = String::from_utf8_lossy(&output.stderr).into_owned();
    lines.lines().filter(|line| line.contains("CONSOLE")).map(str::to_owned).collect()
}

#[test(AnyProgram(crate::CHROMIUM))]
fn five_thousand_steps_stay_smooth() {
    let record = synthetic::chains(50, 100);
    // A zoom into the middle. Another program may delay frames: of many at each level, one has to be fast.
    let script = "let slowest = 0;
        for (let level = 0; level <= 30; level++) {
            timeline.from = wall * 0.4 * level / 30; timeline.to = wall * (1 - 0.4 * level / 30);
            let fastest = Infinity;
            for (let frames = 0; frames < 4 || frames < 100 && fastest >= 50; frames++) {
                const begin = performance.now(); paint(); fastest = Math.min(fastest, performance.now() - begin);
            }
            slowest = Math.max(slowest, fastest);
        }
        document.documentElement.dataset.frame = slowest.toFixed(2);";
    let document = run("large", &page(&record), script);
    assert_eq!(attribute(&document, "data-error"), None);
    assert_eq!(attribute(&document, "data-ready"), Some("yes"));
    let frame: f64 = attribute(&document, "data-frame").unwrap().parse().unwrap();
    eprintln!("a frame of 5,001 steps takes at most {frame} ms");
    // A sixtieth of a second is smooth; a busy machine may take thrice that.
    assert!(frame < 50.0, "{frame} ms a frame");
}

#[test(AnyProgram(crate::CHROMIUM))]
fn a_step_opens_with_its_commands_and_processes() {
    let page = page(&example("inside.json"));
    let script = "select(build.steps.findIndex((step) => step.inside));";
    let document = run("inside", &page, script);
    for mark in ["class=\"inside\"", "class=\"lanes\"", "class=\"flame\"", "sleep 0.3"] {
        assert!(document.contains(mark), "{mark}");
    }
}

#[test(AnyProgram(crate::CHROMIUM))]
fn a_click_makes_a_frame_of_the_flame_graph_as_wide_as_all() {
    let page = page(&example("inside.json"));
    let script = "select(build.steps.findIndex((step) => step.text.startsWith('RUN <<EOF')));
        const drawing = document.querySelector('.flame'), all = drawing.viewBox.baseVal.width;
        const frame = () => [...drawing.querySelectorAll('g')].find((box) => box.textContent === 'sleep');
        const width = () => Number(frame().querySelector('rect').getAttribute('width'));
        const click = () => frame().querySelector('rect').dispatchEvent(new MouseEvent('click', { bubbles: true }));
        const before = width();
        click();
        const after = width();
        click();
        document.documentElement.dataset.widths = [before < all * 0.9, after === all - 0.5, width() === before].join();";
    let document = run("flame", &page, script);
    assert_eq!(attribute(&document, "data-error"), None);
    assert_eq!(attribute(&document, "data-widths"), Some("true,true,true"));
}

/// The drawings of a step by keys alone: the arrows choose a box, a line says which, and Enter makes a frame as wide as all. They are as wide as the
/// panel, so that their letters have the size that is written, also on a narrow screen.
#[test(AnyProgram(crate::CHROMIUM))]
fn keys_choose_processes_and_frames() {
    let page = page(&example("inside.json"));
    let script = "const say = (name, value) => { document.documentElement.dataset[name] = value; };
        select(build.steps.findIndex((step) => step.text.startsWith('RUN <<EOF')));
        const press = (key) => document.activeElement.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true }));
        const said = () => document.activeElement.nextElementSibling.textContent;
        for (const part of ['lanes', 'flame']) {
            const drawing = document.querySelector('.' + part);
            drawing.focus(); press('ArrowDown'); const first = said();
            press('ArrowDown'); const second = said();
            press('ArrowUp'); say(part, [first.startsWith(part === 'lanes' ? '/bin/sh ' : 'sh: '), second !== first, said() === first, drawing.querySelectorAll('g.chosen').length].join());
            say(part + 'Scale', Math.abs(drawing.getBoundingClientRect().width / drawing.viewBox.baseVal.width - 1) < 0.06);
        }
        const widest = () => Number(document.querySelector('.flame g.chosen rect').getAttribute('width'));
        press('ArrowDown'); press('ArrowRight'); const before = widest(); press('Enter'); const after = widest(); press('Enter');
        say('enter', [before < after, widest() === before].join());";
    for width in [420, 1400] {
        let document = run_in(Some(width), &format!("boxes-{width}"), &page, script);
        assert_eq!(attribute(&document, "data-error"), None, "{document}");
        let found = ["data-lanes", "data-flame", "data-lanes-scale", "data-flame-scale", "data-enter"]
            .map(|name| attribute(&document, name).unwrap_or_default());
        assert_eq!(found, ["true,true,true,1", "true,true,true,1", "true", "true", "true,true"], "{width}");
    }
}

/// The colour `#rrggbb` in CIELAB (CIE 15:2018) for the white point D65 of sRGB (IEC 61966-2-1).
fn lab(colour: &str) -> [f64; 3] {
    let [r, g, b] = [1, 3, 5].map(|at| {
        let part = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
        if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
    });
    let f = |t: f64| if t > 216.0 / 24389.0 { t.cbrt() } else { (24389.0 / 27.0 * t + 16.0) / 116.0 };
    let x = f((0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.9505);
    let y = f(0.2126 * r + 0.7152 * g + 0.0722 * b);
    let z = f((0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.089);
    [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
}

/// What a process did has a colour that is told from the others and from the ground, in the light and the dark theme. A difference of 2.3 is just
/// noticeable side by side (Mahy and others 1994); bars are a pixel wide and far apart.
#[test]
fn states_of_processes_have_different_colours() {
    let white = lab("#ffffff");
    assert!((white[0] - 100.0).abs() < 0.01 && white[1].abs() < 0.1 && white[2].abs() < 0.1, "{white:?}");
    let page = page(&example("inside.json"));
    let (_, states) = page.split_once("const STATES = {").unwrap();
    let states = states.split_once("};").unwrap().0.split('[').skip(1).map(|state| state.split('"').nth(3).unwrap());
    let names: Vec<&str> = states.chain(["card"]).collect();
    assert_eq!(names.len(), 9, "{names:?}");
    for theme in [":root {", ":root.dark {"] {
        let block = page.split_once(theme).unwrap().1.split_once('}').unwrap().0;
        let colours: Vec<_> =
            names.iter().map(|name| lab(&block.split_once(&format!("--{name}: ")).unwrap().1[..7])).collect();
        for (at, one) in colours.iter().enumerate() {
            for (other, name) in colours[..at].iter().zip(&names) {
                let apart = one.iter().zip(other).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
                assert!(apart > 25.0, "{} and {name} differ by {apart:.1} in {theme}", names[at]);
            }
        }
    }
}

/// The time axis above the lanes of a step's processes has round instants where the lanes have them.
#[test(AnyProgram(crate::CHROMIUM))]
fn the_lanes_of_processes_have_a_time_axis() {
    let page = page(&example("inside.json"));
    let script = "const say = (name, value) => { document.documentElement.dataset[name] = value; };
        select(build.steps.findIndex((step) => step.text.startsWith('RUN <<EOF')));
        const drawing = document.querySelector('.lanes'), width = drawing.viewBox.baseVal.width;
        const { start, end } = data.processes[build.steps.findIndex((step) => step.text.startsWith('RUN <<EOF'))];
        const units = { ms: 1e6, s: 1e9 };
        const labels = [...drawing.querySelectorAll('.axis')].map((label) => label.textContent);
        const said = labels.map((text) => { const [number, unit] = text.split(' '); return unit ? number * units[unit] : 0; });
        const places = [...drawing.querySelectorAll('line')].map((line) => Number(line.getAttribute('x1')));
        say('right', places.every((place, at) => Math.abs(place - said[at] / (end - start) * width) < 1));
        say('marks', `${places.length === said.length && said.length > 2} ${said[0]}`);
        const boxes = [...drawing.querySelectorAll('.axis')].map((label) => label.getBoundingClientRect());
        const all = drawing.getBoundingClientRect();
        say('apart', boxes.every((box, at) => box.right <= all.right + 1 && (!at || box.left > boxes[at - 1].right)));
        say('free', [...drawing.querySelectorAll('g rect')].every((rect) => rect.getBoundingClientRect().top >= boxes[0].bottom - 2));";
    for width in [420, 1400] {
        let document = run_in(Some(width), &format!("axis-{width}"), &page, script);
        assert_eq!(attribute(&document, "data-error"), None, "{document}");
        let found = ["data-right", "data-marks", "data-apart", "data-free"]
            .map(|name| attribute(&document, name).unwrap_or_default());
        assert_eq!(found, ["true", "true 0", "true", "true"], "{width}");
    }
}

//! BuildKit's display for terminals whose lines were joined, as trackers of issues do with a text that is not marked as code.

use super::super::duration::duration;

/// The number of vertices in one line from which on it is a joined display.
const FEWEST: usize = 3;

/// The display with a line for each vertex; `None` if no line has several.
pub(super) fn lines(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len() + 64);
    let mut joined = false;
    for line in text.lines() {
        let cuts = if line.contains("[+] Building ") { cuts(line) } else { Vec::new() };
        if cuts.len() >= FEWEST {
            joined = true;
            let mut from = 0;
            for cut in cuts {
                out += &line[from..cut];
                out.push('\n');
                from = cut;
            }
            out += &line[from..];
        } else {
            out += line;
        }
        out.push('\n');
    }
    joined.then_some(out)
}

/// Where a line is cut: before the display, and before an arrow that follows the head of the display or the time of a vertex.
fn cuts(line: &str) -> Vec<usize> {
    let mut cuts = Vec::new();
    // Within the head of the display, which has no time at its end.
    let mut head = false;
    let mut before = "";
    for (at, word) in words(line) {
        let time = |word: &str| word.contains('.') && duration(word).is_some();
        match word {
            "[+]" if line[at..].starts_with("[+] Building ") => {
                cuts.extend((at > 0).then_some(at));
                head = true;
            }
            "=>" if head || time(before) => {
                cuts.push(at);
                head = false;
            }
            // The output of a failed step, and the client's message.
            "------" | "ERROR:" if !head && (time(before) || before == "------") => cuts.push(at),
            _ => {}
        }
        before = word;
    }
    cuts
}

/// The words of a line with their offsets.
fn words(line: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut end = 0;
    line.split_whitespace().map(move |word| {
        let start = end + line[end..].find(word).unwrap_or(0);
        end = start + word.len();
        (start, word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_joined_display_has_a_line_for_each_vertex() {
        let display = "$ docker build .\n[+] Building 4.2s (3/3) FINISHED docker:default\n=> [internal] load .dockerignore 0.1s\n\
                       => => transferring context: 2B 0.0s\n=> [1/1] RUN echo => a 4.0s\n=> exporting to image 0.1s\n";
        let joined = display.trim_end().replace('\n', " ");
        let apart = lines(&joined).unwrap();
        assert_eq!(apart.lines().map(str::trim).collect::<Vec<_>>(), display.trim_end().lines().collect::<Vec<_>>());
        assert_eq!(lines(display), None);
    }
}

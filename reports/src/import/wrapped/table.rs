//! Logs as tables, as collectors export search results: columns with names (CSV, RFC 4180), the text in one, its time in another.

use super::super::log::{stamp, terminal};
use super::super::marks;
use super::collector;
use super::entries::LogEntry;
use csv::{ReaderBuilder, StringRecord};

/// The separators of fields.
const SEPARATORS: [u8; 3] = [b',', b';', b'\t'];

/// The longest name of a column.
const LONGEST_NAME: usize = 40;

/// The fewest fields of a row without a head: the text, and its time behind it.
const FEWEST_FIELDS: usize = 2;

/// The fewest rows of a table without a head.
const FEWEST_ROWS: usize = 3;

/// The text of a table with the time before each line; `None` if the text is not a table.
pub(super) fn lines(text: &str) -> Option<String> {
    let head = text.lines().next()?;
    SEPARATORS.into_iter().filter(|&separator| head.contains(char::from(separator))).find_map(|separator| {
        let mut reader = ReaderBuilder::new().delimiter(separator).flexible(true).from_reader(text.as_bytes());
        let names = reader.headers().ok().filter(|names| are_names(names))?.clone();
        let rows: Vec<StringRecord> = reader.records().collect::<Result<_, _>>().ok()?;
        let whole = rows.iter().filter(|row| row.len() == names.len()).count();
        // A separator in a text without quotes.
        if whole == 0 || whole * 10 < rows.len() * 9 {
            return None;
        }
        let entry = |row: &StringRecord| {
            let fields = names.iter().zip(row).map(|(name, value)| (format!(".{}", name.trim()), value.to_owned()));
            LogEntry { leaves: fields.collect(), ..LogEntry::default() }
        };
        collector::lines_of(vec![rows.iter().map(entry).collect()])
    })
}

/// The text of a table of tabs without a head, as `aws logs … --output text` prints it, with the time before each line. Only if the text
/// is not the last field: otherwise the fields before it are a prefix like another.
pub(super) fn headless(text: &str) -> Option<String> {
    quoted_rows(text).or_else(|| tabbed_rows(text))
}

/// The text of a table of quoted fields without a head, if a text in it is wrapped once more or has its time behind it. Otherwise what is
/// before the text is a prefix like another.
fn quoted_rows(text: &str) -> Option<String> {
    const WRAPPED: [&str; 5] = ["{\"\"", "\"|", "\"│", "\"┃", "\"\t"];
    let wrapped = WRAPPED.iter().any(|start| text.contains(start));
    if !wrapped && !text.trim_start().starts_with('"') {
        return None;
    }
    let (quoted, others): (Vec<&str>, Vec<&str>) = text.lines().map(str::trim).partition(|line| line.starts_with('"'));
    let quoted = quoted.join("\n");
    let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(quoted.as_bytes());
    let rows: Vec<StringRecord> = reader.records().collect::<Result<_, _>>().ok()?;
    let width = rows.first().map(StringRecord::len).filter(|width| *width >= FEWEST_FIELDS)?;
    let marked = others.iter().any(|line| marks::find(&terminal::plain(line)).is_some());
    if rows.len() < FEWEST_ROWS || marked || rows.iter().any(|row| row.len() != width) {
        return None;
    }
    // The text has its time behind it.
    let is_before_its_time = |row: &StringRecord| {
        let is_marked = |field: &str| marks::find(&terminal::plain(field)).is_some();
        let text = row.iter().position(is_marked);
        text.is_some_and(|text| row.iter().skip(text + 1).any(|field| stamp::whole(field).is_some()))
    };
    if !wrapped && !rows.iter().any(is_before_its_time) {
        return None;
    }
    let entry = |row: &StringRecord| {
        let fields = row.iter().enumerate().map(|(at, value)| (format!(".{at}"), value.to_owned()));
        LogEntry { leaves: fields.collect(), ..LogEntry::default() }
    };
    collector::lines_of(vec![rows.iter().map(entry).collect()])
}

fn tabbed_rows(text: &str) -> Option<String> {
    let rows: Vec<Vec<&str>> =
        text.lines().filter(|line| !line.trim().is_empty()).map(|line| line.split('\t').collect()).collect();
    let width = rows.iter().map(Vec::len).max()?;
    let whole = rows.iter().filter(|row| row.len() == width).count();
    let last = |row: &&Vec<&str>| row.last().is_some_and(|field| marks::find(field).is_some());
    if width < FEWEST_FIELDS
        || rows.len() < FEWEST_ROWS
        || whole * 10 < rows.len() * 9
        || rows.iter().any(|row| last(&row))
    {
        return None;
    }
    let entry = |row: &Vec<&str>| {
        let fields = row.iter().enumerate().map(|(at, value)| (format!(".{at}"), (*value).to_owned()));
        LogEntry { leaves: fields.collect(), ..LogEntry::default() }
    };
    collector::lines_of(vec![rows.iter().map(entry).collect()])
}

/// Whether the fields of the first row are names of several columns.
fn are_names(fields: &StringRecord) -> bool {
    let letter = |letter: char| letter.is_alphanumeric() || " _@.-:/()#".contains(letter);
    let name = |name: &str| {
        let name = name.trim();
        !name.is_empty() && name.len() <= LONGEST_NAME && name.contains(char::is_alphabetic) && name.chars().all(letter)
    };
    let marked = |name: &str| marks::find(&terminal::plain(name)).is_some();
    // A line of a log whose time has a comma: `build 2026-03-01 10:00:00,000 Cloning`.
    let timed = |name: &str| name.char_indices().any(|(at, _)| stamp::read(&name[at..]).is_some());
    fields.len() > 1 && fields.iter().all(|field| name(field) && !marked(field) && !timed(field))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_time_columns_are_found_by_their_content() {
        let rows = "2026-03-01T10:00:00Z STEP 1/2: FROM a\n2026-03-01T10:00:05Z STEP 2/2: RUN echo \"a\", b\n";
        for table in [
            "_raw,_time,host\n\"STEP 2/2: RUN echo \"\"a\"\", b\",2026-03-01T10:00:05Z,ci\n\"STEP 1/2: FROM a\",2026-03-01T10:00:00Z,ci\n",
            "\"@timestamp\";\"@message\"\n\"2026-03-01T10:00:00Z\";\"STEP 1/2: FROM a\"\n\"2026-03-01T10:00:05Z\";\"STEP 2/2: RUN echo \"\"a\"\", b\"\n",
            "Date\tMessage\n2026-03-01T10:00:00Z\tSTEP 1/2: FROM a\n2026-03-01T10:00:05Z\tSTEP 2/2: RUN echo \"a\", b\n",
        ] {
            assert_eq!(lines(table).as_deref(), Some(rows), "{table}");
        }
    }

    #[test]
    fn the_text_may_be_between_the_fields() {
        let log = "EVENTS\t1772359201200\t#1 [1/1] RUN a\t1772359200000\nEVENTS\t1772359201300\t\t1772359200100\n\
                   EVENTS\t1772359201400\t#1 DONE 0.5s\t1772359200500\n";
        let times: Vec<_> =
            headless(log).unwrap().lines().map(|line| line.split_once(' ').map(|(at, _)| at.to_owned())).collect();
        assert_eq!(times.len(), 2);
        for other in
            ["a\t#1 [1/1] RUN a\nb\t#1 0.1 x\nc\t#1 DONE 0.5s\n", "#1 [1/1] RUN a\n#1 0.1 a\tb\n#1 DONE 0.1s\n"]
        {
            assert_eq!(headless(other), None, "{other}");
        }
    }

    #[test]
    fn fields_that_are_wrapped_once_more_are_unquoted() {
        let log = "\"10:00:00\",\"ci\",\"{\"\"log\"\":\"\"#1 [1/1] RUN a\"\"}\"\n\"10:00:00\",\"ci\",\"\"\n\"10:00:01\",\"ci\",\"{\"\"log\"\":\"\"#1 DONE 1.0s\"\"}\"\n";
        let expected = "10:00:00 {\"log\":\"#1 [1/1] RUN a\"}\n10:00:01 {\"log\":\"#1 DONE 1.0s\"}\n";
        assert_eq!(headless(log).as_deref(), Some(expected));
        let plain = log.replace("{\"\"log\"\":\"\"", "").replace("\"\"}", "");
        assert_eq!(headless(&plain), None, "{plain}");
    }

    #[test]
    fn a_log_is_not_read_as_a_table() {
        for text in [
            "#1 [1/1] RUN a,b\n#1 DONE 0.1s\n",
            "ci 2026-03-01 10:00:00,000 Cloning\nci 2026-03-01 10:00:01,500 #1 [1/1] RUN a\nci 2026-03-01 10:00:02,000 #1 DONE 0.5s\n",
            "INFO, this\nSTEP 1/2: FROM a\nSTEP 2/2: RUN b\n",
            "a,b\n1,2\n",
            "",
        ] {
            assert_eq!(lines(text), None, "{text}");
        }
    }
}

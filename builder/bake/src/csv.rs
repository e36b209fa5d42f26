//! Comma-separated values of several lines, for `csvdecode`.

/// The rows of RFC 4180: fields may be quoted, and a quoted field may have line breaks. Empty lines are skipped.
///
/// # Errors
/// A quote is misplaced or not closed.
pub(crate) fn rows(text: &str) -> Result<Vec<Vec<String>>, String> {
    let mut rows = Vec::new();
    let mut lines = text.split_inclusive('\n');
    while let Some(line) = lines.next() {
        let mut record = line.to_owned();
        while record.matches('"').count() % 2 == 1 {
            record.push_str(lines.next().ok_or("a quote is not closed")?);
        }
        let record = record.trim_end_matches('\n').trim_end_matches('\r');
        if !record.is_empty() {
            rows.push(buildscope_oci::csv_fields(record)?);
        }
    }
    Ok(rows)
}

//! Parses a flag with comma-separated fields (`--output`, `--cache-to`), like Go's `encoding/csv`, which buildx uses.

/// Parses one record of RFC 4180. A field may be quoted as a whole; two quotes inside of it mean one.
pub fn csv_fields(text: &str) -> Result<Vec<String>, String> {
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let (field, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_field(quoted)?,
            None => {
                let (field, after) = rest.split_at(rest.find(',').unwrap_or(rest.len()));
                if field.contains('"') {
                    return Err("a quote in the middle of a field: quote the whole field".into());
                }
                (field.to_owned(), after)
            }
        };
        fields.push(field);
        match after.strip_prefix(',') {
            Some(more) => rest = more,
            None if after.is_empty() => return Ok(fields),
            None => return Err("a closing quote must be followed by a comma".into()),
        }
    }
}

fn quoted_field(text: &str) -> Result<(String, &str), String> {
    let mut field = String::new();
    let mut rest = text;
    loop {
        let (before, after) = rest.split_once('"').ok_or("a quote is not closed")?;
        field += before;
        match after.strip_prefix('"') {
            Some(more) => {
                field.push('"');
                rest = more;
            }
            None => return Ok((field, after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_may_be_quoted() {
        assert_eq!(csv_fields(r#"a,"b ""c"", d",e"#).unwrap(), ["a", r#"b "c", d"#, "e"]);
    }

    #[test]
    fn misplaced_quotes_are_errors() {
        for text in [r#"a"b,c"#, r#""a"b,c"#, r#"a,"b"#] {
            assert!(csv_fields(text).is_err(), "{text}");
        }
    }
}

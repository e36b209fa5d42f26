//! Patterns with `*`.

/// Whether the text has the pattern's form; `*` stands for any characters, or none.
pub fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, rest)) => match text.strip_prefix(head) {
            None => false,
            Some(text) => (0..=text.len()).filter(|&at| text.is_char_boundary(at)).any(|at| matches(rest, &text[at..])),
        },
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_star_is_anything() {
        assert!(super::matches("b*d", "build") && super::matches("*", "") && !super::matches("a*", "b"));
    }
}

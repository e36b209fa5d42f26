//! Logs in literals as programs print their values: Python's `repr` and `pprint`, JavaScript's `util.inspect` and sources.

use super::collector;
use super::count_marks;
use super::entries::{JsonDocument, entries};
use super::quoted::unescaped;
use serde_json::{Map, Number, Value};

/// How deep values may be nested.
const DEEPEST: usize = 32;

/// The text in a value, each line behind its time if the value has one; `None` if the text is not one value, or has no log.
pub(super) fn lines(text: &str) -> Option<String> {
    let value = match value_of(text)? {
        Value::String(text) => return Some(text).filter(|text| count_marks(text) > 0),
        value => value,
    };
    collector::lines_of(entries(&[JsonDocument { before: "", value }]))
}

/// The value of a text that is one literal, also of an assignment: `log = ('#1 …\n' '#1 DONE\n');`.
fn value_of(text: &str) -> Option<Value> {
    let text = text.trim().trim_end_matches(';');
    let assigned = text.split_once('=').filter(|(name, _)| {
        name.chars().all(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '.' | ' ' | ':'))
    });
    let text = assigned.map_or(text, |(_, value)| value);
    let mut reader = Reader { rest: text };
    let value = reader.value(0)?;
    reader.space();
    reader.rest.is_empty().then_some(value)
}

struct Reader<'t> {
    rest: &'t str,
}

impl<'t> Reader<'t> {
    fn space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn eat(&mut self, letter: char) -> bool {
        self.space();
        let after = self.rest.strip_prefix(letter);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        self.space();
        if depth > DEEPEST {
            return None;
        }
        match self.rest.chars().next()? {
            '[' => self.list('[', ']', depth).map(Value::Array),
            '(' => {
                let mut values = self.list('(', ')', depth)?;
                // Parentheses around one text that has several literals.
                Some(if values.len() == 1 { values.remove(0) } else { Value::Array(values) })
            }
            '{' => self.fields(depth),
            '-' | '0'..='9' => self.number(),
            _ => match self.text() {
                Some(text) => Some(Value::String(text)),
                None => self.named(depth),
            },
        }
    }

    fn list(&mut self, open: char, close: char, depth: usize) -> Option<Vec<Value>> {
        let mut values = Vec::new();
        self.eat(open);
        while !self.eat(close) {
            values.push(self.value(depth + 1)?);
            if !self.eat(',') {
                return self.eat(close).then_some(values);
            }
        }
        Some(values)
    }

    fn fields(&mut self, depth: usize) -> Option<Value> {
        let mut fields = Map::new();
        self.eat('{');
        while !self.eat('}') {
            let key = match self.value(depth + 1)? {
                Value::String(key) => key,
                other => other.to_string(),
            };
            if !self.eat(':') {
                return None;
            }
            fields.insert(key, self.value(depth + 1)?);
            if !self.eat(',') {
                return self.eat('}').then_some(Value::Object(fields));
            }
        }
        Some(Value::Object(fields))
    }

    fn number(&mut self) -> Option<Value> {
        let end = self.rest.find(|letter: char| !letter.is_ascii_alphanumeric() && !"+-._".contains(letter));
        let (text, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        text.parse().ok().map(Value::Number).or_else(|| text.parse().ok().and_then(Number::from_f64).map(Value::Number))
    }

    /// Literals of one text that follow each other, with or without a plus sign between them.
    fn text(&mut self) -> Option<String> {
        let mut whole = self.literal()?;
        loop {
            let before = self.rest;
            self.eat('+');
            match self.literal() {
                Some(more) => whole += &more,
                None => {
                    self.rest = before;
                    return Some(whole);
                }
            }
        }
    }

    fn literal(&mut self) -> Option<String> {
        self.space();
        let start = self.rest.trim_start_matches(['b', 'B', 'r', 'R', 'u', 'U', 'f']);
        let raw = self.rest[..self.rest.len() - start.len()].contains(['r', 'R']);
        let quote = ["\"\"\"", "'''", "\"", "'", "`"].into_iter().find(|quote| start.starts_with(quote))?;
        // An empty text is not the beginning of a long one.
        let inner = &start[quote.len()..];
        let end = end_of_literal(inner, quote)?;
        self.rest = &inner[end + quote.len()..];
        Some(if raw { inner[..end].to_owned() } else { unescaped(&inner[..end]) })
    }

    /// A name (`None`, `true`, the key of an object), or what a function is called with: `ISODate('…')`, `datetime.datetime(2026, 3, 1)`.
    fn named(&mut self, depth: usize) -> Option<Value> {
        let end = self.rest.find(|letter: char| !letter.is_alphanumeric() && !matches!(letter, '_' | '.' | '$'));
        let (name, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        if name.is_empty() {
            return None;
        }
        if name == "new" {
            return self.value(depth + 1);
        }
        if self.rest.starts_with('=') {
            // An argument with a name: `tzinfo=datetime.timezone.utc`.
            self.eat('=');
            return self.value(depth + 1);
        }
        if !self.rest.starts_with('(') {
            return Some(match name {
                "None" | "null" | "undefined" => Value::Null,
                "True" | "true" => Value::Bool(true),
                "False" | "false" => Value::Bool(false),
                _ => Value::String(name.to_owned()),
            });
        }
        let mut arguments = self.list('(', ')', depth)?;
        if name.ends_with("datetime")
            && let Some(time) = time(&arguments)
        {
            return Some(Value::String(time));
        }
        Some(if arguments.len() == 1 { arguments.remove(0) } else { Value::Array(arguments) })
    }
}

/// Where a literal ends: at a quote that is not behind an escape.
fn end_of_literal(text: &str, quote: &str) -> Option<usize> {
    let mut at = 0;
    loop {
        let found = at + text[at..].find(['\\', quote.chars().next()?])?;
        if text[found..].starts_with(quote) {
            return Some(found);
        }
        at = found + 1;
        if text[found..].starts_with('\\') {
            at += text[at..].chars().next()?.len_utf8();
        }
    }
}

/// The time of Python's `datetime.datetime(2026, 3, 1, 10, 0, 0, 123000, …)`.
fn time(arguments: &[Value]) -> Option<String> {
    let number = |at: usize| arguments.get(at).and_then(Value::as_u64);
    let (year, month, day) = (number(0)?, number(1)?, number(2)?);
    let [hour, minute, second, micros] = [3, 4, 5, 6].map(|at| number(at).unwrap_or(0));
    Some(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "#1 [1/1] RUN echo 'a' \"b\" \\c \u{e9}\n\n#1 DONE 0.1s\n";

    /// What Python 3.11 prints with `pprint` for a text, a dictionary and a list of dictionaries, and Node 22 for an object.
    #[test]
    fn printed_values_are_text_again() {
        for printed in [
            "('#1 [1/1] RUN echo \\'a\\' \"b\" \\\\c é\\n'\n '\\n'\n '#1 DONE 0.1s\\n')\n",
            "{'exit_code': 0,\n 'logs': '#1 [1/1] RUN echo \\'a\\' \"b\" '\n         '\\\\c é\\n'\n         '\\n'\n         '#1 DONE 0.1s\\n',\n 'name': None}\n",
            "{\n  code: 0,\n  logs: '#1 [1/1] RUN echo \\'a\\' \"b\" \\\\c é\\n' +\n    '\\n' +\n    '#1 DONE 0.1s\\n'\n}\n",
            "const log = \"#1 [1/1] RUN echo 'a' \\\"b\\\" \\\\c é\\n\" + `\n#1 DONE 0.1s\n`;\n",
            "log = b'#1 [1/1] RUN echo \\'a\\' \"b\" \\\\c \\xc3\\xa9\\n\\n#1 DONE 0.1s\\n'\n",
            "Result(exit_code=0, stderr='#1 [1/1] RUN echo \\'a\\' \"b\" \\\\c é\\n\\n#1 DONE 0.1s\\n')",
        ] {
            assert_eq!(lines(printed).as_deref(), Some(LOG), "{printed}");
        }
    }

    #[test]
    fn the_times_of_rows_are_before_their_lines() {
        let expected = "2026-03-01T10:00:00.500000Z #1 [1/1] RUN a\n2026-03-01T10:00:01.000000Z #1 DONE 0.5s\n";
        for printed in [
            "[{'message': '#1 [1/1] '\n             'RUN a',\n  'at': datetime.datetime(2026, 3, 1, 10, 0, 0, 500000, tzinfo=datetime.timezone.utc)},\n {'message': '#1 DONE 0.5s', 'at': datetime.datetime(2026, 3, 1, 10, 0, 1)}]",
            "[('2026-03-01T10:00:00.500000Z', '#1 [1/1] RUN a'), ('2026-03-01T10:00:01.000000Z', '#1 DONE 0.5s'),]\n",
            "[ { _id: new ObjectId('65e1a'), at: ISODate('2026-03-01T10:00:00.500000Z'), line: '#1 [1/1] RUN a' },\n { _id: new ObjectId('65e1b'), at: ISODate('2026-03-01T10:00:01.000000Z'), line: '#1 DONE 0.5s' } ]\n",
        ] {
            assert_eq!(lines(printed).as_deref(), Some(expected), "{printed}");
        }
    }

    #[test]
    fn a_log_is_not_a_literal() {
        let deep = "[".repeat(1000);
        for text in [
            "[1/2] STEP 1/1: FROM a [x]\n",
            "#1 [1/1] RUN a\n",
            "'a word'",
            "{'a': 1",
            "('#1 [1/1] RUN a",
            "'\\",
            &deep,
            "",
        ] {
            assert_eq!(lines(text), None, "{text}");
        }
    }
}

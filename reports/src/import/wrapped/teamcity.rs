//! TeamCity's service messages: `##teamcity[message text='…' timestamp='…']`.

/// The texts of the messages, each behind its time; `None` if the text has no such messages.
pub(super) fn lines(text: &str) -> Option<String> {
    let start = "##teamcity[message ";
    if !text.lines().take(200).any(|line| line.contains(start)) {
        return None;
    }
    let mut out = String::new();
    for line in text.lines() {
        let Some((_, message)) = line.split_once(start) else {
            out += line;
            out.push('\n');
            continue;
        };
        let time = attribute(message, "timestamp").map(|time| format!("{time} ")).unwrap_or_default();
        for line in attribute(message, "text").unwrap_or_default().lines() {
            out += &time;
            out += line;
            out.push('\n');
        }
    }
    Some(out)
}

/// The value of an attribute without its escapes.
fn attribute(message: &str, name: &str) -> Option<String> {
    let (_, value) = message.split_once(&format!("{name}='"))?;
    let mut out = String::new();
    let mut letters = value.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\'' => return Some(out),
            '|' => match letters.next()? {
                'n' => out.push('\n'),
                'r' => {}
                '0' => {
                    let digits: String = letters.by_ref().skip(1).take(4).collect();
                    out.extend(u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32));
                }
                escaped => out.push(escaped),
            },
            other => out.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_taken_off() {
        let message = "##teamcity[message text='#1 |[1/1|] RUN echo |'a|' || b |0x00e9' status='NORMAL' timestamp='2026-03-01T10:00:00.123+0000']\n";
        assert_eq!(lines(message).as_deref(), Some("2026-03-01T10:00:00.123+0000 #1 [1/1] RUN echo 'a' | b é\n"));
        assert_eq!(lines("#1 x\n"), None);
    }
}

//! Any word under any escape: no panic, and the word alone is what the reporting variant gives.
#![no_main]

use buildscope_dockerfile::{Expander, Heredoc, mount};
use libfuzzer_sys::fuzz_target;
use std::collections::BTreeMap;

fuzz_target!(|input: (&str, &str, bool)| {
    let (word, value, backtick) = input;
    if word.len() > 1024 || value.len() > 256 {
        return;
    }
    let variables = BTreeMap::from([("A", value.to_owned()), ("B", String::new())]);
    let expander = Expander::new(if backtick { '`' } else { '\\' });
    let all = expander.expand(word, &variables);
    assert_eq!(all.as_ref().map(|all| all.text.clone()), expander.word(word, &variables).as_ref().cloned());
    if let Err(error) = &all {
        assert!(error.at() <= word.len() && word.is_char_boundary(error.at()));
    }
    let _ = Expander::heredoc().word(word, &variables);
    let _ = Heredoc::parse(word);
    let _ = Heredoc::of_line(word);
    let mount = buildscope_dockerfile::Word { text: word.into(), span: Default::default() };
    let _ = mount::Spec::parse(&mount, &|value| Ok(value.to_owned()));
});

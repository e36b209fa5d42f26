//! Files of a few hundred bytes whose variables grow.

use super::*;

#[test]
fn doubling_variables_are_an_error_at_the_line_that_is_too_long() {
    // Each line has eight times the length of the one before: 8^7 bytes are more than 1 MiB, 8^6 are not.
    let mut text = String::from("FROM base\nENV A0=x\n");
    for line in 1..=12 {
        text += &format!("ENV A{line}={}\n", format!("$A{}", line - 1).repeat(8));
    }
    let error = with(&text, &LowerRequest::default()).unwrap_err();
    assert!(error.contains("too long (more than 1024 KiB)"), "{error}");
    let fits: String = text.lines().take(8).map(|line| format!("{line}\n")).collect();
    let plan = plan(&fits);
    assert_eq!(env_of_scope(&plan, "A6").len(), 8_usize.pow(6));
}

#[test]
fn many_long_values_are_an_error() {
    let long = "x".repeat(1 << 20);
    for lines in ["LABEL a=$A\n", "ENV B=$A\n", "ARG B=$A\n", "WORKDIR /$A\n", "USER $A\n", "COPY a /$A\n"] {
        let text = format!("FROM base\nARG A\n{}", lines.repeat(70));
        let error = with(&text, &args(&[("A", &long)])).unwrap_err();
        assert!(error.contains("expands to more than 64 MiB"), "{lines}: {}", &error[..error.len().min(300)]);
    }
    let text = format!("FROM base\n{}", "EXPOSE 1-65535\n".repeat(110));
    let error = with(&text, &LowerRequest::default()).unwrap_err();
    assert!(error.contains("expands to more than 64 MiB"), "{error}");
    let text = format!("ARG A\n{}FROM base\n", "ARG B=$A\n".repeat(70));
    let error = with(&text, &args(&[("A", &long)])).unwrap_err();
    assert!(error.contains("expands to more than 64 MiB"), "{error}");
}

/// The value of a variable in the configuration of the target.
fn env_of_scope(plan: &Plan, name: &str) -> String {
    let env = plan.step(plan.target).config.image().config.env;
    let value = env.iter().find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=').map(str::to_owned));
    value.unwrap()
}

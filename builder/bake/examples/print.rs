//! Prints what a bake or compose file comes to: `cargo run -p buildscope-bake --example print -- FILE [TARGET...]`.
//! Arguments with `=` are overrides, unless they start with `--`.
use buildscope_bake::{Definition, File, Inputs, ListFormat};
use std::io::Write as _;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut files = Vec::new();
    let mut names = Vec::new();
    let mut settings = Vec::new();
    let mut list = None;
    let mut inputs = Inputs {
        environment: std::env::vars().collect(),
        dotenv: std::fs::read_to_string(".env").ok(),
        ..Inputs::default()
    };
    inputs.builtins.insert("BAKE_CMD_CONTEXT".into(), "cwd://".into());
    inputs.builtins.insert("BAKE_LOCAL_PLATFORM".into(), "linux/amd64".into());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().unwrap_or_default();
        match argument.as_str() {
            "-f" => {
                let name = value();
                files.push(File { text: std::fs::read_to_string(&name)?, name });
            }
            "--set" => settings.push(value()),
            "--var" => {
                let value = value();
                let (name, value) = value.split_once('=').unwrap_or((&value, ""));
                inputs.variables.insert(name.into(), value.into());
            }
            "--list" => list = Some(value()),
            _ => names.push(argument),
        }
    }
    let definition = Definition::read(&files, &inputs)?;
    let text = match list.as_deref() {
        Some("targets") => definition.list_targets(ListFormat::Table),
        Some(_) => definition.list_variables(ListFormat::Table),
        None => {
            if names.is_empty() {
                names.push("default".into());
            }
            definition.select(&names, &settings, &inputs.environment)?.print() + "\n"
        }
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

//! The instructions of a Dockerfile, each with the known state of the image before it: the directory, the user, the variables.

use crate::instruction::Instruction;
use crate::invocation::Invocation;
use crate::keyword::Keyword;
use crate::path::join;
use crate::script::{Element, Script};
use crate::tools::recognise;
use crate::usage::{Surroundings, Usage};
use crate::users::{self, User};
use crate::word::Word;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

/// An instruction of a Dockerfile as text.
#[derive(Clone, Copy, Debug)]
pub struct InstructionLine<'t> {
    /// The instruction on one line, followed by its heredocs if they are known.
    pub text: &'t str,
    /// The number of its stage; `None` for an ARG above the first FROM.
    pub stage: Option<usize>,
}

/// The longest value of a variable that is followed, in bytes. It bounds values that grow by their own expansion.
const LONGEST_VALUE: usize = 64 << 10;

/// The number of bytes of environments that are kept over all steps.
const MOST_MEMORY: usize = 32 << 20;

/// The number of build arguments of a stage that are followed.
const MOST_ARGUMENTS: usize = 1_000;

/// The most steps of a file whose RUNs are read. Rules compare the steps of a stage with each other, and find nothing in a larger file.
const MOST_STEPS: usize = 5_000;

/// The environments of known base images by the name in FROM, each variable as `NAME=value`.
pub type Environments = BTreeMap<String, Vec<String>>;

/// A Dockerfile.
#[derive(Debug)]
pub struct File<'t> {
    /// The instructions in order.
    pub steps: Vec<Step<'t>>,
    /// The stages in order.
    pub stages: Vec<Stage>,
}

/// A stage.
#[derive(Clone, Debug, Default)]
pub struct Stage {
    /// The name after AS.
    pub name: Option<String>,
    /// The stage that it starts from.
    pub parent: Option<usize>,
    /// Its steps in order.
    pub steps: Vec<usize>,
}

/// An instruction with the known state before it.
#[derive(Debug)]
pub struct Step<'t> {
    /// The instruction.
    pub instruction: Instruction<'t>,
    /// The number of its stage.
    pub stage: Option<usize>,
    /// The working directory; `None` if unknown.
    pub folder: Option<String>,
    /// The environment of the image for a command.
    pub around: Rc<Surroundings>,
    /// The words of a COPY or ADD with the variables replaced that are known.
    pub(crate) words: Vec<Word>,
    /// The commands of a RUN.
    pub run: Option<Run>,
}

impl<'t> Step<'t> {
    /// A step of which only the text is known.
    fn of(instruction: Instruction<'t>, stage: Option<usize>) -> Self {
        Self { instruction, stage, folder: None, around: Rc::default(), words: Vec::new(), run: None }
    }
}

/// The commands of a RUN.
#[derive(Debug, Default)]
pub struct Run {
    /// The elements of its chain, each with its commands; empty if the text cannot be read.
    pub elements: Vec<Element>,
    /// The commands of known tools, in order, each with the number of its element.
    pub usages: Vec<(usize, Invocation, Usage)>,
    /// The text of the chain. The places of elements are in it.
    pub script: String,
    /// Whether the text is for a POSIX shell and could be read.
    pub understood: bool,
    /// Whether the chain is the rest of the instruction's line, as opposed to a heredoc or a JSON array.
    pub on_line: bool,
}

impl<'t> File<'t> {
    /// Reads the instructions.
    pub fn read(lines: &[InstructionLine<'t>], bases: &Environments) -> Self {
        let mut reader = FileReader {
            bases,
            globals: BTreeMap::new(),
            states: Vec::new(),
            named: HashMap::new(),
            reads_runs: lines.len() <= MOST_STEPS,
            memory: MOST_MEMORY,
        };
        let mut file = Self { steps: Vec::new(), stages: Vec::new() };
        for line in lines {
            let instruction = Instruction::read(line.text);
            let Some(stage) = line.stage else {
                if instruction.is(Keyword::Arg) {
                    let defaults =
                        instruction.pairs().into_iter().filter_map(|(name, value)| Some((name, value?.text)));
                    reader.globals.extend(defaults);
                }
                file.steps.push(Step::of(instruction, None));
                continue;
            };
            while file.stages.len() <= stage {
                file.stages.push(Stage::default());
                reader.states.push(StageState::unknown());
            }
            if instruction.is(Keyword::From) {
                reader.start(&mut file.stages, stage, &instruction);
            }
            file.stages[stage].steps.push(file.steps.len());
            file.steps.push(reader.step(stage, instruction));
        }
        file
    }

    /// The steps of the same stage before a step, nearest first.
    pub fn before(&self, step: usize) -> impl Iterator<Item = usize> + '_ {
        let steps = self.steps[step].stage.map(|stage| &self.stages[stage].steps[..]).unwrap_or_default();
        steps.iter().rev().copied().skip_while(move |&other| other >= step)
    }

    /// The stages that share layers with a stage: those that it starts from, and those that start from one of them.
    pub fn family(&self, stage: usize) -> Vec<usize> {
        let mut roots: Vec<usize> = Vec::with_capacity(self.stages.len());
        for (stage, Stage { parent, .. }) in self.stages.iter().enumerate() {
            // A stage starts from an earlier one.
            roots.push(parent.filter(|parent| *parent < stage).map_or(stage, |parent| roots[parent]));
        }
        (0..self.stages.len()).filter(|&other| roots[other] == roots[stage]).collect()
    }
}

/// The known state of a stage at some point.
#[derive(Clone, Debug, Default)]
struct StageState {
    around: Rc<Surroundings>,
    folder: Option<String>,
    arguments: BTreeMap<String, String>,
    /// The users that the image or the stage makes.
    users: Vec<User>,
    /// Whether SHELL names another shell than those of POSIX.
    foreign_shell: bool,
}

impl StageState {
    /// The value of a variable in an instruction.
    fn variable(&self, name: &str) -> Option<&str> {
        self.around.variables.get(name).or_else(|| self.arguments.get(name)).map(String::as_str)
    }

    /// A stage whose FROM is unknown, as in a log.
    fn unknown() -> Self {
        let around = Surroundings { home: Some("/root".into()), root: true, ..Surroundings::default() };
        Self { around: Rc::new(around), folder: Some("/".into()), ..Self::default() }
    }
}

struct FileReader<'b> {
    bases: &'b Environments,
    globals: BTreeMap<String, String>,
    states: Vec<StageState>,
    /// The stages with each name.
    named: HashMap<String, BTreeSet<usize>>,
    reads_runs: bool,
    /// The number of bytes of environments that may still be kept, over all steps.
    memory: usize,
}

impl FileReader<'_> {
    fn start(&mut self, stages: &mut [Stage], stage: usize, from: &Instruction<'_>) {
        let words = from.words();
        let base = words
            .first()
            .and_then(|word| expand(&word.text, |name| self.globals.get(name).map(String::as_str)))
            .unwrap_or_default();
        if let [_, between, name] = &words[..]
            && between.text.eq_ignore_ascii_case("as")
        {
            let name = name.text.to_lowercase();
            let before = stages[stage].name.replace(name.clone());
            if let Some(named) = before.and_then(|name| self.named.get_mut(&name)) {
                named.remove(&stage);
            }
            self.named.entry(name).or_default().insert(stage);
        }
        let named = self.named.get(&base.to_lowercase());
        let known = named.and_then(|named| named.range(..stage).next_back().copied());
        stages[stage].parent = known;
        if let Some(parent) = known {
            self.states[stage] = self.states[parent].clone();
            self.states[stage].arguments.clear();
            return;
        }
        let (name, tag) = image(&base);
        let mut variables = BTreeMap::new();
        for pair in self.bases.get(&base).into_iter().flatten() {
            if let Some((name, value)) = pair.split_once('=') {
                variables.insert(name.to_owned(), value.to_owned());
            }
        }
        let around =
            Surroundings { variables: Rc::new(variables), home: Some("/root".into()), root: true, image: name, tag };
        self.states[stage] = StageState { around: Rc::new(around), folder: Some("/".into()), ..StageState::default() };
        let user = match self.states[stage].around.image.as_str() {
            "node" => Some(User { name: "node".into(), id: Some("1000".into()), home: "/home/node".into() }),
            _ => None,
        };
        self.states[stage].users.extend(user);
    }

    fn step<'t>(&mut self, stage: usize, instruction: Instruction<'t>) -> Step<'t> {
        let state = &mut self.states[stage];
        let (folder, around) = (state.folder.clone(), Rc::clone(&state.around));
        let (mut run, mut words) = (None, Vec::new());
        match instruction.kind {
            Some(Keyword::Env) => {
                let value = |word: Word| expand(&word.text, |name| state.variable(name)).unwrap_or(word.text);
                let pairs = instruction.pairs().into_iter();
                let pairs: Vec<_> = pairs.map(|(name, word)| (name, word.map(value).unwrap_or_default())).collect();
                let around = Rc::make_mut(&mut state.around);
                let copied = around.variables.iter().chain(pairs.iter().map(|(name, text)| (name, text)));
                let copied: usize = copied.map(|(name, text)| name.len() + text.len()).sum();
                match self.memory.checked_sub(copied) {
                    Some(left) => self.memory = left,
                    // From here on, nothing is known of the environment.
                    None => {
                        *around = Surroundings { root: around.root, ..Surroundings::default() };
                        let around = Rc::clone(&state.around);
                        return Step { folder, around, ..Step::of(instruction, Some(stage)) };
                    }
                }
                let variables = Rc::make_mut(&mut around.variables);
                for (name, text) in pairs {
                    if name == "HOME" {
                        around.home = (!text.contains('$')).then(|| text.clone());
                    }
                    variables.insert(name, text);
                }
            }
            Some(Keyword::Arg) => {
                for (name, value) in instruction.pairs() {
                    let default = match value {
                        Some(word) => expand(&word.text, |name| state.variable(name)),
                        None => self.globals.get(&name).cloned(),
                    };
                    if let Some(default) = default.filter(|_| state.arguments.len() < MOST_ARGUMENTS) {
                        state.arguments.insert(name, default);
                    }
                }
            }
            Some(Keyword::Workdir) => {
                let target = expand(Word::of(instruction.rest).text.as_str(), |name| state.variable(name));
                state.folder = match (target, &state.folder) {
                    (Some(path), _) if path.starts_with('/') => Some(join("/", &path)),
                    (Some(path), Some(folder)) => Some(join(folder, &path)),
                    _ => None,
                };
            }
            Some(Keyword::User) => users::change(Rc::make_mut(&mut state.around), &state.users, instruction.rest),
            Some(Keyword::Copy | Keyword::Add) => {
                let known = |word: Word| match expand(&word.text, |name| state.variable(name)) {
                    Some(text) if text != word.text => Word { literal: !text.contains(['*', '?', '[']), text },
                    _ => word,
                };
                words = instruction.words().into_iter().map(known).collect();
            }
            Some(Keyword::Shell) => {
                let shell = instruction.json().unwrap_or_default();
                let program = shell.first().map(|path| path.rsplit('/').next().unwrap_or(path).to_owned());
                state.foreign_shell =
                    !program.is_some_and(|name| matches!(name.as_str(), "sh" | "bash" | "ash" | "dash" | "zsh"));
            }
            Some(Keyword::Run) if self.reads_runs => {
                let found = run_of(&instruction, state);
                state
                    .users
                    .extend(found.elements.iter().flat_map(|element| &element.commands).filter_map(User::made_by));
                run = Some(found);
            }
            _ => {}
        }
        Step { instruction, stage: Some(stage), folder, around, words, run }
    }
}

fn run_of(instruction: &Instruction<'_>, state: &StageState) -> Run {
    let mut run = Run::default();
    let script = if let Some(words) = instruction.json() {
        let words: Vec<Word> = words.iter().map(|word| Word::plain(word)).collect();
        if words.is_empty() {
            return run;
        }
        let mut script = Script::default();
        script.exec(Invocation::exec(words));
        run.script = instruction.rest.to_owned();
        script
    } else {
        if state.foreign_shell {
            return run;
        }
        let text = match document(instruction) {
            Some(Some(text)) => text,
            Some(None) => return run,
            None => {
                run.on_line = instruction.documents.is_empty();
                if run.on_line {
                    instruction.rest.to_owned()
                } else {
                    format!("{}\n{}", instruction.rest, instruction.documents)
                }
            }
        };
        let Some(script) = Script::read(&text) else { return run };
        run.script = text;
        script
    };
    run.understood = !script.elements.is_empty() && !script.elements.iter().any(|element| element.opaque);
    for (at, element) in script.elements.iter().enumerate() {
        for command in &element.commands {
            if let Some(usage) = recognise(command, &state.around) {
                run.usages.push((at, command.clone(), usage));
            }
        }
    }
    run.elements = script.elements;
    run
}

/// The text of a RUN that consists of a heredoc: `None` if it does not, and `Some(None)` if the text is unknown or not for a shell.
fn document(instruction: &Instruction<'_>) -> Option<Option<String>> {
    let rest = instruction.rest;
    if !rest.starts_with("<<") || rest.contains(char::is_whitespace) {
        return (rest.contains("<<") && !rest.contains("<<<") && instruction.documents.is_empty()).then_some(None);
    }
    let name = rest.trim_start_matches('<').trim_start_matches('-').trim_matches(['"', '\'']);
    let mut text = String::new();
    for line in instruction.documents.lines().take_while(|line| line.trim_start_matches('\t') != name) {
        text += line;
        text.push('\n');
    }
    let interpreter = text.lines().next().and_then(|line| line.strip_prefix("#!"));
    let shell = interpreter.is_none_or(|line| line.trim_end().ends_with("sh") || line.contains("sh -"));
    Some((!text.is_empty() && shell).then_some(text))
}

/// The last part of an image's name, and its tag.
fn image(reference: &str) -> (String, String) {
    let without = reference.split('@').next().unwrap_or_default();
    let last = without.rsplit('/').next().unwrap_or_default();
    let (name, tag) = last.split_once(':').unwrap_or((last, ""));
    (name.to_owned(), tag.to_owned())
}

/// A text with its variables replaced; `None` if one is unknown or the text becomes too long.
fn expand<'v>(text: &str, variable: impl Fn(&str) -> Option<&'v str>) -> Option<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out += before;
        let (inner, next) = match after.strip_prefix('{') {
            Some(braced) => braced.split_once('}')?,
            None => {
                let end =
                    after.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').unwrap_or(after.len());
                after.split_at(end)
            }
        };
        let (name, default) = match inner.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inner, None),
        };
        let value = variable(name).filter(|value| !value.is_empty()).or(default)?;
        if value.contains('$') || out.len() + value.len() > LONGEST_VALUE {
            return None;
        }
        out += value;
        rest = next;
    }
    Some(out + rest)
}

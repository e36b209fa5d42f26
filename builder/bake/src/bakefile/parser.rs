//! The global scope of bake files: variables and functions.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    rc::Rc,
    sync::Arc,
};

use super::{
    blocks::Blocks,
    variables::{self, Variables},
};
use crate::{
    definition::{Inputs, Variable},
    error::Error,
    expression::{Evaluation, Expression, MAX_DEPTH, Scope, UserFunction, called_functions},
    file::{Block, BlockKind, Body},
    functions,
    value::Value,
};

/// The global scope of all bake files. Variables are evaluated when they are first needed.
pub(super) struct Parser<'a> {
    pub(super) variables: Variables<'a>,
    functions: HashMap<String, Arc<UserFunction>>,
    function_blocks: Vec<(&'a str, &'a Block)>,
    values: RefCell<HashMap<String, Value>>,
    running: RefCell<HashSet<String>>,
    evaluations: Cell<u64>,
    depth: Cell<usize>,
    /// The size of all values so far, in bytes.
    size: Cell<u64>,
    pub(super) blocks: RefCell<Option<Rc<Blocks<'a>>>>,
}

impl<'a> Parser<'a> {
    pub(super) fn new(bodies: &'a [Body], inputs: &'a Inputs) -> Result<Parser<'a>, Error> {
        let reserved = |name: &str| BlockKind::of(name).is_referred_to() || inputs.builtins.contains_key(name);
        let mut variables = BTreeMap::new();
        let mut attributes = BTreeMap::new();
        let mut function_blocks = Vec::new();
        for body in bodies {
            for attribute in body.attributes.iter().filter(|attribute| !reserved(&attribute.name)) {
                attributes.insert(attribute.name.clone(), attribute);
            }
            for attribute in &body.attributes {
                if BlockKind::of(&attribute.name).is_referred_to() {
                    let message = format!("{} is a block: write {} \"name\" {{ }}", attribute.name, attribute.name);
                    return Err(Error::new(message).at(&attribute.place));
                }
            }
            for block in &body.blocks {
                let label = match (&block.kind, &block.labels[..]) {
                    (BlockKind::Variable | BlockKind::Function, [label]) => label,
                    (BlockKind::Variable | BlockKind::Function, _) => {
                        let message = format!("a {} has one name: {} \"name\" {{ }}", block.kind, block.kind);
                        return Err(Error::new(message).at(&block.place));
                    }
                    _ => continue,
                };
                if reserved(label) {
                    continue;
                }
                if block.kind == BlockKind::Variable {
                    variables.insert(label.clone(), block);
                } else {
                    function_blocks.push((label.as_str(), block));
                }
            }
        }
        let functions = HashMap::new();
        let mut parser = Parser {
            variables: Variables { inputs, blocks: variables, attributes },
            functions,
            function_blocks,
            values: RefCell::default(),
            running: RefCell::default(),
            evaluations: Cell::new(0),
            depth: Cell::new(0),
            size: Cell::new(0),
            blocks: RefCell::default(),
        };
        for (name, block) in &parser.function_blocks {
            parser.functions.insert((*name).to_owned(), Arc::new(function(name, block)?));
        }
        Ok(parser)
    }

    fn environment(&self) -> Evaluation<'_> {
        Evaluation::new(self, None)
    }

    pub(super) fn validate(&self) -> Result<(), Error> {
        for block in self.variables.blocks.values() {
            for rule in block.body.blocks.iter().filter(|block| block.kind == BlockKind::Validation) {
                variables::validate(rule, self.environment())?;
            }
        }
        Ok(())
    }

    /// Functions of files must exist and not call each other in a cycle.
    pub(super) fn check_functions(&self) -> Result<(), Error> {
        let mut checked = HashSet::new();
        for (name, block) in &self.function_blocks {
            self.check_function(name, &mut Vec::new(), &mut checked).map_err(|error| error.at(&block.place))?;
        }
        Ok(())
    }

    fn check_function(&self, name: &str, path: &mut Vec<String>, checked: &mut HashSet<String>) -> Result<(), Error> {
        if path.iter().any(|caller| caller == name) {
            return Err(Error::new(format!("function cycle not allowed for {name}")));
        }
        let Some(function) = self.functions.get(name).filter(|_| !checked.contains(name)) else {
            return Ok(());
        };
        path.push(name.to_owned());
        let called: BTreeSet<String> = called_functions(&function.result).into_iter().collect();
        for callee in called {
            if functions::find(&callee).is_none() {
                self.check_function(&callee, path, checked)?;
            }
        }
        path.pop();
        checked.insert(name.to_owned());
        Ok(())
    }

    /// The variables that `--list=variables` shows.
    pub(super) fn listed(&self) -> Vec<Variable> {
        let list = self.variables.blocks.iter().map(|(name, block)| {
            let value = self.values.borrow().get(name).cloned().unwrap_or(Value::NULL);
            variables::listed(name, block, &value, self.environment())
        });
        list.collect()
    }
}

/// The most evaluations of one command. A real file needs some thousands.
const MAX_EVALUATIONS: u64 = 5_000_000;

/// The most that all values of one command take, in bytes. Each use of a variable copies its value.
const MAX_SIZE: u64 = 256 << 20;

/// The deepest nesting of lists and objects.
const MAX_NESTING: usize = 256;

impl Scope for Parser<'_> {
    fn enter(&self) -> Result<(), Error> {
        self.evaluations.set(self.evaluations.get() + 1);
        if self.evaluations.get() > MAX_EVALUATIONS {
            return Err(Error::new(format!("the definition needs more than {MAX_EVALUATIONS} evaluations")));
        }
        if self.depth.get() == MAX_DEPTH {
            return Err(Error::new(format!("expressions refer to each other more than {MAX_DEPTH} deep")));
        }
        self.depth.set(self.depth.get() + 1);
        Ok(())
    }

    fn leave(&self, value: Option<&Value>) -> Result<(), Error> {
        self.depth.set(self.depth.get() - 1);
        let Some(value) = value else { return Ok(()) };
        let deep = || Error::new(format!("values are nested more than {MAX_NESTING} deep"));
        self.size.set(self.size.get() + value.size(MAX_NESTING).ok_or_else(deep)?);
        if self.size.get() > MAX_SIZE {
            return Err(Error::new(format!("the values of the definition take more than {} MiB", MAX_SIZE >> 20)));
        }
        Ok(())
    }

    fn variable(&self, name: &str) -> Result<Value, Error> {
        if let Some(value) = self.values.borrow().get(name) {
            return Ok(value.clone());
        }
        if !self.running.borrow_mut().insert(name.to_owned()) {
            return Err(Error::new(format!("variable cycle not allowed for {name}")));
        }
        let value = self.variables.value(name, self.environment());
        self.running.borrow_mut().remove(name);
        let value = value?;
        self.values.borrow_mut().insert(name.to_owned(), value.clone());
        Ok(value)
    }

    fn is_block(&self, name: &str) -> bool {
        BlockKind::of(name).is_referred_to()
    }

    fn block(&self, kind: &str, name: &str, field: Option<&str>) -> Result<Value, Error> {
        let blocks = self.blocks.borrow().clone();
        match blocks {
            Some(blocks) => blocks.field(&BlockKind::of(kind), name, field, self),
            None => Err(Error::new(format!("{kind}.{name} cannot be used in the name or matrix of a target"))),
        }
    }

    fn function(&self, name: &str) -> Option<Arc<UserFunction>> {
        self.functions.get(name).cloned()
    }
}

fn function(name: &str, block: &Block) -> Result<UserFunction, Error> {
    let failed = |message: String| Error::new(message).at(&block.place);
    let attribute = |key: &str| block.body.attribute(key).map(|attribute| attribute.value.clone());
    let result = attribute("result").ok_or_else(|| failed(format!("empty result not allowed for {name}")))?;
    let params = attribute("params").ok_or_else(|| failed(format!("empty params not allowed for {name}")))?;
    let word = |expression: &Expression| {
        let message = "each parameter name must be an identifier";
        expression.keyword().ok_or_else(|| Error::new(message).at(&expression.place()))
    };
    let list = params.list().ok_or_else(|| Error::new("params must be a list of names").at(&params.place()))?;
    let parameters = list.iter().map(word).collect::<Result<_, _>>()?;
    let variadic = attribute("variadic_params").map(|expression| word(&expression)).transpose()?;
    Ok(UserFunction { parameters, variadic, result })
}

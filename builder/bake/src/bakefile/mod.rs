//! Evaluates bake files.
//!
//! *Takes* attributes and blocks of files, values of variables and the environment. *Gives* groups, targets and variables.
//! *Must never know* flags other than `--var`.

mod blocks;
mod parser;
mod variables;

use std::rc::Rc;

use crate::{
    definition::{Definition, Inputs},
    error::Error,
    expression::Scope as _,
    file::Body,
};
use blocks::Blocks;
use parser::Parser;

/// Evaluates bake files and adds their groups and targets to `definition`.
pub(crate) fn read(bodies: &[Body], inputs: &Inputs, definition: &mut Definition) -> Result<(), Error> {
    let parser = Parser::new(bodies, inputs)?;
    for name in parser.variables.blocks.keys() {
        parser.variable(name)?;
    }
    parser.validate()?;
    parser.check_functions()?;
    let blocks = Blocks::named(bodies, &parser)?;
    let blocks = Rc::new(blocks);
    *parser.blocks.borrow_mut() = Some(Rc::clone(&blocks));
    blocks.add_to(definition, &parser, inputs.file_relative)?;
    for name in parser.variables.attributes.keys() {
        parser.variable(name)?;
    }
    definition.variables = Some(parser.listed());
    Ok(())
}

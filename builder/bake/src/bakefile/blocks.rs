//! Groups and targets of bake files: names, matrix, references between blocks.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, HashMap, hash_map::Entry},
};

use crate::{
    definition::{Definition, Group, dedup},
    error::Error,
    expression::{Evaluation, Locals, Scope},
    file::{Attribute, Block, BlockKind, Body},
    paths,
    target::{BakeTarget, FIELDS, decode, field_type},
    value::{Type, Value, convert},
};

/// The most targets that a matrix makes.
const MAX_MATRIX: usize = 10_000;

/// The blocks of all files, with their final names.
pub(super) struct Blocks<'a> {
    instances: Vec<Instance<'a>>,
    /// The last block of each kind and name, as an index.
    last: HashMap<(BlockKind, String), usize>,
}

/// One block, or one of the targets that a block with a matrix makes.
struct Instance<'a> {
    block: &'a Block,
    name: String,
    matrix: BTreeMap<String, Value>,
    values: RefCell<BTreeMap<String, Value>>,
    running: RefCell<BTreeSet<String>>,
}

impl<'a> Blocks<'a> {
    /// Expands each matrix and evaluates the names.
    pub(super) fn named(bodies: &'a [Body], scope: &dyn Scope) -> Result<Blocks<'a>, Error> {
        let mut instances: Vec<Instance<'a>> = Vec::new();
        let blocks = bodies.iter().flat_map(|body| &body.blocks);
        for block in blocks.filter(|block| block.kind.is_referred_to()) {
            let [label] = &block.labels[..] else {
                let message = format!("a {} has one name: {} \"name\" {{ }}", block.kind, block.kind);
                return Err(Error::new(message).at(&block.place));
            };
            valid_name(label).map_err(|error| error.at(&block.place))?;
            let mut names = BTreeSet::new();
            for matrix in combinations(block, scope)? {
                let name = name(block, label, &matrix, scope)?;
                valid_name(&name).map_err(|error| error.at(&block.place))?;
                if !names.insert(name.clone()) {
                    return Err(Error::new(format!("duplicate name \"{name}\"")).at(&block.place));
                }
                instances.push(Instance {
                    block,
                    name,
                    matrix,
                    values: RefCell::default(),
                    running: RefCell::default(),
                });
            }
        }
        let name = |instance: &Instance<'_>| (instance.block.kind.clone(), instance.name.clone());
        let last = instances.iter().map(name).zip(0..).collect();
        Ok(Blocks { instances, last })
    }

    /// Evaluates all blocks, and merges those with the same name.
    pub(super) fn add_to(
        &self,
        definition: &mut Definition,
        scope: &dyn Scope,
        file_relative: bool,
    ) -> Result<(), Error> {
        let mut groups = first_of_each(definition.groups.iter().map(|group| &group.name));
        let mut targets = first_of_each(definition.targets.iter().map(|target| &target.name));
        let mut renamed: Vec<(&Block, Vec<String>)> = Vec::new();
        let mut labels: HashMap<&str, usize> = HashMap::new();
        for instance in &self.instances {
            if instance.block.kind == BlockKind::Group {
                let group = instance.group(scope)?;
                match groups.entry(group.name.clone()) {
                    Entry::Occupied(known) => definition.groups[*known.get()] = group,
                    Entry::Vacant(new) => {
                        new.insert(definition.groups.len());
                        definition.groups.push(group);
                    }
                }
                continue;
            }
            let mut target = BakeTarget { name: instance.name.clone(), ..BakeTarget::default() };
            for field in FIELDS {
                if let Some(attribute) = instance.block.body.attribute(field) {
                    let value = instance.value(field, scope)?;
                    decode::set(&mut target, field, value)
                        .map_err(|why| Error::new(format!("{field}: {why}")).at(&attribute.value.place()))?;
                }
            }
            if file_relative {
                target.relocate(paths::directory(&instance.block.place.file));
            }
            match targets.entry(target.name.clone()) {
                Entry::Occupied(known) => definition.targets[*known.get()].merge(&target),
                Entry::Vacant(new) => {
                    new.insert(definition.targets.len());
                    definition.targets.push(target);
                }
            }
            match labels.entry(&instance.block.labels[0]) {
                Entry::Occupied(known) => renamed[*known.get()].1.push(instance.name.clone()),
                Entry::Vacant(new) => {
                    new.insert(renamed.len());
                    renamed.push((instance.block, vec![instance.name.clone()]));
                }
            }
        }
        // A matrix makes a group of its targets.
        for (block, mut names) in renamed {
            dedup(&mut names);
            let label = block.labels[0].clone();
            if names != [label.clone()] {
                definition.groups.push(Group { name: label, description: String::new(), targets: Some(names) });
            }
        }
        Ok(())
    }

    /// The value of `kind.name.field`, of the last block with that name.
    pub(super) fn field(
        &self,
        kind: &BlockKind,
        name: &str,
        field: Option<&str>,
        scope: &dyn Scope,
    ) -> Result<Value, Error> {
        let found = self.last.get(&(kind.clone(), name.to_owned()));
        let found = found.ok_or_else(|| Error::new(format!("there is no {kind} \"{name}\"")))?;
        let instance = &self.instances[*found];
        match field {
            Some(field) => instance.value(field, scope),
            None => {
                let names = FIELDS.iter().chain(["name"].iter());
                let fields = names.map(|field| Ok(((*field).to_owned(), instance.value(field, scope)?)));
                Ok(Value::Object(fields.collect::<Result<_, Error>>()?))
            }
        }
    }
}

/// The index of the first of equal names.
fn first_of_each<'n>(names: impl DoubleEndedIterator<Item = &'n String> + ExactSizeIterator) -> HashMap<String, usize> {
    // The last of equal keys stays in a map.
    names.cloned().enumerate().rev().map(|(index, name)| (name, index)).collect()
}

impl Instance<'_> {
    fn value(&self, field: &str, scope: &dyn Scope) -> Result<Value, Error> {
        if let Some(value) = self.values.borrow().get(field) {
            return Ok(value.clone());
        }
        if field == "name" {
            return Ok(Value::from(self.name.as_str()));
        }
        let kind = field_type(field)
            .ok_or_else(|| Error::new(format!("a {} has no attribute \"{field}\"", self.block.kind)))?;
        let Some(attribute) = self.block.body.attribute(field) else {
            return Ok(Value::Null(kind));
        };
        if !self.running.borrow_mut().insert(field.to_owned()) {
            let message = format!("reference cycle not allowed for {}.{}.{field}", self.block.kind, self.name);
            return Err(Error::new(message).at(&attribute.place));
        }
        let value = self.evaluate(attribute, scope);
        self.running.borrow_mut().remove(field);
        let value = value?;
        self.values.borrow_mut().insert(field.to_owned(), value.clone());
        Ok(value)
    }

    /// The group that the block defines.
    fn group(&self, scope: &dyn Scope) -> Result<Group, Error> {
        let block = self.block;
        for unsupported in ["matrix", "name"] {
            if let Some(attribute) = block.body.attribute(unsupported) {
                return Err(Error::new(format!("{unsupported} is not supported for groups")).at(&attribute.place));
            }
        }
        if block.body.attribute("targets").is_none() {
            return Err(Error::new(format!("the group \"{}\" needs targets", self.name)).at(&block.place));
        }
        let targets = match self.value("targets", scope)? {
            Value::List(_, values) => values.into_iter().filter_map(|value| match value {
                Value::String(name) => Some(name),
                _ => None,
            }),
            _ => return Err(Error::new("targets must be a list of names").at(&block.place)),
        };
        let description = match self.value("description", scope)? {
            Value::String(text) => text,
            _ => String::new(),
        };
        Ok(Group { name: self.name.clone(), description, targets: Some(targets.collect()) })
    }

    fn evaluate(&self, attribute: &Attribute, scope: &dyn Scope) -> Result<Value, Error> {
        let locals = Locals { parent: None, values: self.matrix.clone() };
        let value = attribute.value.value(Evaluation::new(scope, Some(&locals)))?;
        decode::normal(&attribute.name, value)
            .map_err(|why| Error::new(format!("{}: {why}", attribute.name)).at(&attribute.value.place()))
    }
}

/// The values of the matrix for each target. Without a matrix there is one target.
fn combinations(block: &Block, scope: &dyn Scope) -> Result<Vec<BTreeMap<String, Value>>, Error> {
    let mut combinations = vec![BTreeMap::new()];
    let Some(attribute) = block.body.attribute("matrix").filter(|_| block.kind == BlockKind::Target) else {
        return Ok(combinations);
    };
    let place = attribute.value.place();
    let value = attribute.value.value(Evaluation::new(scope, None))?;
    let fields = value.fields().ok_or_else(|| Error::new("matrix must be a map").at(&place))?;
    for (name, values) in fields {
        let values: Vec<Value> = match values.pairs() {
            Some(pairs) => pairs.into_iter().map(|(_, value)| value).collect(),
            None => return Err(Error::new("matrix values must be a list").at(&place)),
        };
        if combinations.len().saturating_mul(values.len()) > MAX_MATRIX {
            return Err(Error::new(format!("the matrix makes more than {MAX_MATRIX} targets")).at(&place));
        }
        let mut more = Vec::with_capacity(combinations.len() * values.len());
        for value in values {
            for combination in &combinations {
                let mut combination = combination.clone();
                combination.insert(name.clone(), value.clone());
                more.push(combination);
            }
        }
        combinations = more;
    }
    Ok(combinations)
}

fn name(block: &Block, label: &str, matrix: &BTreeMap<String, Value>, scope: &dyn Scope) -> Result<String, Error> {
    let Some(attribute) = block.body.attribute("name").filter(|_| block.kind == BlockKind::Target) else {
        return Ok(label.to_owned());
    };
    if block.body.attribute("matrix").is_none() {
        return Err(Error::new("name requires matrix").at(&attribute.place));
    }
    let locals = Locals { parent: None, values: matrix.clone() };
    let value = attribute.value.value(Evaluation::new(scope, Some(&locals)))?;
    match convert(value, &Type::String) {
        Ok(Value::String(name)) => Ok(name),
        _ => Err(Error::new("name must be a string").at(&attribute.value.place())),
    }
}

fn valid_name(name: &str) -> Result<(), Error> {
    let valid = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if valid {
        return Ok(());
    }
    Err(Error::new(format!(
        "invalid name \"{name}\": only letters, digits, `_` and `-` are allowed; sanitize() replaces others"
    )))
}

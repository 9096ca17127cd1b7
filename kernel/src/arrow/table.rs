//! The columns of the datasets that are written as Arrow, and which of them each rule fills.

use std::collections::HashMap;

use crate::link::{Column, Linker, Output};
use crate::physical::{Rule, Select};
use crate::protobuf::output::Encoding;
use crate::types::Type;

/// The one column of a dataset that holds whole events.
pub const EVENT: &str = "event";

/// A dataset to be written as Arrow: its columns, or those of its rules.
#[derive(Debug)]
pub struct Wanted {
    pub dataset: String,
    pub columns: Option<Vec<(String, Type)>>,
}

#[derive(Debug)]
pub struct Table {
    pub dataset: u32,
    pub columns: Vec<(String, Type)>,
}

/// What a rule writes.
#[derive(Debug)]
pub struct Plan {
    pub table: u32,
    pub select: Selected,
}

#[derive(Debug)]
pub enum Selected {
    /// `names` are those of the columns that are not constant: failures name a column by its number among them.
    Columns { columns: Vec<PlanColumn>, names: Vec<String> },
    /// `*`, into the column with the number `to`.
    Star { to: u32, exclude: Vec<Vec<u8>>, replace: Vec<Column> },
}

#[derive(Clone, Copy, Debug)]
pub struct PlanColumn {
    /// The number of the column in its table.
    pub to: u32,
    pub node: u32,
    pub constant: bool,
}

impl Linker<'_> {
    /// What a rule writes into a table, each of its columns into the one numbered in `to`.
    pub fn arrow_output(&mut self, table: u32, to: &[u32], select: &Select) -> Output {
        let select = match select {
            Select::Star { exclude, replace } => {
                let (exclude, replace) = self.star(exclude, replace);
                Selected::Star { to: to[0], exclude, replace }
            }
            Select::Columns(list) => {
                let node = |value| self.expression(value);
                let nodes: Vec<u32> = list.iter().map(|(_, value)| value).map(node).collect();
                let constant = |node| self.constant(node).is_some();
                let columns =
                    to.iter().zip(&nodes).map(|(to, node)| PlanColumn { to: *to, node: *node, constant: constant(*node) });
                let names = list.iter().zip(&nodes).filter(|(_, node)| !constant(**node)).map(|((name, _), _)| name.clone());
                Selected::Columns { columns: columns.collect(), names: names.collect() }
            }
        };
        Output::Arrow(Plan { table, select })
    }
}

/// A table while its rules are linked.
struct Draft {
    table: Table,
    name: String,
    numbers: HashMap<String, u32>,
    /// By column: the rule that gave it its type; empty where the columns were given.
    by: Vec<String>,
    given: bool,
    /// The first rule, and whether it selects `*`.
    first: Option<(String, bool)>,
}

/// Finds the columns of each dataset.
#[derive(Default)]
pub struct Drafts {
    by_dataset: HashMap<String, usize>,
    list: Vec<Draft>,
}

impl Drafts {
    /// `datasets` are those that rules write, sorted.
    pub fn new(wanted: &[Wanted], datasets: &[String], messages: &[Option<Encoding>]) -> Result<Drafts, String> {
        let mut drafts = Drafts::default();
        for Wanted { dataset, columns } in wanted {
            let number = datasets
                .binary_search(dataset)
                .map_err(|_| format!("dataset `{dataset}` cannot be written as Arrow: no rule writes it"))?;
            if messages[number].is_some() {
                return Err(format!("dataset `{dataset}` cannot be written as both Protobuf and Arrow"));
            }
            let table = Table { dataset: number as u32, columns: Vec::new() };
            let mut draft = Draft {
                table,
                name: dataset.clone(),
                numbers: HashMap::new(),
                by: Vec::new(),
                given: columns.is_some(),
                first: None,
            };
            for (name, kind) in columns.iter().flatten() {
                if !draft.push(name, kind, "")? {
                    return Err(format!("dataset `{dataset}`: a column stands twice: `{name}`"));
                }
            }
            drafts.by_dataset.insert(dataset.clone(), drafts.list.len());
            drafts.list.push(draft);
        }
        Ok(drafts)
    }

    /// Takes a rule's columns in: the number of its table, and in it the number of each. None where its dataset is not one of them.
    pub fn add(&mut self, rule: &Rule) -> Result<Option<(u32, Vec<u32>)>, String> {
        let Some(&number) = self.by_dataset.get(&rule.into) else { return Ok(None) };
        let columns = self.list[number].add(rule).map_err(|error| format!("rule `{}`: {error}", rule.name))?;
        Ok(Some((number as u32, columns)))
    }

    pub fn finish(self) -> Vec<Table> {
        self.list.into_iter().map(|draft| draft.table).collect()
    }
}

impl Draft {
    /// Adds a column; false where there is one of this name.
    fn push(&mut self, name: &str, kind: &Type, by: &str) -> Result<bool, String> {
        if name.contains('\0') {
            return Err(format!("column {name:?} of dataset `{}` cannot be Arrow's: its name has a NUL", self.name));
        }
        let next = self.table.columns.len() as u32;
        if *self.numbers.entry(name.to_owned()).or_insert(next) != next {
            return Ok(false);
        }
        check_names(kind).map_err(|error| format!("column `{name}` of dataset `{}`: {error}", self.name))?;
        self.table.columns.push((name.to_owned(), kind.clone()));
        self.by.push(by.to_owned());
        Ok(true)
    }

    fn add(&mut self, rule: &Rule) -> Result<Vec<u32>, String> {
        let star = matches!(rule.select, Select::Star { .. });
        match &self.first {
            None => self.first = Some((rule.name.clone(), star)),
            Some((first, other)) if star != *other => {
                let (here, there) = if star { ("`*`", "columns") } else { ("columns", "`*`") };
                return Err(format!("the dataset `{}` takes {here} here and {there} in rule `{first}`", self.name));
            }
            Some(_) => {}
        }
        match &rule.select {
            Select::Star { .. } => Ok(vec![self.column(EVENT, &Type::Json, rule)?]),
            Select::Columns(columns) => columns.iter().map(|(name, value)| self.column(name, value.kind(), rule)).collect(),
        }
    }

    /// The number of a rule's column.
    fn column(&mut self, name: &str, kind: &Type, rule: &Rule) -> Result<u32, String> {
        let Some(&number) = self.numbers.get(name) else {
            if self.given {
                let known: Vec<&str> = self.table.columns.iter().map(|(known, _)| known.as_str()).collect();
                return Err(format!("the dataset `{}` has no column `{name}`; it has {}", self.name, known.join(", ")));
            }
            self.push(name, kind, &rule.name)?;
            return Ok(self.table.columns.len() as u32 - 1);
        };
        let known = &mut self.table.columns[number as usize].1;
        if *known == Type::Null && !self.given {
            check_names(kind)?;
            *known = kind.clone();
            self.by[number as usize] = rule.name.clone();
        } else if !kind.fits(known) {
            let by = &self.by[number as usize];
            let there = if self.given { "in its schema".to_owned() } else { format!("in rule `{by}`") };
            return Err(format!("the column `{name}` of dataset `{}` is {kind} here and {known} {there}", self.name));
        }
        Ok(number)
    }
}

/// Names go to C, where a NUL ends them.
fn check_names(kind: &Type) -> Result<(), String> {
    match kind {
        Type::List(item) => check_names(item),
        Type::Struct(fields) => fields.iter().try_for_each(|(name, inner)| match name.contains('\0') {
            true => Err(format!("the field {name:?} cannot be Arrow's: its name has a NUL")),
            false => check_names(inner),
        }),
        _ => Ok(()),
    }
}

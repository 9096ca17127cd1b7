//! Physical rules as they stand in a snapshot (`docs/formats/physical-rule.md`): parsed and type-checked, not yet linked.

use std::borrow::Cow;
use std::sync::Arc;

use hashbrown::{HashMap, HashSet};

use crate::functions::like::Pattern;
use crate::functions::period::{self, Part};
use crate::functions::regexp::{self, Use};
use crate::functions::regexp_syntax::Flags;
use crate::functions::time_format::Format;
use crate::functions::timestamp;
use crate::op::Op;
use crate::tape::{Inside, Json, Room, Tape};
use crate::types::Type;
use crate::udf;

/// The only format that this reader knows.
const FORMAT: i64 = 1;
/// Expressions and types nested deeper than this are refused, so that nothing that walks them can exhaust the stack.
pub const DEPTH_MAX: usize = 1_000;
/// The JSON of one expression takes two levels of nesting, and a rule has a few around it.
const JSON_DEPTH_MAX: usize = 2 * DEPTH_MAX + 64;

#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    pub name: String,
    pub from: String,
    pub into: String,
    pub filter: Option<Expression>,
    /// What of the WHERE calls Python functions: looked at only where `filter` is TRUE.
    pub deferred: Option<Expression>,
    pub select: Select,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Select {
    Columns(Vec<(String, Expression)>),
    Star { exclude: Vec<String>, replace: Vec<(String, Expression)> },
}

impl Select {
    /// The columns that are calculated.
    pub fn columns(&self) -> &[(String, Expression)] {
        match self {
            Select::Columns(columns) | Select::Star { replace: columns, .. } => columns,
        }
    }
}

/// The keys that lead to a field; of rules that were read one after the other, equal ones are the same.
pub type Path = Arc<[String]>;

#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    Field { path: Path, kind: Type },
    Literal(Literal),
    Call { op: Op, kind: Type, arguments: Vec<Expression> },
}

#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    Null,
    BigInt(i64),
    Double(f64),
    Boolean(bool),
    Varchar(String),
    Timestamp(i64),
}

impl Expression {
    pub fn kind(&self) -> &Type {
        match self {
            Expression::Field { kind, .. } | Expression::Call { kind, .. } => kind,
            Expression::Literal(literal) => literal.kind(),
        }
    }
}

impl Literal {
    pub fn kind(&self) -> &'static Type {
        match self {
            Literal::Null => &Type::Null,
            Literal::BigInt(_) => &Type::BigInt,
            Literal::Double(_) => &Type::Double,
            Literal::Boolean(_) => &Type::Boolean,
            Literal::Varchar(_) => &Type::Varchar,
            Literal::Timestamp(_) => &Type::Timestamp,
        }
    }
}

/// What reading a rule leaves to the next one.
#[derive(Default)]
pub struct Reader {
    room: Room,
    /// Paths by their JSON text.
    paths: HashMap<String, Path>,
}

/// Reads one physical rule. The error names the rule, the part of it, and what is not known.
///
/// The call needs a stack of a few megabytes: `link` runs it on a thread of its own.
pub fn parse(text: &[u8], reader: &mut Reader) -> Result<Rule, String> {
    let tape = Tape::read_in(std::mem::take(&mut reader.room), text, JSON_DEPTH_MAX).map_err(|malformed| match malformed {
        Some(malformed) => format!("a rule is not JSON: {malformed}"),
        None => format!("a rule is nested deeper than {DEPTH_MAX} expressions"),
    })?;
    let rule = tape.root();
    let name = rule.get("name").as_str().ok_or("a rule has no name: `name` must be a text")?;
    let parsed = reader.rule(rule, &name).map_err(|error| format!("rule `{name}`: {error}"))?;
    drop(name);
    reader.room = tape.into_room();
    Ok(parsed)
}

/// Reads the columns of a dataset: `[[name, type], …]`.
pub fn parse_columns(text: &[u8]) -> Result<Vec<(String, Type)>, String> {
    let tape = Tape::read(text, JSON_DEPTH_MAX)
        .map_err(|malformed| format!("its columns are not JSON: {}", malformed.as_deref().unwrap_or("they nest too deep")))?;
    let stored = tape.root();
    let list = stored.items().ok_or_else(|| format!("{} is no list of columns", shown(stored)))?;
    let column = |column: Json| match column.exactly().and_then(|[name, kind]| Some((name.as_str()?, kind))) {
        Some((name, kind)) => Ok((name.into_owned(), type_of(kind, 0)?)),
        None => Err(format!("{} is not [name, type]", shown(column))),
    };
    list.map(column).collect()
}

impl Reader {
    fn rule(&mut self, rule: Json, name: &str) -> Result<Rule, String> {
        let format = rule.get("format");
        if format.as_i64() != Some(FORMAT) {
            return Err(format!("format {format} is not known; this kernel reads format {FORMAT}"));
        }
        if name.is_empty() || name.len() > u16::MAX as usize {
            return Err(format!("its name has {} bytes; valid are 1 to {}", name.len(), u16::MAX));
        }
        let text = |key: &str| {
            let value = rule.get(key);
            value.as_str().map(Cow::into_owned).ok_or_else(|| format!("`{key}` must be a text, not {value}"))
        };
        let filter = rule.get("where");
        let filter = match filter.is_null() {
            true => None,
            false => Some(self.expression(filter, 1).map_err(|error| format!("where: {error}"))?),
        };
        if let Some(kind) = filter.as_ref().map(Expression::kind).filter(|kind| !kind.fits(&Type::Boolean)) {
            return Err(format!("where: its type is {kind}; valid is BOOLEAN"));
        }
        let (filter, deferred) = filter.map_or((None, None), udf::split);
        let (from, into) = (text("from")?, text("into")?);
        Ok(Rule { name: name.to_owned(), from, into, filter, deferred, select: self.select(rule.get("select"))? })
    }

    fn select(&mut self, select: Json) -> Result<Select, String> {
        if let Some(list) = select.items() {
            return Ok(Select::Columns(self.columns(list)?));
        }
        if select.get("star").as_bool() != Some(true) {
            return Err(format!("select: {} is neither a list of columns nor a star", shown(select)));
        }
        let list = |name: &str| {
            let stored = select.get(name);
            match (stored.items(), stored.is_null()) {
                (None, false) => Err(format!("select: `{name}` must be a list of columns, not {}", shown(stored))),
                (list, _) => Ok(list),
            }
        };
        let exclude = list("exclude")?.into_iter().flatten().map(column_name).collect::<Result<_, _>>()?;
        let replace = list("replace")?.map(|list| self.columns(list)).transpose()?.unwrap_or_default();
        Ok(Select::Star { exclude, replace })
    }

    fn columns(&mut self, list: Inside) -> Result<Vec<(String, Expression)>, String> {
        let mut columns: Vec<(String, Expression)> = Vec::new();
        for item in list {
            let Some([name, value]) = item.exactly() else {
                return Err(format!("select: {} is not [column, expression]", shown(item)));
            };
            let name = column_name(name)?;
            let value = self.expression(value, 1).map_err(|error| format!("column `{name}`: {error}"))?;
            columns.push((name, value));
        }
        if let Some(twice) = repeated(&columns) {
            return Err(format!("select: the column `{twice}` stands twice"));
        }
        Ok(columns)
    }

    fn expression(&mut self, stored: Json, depth: usize) -> Result<Expression, String> {
        if depth > DEPTH_MAX {
            return Err(format!("nested deeper than {DEPTH_MAX} expressions"));
        }
        if let Some([form, first, second]) = stored.exactly() {
            match form.as_str().as_deref() {
                Some("field") => return self.field(first, second),
                Some("literal") => return literal(first, second).map(Expression::Literal),
                _ => {}
            }
        }
        if let Some([form, op, kind, arguments]) = stored.exactly()
            && let (Some("call"), Some(op), Some(arguments)) = (form.as_str().as_deref(), op.as_str(), arguments.items())
        {
            let op =
                Op::from_name(&op).ok_or_else(|| format!("operation `{op}` is not known; known are {}", known_operations()))?;
            return self.call(op, type_of(kind, 0)?, arguments, depth);
        }
        Err(format!("{} is not an expression; valid are field, literal and call", shown(stored)))
    }

    fn field(&mut self, path: Json, kind: Json) -> Result<Expression, String> {
        let kind = type_of(kind, 0)?;
        let path = match self.paths.get(path.text()) {
            Some(known) => Arc::clone(known),
            None => self.path(path)?,
        };
        if kind == Type::Null {
            return Err(format!("the field {} has the type NULL", path.join(".")));
        }
        Ok(Expression::Field { path, kind })
    }

    fn path(&mut self, stored: Json) -> Result<Path, String> {
        let keys: Option<Vec<String>> =
            stored.items().and_then(|keys| keys.map(|key| key.as_str().map(Cow::into_owned)).collect());
        let keys =
            keys.filter(|keys| !keys.is_empty()).ok_or_else(|| format!("{} is not a path: a list of keys", shown(stored)))?;
        if keys.len() > DEPTH_MAX {
            return Err(format!("a path has {} keys; valid are at most {DEPTH_MAX}", keys.len()));
        }
        let path = Path::from(keys);
        self.paths.insert(stored.text().to_owned(), Arc::clone(&path));
        Ok(path)
    }

    fn call(&mut self, op: Op, kind: Type, stored: Inside, depth: usize) -> Result<Expression, String> {
        let arguments = stored.map(|argument| self.expression(argument, depth + 1)).collect::<Result<Vec<_>, _>>()?;
        let given: Vec<&Type> = arguments.iter().map(Expression::kind).collect();
        op.check(&kind, &given).map_err(|valid| {
            let given: Vec<String> = given.iter().map(|kind| kind.to_string()).collect();
            format!("`{}` takes {valid}, not {} → {kind}", op.name(), given.join(", "))
        })?;
        match op {
            Op::In => check_in(&arguments)?,
            Op::Like => check_like(&arguments)?,
            Op::DatePart | Op::DateTrunc | Op::DateDiff | Op::DateSub => check_part(op, &arguments[0])?,
            Op::Strftime => check_format(&arguments[1])?,
            Op::AddInterval => check_interval(&arguments[1], &arguments[2], false)?,
            Op::TimeBucket => check_interval(&arguments[0], &arguments[1], true)?,
            Op::StringSplit => check_separator(&arguments[1])?,
            Op::RegexpMatches | Op::RegexpFullMatch | Op::RegexpExtract | Op::RegexpReplace => {
                regexp_of(op, &arguments)?;
            }
            Op::StructGet => check_struct_get(&kind, given[0], &arguments[1])?,
            Op::Udf => udf::check_call(&arguments)?,
            _ => {}
        }
        Ok(Expression::Call { op, kind, arguments })
    }
}

/// The first name that stands before already.
fn repeated(columns: &[(String, Expression)]) -> Option<&str> {
    let mut names = HashSet::with_capacity(columns.len());
    columns.iter().map(|(name, _)| name.as_str()).find(|name| !names.insert(*name))
}

fn column_name(name: Json) -> Result<String, String> {
    name.as_str().map(Cow::into_owned).ok_or_else(|| format!("select: {} is not the name of a column", shown(name)))
}

fn literal(kind: Json, value: Json) -> Result<Literal, String> {
    let refused = || format!("{} is not a literal of type {}", shown(value), shown(kind));
    let literal = match kind.as_str().as_deref() {
        Some("NULL") if value.is_null() => Some(Literal::Null),
        Some("BIGINT") => value.as_i64().map(Literal::BigInt),
        Some("DOUBLE") => value.as_f64().filter(|number| number.is_finite()).map(Literal::Double),
        Some("BOOLEAN") => value.as_bool().map(Literal::Boolean),
        Some("VARCHAR") => value.as_str().map(|text| Literal::Varchar(text.into_owned())),
        Some("TIMESTAMP") => value.as_i64().and_then(timestamp::in_range).map(Literal::Timestamp),
        _ => None,
    };
    literal.ok_or_else(refused)
}

fn check_in(arguments: &[Expression]) -> Result<(), String> {
    let literal = |argument: &Expression| matches!(argument, Expression::Literal(literal) if *literal != Literal::Null);
    if arguments[1..].iter().all(literal) { Ok(()) } else { Err("`in` takes literals that are not NULL".to_owned()) }
}

fn check_like(arguments: &[Expression]) -> Result<(), String> {
    let (Expression::Literal(Literal::Varchar(pattern)), Expression::Literal(Literal::Varchar(escape))) =
        (&arguments[1], &arguments[2])
    else {
        return Err("`like` takes a literal pattern and a literal escape".to_owned());
    };
    Pattern::new(pattern, escape).map(|_| ())
}

fn check_part(op: Op, part: &Expression) -> Result<(), String> {
    let known = match part {
        Expression::Literal(Literal::Varchar(name)) => Part::from_name(name),
        _ => None,
    };
    let valid = |part: Part| match op {
        Op::DatePart => true,
        Op::DateSub => part.is_period() && part != Part::IsoYear,
        _ => part.is_period(),
    };
    if known.is_some_and(valid) {
        return Ok(());
    }
    let names: Vec<&str> = Part::ALL.iter().filter(|part| valid(**part)).map(|part| part.name()).collect();
    Err(format!("the part of `{}` is a literal, one of {}", op.name(), names.join(", ")))
}

fn check_format(format: &Expression) -> Result<(), String> {
    let Expression::Literal(Literal::Varchar(format)) = format else {
        return Err("`strftime` takes a literal format".to_owned());
    };
    Format::new(format).map(|_| ())
}

/// A bucket is as wide as either its months or its microseconds say.
fn check_interval(months: &Expression, micros: &Expression, bucket: bool) -> Result<(), String> {
    let (Expression::Literal(Literal::BigInt(months)), Expression::Literal(Literal::BigInt(micros))) = (months, micros) else {
        return Err("an interval is literal months and microseconds".to_owned());
    };
    if bucket && (*months < 0 || *micros < 0 || (*months > 0) == (*micros > 0)) {
        return Err(format!("{months} months and {micros} µs are no width of a bucket: one of them is above 0, the other 0"));
    }
    if months.saturating_abs() > period::INTERVAL_MONTHS_MAX || micros.saturating_abs() > period::INTERVAL_MICROS_MAX {
        return Err(format!("an interval of {months} months and {micros} µs is longer than the range of timestamps"));
    }
    Ok(())
}

fn check_separator(separator: &Expression) -> Result<(), String> {
    match separator {
        Expression::Literal(Literal::Varchar(_)) => Ok(()),
        _ => Err("`string_split` takes a literal separator".to_owned()),
    }
}

/// The regular expression of an operation: pattern, flags and use; none where the operation has none. The pattern itself is not
/// looked at.
pub fn regexp_of(op: Op, arguments: &[Expression]) -> Result<Option<(String, Flags, Use)>, String> {
    let literal = |at: usize| match arguments.get(at) {
        Some(Expression::Literal(Literal::Varchar(text))) => Ok(text.clone()),
        _ => Err(format!("`{}` takes a literal pattern, replacement and options", op.name())),
    };
    let at = match op {
        Op::RegexpMatches | Op::RegexpFullMatch => 2,
        Op::RegexpExtract | Op::RegexpReplace => 3,
        _ => return Ok(None),
    };
    let (pattern, written) = (literal(1)?, literal(at)?);
    let known = regexp::options(&written).filter(|(_, all)| !all || op == Op::RegexpReplace);
    let (flags, all) =
        known.ok_or_else(|| format!("`{written}` are no options of `{}`; valid is a part of `gils`", op.name()))?;
    let used = match (op, &arguments[2]) {
        (Op::RegexpMatches, _) => Use::Match,
        (Op::RegexpFullMatch, _) => Use::FullMatch,
        (Op::RegexpReplace, _) => Use::Replace { replacement: literal(2)?, all },
        (_, Expression::Literal(Literal::BigInt(group @ 0..10))) => Use::Extract(*group as usize),
        _ => return Err(format!("`{}` takes a literal group from 0 to 9", op.name())),
    };
    Ok(Some((pattern, flags, used)))
}

fn check_struct_get(kind: &Type, given: &Type, name: &Expression) -> Result<(), String> {
    let Expression::Literal(Literal::Varchar(name)) = name else {
        return Err("`struct_get` takes a literal name".to_owned());
    };
    let Type::Struct(fields) = given else {
        return if *given == Type::Null { Ok(()) } else { Err(format!("`struct_get` takes a struct, not {given}")) };
    };
    match fields.iter().find(|(known, _)| known == name) {
        Some((_, inner)) if inner == kind => Ok(()),
        Some((_, inner)) => Err(format!("the field `{name}` of {given} is {inner}, not {kind}")),
        None => Err(format!("{given} has no field `{name}`")),
    }
}

fn type_of(stored: Json, depth: usize) -> Result<Type, String> {
    if depth > DEPTH_MAX {
        return Err(format!("a type is nested deeper than {DEPTH_MAX} levels"));
    }
    let known = match stored.as_str().as_deref() {
        Some("NULL") => Some(Type::Null),
        Some("BIGINT") => Some(Type::BigInt),
        Some("DOUBLE") => Some(Type::Double),
        Some("BOOLEAN") => Some(Type::Boolean),
        Some("VARCHAR") => Some(Type::Varchar),
        Some("TIMESTAMP") => Some(Type::Timestamp),
        Some("JSON") => Some(Type::Json),
        Some(_) => None,
        None => match stored.only_member() {
            Some((key, item)) if key == "list" => Some(Type::List(Box::new(type_of(item, depth + 1)?))),
            Some((key, fields)) if key == "struct" => {
                fields.items().map(|fields| struct_fields(fields, depth)).transpose()?.map(Type::Struct)
            }
            _ => None,
        },
    };
    known.ok_or_else(|| {
        format!("{} is not a type; valid are BIGINT, DOUBLE, BOOLEAN, VARCHAR, TIMESTAMP, JSON, list and struct", shown(stored))
    })
}

fn struct_fields(stored: Inside, depth: usize) -> Result<Vec<(String, Type)>, String> {
    let mut fields: Vec<(String, Type)> = Vec::new();
    let mut names = HashSet::new();
    for field in stored {
        let Some((name, kind)) = field.exactly().and_then(|[name, kind]| Some((name.as_str()?, kind))) else {
            return Err(format!("{} is not [name, type]", shown(field)));
        };
        if !names.insert(name.clone()) {
            return Err(format!("a struct has two fields `{name}`"));
        }
        fields.push((name.into_owned(), type_of(kind, depth + 1)?));
    }
    Ok(fields)
}

fn known_operations() -> String {
    Op::ALL.iter().map(|op| op.name()).collect::<Vec<_>>().join(", ")
}

/// JSON for an error text, cut off where it is long.
fn shown(stored: Json) -> String {
    let text = stored.to_string();
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
/// The paths that rules name, in the order of their dotted names.
pub fn paths_of<'r>(rules: &'r [Rule]) -> Vec<Vec<String>> {
    let expressions =
        |rule: &'r Rule| rule.select.columns().iter().map(|(_, value)| value).chain(&rule.filter).chain(&rule.deferred);
    let mut pending: Vec<&Expression> = rules.iter().flat_map(expressions).collect();
    let mut paths = HashSet::new();
    // Most are known by where they stand, which is soon asked.
    let mut places = HashSet::new();
    while let Some(expression) = pending.pop() {
        match expression {
            Expression::Field { path, .. } => {
                if places.insert(path.as_ptr()) {
                    paths.insert(&**path);
                }
            }
            Expression::Call { arguments, .. } => pending.extend(arguments),
            Expression::Literal(_) => {}
        }
    }
    let mut paths: Vec<Vec<String>> = paths.into_iter().map(<[String]>::to_vec).collect();
    paths.sort_by_cached_key(|path| (path.join("."), path.clone()));
    paths
}

//! RE2's syntax of regular expressions, read into the form that is compiled.
//!
//! The reader follows RE2's own, token by token, so that what it takes means the same there. It refuses what RE2 refuses, and
//! Unicode's classes, `\B`, `\C` and what newer versions of RE2 alone take.

use std::collections::HashSet;

use regex_syntax::hir::{Capture, Class, ClassUnicode, ClassUnicodeRange, Dot, Hir, Look, Repetition};

/// How deep groups may be nested.
const DEPTH_MAX: usize = 200;
/// How often a counted repetition may repeat, those inside it included.
const REPEAT_MAX: u32 = 1000;

/// Why a pattern is refused, and at which of its characters (from 0).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub at: usize,
    pub why: String,
}

/// The options of a pattern, and the flags that stand inside it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags {
    /// `i`: letter case does not count.
    pub fold: bool,
    /// `s`: `.` matches a line end too.
    pub dot_all: bool,
    /// `l`: the pattern is plain text.
    pub literal: bool,
    pub(super) multi_line: bool,
    pub(super) ungreedy: bool,
}

/// A pattern, read.
pub struct Syntax {
    pub hir: Hir,
    /// How many groups in parentheses it has.
    pub groups: usize,
}

type Read<T> = Result<T, Refusal>;

/// Reads a pattern.
pub fn read(pattern: &str, flags: Flags) -> Read<Syntax> {
    let mut reader = Reader {
        text: pattern.chars().collect(),
        at: 0,
        flags,
        groups: 0,
        names: HashSet::new(),
        open: vec![Open::default()],
        after_repetition: false,
    };
    while reader.at < reader.text.len() {
        if flags.literal {
            let character = reader.text[reader.at];
            reader.at += 1;
            reader.literal(character);
        } else {
            reader.token()?;
        }
    }
    let last = reader.open.pop().unwrap_or_default();
    if !reader.open.is_empty() {
        return Err(Refusal { at: last.at, why: "this `(` is never closed".to_owned() });
    }
    Ok(Syntax { hir: last.finish().0, groups: reader.groups as usize })
}

/// A group that is open, or the pattern itself.
#[derive(Default)]
struct Open {
    at: usize,
    capture: Option<u32>,
    /// The flags to go back to when it ends.
    flags: Flags,
    alternatives: Vec<Hir>,
    /// What stands in the alternative that is being read, each with how often counted repetitions inside repeat.
    items: Vec<(Hir, u32)>,
    weight: u32,
}

impl Open {
    fn alternative(&mut self) {
        self.weight = self.items.iter().map(|item| item.1).fold(self.weight, u32::max);
        let items = self.items.drain(..).map(|item| item.0).collect();
        self.alternatives.push(Hir::concat(items));
    }

    fn finish(mut self) -> (Hir, u32) {
        self.alternative();
        (Hir::alternation(self.alternatives), self.weight)
    }
}

struct Reader {
    text: Vec<char>,
    at: usize,
    flags: Flags,
    groups: u32,
    names: HashSet<String>,
    open: Vec<Open>,
    after_repetition: bool,
}

impl Reader {
    fn refuse<T>(&self, at: usize, why: &str) -> Read<T> {
        Err(Refusal { at, why: why.to_owned() })
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.text.get(self.at + ahead).copied()
    }

    fn follows(&self, expected: &str) -> bool {
        expected.chars().enumerate().all(|(ahead, character)| self.peek(ahead) == Some(character))
    }

    fn push(&mut self, item: Hir) {
        if let Some(open) = self.open.last_mut() {
            open.items.push((item, 1));
        }
    }

    fn token(&mut self) -> Read<()> {
        let start = self.at;
        let character = self.text[start];
        let repetition = match character {
            '*' => Some((0, None)),
            '+' => Some((1, None)),
            '?' => Some((0, Some(1))),
            '{' => self.counts()?,
            _ => None,
        };
        if let Some((min, max)) = repetition {
            if character != '{' {
                self.at += 1;
            }
            return self.repeat(start, character == '{', min, max);
        }
        self.after_repetition = false;
        self.at += 1;
        match character {
            '(' => self.group(start)?,
            ')' => self.close(start)?,
            '|' => {
                if let Some(open) = self.open.last_mut() {
                    open.alternative();
                }
            }
            '^' => self.push(Hir::look(if self.flags.multi_line { Look::StartLF } else { Look::Start })),
            '$' => self.push(Hir::look(if self.flags.multi_line { Look::EndLF } else { Look::End })),
            '.' => self.push(Hir::dot(if self.flags.dot_all { Dot::AnyChar } else { Dot::AnyCharExceptLF })),
            '[' => {
                let class = self.class(start)?;
                self.push(Hir::class(Class::Unicode(class)));
            }
            '\\' => self.escape(start)?,
            other => self.literal(other),
        }
        Ok(())
    }

    fn literal(&mut self, character: char) {
        let item = if self.flags.fold {
            let mut class = ClassUnicode::empty();
            self.add(&mut class, character, character);
            Hir::class(Class::Unicode(class))
        } else {
            Hir::literal(character.encode_utf8(&mut [0; 4]).as_bytes())
        };
        self.push(item);
    }

    /// `{n}`, `{n,}` and `{n,m}`, passed over; none where the brace is plain text.
    fn counts(&mut self) -> Read<Option<(u32, Option<u32>)>> {
        let start = self.at;
        self.at += 1;
        let min = self.number();
        let max = match (min, self.peek(0)) {
            (Some(_), Some(',')) => {
                self.at += 1;
                if self.peek(0) == Some('}') { Some(None) } else { self.number().map(Some) }
            }
            (Some(min), _) => Some(Some(min)),
            _ => None,
        };
        let (Some(min), Some(max), Some('}')) = (min, max, self.peek(0)) else {
            self.at = start;
            return Ok(None);
        };
        self.at += 1;
        if min > REPEAT_MAX || max.is_some_and(|max| max > REPEAT_MAX || max < min) {
            return self.refuse(start, "valid counts are 0 to 1000, the smaller one first");
        }
        Ok(Some((min, max)))
    }

    fn number(&mut self) -> Option<u32> {
        let digits = (0..).map_while(|ahead| self.peek(ahead)?.to_digit(10)).collect::<Vec<u32>>();
        if digits.is_empty() || (digits[0] == 0 && digits.len() > 1) {
            return None;
        }
        self.at += digits.len();
        Some(digits.iter().fold(0u32, |value, digit| value.saturating_mul(10).saturating_add(*digit)))
    }

    fn repeat(&mut self, start: usize, counted: bool, min: u32, max: Option<u32>) -> Read<()> {
        let lazy = self.peek(0) == Some('?');
        self.at += lazy as usize;
        if self.after_repetition {
            return self.refuse(start, "a repetition cannot be repeated; put it into (?:…)");
        }
        self.after_repetition = true;
        let Some((item, mut weight)) = self.open.last_mut().and_then(|open| open.items.pop()) else {
            return self.refuse(start, "there is nothing to repeat; \\ before it makes it plain text");
        };
        if counted {
            weight = weight.saturating_mul(max.unwrap_or(min).max(1));
            if weight > REPEAT_MAX {
                return self.refuse(start, "counted repetitions inside one another repeat more than 1000 times");
            }
        }
        let greedy = lazy == self.flags.ungreedy;
        let item = Hir::repetition(Repetition { min, max, greedy, sub: Box::new(item) });
        if let Some(open) = self.open.last_mut() {
            open.items.push((item, weight));
        }
        Ok(())
    }

    fn group(&mut self, start: usize) -> Read<()> {
        let outer = self.flags;
        let mut capture = true;
        if self.follows("?P<") {
            self.at += 3;
            self.name(start)?;
        } else if self.peek(0) == Some('?') {
            self.at += 1;
            if !self.inner_flags(start)? {
                return Ok(());
            }
            capture = false;
        }
        if self.open.len() > DEPTH_MAX {
            return self.refuse(start, "groups are nested deeper than 200 levels");
        }
        self.groups += capture as u32;
        let capture = capture.then_some(self.groups);
        self.open.push(Open { at: start, capture, flags: outer, ..Open::default() });
        Ok(())
    }

    fn name(&mut self, start: usize) -> Read<()> {
        let mut name = String::new();
        while let Some(character) = self.peek(0).filter(|character| character.is_ascii_alphanumeric() || *character == '_') {
            name.push(character);
            self.at += 1;
        }
        if name.is_empty() || self.peek(0) != Some('>') {
            return self.refuse(start, "the name of a group is letters, digits and _, as in (?P<name>…)");
        }
        self.at += 1;
        if !self.names.insert(name) {
            return self.refuse(start, "another group has the same name");
        }
        Ok(())
    }

    /// `ims-U:` and the like. True if they begin a group, false if they hold until the end of the one around them.
    fn inner_flags(&mut self, start: usize) -> Read<bool> {
        let mut flags = self.flags;
        let (mut negated, mut seen) = (false, false);
        loop {
            let on = !negated;
            let character = self.peek(0);
            self.at += 1;
            match character {
                Some('i') => flags.fold = on,
                Some('m') => flags.multi_line = on,
                Some('s') => flags.dot_all = on,
                Some('U') => flags.ungreedy = on,
                Some('-') if !negated => {
                    negated = true;
                    seen = false;
                    continue;
                }
                Some(end @ (':' | ')')) if !negated || seen => {
                    self.flags = flags;
                    return Ok(end == ':');
                }
                _ => {
                    let why = "a group is (…), (?:…), (?P<name>…) or (?flags) of i, m, s and U: nothing looks ahead or behind";
                    return self.refuse(start, why);
                }
            }
            seen = true;
        }
    }

    fn close(&mut self, start: usize) -> Read<()> {
        if self.open.len() < 2 {
            return self.refuse(start, "this `)` closes nothing; \\ before it makes it plain text");
        }
        let Some(open) = self.open.pop() else { return Ok(()) };
        let (capture, flags) = (open.capture, open.flags);
        let (mut item, weight) = open.finish();
        if let Some(index) = capture {
            item = Hir::capture(Capture { index, name: None, sub: Box::new(item) });
        }
        self.flags = flags;
        if let Some(outer) = self.open.last_mut() {
            outer.items.push((item, weight.max(1)));
        }
        Ok(())
    }

    /// What stands behind a backslash, outside of a class.
    fn escape(&mut self, start: usize) -> Read<()> {
        match self.peek(0) {
            Some('A') => self.push_next(Hir::look(Look::Start)),
            Some('z') => self.push_next(Hir::look(Look::End)),
            Some('b') => self.push_next(Hir::look(Look::WordAscii)),
            Some('Q') => {
                self.at += 1;
                while self.at < self.text.len() && !self.follows("\\E") {
                    let character = self.text[self.at];
                    self.at += 1;
                    self.literal(character);
                }
                self.at = (self.at + 2).min(self.text.len());
            }
            _ => {
                let mut class = ClassUnicode::empty();
                if self.named_class(&mut class) {
                    self.push(Hir::class(Class::Unicode(class)));
                } else {
                    let character = self.character(start)?;
                    self.literal(character);
                }
            }
        }
        Ok(())
    }

    fn push_next(&mut self, item: Hir) {
        self.at += 1;
        self.push(item);
    }

    /// `d`, `s`, `w` and their opposites, added to a class.
    fn named_class(&mut self, class: &mut ClassUnicode) -> bool {
        let Some(letter) = self.peek(0) else { return false };
        let ranges = match letter.to_ascii_lowercase() {
            'd' => DIGITS,
            's' => SPACES,
            'w' => WORD,
            _ => return false,
        };
        self.at += 1;
        self.add_ranges(class, ranges, letter.is_ascii_uppercase());
        true
    }

    fn add_ranges(&self, class: &mut ClassUnicode, ranges: &[(char, char)], negated: bool) {
        let mut named = ClassUnicode::empty();
        for (first, last) in ranges {
            self.add(&mut named, *first, *last);
        }
        if negated {
            named.negate();
        }
        class.union(&named);
    }

    /// Adds a range, and where letter case does not count what differs in that alone.
    fn add(&self, class: &mut ClassUnicode, first: char, last: char) {
        let mut range = ClassUnicode::new([ClassUnicodeRange::new(first, last)]);
        if self.flags.fold && range.try_case_fold_simple().is_err() {
            return;
        }
        class.union(&range);
    }

    /// The character that an escape stands for; `at` is behind the backslash.
    fn character(&mut self, start: usize) -> Read<char> {
        let Some(letter) = self.peek(0) else { return self.refuse(start, "nothing follows the last \\") };
        self.at += 1;
        let code = match letter {
            'a' => Some(7),
            'f' => Some(12),
            't' => Some(9),
            'n' => Some(10),
            'r' => Some(13),
            'v' => Some(11),
            'x' => self.hexadecimal(),
            '0' => Some(self.octal(0)),
            '1'..='7' if matches!(self.peek(0), Some('0'..='7')) => Some(self.octal(letter as u32 - 48)),
            letter if letter.is_ascii() && !letter.is_ascii_alphanumeric() => Some(letter as u32),
            _ => None,
        };
        match code.and_then(char::from_u32) {
            Some(character) => Ok(character),
            None => self.refuse(start, refused_escape(letter)),
        }
    }

    /// Up to two more octal digits.
    fn octal(&mut self, first: u32) -> u32 {
        let mut value = first;
        for _ in 0..2 {
            let Some(digit) = self.peek(0).and_then(|character| character.to_digit(8)) else { break };
            self.at += 1;
            value = value * 8 + digit;
        }
        value
    }

    /// `ff` or `{10ffff}`
    fn hexadecimal(&mut self) -> Option<u32> {
        let braces = self.peek(0) == Some('{');
        self.at += braces as usize;
        let mut value = 0u32;
        let mut digits = 0;
        while let Some(digit) = self.peek(0).and_then(|character| character.to_digit(16)).filter(|_| braces || digits < 2) {
            self.at += 1;
            digits += 1;
            value = value.saturating_mul(16).saturating_add(digit);
        }
        let closed = !braces || self.peek(0) == Some('}');
        self.at += (braces && closed) as usize;
        (closed && if braces { digits > 0 } else { digits == 2 }).then_some(value)
    }

    /// A class in brackets; `at` is behind the opening one.
    fn class(&mut self, start: usize) -> Read<ClassUnicode> {
        let negated = self.peek(0) == Some('^');
        self.at += negated as usize;
        let mut class = ClassUnicode::empty();
        let mut first = true;
        loop {
            let at = self.at;
            match self.peek(0) {
                None => return self.refuse(start, "this `[` is never closed; \\ before it makes it plain text"),
                Some(']') if !first => break,
                Some('[') if self.posix_class(&mut class)? => {}
                Some('\\') if matches!(self.peek(1), Some('d' | 'D' | 's' | 'S' | 'w' | 'W')) => {
                    self.at += 1;
                    self.named_class(&mut class);
                }
                _ => {
                    let low = self.class_character()?;
                    let ranged = self.peek(0) == Some('-') && self.peek(1).is_some_and(|next| next != ']');
                    self.at += ranged as usize;
                    let high = if ranged { self.class_character()? } else { low };
                    if high < low {
                        return self.refuse(at, "a range goes from the lower character to the higher");
                    }
                    self.add(&mut class, low, high);
                }
            }
            first = false;
        }
        self.at += 1;
        if negated {
            class.negate();
        }
        Ok(class)
    }

    fn class_character(&mut self) -> Read<char> {
        let start = self.at;
        self.at += 1;
        match self.text.get(start) {
            Some('\\') => self.character(start),
            Some(character) => Ok(*character),
            None => self.refuse(start, "the pattern ends inside a class"),
        }
    }

    /// `[:name:]` and `[:^name:]`, added to a class. False where it is none.
    fn posix_class(&mut self, class: &mut ClassUnicode) -> Read<bool> {
        let rest = &self.text[self.at..];
        if rest.get(1) != Some(&':') {
            return Ok(false);
        }
        let Some(length) = rest[2..].windows(2).position(|pair| pair == [':', ']']) else { return Ok(false) };
        let name: String = rest[2..2 + length].iter().collect();
        let known = POSIX.iter().find(|(known, _)| *known == name.strip_prefix('^').unwrap_or(&name));
        let Some((_, ranges)) = known else {
            let names: Vec<&str> = POSIX.iter().map(|(known, _)| *known).collect();
            return Err(Refusal { at: self.at, why: format!("no such class; valid are {}", names.join(", ")) });
        };
        self.add_ranges(class, ranges, name.starts_with('^'));
        self.at += length + 4;
        Ok(true)
    }
}

fn refused_escape(letter: char) -> &'static str {
    match letter {
        'p' | 'P' => "Unicode's classes cannot be used; write the characters, as in [a-zà-ÿ]",
        'B' | 'C' => "\\B and \\C can fall inside a character, and cannot be used",
        'Z' => "the end of the text is $ or \\z",
        '1'..='9' => "a pattern cannot refer to its groups",
        'x' => "a character by its number is \\x41 or \\x{1F3AC}",
        _ => "no such escape; valid are \\d \\s \\w \\D \\S \\W \\b \\A \\z \\n \\r \\t \\x{…} and \\ before a mark",
    }
}

type Ranges = &'static [(char, char)];

const DIGITS: Ranges = &[('0', '9')];
/// Without the vertical tab, which `[:space:]` has.
const SPACES: Ranges = &[('\t', '\n'), ('\x0C', '\r'), (' ', ' ')];
const WORD: Ranges = &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')];

const POSIX: &[(&str, Ranges)] = &[
    ("alnum", &[('0', '9'), ('A', 'Z'), ('a', 'z')]),
    ("alpha", &[('A', 'Z'), ('a', 'z')]),
    ("ascii", &[('\0', '\x7F')]),
    ("blank", &[('\t', '\t'), (' ', ' ')]),
    ("cntrl", &[('\0', '\x1F'), ('\x7F', '\x7F')]),
    ("digit", DIGITS),
    ("graph", &[('!', '~')]),
    ("lower", &[('a', 'z')]),
    ("print", &[(' ', '~')]),
    ("punct", &[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')]),
    ("space", &[('\t', '\r'), (' ', ' ')]),
    ("upper", &[('A', 'Z')]),
    ("word", WORD),
    ("xdigit", &[('0', '9'), ('A', 'F'), ('a', 'f')]),
];

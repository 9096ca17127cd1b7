//! Regular expressions: RE2's, compiled once, in time linear in the text.

use regex_automata::meta::{BuildError, Cache, Config, Regex};
use regex_automata::util::primitives::NonMaxUsize;
use regex_automata::{Anchored, Input};
use regex_syntax::hir::{Hir, Look};

use super::regexp_syntax::{self, Flags, Refusal};

/// Patterns that compile to more than this are refused.
const PATTERN_BYTES_MAX: usize = 4 << 20;
/// What matching keeps for one pattern while events run.
const CACHE_BYTES_MAX: usize = 256 << 10;
/// Groups that `regexp_extract` and a replacement may name: 0, which is the whole match, to 9.
pub const GROUPS_MAX: usize = 10;

/// What a pattern is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Use {
    Match,
    FullMatch,
    Extract(usize),
    Replace { replacement: String, all: bool },
}

/// A pattern, made ready once.
#[derive(Debug)]
pub struct Regexp {
    regex: Regex,
    group: usize,
    all: bool,
    replacement: Vec<Piece>,
}

/// What replacing came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replaced {
    /// The pattern is not found: the text stays as it is.
    Nothing,
    Made,
    TooLong,
}

/// A part of a replacement.
#[derive(Clone, Debug, PartialEq)]
enum Piece {
    Text(Vec<u8>),
    Group(usize),
}

/// Reads the options of a pattern: `g` (all occurrences), `i`, `l` and `s`, each at most once and in this order.
pub fn options(written: &str) -> Option<(Flags, bool)> {
    let mut rest = written;
    let mut take = |letter: char| match rest.strip_prefix(letter) {
        Some(after) => {
            rest = after;
            true
        }
        None => false,
    };
    let all = take('g');
    let flags = Flags { fold: take('i'), literal: take('l'), dot_all: take('s'), ..Flags::default() };
    rest.is_empty().then_some((flags, all))
}

/// How many groups a pattern has, or where and why it is refused.
pub fn check(pattern: &str, flags: Flags) -> Result<usize, Refusal> {
    let syntax = regexp_syntax::read(pattern, flags)?;
    compile(&syntax.hir, true).map_err(|why| Refusal { at: 0, why })?;
    Ok(syntax.groups)
}

fn too_large(error: &BuildError) -> String {
    match error.size_limit() {
        Some(_) => format!("the pattern is too large: compiled it takes more than {} MiB", PATTERN_BYTES_MAX >> 20),
        None => format!("the pattern cannot be compiled: {error}"),
    }
}

fn compile(hir: &Hir, captures: bool) -> Result<Regex, String> {
    use regex_automata::nfa::thompson::WhichCaptures;
    let config = Config::new()
        .nfa_size_limit(Some(PATTERN_BYTES_MAX))
        .onepass_size_limit(Some(CACHE_BYTES_MAX))
        .hybrid_cache_capacity(CACHE_BYTES_MAX)
        .which_captures(if captures { WhichCaptures::All } else { WhichCaptures::Implicit });
    Regex::builder().configure(config).build_from_hir(hir).map_err(|error| too_large(&error))
}

impl Regexp {
    /// Compiles a pattern. The error says what is wrong with it.
    pub fn new(pattern: &str, flags: Flags, used: &Use) -> Result<Regexp, String> {
        let refused = |refusal: Refusal| format!("the pattern `{pattern}`, at character {}: {}", refusal.at + 1, refusal.why);
        let syntax = regexp_syntax::read(pattern, flags).map_err(refused)?;
        let whole = |hir: Hir| Hir::concat(vec![Hir::look(Look::Start), hir, Hir::look(Look::End)]);
        let (mut group, mut all, mut replacement) = (0, false, Vec::new());
        let (hir, captures) = match used {
            Use::Match => (syntax.hir, false),
            Use::FullMatch => (whole(syntax.hir), false),
            Use::Extract(wanted) => {
                if *wanted >= GROUPS_MAX {
                    return Err(format!("group {wanted} is outside 0 to {}", GROUPS_MAX - 1));
                }
                group = *wanted;
                (syntax.hir, group > 0)
            }
            Use::Replace { replacement: written, all: every } => {
                replacement = pieces(written, syntax.groups)?;
                all = *every;
                let captures = replacement.iter().any(|piece| matches!(piece, Piece::Group(1..)));
                (syntax.hir, captures)
            }
        };
        let regex = compile(&hir, captures)?;
        Ok(Regexp { regex, group, all, replacement })
    }

    /// What matching needs, one for each thread.
    pub fn cache(&self) -> Cache {
        self.regex.create_cache()
    }

    /// Whether the pattern is found in the text (for `FullMatch`: is the text).
    pub fn matches(&self, cache: &mut Cache, text: &[u8]) -> bool {
        self.regex.search_half_with(cache, &Input::new(text).earliest(true)).is_some()
    }

    /// The range of the group in the first match; an empty one where there is none, and where the group took no part.
    pub fn extract(&self, cache: &mut Cache, text: &[u8]) -> (usize, usize) {
        if self.group == 0 {
            return self.regex.search_with(cache, &Input::new(text)).map_or((0, 0), |found| (found.start(), found.end()));
        }
        let mut slots = [None; 2 * GROUPS_MAX];
        self.find(cache, text, 0, &mut slots);
        range(&slots, self.group).unwrap_or((0, 0))
    }

    fn find(&self, cache: &mut Cache, text: &[u8], from: usize, slots: &mut [Option<NonMaxUsize>]) -> bool {
        let input = Input::new(text).range(from..).anchored(Anchored::No);
        self.regex.search_slots_with(cache, &input, slots).is_some()
    }

    /// Appends the text with the first match replaced, or all that do not overlap.
    pub fn replace(&self, cache: &mut Cache, text: &[u8], bytes_max: usize, out: &mut Vec<u8>) -> Replaced {
        let mut slots = [None; 2 * GROUPS_MAX];
        let needed = self.replacement.iter().map(|piece| if let Piece::Group(group) = piece { group + 1 } else { 1 });
        let slots = &mut slots[..2 * needed.max().unwrap_or(1)];
        let mut at = 0;
        let mut last_end = None;
        while at <= text.len() && self.find(cache, text, at, slots) {
            let Some((start, end)) = range(slots, 0) else { break };
            out.extend_from_slice(&text[at..start]);
            if start == end && last_end == Some(start) {
                // An empty match where the last one ended is none: the next character is passed over.
                let next = start + character_length(&text[start..]);
                out.extend_from_slice(&text[start..next.min(text.len())]);
                at = next;
                continue;
            }
            for piece in &self.replacement {
                match piece {
                    Piece::Text(piece) => out.extend_from_slice(piece),
                    Piece::Group(group) => {
                        let (start, end) = range(slots, *group).unwrap_or((0, 0));
                        out.extend_from_slice(&text[start..end]);
                    }
                }
            }
            if out.len() > bytes_max {
                return Replaced::TooLong;
            }
            at = end;
            last_end = Some(end);
            if !self.all {
                break;
            }
        }
        if last_end.is_none() {
            return Replaced::Nothing;
        }
        out.extend_from_slice(text.get(at..).unwrap_or_default());
        Replaced::Made
    }
}

fn range(slots: &[Option<NonMaxUsize>], group: usize) -> Option<(usize, usize)> {
    let at = |slot: usize| slots.get(slot).copied().flatten().map(NonMaxUsize::get);
    Some((at(2 * group)?, at(2 * group + 1)?))
}

/// Bytes of the first character; 1 where there is none.
fn character_length(text: &[u8]) -> usize {
    1 + text.iter().skip(1).take_while(|byte| **byte & 0xC0 == 0x80).count()
}

/// A replacement: `\0` to `\9` stand for groups, `\\` for a backslash.
fn pieces(replacement: &str, groups: usize) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut characters = replacement.chars();
    while let Some(character) = characters.next() {
        let literal = match (character, characters.as_str().chars().next()) {
            ('\\', Some(digit @ '0'..='9')) => {
                let group = digit as usize - '0' as usize;
                if group > groups {
                    return Err(format!("the replacement `{replacement}` names group {group}; the pattern has {groups}"));
                }
                pieces.push(Piece::Group(group));
                characters.next();
                continue;
            }
            ('\\', Some('\\')) => characters.next().unwrap_or('\\'),
            ('\\', _) => return Err(format!("the replacement `{replacement}`: behind \\ stands a digit or another \\")),
            (other, _) => other,
        };
        let mut written = [0; 4];
        let written = literal.encode_utf8(&mut written).as_bytes();
        match pieces.last_mut() {
            Some(Piece::Text(text)) => text.extend_from_slice(written),
            _ => pieces.push(Piece::Text(written.to_vec())),
        }
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn regexp(pattern: &str, written: &str, used: Use) -> Regexp {
        Regexp::new(pattern, options(written).unwrap().0, &used).unwrap()
    }

    fn found(pattern: &str, written: &str, text: &str) -> bool {
        let regexp = regexp(pattern, written, Use::Match);
        regexp.matches(&mut regexp.cache(), text.as_bytes())
    }

    #[test]
    fn classes_are_ascii_and_letter_case_is_unicodes() {
        for (pattern, written, text, expected) in [
            (r"\d", "", "٣", false),
            (r"^\w$", "", "é", false),
            (r"^.$", "", "é", true),
            (r"\s", "", "\u{b}", false),
            ("[[:space:]]", "", "\u{b}", true),
            (r"é\b", "", "é", false),
            ("É", "i", "é", true),
            ("k", "i", "\u{212a}", true),
            (r"[^\W]", "i", "ſ", true),
            (r"\W", "i", "ſ", false),
            ("a.c", "", "a\nc", false),
            ("a.c", "s", "a\nc", true),
            ("a.c", "l", "abc", false),
            ("A.C", "il", "a.c", true),
            ("a{,2}", "", "a{,2}", true),
            ("[[a]&&b]", "", "a&&b]", true),
            (r"\Qa*\E+$", "", "a**", true),
            (r"\141\x62\x{63}", "", "abc", true),
            ("(?i:a)b", "", "Ab", true),
            ("(?i:a)b", "", "AB", false),
            ("(?m)^b$", "", "a\nb\nc", true),
            ("^b$", "", "a\nb\nc", false),
            ("[]a]+$", "", "]a", true),
            ("[^a]", "", "\n", true),
        ] {
            assert_eq!(found(pattern, written, text), expected, "{pattern} {written} {text}");
        }
    }

    #[test]
    fn refusals_name_the_place() {
        for (pattern, at, part) in [
            ("a(b", 1, "never closed"),
            ("é)", 1, "closes nothing"),
            ("a**", 2, "(?:…)"),
            ("a|*", 2, "nothing to repeat"),
            ("[b-a]", 1, "lower"),
            (r"a\pL", 1, "Unicode"),
            (r"(a)\1", 3, "its groups"),
            ("(?=a)", 0, "looks ahead"),
            ("(?<n>a)", 0, "(?P<name>…)"),
            ("a{2,1}", 1, "1000"),
            ("((a{100}){10}){2}", 14, "1000"),
            ("[[:foo:]]", 1, "xdigit"),
            (r"a\", 1, "last"),
            ("[a", 0, "never closed"),
            (r"\x{110000}", 0, "number"),
            (r"\B", 0, "inside"),
            ("(?P<n>a)(?P<n>b)", 8, "same name"),
        ] {
            let refusal = check(pattern, Flags::default()).unwrap_err();
            assert_eq!(refusal.at, at, "{pattern}: {}", refusal.why);
            assert!(refusal.why.contains(part), "{pattern}: {}", refusal.why);
        }
        assert!(check(&"(".repeat(300), Flags::default()).unwrap_err().why.contains("200"));
        assert!(check(&"(?:(?:.{30}){30})|".repeat(40), Flags::default()).unwrap_err().why.contains("MiB"));
    }

    #[test]
    fn full_matches_and_groups() {
        let full = regexp("a|ab", "", Use::FullMatch);
        assert!(full.matches(&mut full.cache(), b"ab"));
        assert!(!full.matches(&mut full.cache(), b"abc"));
        for (pattern, group, text, expected) in
            [("b+", 0, "abbc", "bb"), ("(a)|(b)", 2, "ab", ""), ("(b)(.)", 2, "abc", "c"), ("x", 0, "a", "")]
        {
            let regexp = regexp(pattern, "", Use::Extract(group));
            let (from, to) = regexp.extract(&mut regexp.cache(), text.as_bytes());
            assert_eq!(&text[from..to], expected);
        }
    }

    #[test]
    fn replacements() {
        for (pattern, replacement, all, text, expected) in [
            ("b", "x", false, "abcb", "axcb"),
            ("b", "x", true, "abcb", "axcx"),
            ("(b)", r"[\1\0\\]", true, "abc", r"a[bb\]c"),
            ("x*", "-", true, "abc", "-a-b-c-"),
            ("", "-", true, "aé", "-a-é-"),
            ("b*", "-", true, "abbc", "-a-c-"),
            ("^", "-", true, "ab", "-ab"),
        ] {
            let used = Use::Replace { replacement: replacement.to_owned(), all };
            let regexp = Regexp::new(pattern, Flags::default(), &used).unwrap();
            let mut out = Vec::new();
            assert_eq!(regexp.replace(&mut regexp.cache(), text.as_bytes(), 100, &mut out), Replaced::Made);
            assert_eq!(String::from_utf8(out).unwrap(), expected, "{pattern} {text}");
        }
        let refused = |replacement: &str| {
            Regexp::new("(a)", Flags::default(), &Use::Replace { replacement: replacement.into(), all: true })
        };
        assert!(refused(r"\2").is_err() && refused(r"\x").is_err() && refused("\\").is_err());
    }
}

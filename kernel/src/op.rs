//! The operations of physical rules: their names, what they take, and whether they can fail.

use crate::types::Type;
use crate::udf;

macro_rules! operations {
    ($($variant:ident $name:literal)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Op { $($variant),* }

        impl Op {
            pub const ALL: &'static [Op] = &[$(Op::$variant),*];

            /// The name in a physical rule.
            pub fn name(self) -> &'static str {
                match self { $(Op::$variant => $name),* }
            }

            pub fn from_name(name: &str) -> Option<Op> {
                match name {
                    $($name => Some(Op::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

operations! {
    And "and" Or "or" Not "not"
    Eq "eq" Ne "ne" Lt "lt" Le "le" Gt "gt" Ge "ge"
    Distinct "distinct" NotDistinct "not_distinct" IsNull "is_null" IsNotNull "is_not_null"
    In "in" Like "like"
    Add "add" Sub "sub" Mul "mul" Div "div" IntDiv "int_div" Mod "mod" Neg "neg"
    Concat "concat" Case "case" Coalesce "coalesce" Nullif "nullif" Cast "cast" TryCast "try_cast"
    Lower "lower" Upper "upper" Trim "trim" Ltrim "ltrim" Rtrim "rtrim"
    Length "length" Substring "substring" Replace "replace" StartsWith "starts_with" Contains "contains"
    Epoch "epoch" EpochMs "epoch_ms" EpochUs "epoch_us" MakeTimestamp "make_timestamp"
    DatePart "date_part" DateTrunc "date_trunc" DateDiff "date_diff" DateSub "date_sub"
    AddInterval "add_interval" TimeBucket "time_bucket" Strftime "strftime"
    RegexpMatches "regexp_matches" RegexpFullMatch "regexp_full_match"
    RegexpExtract "regexp_extract" RegexpReplace "regexp_replace"
    SplitPart "split_part" StringSplit "string_split" Md5 "md5" Md5NumberLower "md5_number_lower"
    Abs "abs" Round "round" Floor "floor" Ceil "ceil" Greatest "greatest" Least "least"
    StructGet "struct_get" ListGet "list_get" ListContains "list_contains" ListSlice "list_slice"
    Udf "udf"
}

impl Op {
    /// Checks the types of the arguments and of the result; says what would be valid.
    pub fn check(self, result: &Type, arguments: &[&Type]) -> Result<(), &'static str> {
        use Type::*;
        let all = |valid: &Type| arguments.iter().all(|given| given.fits(valid));
        let count = arguments.len();
        let gives = |valid: &Type| result == valid;
        let numbers = (gives(&BigInt) && all(&BigInt)) || (gives(&Double) && all(&Double));
        let one_type = arguments.iter().all(|given| given.fits(result));
        let (ok, valid) = match self {
            Op::And | Op::Or => (count >= 1 && all(&Boolean) && gives(&Boolean), "BOOLEAN, BOOLEAN, … → BOOLEAN"),
            Op::Not => (count == 1 && all(&Boolean) && gives(&Boolean), "BOOLEAN → BOOLEAN"),
            Op::Eq | Op::Ne | Op::Lt | Op::Le | Op::Gt | Op::Ge | Op::Distinct | Op::NotDistinct => {
                (count == 2 && same_comparable(arguments) && gives(&Boolean), "two comparable values of one type → BOOLEAN")
            }
            Op::IsNull | Op::IsNotNull => (count == 1 && gives(&Boolean), "one value → BOOLEAN"),
            Op::In => (count >= 1 && same_comparable(arguments) && gives(&Boolean), "a value and literals of its type → BOOLEAN"),
            Op::Like => (count == 3 && all(&Varchar) && gives(&Boolean), "VARCHAR, pattern, escape → BOOLEAN"),
            Op::Add | Op::Sub | Op::Mul | Op::Mod => (count == 2 && numbers, "two BIGINT or two DOUBLE → the same"),
            Op::Div => (count == 2 && gives(&Double) && all(&Double), "two DOUBLE → DOUBLE"),
            Op::IntDiv => (count == 2 && gives(&BigInt) && all(&BigInt), "two BIGINT → BIGINT"),
            Op::Neg => (count == 1 && numbers, "BIGINT or DOUBLE → the same"),
            Op::Concat => (count >= 1 && all(&Varchar) && gives(&Varchar), "VARCHAR, VARCHAR, … → VARCHAR"),
            Op::Case => (check_case(result, arguments), "BOOLEAN, value, …, else → the type of the values"),
            Op::Coalesce => (count >= 1 && one_type, "values of one type → that type"),
            Op::Nullif => (count == 2 && one_type && same_comparable(arguments), "two comparable values of one type → that type"),
            Op::Cast | Op::TryCast => (count == 1 && castable(arguments[0], result), "a pair of the table of casts"),
            Op::Lower | Op::Upper => (count == 1 && all(&Varchar) && gives(&Varchar), "VARCHAR → VARCHAR"),
            Op::Trim | Op::Ltrim | Op::Rtrim => {
                ((count == 1 || count == 2) && all(&Varchar) && gives(&Varchar), "VARCHAR, optional VARCHAR → VARCHAR")
            }
            Op::Length => {
                (count == 1 && gives(&BigInt) && matches!(arguments[0], Varchar | List(_) | Null), "VARCHAR or list → BIGINT")
            }
            Op::Substring => {
                let whole = arguments.iter().skip(1).all(|given| given.fits(&BigInt));
                let ok = (count == 2 || count == 3) && whole && arguments[0].fits(&Varchar) && gives(&Varchar);
                (ok, "VARCHAR, BIGINT, optional BIGINT → VARCHAR")
            }
            Op::Replace => (count == 3 && all(&Varchar) && gives(&Varchar), "VARCHAR, VARCHAR, VARCHAR → VARCHAR"),
            Op::StartsWith | Op::Contains => (count == 2 && all(&Varchar) && gives(&Boolean), "VARCHAR, VARCHAR → BOOLEAN"),
            Op::StructGet => (count == 2 && arguments[1] == &Varchar, "struct, name → the type of that field"),
            Op::ListGet => (count == 2 && check_list_get(result, arguments), "list, BIGINT → the type of its items"),
            Op::Udf => (udf::check_types(result, arguments), "name, marks and what Python functions take → what they give"),
            _ => self.check_function(result, arguments),
        };
        if ok { Ok(()) } else { Err(valid) }
    }

    fn check_function(self, result: &Type, arguments: &[&Type]) -> (bool, &'static str) {
        use Type::*;
        let all = |valid: &Type| arguments.iter().all(|given| given.fits(valid));
        let count = arguments.len();
        let gives = |valid: &Type| result == valid;
        let numbers = (gives(&BigInt) && all(&BigInt)) || (gives(&Double) && all(&Double));
        let one_type = arguments.iter().all(|given| given.fits(result));
        match self {
            Op::RegexpMatches | Op::RegexpFullMatch => {
                (count == 3 && all(&Varchar) && gives(&Boolean), "VARCHAR, pattern, options → BOOLEAN")
            }
            Op::RegexpExtract => {
                let ok = count == 4 && arguments[2] == &BigInt && texts_but(arguments, 2) && gives(&Varchar);
                (ok, "VARCHAR, pattern, BIGINT group, options → VARCHAR")
            }
            Op::RegexpReplace => {
                (count == 4 && all(&Varchar) && gives(&Varchar), "VARCHAR, pattern, replacement, options → VARCHAR")
            }
            Op::SplitPart => {
                let ok = count == 3 && arguments[2].fits(&BigInt) && texts_but(arguments, 2) && gives(&Varchar);
                (ok, "VARCHAR, VARCHAR, BIGINT → VARCHAR")
            }
            Op::StringSplit => {
                let ok = count == 2 && all(&Varchar) && matches!(result, List(item) if **item == Varchar);
                (ok, "VARCHAR, literal VARCHAR → VARCHAR[]")
            }
            Op::Md5 => (count == 1 && all(&Varchar) && gives(&Varchar), "VARCHAR → VARCHAR"),
            Op::Md5NumberLower => {
                let double = count == 1 && gives(&Double);
                let rest = count == 2 && arguments[1].fits(&BigInt) && gives(&BigInt);
                ((double || rest) && arguments[0].fits(&Varchar), "VARCHAR → DOUBLE, or VARCHAR, BIGINT → BIGINT")
            }
            Op::Abs => (count == 1 && numbers, "BIGINT or DOUBLE → the same"),
            Op::Round => {
                let same = count > 0 && (gives(&BigInt) || gives(&Double)) && arguments[0].fits(result);
                let digits = arguments.iter().skip(1).all(|given| given.fits(&BigInt));
                (same && count <= 2 && digits, "BIGINT or DOUBLE, optional BIGINT → the type of the first")
            }
            Op::Floor | Op::Ceil => (count == 1 && gives(&Double) && all(&Double), "DOUBLE → DOUBLE"),
            Op::Greatest | Op::Least => {
                (count >= 1 && one_type && same_comparable(arguments), "comparable values of one type → that type")
            }
            Op::ListContains => {
                let ok = count == 2 && gives(&Boolean) && check_list_contains(arguments);
                (ok, "list of comparable items, value of their type → BOOLEAN")
            }
            Op::ListSlice => {
                let whole = arguments.iter().skip(1).all(|given| given.fits(&BigInt));
                let ok = count == 3 && whole && arguments[0].fits(result) && matches!(result, List(_));
                (ok, "list, BIGINT, BIGINT → the same list type")
            }
            _ => self.check_time(result, arguments),
        }
    }

    fn check_time(self, result: &Type, arguments: &[&Type]) -> (bool, &'static str) {
        use Type::*;
        let is = |valid: &[Type], gives: Type| {
            let fit = valid.len() == arguments.len() && arguments.iter().zip(valid).all(|(given, valid)| given.fits(valid));
            fit && *result == gives
        };
        match self {
            Op::Epoch => (is(&[Timestamp], Double), "TIMESTAMP → DOUBLE"),
            Op::EpochMs => (is(&[Timestamp], BigInt) || is(&[BigInt], Timestamp), "TIMESTAMP → BIGINT, or BIGINT → TIMESTAMP"),
            Op::EpochUs => (is(&[Timestamp], BigInt), "TIMESTAMP → BIGINT"),
            Op::MakeTimestamp => {
                let parts = [BigInt, BigInt, BigInt, BigInt, BigInt, Double];
                (is(&[BigInt], Timestamp) || is(&parts, Timestamp), "BIGINT, or five BIGINT and a DOUBLE → TIMESTAMP")
            }
            Op::DatePart => (is(&[Varchar, Timestamp], BigInt), "part, TIMESTAMP → BIGINT"),
            Op::DateTrunc => (is(&[Varchar, Timestamp], Timestamp), "part, TIMESTAMP → TIMESTAMP"),
            Op::DateDiff | Op::DateSub => (is(&[Varchar, Timestamp, Timestamp], BigInt), "part, TIMESTAMP, TIMESTAMP → BIGINT"),
            Op::AddInterval => (is(&[Timestamp, BigInt, BigInt], Timestamp), "TIMESTAMP, months, microseconds → TIMESTAMP"),
            Op::TimeBucket => (is(&[BigInt, BigInt, Timestamp], Timestamp), "months, microseconds, TIMESTAMP → TIMESTAMP"),
            _ => (is(&[Timestamp, Varchar], Varchar), "TIMESTAMP, format → VARCHAR"),
        }
    }

    /// Whether the operation itself can fail where its arguments did not.
    pub fn can_fail(self, result: &Type, arguments: &[&Type]) -> bool {
        match self {
            Op::Add | Op::Sub | Op::Mul | Op::Mod | Op::Neg | Op::Abs => *result == Type::BigInt,
            Op::IntDiv | Op::Substring | Op::Udf => true,
            Op::EpochMs | Op::MakeTimestamp | Op::DateTrunc | Op::AddInterval | Op::TimeBucket => *result == Type::Timestamp,
            Op::Round => arguments.len() > 1,
            Op::Md5NumberLower => arguments.len() > 1,
            Op::Cast => !total_cast(arguments[0], result),
            _ => false,
        }
    }
}

fn same_comparable(arguments: &[&Type]) -> bool {
    let mut known = arguments.iter().filter(|given| ***given != Type::Null);
    let Some(first) = known.next() else { return true };
    first.comparable() && known.all(|given| given == first)
}

fn check_case(result: &Type, arguments: &[&Type]) -> bool {
    let Some((other, branches)) = arguments.split_last() else { return false };
    let (pairs, rest) = branches.as_chunks::<2>();
    let fits = |pair: &[&Type; 2]| pair[0].fits(&Type::Boolean) && pair[1].fits(result);
    rest.is_empty() && !pairs.is_empty() && other.fits(result) && pairs.iter().all(fits)
}

fn check_list_get(result: &Type, arguments: &[&Type]) -> bool {
    let item = match arguments[0] {
        Type::List(item) => **item == *result,
        Type::Null => true,
        _ => false,
    };
    item && arguments[1].fits(&Type::BigInt)
}

fn check_list_contains(arguments: &[&Type]) -> bool {
    match arguments[0] {
        Type::List(item) => item.comparable() && arguments[1].fits(item),
        given => *given == Type::Null,
    }
}

/// Whether all arguments but one are VARCHAR.
fn texts_but(arguments: &[&Type], other: usize) -> bool {
    arguments.iter().enumerate().all(|(at, given)| at == other || given.fits(&Type::Varchar))
}

fn plain(given: &Type) -> bool {
    matches!(given, Type::BigInt | Type::Double | Type::Boolean | Type::Varchar)
}

fn castable(from: &Type, to: &Type) -> bool {
    use Type::*;
    from.fits(to)
        || (plain(from) && plain(to))
        || matches!((from, to), (Varchar, Timestamp) | (Timestamp, Varchar))
        || (*from == Json && *to != Null)
}

fn total_cast(from: &Type, to: &Type) -> bool {
    use Type::*;
    from.fits(to) || matches!((from, to), (BigInt | Boolean, _) | (Double, Boolean | Varchar) | (Timestamp, Varchar))
}

//! The formats of `strftime`.

use super::period::{day_of_year, iso_week, weekday};
use super::timestamp::{DAY, SECOND, date_of, padded};

const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const MONTHS: [&str; 12] =
    ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
/// What stands for several others.
const COMPOSED: [(u8, &str); 6] =
    [(b'c', "%Y-%m-%d %H:%M:%S"), (b'x', "%Y-%m-%d"), (b'X', "%H:%M:%S"), (b'T', "%H:%M:%S"), (b'z', "+00"), (b'Z', "")];
const NUMBERS: &[u8] = b"dfgGHIjmMSuUVwWyY";
const NAMES: &[u8] = b"aAbBp";
/// Those that may be written without their leading zeros.
const BARE: &[u8] = b"dHIjmMSy";

/// A format, taken apart.
#[derive(Clone, Debug, PartialEq)]
pub struct Format {
    pieces: Vec<Piece>,
    /// What it writes takes no more bytes than this.
    pub bytes_max: usize,
}

#[derive(Clone, Debug, PartialEq)]
enum Piece {
    Text(Vec<u8>),
    /// The letter of a specifier, and whether leading zeros are left out.
    Specifier(u8, bool),
}

impl Format {
    /// Takes a format apart. The error says what is not known in it.
    pub fn new(text: &str) -> Result<Format, String> {
        if text.is_empty() {
            return Err("the format is empty".to_owned());
        }
        let mut format = Format { pieces: Vec::new(), bytes_max: 0 };
        format.read(text)?;
        let bytes = |piece: &Piece| if let Piece::Text(text) = piece { text.len() } else { 9 };
        format.bytes_max = format.pieces.iter().map(bytes).sum();
        Ok(format)
    }

    fn read(&mut self, text: &str) -> Result<(), String> {
        let mut rest = text.as_bytes();
        while let Some(at) = memchr::memchr(b'%', rest) {
            self.text(&rest[..at]);
            rest = &rest[at + 1..];
            let bare = rest.first() == Some(&b'-');
            rest = &rest[bare as usize..];
            let Some((&letter, after)) = rest.split_first() else {
                return Err(format!("the format {text:?} ends in a specifier that is not whole"));
            };
            rest = after;
            let composed = COMPOSED.iter().find(|(known, _)| *known == letter && !bare);
            match (letter, composed) {
                (b'%', _) if !bare => self.text(b"%"),
                (_, Some((_, parts))) => self.read(parts)?,
                _ if BARE.contains(&letter) || (!bare && (NUMBERS.contains(&letter) || NAMES.contains(&letter))) => {
                    self.pieces.push(Piece::Specifier(letter, bare));
                }
                _ => return Err(format!("the format {text:?} has a specifier that is not known")),
            }
        }
        self.text(rest);
        Ok(())
    }

    fn text(&mut self, more: &[u8]) {
        match self.pieces.last_mut() {
            _ if more.is_empty() => {}
            Some(Piece::Text(text)) => text.extend_from_slice(more),
            _ => self.pieces.push(Piece::Text(more.to_vec())),
        }
    }

    /// Appends a timestamp.
    pub fn write(&self, micros: i64, out: &mut Vec<u8>) {
        let days = micros.div_euclid(DAY);
        let moment = Moment { days, date: date_of(days), time: micros.rem_euclid(DAY) };
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text),
                Piece::Specifier(letter, bare) => moment.write(*letter, *bare, out),
            }
        }
    }
}

struct Moment {
    days: i64,
    date: (i64, i64, i64),
    time: i64,
}

impl Moment {
    fn write(&self, letter: u8, bare: bool, out: &mut Vec<u8>) {
        let weekday_name = DAYS[weekday(self.days) as usize];
        let month_name = MONTHS[(self.date.1 - 1) as usize];
        match letter {
            b'a' => out.extend_from_slice(&weekday_name.as_bytes()[..3]),
            b'A' => out.extend_from_slice(weekday_name.as_bytes()),
            b'b' => out.extend_from_slice(&month_name.as_bytes()[..3]),
            b'B' => out.extend_from_slice(month_name.as_bytes()),
            b'p' => out.extend_from_slice(if self.time < DAY / 2 { b"AM" } else { b"PM" }),
            _ => {
                let (number, width) = self.number(letter);
                padded(number, if bare { 1 } else { width }, out);
            }
        }
    }

    /// The number that a letter stands for, and how many digits it is written with.
    fn number(&self, letter: u8) -> (i64, u32) {
        let (year, month, day) = self.date;
        let seconds = self.time / SECOND;
        match letter {
            b'd' => (day, 2),
            b'f' => (self.time % SECOND, 6),
            b'g' => (self.time % SECOND / 1000, 3),
            b'G' => (iso_week(self.days).0, 4),
            b'H' => (seconds / 3600, 2),
            b'I' => ((seconds / 3600 + 11) % 12 + 1, 2),
            b'j' => (day_of_year(self.days), 3),
            b'm' => (month, 2),
            b'M' => (seconds / 60 % 60, 2),
            b'S' => (seconds % 60, 2),
            b'u' => (weekday(self.days) + 1, 1),
            // The first Sunday, or Monday, of the year begins week 1.
            b'U' => ((day_of_year(self.days) + 6 - (weekday(self.days) + 1) % 7) / 7, 2),
            b'V' => (iso_week(self.days).1, 2),
            b'w' => ((weekday(self.days) + 1) % 7, 1),
            b'W' => ((day_of_year(self.days) + 6 - weekday(self.days)) / 7, 2),
            b'y' => (year % 100, 2),
            _ => (year, 4),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_specifier_is_written() {
        // Friday, 2026-01-02 03:04:05.678901
        let micros = 1_767_323_045_678_901;
        for (format, expected) in [
            ("%a %A %b %B", "Fri Friday Jan January"),
            ("%c|%x|%X|%T", "2026-01-02 03:04:05|2026-01-02|03:04:05|03:04:05"),
            ("%d %f %g %G %H %I %j", "02 678901 678 2026 03 03 002"),
            ("%m %M %p %S %u %U %V %w %W", "01 04 AM 05 5 00 01 5 00"),
            ("%y %Y %z%Z %%", "26 2026 +00 %"),
            ("%-d%-H%-I%-j%-m%-M%-S%-y", "233214526"),
            ("é%%%Y", "é%2026"),
        ] {
            let mut out = Vec::new();
            let read = Format::new(format).map(|format| format.write(micros, &mut out));
            assert_eq!(read, Ok(()), "{format}");
            assert_eq!(String::from_utf8_lossy(&out), expected, "{format}");
        }
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for format in ["", "%", "a%", "%-", "%q", "%n", "%-Y", "%-%", "%-c", "%é", "%-a"] {
            assert!(Format::new(format).is_err(), "{format}");
        }
    }
}

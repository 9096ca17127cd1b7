//! Panics are faults of the kernel. None ends the process: what calls the kernel gets an error that says where.
//!
//! The text of a panic may quote an event, so it is neither passed on nor printed.

use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};

thread_local! {
    /// Where the last panic of this thread was.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Where a panic was: file, line and column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Panicked {
    pub place: String,
}

/// Lets panics of this library print their place alone. Call it once.
pub fn install() {
    panic::set_hook(Box::new(|panicked| {
        let place = panicked.location().map(ToString::to_string).unwrap_or_default();
        eprintln!("the kernel failed at {place}");
        PLACE.with(|known| *known.borrow_mut() = Some(place));
    }));
}

/// Runs `work`; a panic in it is an error.
///
/// What `work` was changing may be left half changed: use it no more, or hold it in a `Mutex`, which is poisoned then.
pub fn caught<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    panic::catch_unwind(AssertUnwindSafe(work)).map_err(|_| {
        let place = PLACE.with(|known| known.borrow_mut().take());
        Panicked { place: place.unwrap_or_else(|| "a place that is not known".to_owned()) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[test]
    fn a_panic_is_an_error_that_says_where_and_nothing_else() {
        install();
        assert_eq!(caught(|| 7), Ok(7));
        let text = String::from("what an event holds: é");
        let found = caught(|| text[..text.len() - 1].len()).unwrap_err();
        assert!(found.place.starts_with("src/panics.rs:"), "{found:?}");
        assert!(!found.place.contains("event"));
        let locked = Mutex::new(1);
        assert!(
            caught(|| {
                let _held = locked.lock();
                panic!("while it is held");
            })
            .is_err()
        );
        assert!(locked.is_poisoned());
        // The hook is of the whole process: other tests say what they panic of.
        drop(panic::take_hook());
    }
}

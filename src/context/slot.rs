//! Which of a record's versions is meant.

use crate::key::Record;

/// Which of a record's versions is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Slot {
    #[default]
    Current,
    Pending,
    Previous,
}

impl Slot {
    pub const ALL: [Self; 3] = [Self::Current, Self::Pending, Self::Previous];
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Pending => "pending",
            Self::Previous => "previous",
        }
    }

    /// Returns the version a record has in this slot.
    pub fn version(self, record: &Record) -> Option<u32> {
        match self {
            Self::Current => record.current,
            Self::Pending => record.pending,
            Self::Previous => record.previous,
        }
    }
}

crate::key::kind::fixed_words!(Slot, "slot");

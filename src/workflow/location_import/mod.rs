//! Importing an agency's locations from HighLevel's list or a CSV file. Nothing
//! is taken away: what a source does not list stays in use.

pub mod csv_file;
pub mod highlevel_list;
pub mod merge;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::exit::{Exit, Situation};
use crate::key::text::printable;
use crate::provider::RemoteLocation;

/// The longest display name that is kept, in characters.
const NAME_LIMIT: usize = 200;

/// What an import does to one location.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    New,
    Changed,
    /// The source does not list it: it stays in use.
    Missing,
    /// HighLevel says that there is none with this id: it is no place any more.
    Gone,
    Unchanged,
}

impl Change {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Changed => "changed",
            Self::Missing => "missing",
            Self::Gone => "gone",
            Self::Unchanged => "unchanged",
        }
    }
}

/// Where a list of locations comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The platform's own list, read to its end.
    Highlevel,
    /// A file, which may be a part of the list, old, or somebody's own.
    File,
}

/// What HighLevel answered when it was asked for one location by its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Exists,
    /// There is none with this id.
    Absent,
}

/// The locations that a source lists.
#[derive(Debug)]
pub struct Listing {
    pub source: Source,
    /// Never empty.
    pub found: Vec<RemoteLocation>,
    /// By id, of locations that are recorded and not listed.
    pub answers: BTreeMap<String, Answer>,
}

impl Listing {
    /// Takes a list that has something in it.
    ///
    /// # Errors
    /// Exit 4 for an empty one: it tells nothing of the locations there are.
    pub fn new(source: Source, mut found: Vec<RemoteLocation>, from: &str) -> Result<Self, Situation> {
        if found.is_empty() {
            return Err(Situation::new(Exit::Unknown, "empty-source", format!("{from} lists no location"))
                .hint(
                    "nothing was changed; a location that is not used any more: `keyctl scope remove SCOPE`",
                ));
        }
        // Names are read by people, and new ones are made of them.
        for location in &mut found {
            location.name = printable(&location.name, NAME_LIMIT).trim().to_owned();
        }
        Ok(Self { source, found, answers: BTreeMap::new() })
    }
}

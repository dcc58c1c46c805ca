//! What a person does in a vendor's console, and the exact way there.

use crate::clock::Span;
use crate::key::{Domain, Kind};

/// Something a person does in a vendor's console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConsoleTask {
    Create,
    Disable,
    Enable,
    Delete,
    /// Where the key is pasted (HighLevel settings).
    Paste,
}

/// What is known of the key a person is to make or change in a console.
#[derive(Debug, Clone, Default)]
pub struct ConsoleAsk<'a> {
    pub kind: Option<Kind>,
    pub name: Option<&'a str>,
    pub domain: Option<&'a Domain>,
    pub permissions: &'a [String],
    /// How long the key is to live, where that is wished.
    pub expires_in: Option<Span>,
    pub account_id: Option<&'a str>,
    pub remote_name: Option<&'a str>,
    /// The key that has to go on working, where one of a rotation's two is to end.
    pub stays: Option<Stays>,
    /// The key that a new one is to be like, where nobody can say all it may
    /// do: cloned where the console can.
    pub like: Option<Model<'a>>,
}

/// Which key of a rotation goes on working when the other one ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stays {
    Old,
    New,
}

/// A key that another is to be like.
#[derive(Debug, Clone, Copy)]
pub struct Model<'a> {
    pub name: Option<&'a str>,
    pub last2: Option<&'a str>,
    /// What it was seen to have: not all of it.
    pub held: &'a [String],
}

/// The exact way through a console: page, path in English and German labels, steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guide {
    pub url: String,
    /// `Settings › API keys › Add new key`
    pub path: String,
    /// The same with the console's German labels, where it has them.
    pub path_de: Option<String>,
    pub steps: Vec<String>,
}

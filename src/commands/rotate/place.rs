//! One place where a rotated key is used, as the report shows it.

use serde::Serialize;

use crate::key::{ConsumerKind, KeyRef};
use crate::rotation::Progress;

#[derive(Debug, Clone, Serialize)]
pub struct Place {
    pub name: String,
    pub kind: ConsumerKind,
    pub state: Progress,
    pub by: Option<String>,
    pub at: Option<String>,
    pub key: KeyRef,
    /// Where a person pastes the key.
    #[serde(skip)]
    pub url: Option<String>,
}

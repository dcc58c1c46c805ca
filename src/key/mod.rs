//! The pure core: what a key is, how it is named, which one is effective, and
//! what may be said about it.
//!
//! Nothing here reads a file, a clock, the environment or the network, and
//! nothing here imports another module of the crate.

pub mod kind;
pub mod name;
pub mod record;
pub mod reference;
pub mod resolve;
pub mod secret;
pub mod shape;
pub mod text;
pub mod transliterate;
pub mod verdict;
pub mod words;

pub use kind::{Kind, ProviderId, Region};
pub use name::{Domain, Name, NameError};
pub use record::{Consumer, ConsumerKind, CreateCall, Expiry, KeyState, Record, RecordId};
pub use reference::{KeyRef, KeyRefArg, Scope, Selector};
pub use secret::{Fingerprint, Secret};
pub use verdict::{Cause, Judgement, Reason, Verdict};

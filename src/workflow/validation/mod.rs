//! Validation: which keys are asked (`probe`), what of the answers is kept
//! (`reduce`), and what verdict follows (`judge`), for each scope (`at_scope`).

pub mod answers;
pub mod at_scope;
pub mod expectation;
pub mod judge;
pub mod judged;
pub mod other_versions;
pub mod probe;
pub mod reduce;
pub mod requirements;
pub mod single_key;
pub mod witness;

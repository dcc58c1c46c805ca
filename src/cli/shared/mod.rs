//! What several verbs share of the command line: the `--report` option, and the
//! row that shows a key.

pub mod key_row;
pub mod report_option;
pub mod secret_source;

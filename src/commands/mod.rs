//! One verb per file: its `Args` (whose doc comments are its help), its `run`,
//! its `Report`. What several verbs share of one subject stands in a module
//! of that subject here, never in a drawer.

pub mod add;
pub mod allowlist;
pub mod audit;
pub mod backup;
pub mod consumer;
pub mod create;
pub mod disable;
pub mod doctor;
pub mod domains;
pub mod enable;
pub mod export;
pub mod get;
pub mod identify;
mod key_switch_report;
pub mod list;
pub mod permissions;
pub mod remove;
pub mod rename;
pub mod restore;
pub mod rotate;
pub mod run;
pub mod scope;
pub mod send_test;
pub mod set;
pub mod show;
pub mod store;
pub mod validate;
pub mod which;

use crate::context::Context;
use crate::output::Console;

/// What a verb works with: the context of the workflows, and the console that
/// its report goes to.
pub struct CommandContext {
    pub console: Console,
    pub context: Context,
}

impl std::ops::Deref for CommandContext {
    type Target = Context;

    fn deref(&self) -> &Context {
        &self.context
    }
}

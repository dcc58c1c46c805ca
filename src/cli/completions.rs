//! `keyctl completions`, and the answers to a shell that asks for candidates.
//! Scopes and key refs come from the inventory; no store is ever opened here.

use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};

use crate::cli;
use crate::commands::CommandContext;
use crate::context::{Environment, inventory_path};
use crate::exit::{Exit, Situation};
use crate::inventory::Inventory;
use crate::inventory::file::InventoryFile;

/// Arguments of `completions`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell: bash, zsh, fish, elvish, powershell
    #[arg(value_name = "SHELL")]
    shell: String,
}

/// Prints the registration code for a shell.
///
/// # Errors
/// Exit 2 for a shell that is not known.
pub fn run(args: Args, context: &CommandContext) -> anyhow::Result<Exit> {
    use clap_complete::env::{EnvCompleter, Shells};
    let shells = Shells::builtins();
    let Some(shell) = shells.completer(&args.shell) else {
        let known = shells.names().collect::<Vec<_>>().join(", ");
        let shown = crate::key::text::printable(&args.shell, 40);
        return Err(Situation::usage(format!("`{shown}` is no shell known here; known: {known}")).into());
    };
    let mut code = Vec::new();
    EnvCompleter::write_registration(shell, "COMPLETE", "keyctl", "keyctl", "keyctl", &mut code)?;
    context.console.data(&code)?;
    Ok(Exit::Done)
}

/// Answers a shell that asks for candidates (`COMPLETE` is set), and ends the
/// process then.
pub fn answer() {
    clap_complete::CompleteEnv::with_factory(cli::command).complete();
}

fn inventory() -> Option<Inventory> {
    let path = inventory_path(&Environment::of_process()).ok()?;
    InventoryFile::at(path).load().ok()
}

/// Completes key refs.
pub fn keys() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &std::ffi::OsStr| matching(typed, key_names))
}

/// Completes scopes.
pub fn scopes() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &std::ffi::OsStr| matching(typed, scope_names))
}

/// Completes key refs and scopes.
pub fn selectors() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &std::ffi::OsStr| {
        matching(typed, |it| scope_names(it).into_iter().chain(key_names(it)).collect())
    })
}

fn key_names(inventory: &Inventory) -> Vec<String> {
    inventory.keys.keys().map(ToString::to_string).collect()
}

fn scope_names(inventory: &Inventory) -> Vec<String> {
    inventory.scopes().map(|(scope, _)| scope.to_string()).collect()
}

fn matching(typed: &std::ffi::OsStr, names: impl Fn(&Inventory) -> Vec<String>) -> Vec<CompletionCandidate> {
    let typed = typed.to_string_lossy();
    let names = inventory().map(|it| names(&it)).unwrap_or_default();
    names.into_iter().filter(|it| it.starts_with(&*typed)).map(CompletionCandidate::new).collect()
}

//! The variables that stand in for global options. clap could read them by
//! itself, but would take one that is set to nothing for a value and name the
//! option, not the variable, in its errors.

use crate::cli::Global;
use crate::context::Environment;
use crate::exit::Situation;
use crate::key::shape;
use crate::key::shape::holds_key;
use crate::store;

/// Fills in what the options left open.
///
/// # Errors
/// Exit 2, naming the variable and what it may hold.
pub fn fill(global: &mut Global, environment: &Environment) -> Result<(), Situation> {
    if global.inventory.is_none() {
        global.inventory = environment.path("KEYCTL_INVENTORY");
    }
    if global.store.is_none() {
        global.store = read(environment, "KEYCTL_STORE", store_name)?;
    }
    if global.scope.is_none() {
        global.scope = read(environment, "KEYCTL_SCOPE", |it| it.parse().map_err(said))?;
    }
    if global.format.is_none() {
        global.format = read(environment, "KEYCTL_FORMAT", |it| it.parse().map_err(said))?;
    }
    Ok(())
}

/// Checks that there is such a store.
///
/// # Errors
/// Says which there are.
pub fn store_name(text: &str) -> Result<String, String> {
    if store::row(text).is_some() {
        return Ok(text.to_owned());
    }
    let known = store::TABLE.iter().map(|row| row.name).collect::<Vec<_>>().join(", ");
    Err(format!("`{}` is no store; known: {known}", shape::shown(text, 40)))
}

fn said(error: impl ToString) -> String {
    error.to_string()
}

fn read<T>(
    environment: &Environment,
    name: &'static str,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Result<Option<T>, Situation> {
    let Some(text) = environment.get(name) else { return Ok(None) };
    let parsed = parse(&text).map_err(|why| {
        // A key in the wrong variable must not come out in a job's log.
        let why = if holds_key(&text) { "what it holds looks like a key".to_owned() } else { why };
        Situation::usage(format!("the variable `{name}`: {why}")).hint("set it to another value, or unset it")
    })?;
    Ok(Some(parsed))
}

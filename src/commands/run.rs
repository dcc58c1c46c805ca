//! `keyctl run`: a program with keys in its environment, in this program's
//! place. It never sees another scope's keys, nor how keyctl is set up.

use std::ffi::OsString;
use std::process::Command;

use super::handing::{self, Handed, Value, Variable};
use crate::context::Context;
use crate::exit::{Exit, Situation};
use crate::inventory::Inventory;
use crate::key::{ProviderId, Selector};
use crate::provider;

/// The tokens that stores are opened with, by store.
const STORE_TOKENS: [(&str, &str); 2] = [("vault", "VAULT_TOKEN"), ("vault", "BAO_TOKEN")];

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keyctl run acme/berlin -- ./send-newsletter.sh
  keyctl run acme --only brevo,mailgun -- node server.js
  keyctl run mailgun:webshop@acme -- sh -c 'echo \"$MAILGUN_DOMAIN\"'

Sets, for the keys there are: MAILGUN_API_KEY MAILGUN_DOMAIN MAILGUN_API_REGION MAILGUN_API_URL
MAILGUN_SMTP_SERVER MAILGUN_SMTP_PORT MAILGUN_SMTP_LOGIN MAILGUN_SMTP_PASSWORD BREVO_API_KEY
BREVO_SMTP_HOST BREVO_SMTP_PORT BREVO_SMTP_LOGIN BREVO_SMTP_KEY KLAVIYO_API_KEY HIGHLEVEL_TOKEN.
All of these, and every KEYCTL_…, are cleared first. The exit code is the program's; 127 when there
is no such program, 126 when it cannot be run.")]
pub struct Args {
    /// Scopes (the keys effective there) and keys
    #[arg(value_name = "SCOPE|KEYREF", required = true, add = super::completions::selectors())]
    selectors: Vec<Selector>,
    /// Only keys of these providers, each of which must be there
    #[arg(long, value_name = "PROVIDER,…", value_delimiter = ',')]
    only: Vec<ProviderId>,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// Runs the program.
///
/// # Errors
/// Exit 8 before it starts when a key is missing, exit 2 when two keys would
/// take the same variables, exit 126 or 127 when it cannot be started.
pub fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let inventory = context.inventory()?;
    let selected = context.all_selected(&args.selectors)?;
    let handed = handing::handed(context, inventory, &selected, &args.only)?;
    let variables = handing::variables(context, inventory, &handed)?;
    let Some((program, rest)) = args.command.split_first() else {
        return Err(Situation::usage("no program was given").hint("write it after `--`").into());
    };
    let cleared = cleared(context, inventory, &handed);
    let mut command = Command::new(program);
    command.args(rest).env_clear();
    let kept = context.environment.all().filter(|(name, _)| {
        name.to_str().is_none_or(|name| !name.starts_with("KEYCTL_") && !cleared.contains(&name))
    });
    command.envs(kept);
    for Variable { name, value } in &variables {
        match value {
            Value::Plain(text) => command.env(name, text),
            Value::Secret(secret) => command.env(name, secret.expose()),
        };
    }
    start(command, program)
}

/// Returns the names that the program must not inherit.
fn cleared(context: &Context, inventory: &Inventory, handed: &[Handed<'_>]) -> Vec<&'static str> {
    let names = provider::TABLE.iter().flat_map(|it| it.handout_names().iter().copied());
    let used = |store: &str| handed.iter().any(|it| context.store_name_of(inventory, it.record) == store);
    let tokens = STORE_TOKENS.iter().filter(|(store, _)| used(store)).map(|(_, name)| *name);
    names.chain(tokens).collect()
}

#[cfg(unix)]
fn start(mut command: Command, program: &OsString) -> anyhow::Result<Exit> {
    // Comes back only when the program could not be started.
    let error = std::os::unix::process::CommandExt::exec(&mut command);
    Err(not_started(program, &error).into())
}

#[cfg(not(unix))]
fn start(mut command: Command, program: &OsString) -> anyhow::Result<Exit> {
    let status = command.status().map_err(|error| not_started(program, &error))?;
    let code = status.code().unwrap_or(1);
    Ok(Exit::Child(u8::try_from(code).unwrap_or(1)))
}

fn not_started(program: &OsString, error: &std::io::Error) -> Situation {
    let shown = crate::key::text::escaped(&program.to_string_lossy()).into_owned();
    if error.kind() == std::io::ErrorKind::NotFound {
        Situation::new(Exit::Child(127), "no-such-program", format!("there is no program `{shown}`"))
    } else {
        Situation::new(Exit::Child(126), "program-not-run", format!("cannot run `{shown}`: {error}"))
    }
}

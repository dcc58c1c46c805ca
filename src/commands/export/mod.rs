//! `keyctl export`: keys as text that a shell, a `.env` reader or a GitHub job
//! takes into its environment.

mod quote;

use std::fs::OpenOptions;
use std::io::Write;

use zeroize::Zeroizing;

use crate::commands::CommandContext;
use crate::commands::export::quote::Shell;
use crate::exit::{Exit, Situation};
use crate::key::Selector;
use crate::workflow::handout;
use crate::workflow::handout::{Value, Variable};

/// Arguments of `export`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  eval \"$(keyctl export acme/berlin)\"
  keyctl export acme --shell fish | source
  keyctl export acme --dotenv > .env          the secrets are in that file then
  keyctl export acme --github-env             in a step of a GitHub job

A program that only needs the keys while it runs is better served by `keyctl run`.")]
pub struct Args {
    /// Scopes (the keys effective there) and keys
    #[arg(value_name = "SCOPE|KEYREF", required = true, add = crate::cli::completions::selectors())]
    selectors: Vec<Selector>,
    /// Write for this shell: bash, zsh, fish, pwsh, nu [default: bash]
    #[arg(long, value_name = "SHELL", conflicts_with_all = ["dotenv", "github_env"])]
    shell: Option<Shell>,
    /// Write the lines of a .env file
    #[arg(long, conflicts_with = "github_env")]
    dotenv: bool,
    /// Append to $GITHUB_ENV and mask the values in the job's log
    #[arg(long)]
    github_env: bool,
    /// Show the secrets on a terminal, too
    #[arg(long)]
    reveal: bool,
}

/// Writes the variables.
///
/// # Errors
/// Exit 8 when no key is there, exit 2 when two keys would take the same
/// variables, exit 9 for a terminal without `--reveal`.
pub fn run(args: Args, context: &CommandContext) -> anyhow::Result<Exit> {
    let inventory = context.inventory()?;
    let selected = context.all_selected(&args.selectors)?;
    let handed = handout::handed(context, inventory, &selected, &[])?;
    handout::guard_terminal(context, args.reveal)?;
    let variables = handout::variables(context, inventory, &handed)?;
    if args.github_env {
        return github(context, &variables);
    }
    let shell = args.shell.unwrap_or(Shell::Bash);
    let line = |name: &str, value: &str| match args.dotenv {
        true => quote::dotenv(name, value),
        false => quote::shell(shell, name, value),
    };
    let text = written(&variables, &line);
    context.console.data(text.as_bytes())?;
    Ok(Exit::Done)
}

/// Returns the text of all variables, one line or entry each.
fn written(variables: &[Variable], line: &dyn Fn(&str, &str) -> String) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::new());
    for Variable { name, value } in variables {
        let written = Zeroizing::new(match value {
            Value::Plain(plain) => line(name, plain),
            Value::Secret(secret) => line(name, secret.expose()),
        });
        text.push_str(&written);
    }
    text
}

/// Masks first: what is in the environment file may be printed by the next
/// step. Only secrets: a masked `us` would be starred out everywhere.
fn github(context: &CommandContext, variables: &[Variable]) -> anyhow::Result<Exit> {
    let Some(path) = context.environment.path("GITHUB_ENV") else {
        return Err(Situation::usage("GITHUB_ENV is not set")
            .hint("`--github-env` is for a step of a GitHub job; elsewhere use `--dotenv`")
            .into());
    };
    for variable in variables.iter().filter(|it| matches!(it.value, Value::Secret(_))) {
        let masks = written(std::slice::from_ref(variable), &|_, value| quote::mask(value));
        context.console.data(masks.as_bytes())?;
    }
    let text = written(variables, &quote::github);
    let appended = OpenOptions::new().append(true).create(true).open(&path);
    appended.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|error| {
        Situation::failed("github-env-not-written", format!("cannot append to `{}`: {error}", path.display()))
    })?;
    let names: Vec<&str> = variables.iter().map(|it| it.name).collect();
    context.console.note(format!("set for the next steps: {}", names.join(" ")));
    Ok(Exit::Done)
}

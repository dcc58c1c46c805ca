//! The command line: global options, the table of commands, and the way from
//! arguments to an exit code. A command's own arguments stand in its file.

pub mod completions;
mod guard;
pub mod help;
pub mod man;
pub mod shared;
mod twins;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::clock::Span;
use crate::context::{Context, Environment, Options};
use crate::exit::{Exit, Situation};
use crate::key::Scope;
use crate::output::console::Setup;
use crate::output::{Console, Format, Want};

// Every verb is a row of the table below.
use crate::commands::*;
use crate::exit;

const ABOUT: &str = "Keep, prove, replace and hand out the API and SMTP keys of e-mail platforms

This is not the kernel keyring's keyctl(1).";

const AFTER_HELP: &str = "\
Start:      keyctl store status, then keyctl add mailgun@acme
More:       keyctl help environment | exit-codes | key-refs
Every key:  keyctl validate        one location: keyctl which acme/berlin";

/// The whole command line.
#[derive(Debug, Parser)]
#[command(name = "keyctl", version, about = ABOUT, after_help = AFTER_HELP, max_term_width = 100,
          disable_help_subcommand = true, subcommand_required = true, arg_required_else_help = true,
          infer_subcommands = false)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

impl Global {
    /// Returns what the context has to know.
    fn options(&self) -> Options {
        Options {
            inventory: self.inventory.clone(),
            store: self.store.clone(),
            scope: self.scope.clone(),
            timeout: self.timeout,
        }
    }
}

/// Options every command has.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Inventory file to use
    #[arg(long, global = true, value_name = "PATH")]
    pub inventory: Option<PathBuf>,
    /// Store to use in this call: keyring, file, env
    #[arg(long, global = true, value_name = "NAME", value_parser = twins::store_name)]
    pub store: Option<String>,
    /// Scope that completes a key ref without @…
    #[arg(long, global = true, value_name = "SCOPE")]
    pub scope: Option<Scope>,
    /// Form of the result: table, json, plain
    #[arg(long, short, global = true, value_name = "FORMAT")]
    pub format: Option<Format>,
    /// Never ask; fail where a person would be needed
    #[arg(long, global = true)]
    pub no_input: bool,
    /// Answer yes to questions
    #[arg(long, short, global = true)]
    pub yes: bool,
    /// Say nothing but results, warnings and errors
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say more on stderr
    #[arg(long, short, global = true)]
    pub verbose: bool,
    /// When to use colour
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", hide_default_value = true)]
    pub color: Color,
    /// Time limit, such as 90s: of the command, or of each probe when there are many [default: 30s]
    #[arg(long, global = true, value_name = "DURATION")]
    pub timeout: Option<Span>,
}

macro_rules! commands {
    ($($(#[$attribute:meta])* $variant:ident => $module:ident),+ $(,)?) => {
        /// What to do.
        #[derive(Debug, Subcommand)]
        pub enum Command {
            $($(#[$attribute])* $variant(Box<$module::Args>),)+
        }

        impl Command {
            fn run(self, context: &CommandContext) -> anyhow::Result<Exit> {
                match self {
                    $(Self::$variant(args) => $module::run(*args, context),)+
                }
            }
        }
    };
}

commands! {
    /// Keep a key: recognise, prove and store it
    Add => add,
    /// Make a new key at the provider and keep it
    Create => create,
    /// Change what is recorded of a key
    Set => set,
    /// List keys with their last verdict
    List => list,
    /// Show everything recorded of one key
    Show => show,
    /// Tell which keys are effective at a scope, and why
    Which => which,
    /// Give a key another name or scope
    Rename => rename,
    /// Print one secret or field
    Get => get,
    /// Run a program with keys in its environment
    Run => run,
    /// Print keys as shell code, dotenv or for GitHub Actions
    Export => export,
    /// Prove live what each key is worth
    Validate => validate,
    /// Tell what a pasted text is, offline
    Identify => identify,
    /// List the sending domains that can be chosen, and why one is missing
    Domains => domains,
    /// Send a test message
    SendTest => send_test,
    /// Replace a key without an outage
    Rotate => rotate,
    /// Record that a key is switched off, and prove it
    Disable => disable,
    /// Record that a key is switched on again, and prove it
    Enable => enable,
    /// Remove a key from the inventory, or revoke it at the provider
    Remove => remove,
    /// Tell what a key may do at its provider
    Permissions => permissions,
    /// Manage the places where a key is used
    Consumer => consumer,
    /// Manage agencies and locations
    Scope => scope,
    /// Find keys that need attention
    Audit => audit,
    /// Show, empty or restore the provider's IP allowlist
    Allowlist => allowlist,
    /// Manage where secrets are kept
    Store => store,
    /// Write an encrypted backup of inventory and secrets
    Backup => backup,
    /// Restore a backup
    Restore => restore,
    /// Check this machine's set-up
    Doctor => doctor,
    /// Print completion code for a shell
    Completions => completions,
    /// Print or write the manual pages
    Man => man,
    /// Explain a topic or a command
    Help => help,
}

/// Commands whose stdout is no report: empty on failure, whatever the format.
const RAW: &[&str] = &["get", "run", "export", "completions", "man"];

/// Returns the whole command line as clap knows it, for completions and manuals.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs a command line and returns its exit code.
pub fn run(arguments: Vec<OsString>) -> Exit {
    let environment = Environment::of_process();
    let word = guard::command_word(&arguments);
    let parsed = guard::check(&arguments).and_then(|()| parse(&arguments)).and_then(|mut parsed| {
        if let Ok(cli) = &mut parsed {
            twins::fill(&mut cli.global, &environment)?;
        }
        Ok(parsed)
    });
    let cli = match parsed {
        Ok(Ok(cli)) => cli,
        Ok(Err(shown)) => {
            let console = Console::new(bare_setup(&arguments, &environment));
            return match console.data(shown.as_bytes()) {
                Ok(()) => Exit::Done,
                Err(_) => Exit::Failed,
            };
        }
        Err(situation) => {
            let console = Console::new(bare_setup(&arguments, &environment));
            return fail(&console, &arguments, situation);
        }
    };
    let console = Console::new(setup(&cli.global, &environment));
    let operator = Arc::new(console.clone());
    let context = match Context::new(operator, environment, cli.global.options()) {
        Ok(context) => CommandContext { console, context },
        Err(error) => {
            let console = Console::new(bare_setup(&arguments, &Environment::default()));
            return fail(&console, &arguments, described(&error));
        }
    };
    let exit = match cli.command.run(&context) {
        Ok(exit) => exit,
        Err(error) => fail(&context.console, &arguments, described(&error)),
    };
    // What prints no report is read by programs, which cannot act on it.
    if !is_raw(word.as_deref()) && word.as_deref() != Some("allowlist") {
        allowlist::nag(&context);
    }
    exit
}

fn described(error: &anyhow::Error) -> Situation {
    let (exit, code, message, hint) = exit::situation(error);
    Situation { exit, code, message, hint }
}

/// Says what went wrong. Whoever called the program wrongly is told where to
/// read on, even where nobody thought of a better next step.
fn fail(console: &Console, arguments: &[OsString], mut situation: Situation) -> Exit {
    if situation.exit == Exit::Usage && situation.hint.is_none() {
        situation.hint = Some(match situation.code {
            "bad-inventory" => "mend it in an editor; nothing was changed".to_owned(),
            _ => format!("see `{} --help`", guard::command_path(arguments)),
        });
    }
    let word = guard::command_word(arguments);
    console.failure(word.as_deref(), &situation, is_raw(word.as_deref()));
    situation.exit
}

fn is_raw(word: Option<&str>) -> bool {
    word.is_some_and(|word| RAW.contains(&word))
}

/// Parses the arguments; `Ok(Err(text))` is help or version to be shown.
///
/// # Errors
/// A usage error, in clap's words, its usage lines as the hint.
pub fn parse(arguments: &[OsString]) -> Result<Result<Cli, String>, Situation> {
    use clap::error::ErrorKind;
    let matches = match command().try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(error) if error.kind() == ErrorKind::DisplayHelp => return Ok(Err(help_text(&error))),
        Err(error) if error.kind() == ErrorKind::DisplayVersion => return Ok(Err(version_text())),
        Err(error) => return Err(usage(&error, arguments)),
    };
    Cli::from_arg_matches(&matches).map(Ok).map_err(|error| usage(&error, arguments))
}

fn help_text(error: &clap::Error) -> String {
    error.render().to_string()
}

/// `keyctl --version | grep -q 'e-mail API keys'` tells this program from the
/// kernel keyring's.
fn version_text() -> String {
    concat!("keyctl (e-mail API keys) ", env!("CARGO_PKG_VERSION"), "\n").to_owned()
}

fn usage(error: &clap::Error, arguments: &[OsString]) -> Situation {
    use clap::error::ErrorKind;
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand
    ) {
        return Situation::usage("no command was given")
            .hint(format!("`{} --help` lists the commands", guard::command_path(arguments)));
    }
    let text = error.render().to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let mut parts = text.split("\n\n").map(str::trim).filter(|part| !part.is_empty());
    let message = parts.next().unwrap_or("the arguments are not understood").to_owned();
    let rest: Vec<&str> = parts.filter(|part| !part.starts_with("For more information")).collect();
    let hint = match rest.is_empty() {
        true => format!("see `{} --help`", guard::command_path(arguments)),
        false => rest.join("\n"),
    };
    Situation::usage(message).hint(hint)
}

fn setup(global: &Global, environment: &Environment) -> Setup {
    Setup {
        format: global.format.unwrap_or_default(),
        want: match (global.quiet, global.verbose) {
            (true, _) => Want::Quiet,
            (false, true) => Want::Verbose,
            (false, false) => Want::Normal,
        },
        color: match global.color {
            Color::Auto => None,
            Color::Always => Some(true),
            Color::Never => Some(false),
        },
        no_input: global.no_input || environment.switch("KEYCTL_NO_INPUT"),
        yes: global.yes,
    }
}

/// Returns what can be said of the console before the arguments are understood:
/// a script that asked for JSON gets its errors as JSON, too.
fn bare_setup(arguments: &[OsString], environment: &Environment) -> Setup {
    let words: Vec<&str> =
        arguments.iter().filter_map(|it| it.to_str()).take_while(|it| *it != "--").collect();
    let format = words.iter().enumerate().find_map(|(n, word)| match *word {
        "-f" | "--format" => words.get(n + 1).copied(),
        _ => word.strip_prefix("--format=").or_else(|| word.strip_prefix("-f")),
    });
    let format = format.map(str::to_owned).or_else(|| environment.get("KEYCTL_FORMAT"));
    Setup {
        format: format.and_then(|it| it.parse().ok()).unwrap_or_default(),
        want: Want::Normal,
        color: None,
        no_input: true,
        yes: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_words(words: &[&str]) -> Result<Result<Cli, String>, Situation> {
        parse(&words.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn a_bad_argument_is_a_usage_error_with_a_next_step() {
        let situation = parse_words(&["keyctl", "list", "--frmat", "json"]).unwrap_err();
        assert_eq!(situation.exit, Exit::Usage);
        assert!(situation.message.contains("--frmat"), "{}", situation.message);
        assert!(situation.hint.is_some());
        let situation = parse_words(&["keyctl", "which", "Acme"]).unwrap_err();
        assert!(situation.message.contains("`A`"), "{}", situation.message);
    }

    #[test]
    fn a_script_that_asked_for_json_gets_json_errors() {
        let setup = |words: &[&str]| {
            bare_setup(&words.iter().map(OsString::from).collect::<Vec<_>>(), &Environment::default()).format
        };
        assert_eq!(setup(&["keyctl", "list", "-fjson", "--bad"]), Format::Json);
        assert_eq!(setup(&["keyctl", "--format", "json", "x"]), Format::Json);
        assert_eq!(setup(&["keyctl", "run", "acme", "--", "x", "-f", "json"]), Format::Table);
    }
}

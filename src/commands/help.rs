//! `keyctl help`: topics that belong to no single command, and the help of
//! commands by name.

use crate::context::Context;
use crate::context::env::DOCUMENTED;
use crate::exit::{Exit, Situation};
use crate::key::text::printable;
use crate::store;

/// Arguments of `help`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A topic or a command [default: the list of both]
    #[arg(value_name = "TOPIC")]
    topic: Vec<String>,
}

/// A text that explains one thing.
struct Topic {
    name: &'static str,
    summary: &'static str,
    text: fn() -> String,
}

const TOPICS: &[Topic] = &[
    Topic {
        name: "key-refs",
        summary: "how keys and scopes are named, and what an argument selects",
        text: key_refs,
    },
    Topic { name: "verdicts", summary: "what valid, limited, rejected and unknown mean", text: verdicts },
    Topic { name: "exit-codes", summary: "what each exit code means", text: exit_codes },
    Topic { name: "environment", summary: "the variables that are read", text: environment },
    Topic { name: "stores", summary: "where secrets can be kept", text: stores },
    Topic { name: "rotation", summary: "how a key is replaced without an outage", text: rotation },
    Topic { name: "formats", summary: "table, json and plain", text: formats },
];

/// Explains a topic.
///
/// # Errors
/// Exit 2 for one that is not known.
pub fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let text = match args.topic.as_slice() {
        [] => overview(),
        [one] if TOPICS.iter().any(|topic| topic.name == one) => {
            TOPICS.iter().find(|topic| topic.name == one).map(|topic| (topic.text)()).unwrap_or_default()
        }
        words => command_help(words)?,
    };
    context.console.data(text.as_bytes())?;
    Ok(Exit::Done)
}

fn command_help(words: &[String]) -> Result<String, Situation> {
    let mut root = crate::cli::command();
    root.build();
    let mut command = &mut root;
    for word in words {
        command = command.find_subcommand_mut(word).ok_or_else(|| {
            let known = TOPICS.iter().map(|topic| topic.name).collect::<Vec<_>>().join(", ");
            Situation::usage(format!("`{}` is no topic and no command", printable(word, 40)))
                .hint(format!("topics: {known}; `keyctl --help` lists the commands"))
        })?;
    }
    Ok(command.render_long_help().to_string())
}

fn overview() -> String {
    let mut text = String::from("Topics (keyctl help TOPIC):\n");
    for topic in TOPICS {
        text.push_str(&format!("  {:<14}{}\n", topic.name, topic.summary));
    }
    text.push_str("\nA command is explained by `keyctl help COMMAND` or `keyctl COMMAND --help`.\n");
    text
}

fn key_refs() -> String {
    "\
A scope is an agency (acme) or one of its locations (acme/berlin).
A key ref names one key:  PROVIDER[:LABEL]@AGENCY[/LOCATION]
  mailgun@acme   mailgun@acme/berlin   brevo:webshop@acme/berlin
Names have a-z, 0-9 and single -, at most 63 characters. Without @… a key ref is completed with
--scope, KEYCTL_SCOPE, the inventory's default scope, or its only agency.

As an argument, a key ref is exactly that key, never an inherited one. A scope means the keys
effective there: per provider, kind and label the nearest level that has one wins, location before
agency. In list, validate, audit and rotate an agency also means every key below it.
Disabled keys, and scopes that send with another e-mail provider, are skipped and it is said.
"
    .to_owned()
}

fn verdicts() -> String {
    use crate::key::{Reason, Verdict};
    let mut text = String::from(
        "\
valid     accepted and fit for its recorded job
limited   accepted, but something it needs is missing
rejected  refused by the provider, or of another account
unknown   nothing was proven; never a dead key

Reasons, the first of several being the one shown:
",
    );
    for verdict in [Verdict::Rejected, Verdict::Unknown, Verdict::Limited] {
        let reasons = Reason::ALL.into_iter().filter(|it| it.verdict() == verdict);
        let words: Vec<&str> = reasons.map(|it| it.as_str()).collect();
        text.push_str(&format!("  {verdict:<9} {}\n", words.join(" ")));
    }
    text
}

fn exit_codes() -> String {
    "\
  0  done; every key asked about is valid (or limited without --strict); a rotation waits only for time
  1  the operation failed for a reason not below
  2  usage or configuration error
  3  a key is rejected; no domain can be chosen; findings; a key was accepted that should be dead
  4  nothing of 3, but something is unknown: nothing was proven
  5  only limited keys, with --strict
  6  a human must act before it can go on
  7  the secret store is locked, missing or cannot be written
  8  no such key, scope or secret; nothing selected
  9  refused: needs --yes, --force, --replace, --reveal, --forget or an approval, or the state forbids it
 64  meant for the kernel keyring's keyctl(1)
130  interrupted
Several results: 1, 2, 7, 3, 4, 6, 5, 0 in this order. The same in every format.
"
    .to_owned()
}

fn environment() -> String {
    let widest =
        DOCUMENTED.iter().map(|(name, _)| name.chars().count()).filter(|it| *it < 30).max().unwrap_or(0);
    let mut text = String::new();
    for (name, meaning) in DOCUMENTED {
        let pad = widest.saturating_sub(name.chars().count());
        text.push_str(&format!("{name}{:pad$}  {meaning}\n", ""));
    }
    text
}

fn stores() -> String {
    let mut text = String::from("Secrets are in a store, never in the inventory:\n");
    for row in store::TABLE {
        let writable = if row.writable { "" } else { " (read-only)" };
        text.push_str(&format!("  {:<9}{}{writable}\n", row.name, row.summary));
    }
    text.push_str("\nThe store is chosen at the first `add` and remembered. `keyctl store status` says what each protects against.\n");
    text
}

fn rotation() -> String {
    "\
keyctl rotate KEYREF replaces a key while the old one goes on working:
  1  checks everything that can be checked before the first change, shows the plan and asks
  2  makes the new key (by API, or you do in the console), stores it, and tests it
  3  switches: from now on get, run and export give the new key
  4  hands it to the consumers: commands at once; manual ones wait for `rotate --ack NAME`
  5  waits out the grace period (24h), which starts when the last consumer is done
  6  asks the provider whether the old key was used since; switches it off where that can be
     undone; has it deleted; proves that it is dead
Nothing runs by itself: `rotate KEYREF --resume` (by hand or cron) goes on from where it stands.
`--abort` before step 3, `--rollback` until the old key is gone. `--status` tells what comes next.
"
    .to_owned()
}

fn formats() -> String {
    "\
table  for people; laid out to the terminal
json   one object: {\"schema_version\":1,\"command\":…,\"data\":{…}}, or \"error\" with code, message, hint
plain  tab-separated, no header, the JSON fields in order; null is empty, lists are joined by ,
Data goes to stdout, everything else to stderr. Times are RFC 3339, UTC.
"
    .to_owned()
}

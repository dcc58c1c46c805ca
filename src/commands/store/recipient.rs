//! `keyctl store recipient`: who can open the file store.

use serde_json::Value;

use crate::commands::CommandContext;
use crate::exit::{Exit, Situation};
use crate::output::{Page, Report, Table, Tone};
use crate::store::file::{self, Recipient, RecipientError};

/// Arguments of `store recipient`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Let one more open the store
    Add {
        /// The recipient: the public key that begins with age1
        #[arg(value_name = "AGE1…")]
        recipient: String,
        /// What to call it: a person, a CI system, a backup
        #[arg(long)]
        name: String,
    },
    /// List who can open the store
    List,
    /// Shut one out of the store as it is from now on
    Remove {
        /// The name of the recipient, or its public key
        #[arg(value_name = "NAME")]
        name: String,
    },
}

/// Changes or lists the recipients.
///
/// # Errors
/// Exit 2 for what is no recipient, 7 when the store cannot be opened, 8 when
/// there is none of that name, 9 when nobody could open the store afterwards.
pub fn run(args: Args, context: &CommandContext) -> anyhow::Result<Exit> {
    let surroundings = context.surroundings();
    match args.verb {
        Verb::List => {}
        Verb::Add { recipient, name } => {
            let recipient = file::check_recipient(&name, &recipient).map_err(situation)?;
            file::add_recipient(&surroundings, &recipient).map_err(situation)?;
            context.console.note(format!("`{}` can open the store now", recipient.name));
        }
        Verb::Remove { name } => {
            let removed = file::remove_recipient(&surroundings, &name).map_err(situation)?;
            context.console.note(format!("`{name}` cannot open the store any more"));
            if removed.known_secrets > 0 {
                context.console.warning(format!(
                    "`{name}` could read {} secrets and may still have them, also in older copies of the file; \
                     rotate what must not be known there: `keyctl rotate`",
                    removed.known_secrets
                ));
            }
        }
    }
    let recipients = file::list_recipients(&surroundings).map_err(Situation::from)?;
    context.console.report(&RecipientReport { recipients })?;
    Ok(Exit::Done)
}

fn situation(error: RecipientError) -> Situation {
    let message = error.to_string();
    match error {
        RecipientError::Store(error) => Situation::from(error),
        RecipientError::Identity => Situation::usage(message)
            .hint("make a new identity, and give its public key (`age1…`, printed by `age-keygen`) instead"),
        RecipientError::NotARecipient(_) => Situation::usage(message)
            .hint("`age-keygen` prints it as the public key; SSH keys cannot be used"),
        RecipientError::Name => Situation::usage(message),
        RecipientError::NameTaken(_) => {
            Situation::refused("name-taken", message).hint("give another --name, or remove that one first")
        }
        RecipientError::KeyTaken(_) => {
            Situation::refused("recipient-exists", message).hint("`keyctl store recipient list` shows all")
        }
        RecipientError::NoSuch(_) => {
            Situation::missing("no-such-recipient", message).hint("`keyctl store recipient list` shows all")
        }
        RecipientError::Last(_) => {
            Situation::refused("last-recipient", message).hint("add another one first")
        }
        RecipientError::Own(_) => {
            Situation::refused("own-recipient", message).hint("let another recipient remove it")
        }
    }
}

struct RecipientReport {
    recipients: Vec<Recipient>,
}

impl Report for RecipientReport {
    fn command(&self) -> &'static str {
        "store"
    }

    fn data(&self) -> Value {
        let line = |it: &Recipient| serde_json::json!({ "name": it.name, "recipient": it.key });
        serde_json::json!({ "recipients": self.recipients.iter().map(line).collect::<Vec<_>>() })
    }

    fn rows(&self) -> Option<&'static str> {
        Some("recipients")
    }

    fn human(&self, page: &mut Page) {
        let mut table = Table::new(&["name", "recipient"]);
        for it in &self.recipients {
            table.row([it.name.as_str().into(), it.key.as_str().into()]);
        }
        if self.recipients.is_empty() {
            page.line(Tone::Plain, "nobody");
        }
        page.table(&table);
    }
}

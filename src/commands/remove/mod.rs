//! `keyctl remove`: a key that is no more leaves the inventory and the store.
//! `revoke` makes it so at the provider first; this file decides, and deletes
//! in the order that loses nothing: mark, delete, drop the mark.

use serde_json::Value;

use crate::cli::completions;
use crate::commands::CommandContext;
use crate::exit::Exit;
use crate::key::{KeyRef, KeyRefArg};
use crate::output::{Page, Report, Tone};
use crate::workflow::create_announcement::must_be_settled;
use crate::workflow::remove_key::{How, Subject, not_managing, same_secret};
use crate::workflow::store_secret::not_in_rotation;

/// Arguments of `remove`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keyctl remove mailgun:old@acme             a key that its provider refuses already
  keyctl remove mailgun:old@acme --revoke    deletes it at the provider, proves it dead, removes it
  keyctl remove brevo@acme --forget          only here; the key may go on working

What is deleted at a provider cannot be brought back.")]
pub struct Args {
    /// The key to remove
    #[arg(value_name = "KEYREF", add = completions::keys())]
    key: KeyRefArg,
    /// Delete it at the provider first, and prove that it is dead
    #[arg(long, conflicts_with = "forget")]
    revoke: bool,
    /// Remove record and secret although the key may still work
    #[arg(long)]
    forget: bool,
    /// The key that deletes it at the provider
    #[arg(long, value_name = "KEYREF", requires = "revoke", add = completions::keys())]
    using: Option<KeyRefArg>,
    /// It has been deleted in the provider's console
    #[arg(long, requires = "revoke")]
    done: bool,
}

/// Removes a key.
///
/// # Errors
/// Exit 9 while it works or a rotation needs it, exit 4 when that cannot be
/// told, exit 6 when a person must delete it first, exit 3 when it works on.
pub fn run(args: Args, context: &CommandContext) -> anyhow::Result<Exit> {
    let inventory = context.inventory()?;
    let key = context.complete(&args.key)?;
    let record = inventory.record(&key)?;
    not_in_rotation(inventory, &key)?;
    not_managing(inventory, &key)?;
    if !args.forget {
        must_be_settled(inventory, &key)?;
    }
    let subject = Subject { context, inventory, key: &key, record };
    let how = if args.forget {
        How::Forgotten
    } else if args.revoke {
        let using = args.using.as_ref().map(|it| context.complete(it)).transpose()?;
        crate::workflow::revoke_key::run(&subject, using.as_ref(), args.done)?
    } else {
        subject.must_be_dead()?;
        How::Dead
    };
    if how == How::Forgotten {
        context.console.warning(format!("the key may go on working at {}", key.provider));
    }
    subject.drop_it()?;
    let same = same_secret(inventory, &key, record);
    if how != How::Forgotten && !same.is_empty() {
        let refs: Vec<String> = same.iter().map(|it| format!("`{it}`")).collect();
        context.console.warning(format!("the same secret is still recorded as {}", refs.join(", ")));
    }
    let consumers = record.consumers.iter().map(|it| it.name.clone()).collect();
    context.console.report(&RemoveReport { key: key.clone(), how, consumers })?;
    Ok(Exit::Done)
}

struct RemoveReport {
    key: KeyRef,
    how: How,
    consumers: Vec<String>,
}

impl Report for RemoveReport {
    fn command(&self) -> &'static str {
        "remove"
    }

    fn data(&self) -> Value {
        serde_json::json!({ "key": self.key, "removed": true, "how": self.how, "consumers": self.consumers })
    }

    fn human(&self, page: &mut Page) {
        let how = match self.how {
            How::Revoked => "revoked, proven dead and removed",
            How::Console => "proven dead and removed",
            How::Dead => "removed",
            How::Forgotten => "forgotten",
        };
        page.line(Tone::Strong, format!("{} {how}", self.key));
        if !self.consumers.is_empty() {
            page.line(Tone::Plain, format!("it was recorded in: {}", self.consumers.join(", ")));
        }
    }
}

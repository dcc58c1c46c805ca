//! `keyctl allowlist`: the addresses an account may be called from; shown,
//! emptied for a while and put back.

use serde_json::{Value, json};

pub use crate::workflow::allowlist::saved_lists::nag;

use crate::clock::Span;
use crate::commands::CommandContext;
use crate::exit::{Exit, Situation};
use crate::key::text::printable;
use crate::key::{KeyRef, KeyRefArg, Kind};
use crate::output::{Page, Report, Table, Tone};
use crate::provider::{Allowlist, AllowlistEntry};
use crate::workflow::allowlist::account::Account;
use crate::workflow::allowlist::saved_lists::Saved;
use crate::workflow::managing_key::Keyed;
use crate::{clock, provider};

/// Arguments of `allowlist`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keyctl allowlist mailgun@acme
  keyctl allowlist mailgun@acme --relax --for 15m     then save the key where the list kept it out
  keyctl allowlist mailgun@acme --restore

An empty list lets every address in. The whole list is saved on this machine before anything is
deleted; nothing restores it by itself, but every command reminds you until it is restored.")]
pub struct Args {
    /// A key of the account that may change the list
    #[arg(value_name = "KEYREF", add = crate::cli::completions::keys())]
    key: KeyRefArg,
    /// Save the list and empty it
    #[arg(long, conflicts_with = "restore")]
    relax: bool,
    /// When it is to be restored; only reminds
    #[arg(long = "for", value_name = "DURATION", requires = "relax")]
    span: Option<Span>,
    /// Put the saved list back
    #[arg(long)]
    restore: bool,
}

/// Shows the list, empties it or puts it back.
///
/// # Errors
/// Exit 2 where there is no such list, exit 3 when the key is refused or may
/// not, exit 4 when it could not be told, exit 8 when nothing is saved, exit 9
/// without a word of consent.
pub fn run(args: Args, context: &CommandContext) -> anyhow::Result<Exit> {
    let inventory = context.inventory()?;
    let key = context.complete(&args.key)?;
    let record = inventory.record(&key)?;
    let facet = facet(&key, record.kind)?;
    let account = Account { context, facet, keyed: Keyed::read(context, inventory, &key)? };
    let entries = if args.relax {
        crate::workflow::allowlist::change::relax(&account, args.span)?
    } else if args.restore {
        crate::workflow::allowlist::change::restore(&account)?
    } else {
        account.read("the IP allowlist was not read")?
    };
    account.note_presence(&entries)?;
    let saved = crate::workflow::allowlist::saved_lists::of(context, record);
    if !entries.is_empty() && saved.is_none() && inventory.us_rule(&key.scope.agency) {
        context.console.hint(format!(
            "HighLevel's addresses are not published; to save the key there, `keyctl allowlist {key} --relax \
             --for 15m`"
        ));
    }
    context.console.report(&Listed { key, entries, saved })?;
    Ok(Exit::Done)
}

fn facet(key: &KeyRef, kind: Kind) -> anyhow::Result<&'static dyn Allowlist> {
    let facet = provider::provider(key.provider).allowlist().ok_or_else(|| {
        Situation::usage(format!("{} has no API for an IP allowlist of its accounts", key.provider))
            .hint("look into its console: the security settings of the account")
    })?;
    if kind != key.provider.kinds().first().copied().unwrap_or(kind) {
        return Err(Situation::usage(format!("`{key}` is a {kind} key, which cannot read the IP allowlist"))
            .hint("name an account key")
            .into());
    }
    Ok(facet)
}

struct Listed {
    key: KeyRef,
    entries: Vec<AllowlistEntry>,
    saved: Option<Saved>,
}

impl Report for Listed {
    fn command(&self) -> &'static str {
        "allowlist"
    }

    fn data(&self) -> Value {
        let saved: &[AllowlistEntry] = self.saved.as_ref().map_or(&[], |it| &it.entries);
        json!({
            "key": self.key,
            "entries": self.entries,
            "relaxed": self.saved.is_some(),
            "saved": saved,
            "until": self.saved.as_ref().and_then(|it| it.until).map(clock::rfc3339),
        })
    }

    fn rows(&self) -> Option<&'static str> {
        Some("entries")
    }

    fn human(&self, page: &mut Page) {
        if self.entries.is_empty() {
            page.line(Tone::Plain, "The list is empty: every address may use the account.");
        }
        page.table(&table(&self.entries));
        let Some(saved) = &self.saved else { return };
        page.blank();
        let until = saved.until.map(|it| format!(", to be restored by {}", clock::rfc3339(it)));
        let title = format!("Saved {}{}:", clock::rfc3339(saved.saved_at), until.unwrap_or_default());
        page.line(Tone::Warn, title);
        page.table(&table(&saved.entries));
    }
}

fn table(entries: &[AllowlistEntry]) -> Table {
    let mut table = Table::new(&["address", "description"]);
    for entry in entries {
        let description = entry.description.as_deref().unwrap_or_default();
        table.row([printable(&entry.address, 60).into(), printable(description, 200).into()]);
    }
    table
}

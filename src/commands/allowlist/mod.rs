//! `keyctl allowlist`: the addresses an account may be called from; shown,
//! emptied for a while and put back.

mod change;
mod saved;

use serde_json::{Value, json};

use super::managing::Keyed;
use super::troubled;
use crate::clock::{self, Span};
use crate::context::Context;
use crate::exit::{Exit, Situation};
use crate::key::text::printable;
use crate::key::{KeyRef, KeyRefArg, Kind};
use crate::output::{Page, Report, Table, Tone};
use crate::provider::{self, Allowlist, AllowlistEntry, Trouble};
use saved::Saved;

pub use saved::nag;

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
    #[arg(value_name = "KEYREF", add = super::completions::keys())]
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
pub fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let inventory = context.inventory()?;
    let key = context.complete(&args.key)?;
    let record = inventory.record(&key)?;
    let facet = facet(&key, record.kind)?;
    let account = Account { context, facet, keyed: Keyed::read(context, inventory, &key)? };
    let entries = if args.relax {
        change::relax(&account, args.span)?
    } else if args.restore {
        change::restore(&account)?
    } else {
        account.read("the IP allowlist was not read")?
    };
    account.note_presence(&entries)?;
    let saved = saved::of(context, record);
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

/// An account, by a key that may be called with.
struct Account<'a> {
    context: &'a Context,
    facet: &'a dyn Allowlist,
    keyed: Keyed,
}

impl Account<'_> {
    fn key(&self) -> &KeyRef {
        &self.keyed.key
    }

    /// Returns the list, sorted. Each call has the whole time of a command.
    fn read(&self, failed: &str) -> anyhow::Result<Vec<AllowlistEntry>> {
        self.try_read().map_err(|error| error.or_situation(self, failed))
    }

    fn try_read(&self) -> Result<Vec<AllowlistEntry>, Unread> {
        self.context.restart_clock();
        let net = self.context.net().map_err(Unread::Other)?;
        let mut list = self.facet.read(net.by(&self.keyed.credential())).map_err(Unread::Trouble)?;
        list.sort();
        Ok(list)
    }

    fn add(&self, entry: &AllowlistEntry) -> anyhow::Result<Result<(), Trouble>> {
        self.context.restart_clock();
        let net = self.context.net()?;
        Ok(self.facet.add(net.by(&self.keyed.credential()), entry))
    }

    fn remove(&self, address: &str) -> anyhow::Result<Result<bool, Trouble>> {
        self.context.restart_clock();
        let net = self.context.net()?;
        Ok(self.facet.remove(net.by(&self.keyed.credential()), address))
    }

    fn situation(&self, message: &str, trouble: Trouble) -> anyhow::Error {
        troubled::situation(self.context, &self.keyed.record, message, trouble, Exit::Rejected).into()
    }

    /// Remembers whether there is a list: it decides later whether a refusal
    /// may be a block of this address.
    fn note_presence(&self, entries: &[AllowlistEntry]) -> anyhow::Result<()> {
        saved::note_presence(self.context, &self.keyed.record, !entries.is_empty())
    }
}

/// Why a list was not read.
enum Unread {
    Trouble(Trouble),
    Other(anyhow::Error),
}

impl Unread {
    fn or_situation(self, account: &Account<'_>, failed: &str) -> anyhow::Error {
        match self {
            Self::Trouble(trouble) => account.situation(failed, trouble),
            Self::Other(error) => error,
        }
    }
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

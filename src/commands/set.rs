//! `keyctl set`: changes what is recorded of a key. The secret stays.

use jiff::Timestamp;
use serde_json::Value;

use crate::commands::CommandContext;
use crate::exit::{Exit, Situation};
use crate::inventory::Inventory;
use crate::key::{Domain, Expiry, KeyRef, KeyRefArg, Kind, Record, Region};
use crate::output::{Page, Report, Tone};
use crate::provider;
use crate::workflow::create_announcement::must_be_settled;
use crate::workflow::domains::selectable;
use crate::workflow::domains::selectable::Checked;
use crate::workflow::key_description::Described;
use crate::workflow::smtp_login::Sought;
use crate::workflow::store_secret::not_in_rotation;
use crate::workflow::{key_description, smtp_login};

/// Arguments of `set`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keyctl set mailgun@acme --note 'ordered by Jo' --expires 2027-01-31
  keyctl set mailgun:send@acme --kind sending --domain mg.acme.example
  keyctl set klaviyo@acme --permissions campaigns:read,profiles:read
  keyctl set mailgun@acme --note ''                     takes the note away")]
pub struct Args {
    /// The key to change
    #[arg(value_name = "KEYREF", add = crate::cli::completions::keys())]
    key: KeyRefArg,
    /// Free text; empty takes it away
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// When it stops working by itself: a date or never
    #[arg(long, value_name = "DATE|never", value_parser = key_description::expiry)]
    expires: Option<Expiry>,
    /// When the key was made
    #[arg(long, value_name = "DATE", value_parser = crate::clock::date)]
    created: Option<Timestamp>,
    /// The domain of the key; it must be one that can be chosen
    #[arg(long, value_name = "DOMAIN")]
    domain: Option<Domain>,
    /// The login of an SMTP key; without a value, the one that the API key beside it tells
    #[arg(long, value_name = "LOGIN", num_args = 0..=1)]
    login: Option<Option<String>>,
    /// Mailgun's region: us, eu
    #[arg(long, value_name = "REGION")]
    region: Option<Region>,
    /// What the key is for
    #[arg(long, value_name = "KIND")]
    kind: Option<Kind>,
    /// What the key shall be able to do
    #[arg(long, value_name = "PERMISSION,…", value_delimiter = ',')]
    permissions: Vec<String>,
    /// Record a domain that cannot be chosen, or not be checked
    #[arg(long)]
    force: bool,
}

/// Changes a record.
///
/// # Errors
/// Exit 2 when nothing is to be changed, exit 3 for a domain that cannot be
/// chosen, exit 4 when that could not be told, exit 8 for no such key.
pub fn run(args: Args, context: &CommandContext) -> anyhow::Result<Exit> {
    let inventory = context.inventory()?;
    let key = context.complete(&args.key)?;
    let record = inventory.record(&key)?;
    let login = match &args.login {
        Some(None) => Some(told(context, inventory, (&key, record))?),
        said => said.clone().flatten(),
    };
    let (described, clears_note) = described(&args, login, &key, record)?;
    // By these the key of a lost reply is found.
    if args.kind.is_some() || args.domain.is_some() || args.login.is_some() || args.region.is_some() {
        must_be_settled(inventory, &key)?;
    }
    if touches_the_secret(&key, record, &described) {
        not_in_rotation(inventory, &key)?;
    }
    if let Some(domain) = &args.domain
        && !args.force
        && provider::provider(key.provider).terms().sends_for_highlevel
        && selectable::check(context, inventory, &key.scope, domain)? == Checked::NoKey
    {
        context.console.warning(format!(
            "no account key is effective at `{}`: whether `{domain}` can be chosen was not checked",
            key.scope
        ));
    }
    let changed = context.update(|inventory| {
        let Some(held) = inventory.keys.get_mut(&key) else {
            return Err(inventory.no_such_key(&key).into());
        };
        let before = held.clone();
        held.kind = described.kind.unwrap_or(held.kind);
        described.fill(held);
        if clears_note {
            held.note = None;
        }
        Ok(differences(&before, held))
    })?;
    context.console.report(&SetReport { key, changed })?;
    Ok(Exit::Done)
}

/// Reads the options against the record: what they leave out is as recorded.
fn described(
    args: &Args,
    login: Option<String>,
    key: &KeyRef,
    record: &Record,
) -> Result<(Described, bool), Situation> {
    let clears_note = args.note.as_deref().is_some_and(|it| it.trim().is_empty());
    let said = args.expires.is_some()
        || args.created.is_some()
        || args.note.is_some()
        || args.domain.is_some()
        || login.is_some()
        || args.region.is_some()
        || args.kind.is_some()
        || !args.permissions.is_empty();
    if !said {
        return Err(Situation::usage(format!("nothing of `{key}` is to be changed"))
            .hint("say what: `--note`, `--expires`, `--created`, `--domain`, `--login`, `--region`, `--kind`, `--permissions`"));
    }
    let mut described = Described {
        kind: args.kind,
        region: args.region,
        domain: args.domain.clone(),
        login,
        note: args.note.clone().filter(|_| !clears_note),
        created: args.created,
        expires: args.expires,
        permissions: args.permissions.clone(),
        consumers: Vec::new(),
        no_more_than: Vec::new(),
        no_less_than: Vec::new(),
    };
    // A kind may need what is recorded already.
    let mut whole = Described {
        domain: described.domain.clone().or_else(|| record.domain.clone()),
        login: described.login.clone().or_else(|| record.login.clone()),
        ..described.clone()
    };
    whole.check(key.provider)?;
    described.permissions = whole.permissions;
    if described.login.is_some() {
        described.login = whole.login;
        described.domain = described.domain.or(whole.domain);
    }
    Ok((described, clears_note))
}

/// Returns the login that another key of the account tells.
fn told(
    context: &CommandContext,
    inventory: &Inventory,
    (key, record): (&KeyRef, &Record),
) -> anyhow::Result<String> {
    let sought = Sought::of(key, record);
    let Some(told) = smtp_login::ask(context, &context.net()?, inventory, sought) else {
        return Err(
            smtp_login::missing(inventory, sought, "it takes another key of the account to tell").into()
        );
    };
    context.console.note(format!("`{}` tells the login of its account: {}", told.by, told.login));
    Ok(told.login)
}

/// A login that is the account's may be put right while a key rotates: the
/// rotation may be waiting for just that.
fn touches_the_secret(key: &KeyRef, record: &Record, described: &Described) -> bool {
    let is_the_accounts = smtp_login::are_the_accounts(key.provider, record.kind);
    described.kind.is_some()
        || described.domain.is_some()
        || (described.login.is_some() && !is_the_accounts)
        || described.region.is_some()
}

fn differences(before: &Record, after: &Record) -> Vec<&'static str> {
    let pairs = [
        ("kind", before.kind != after.kind),
        ("region", before.region != after.region),
        ("domain", before.domain != after.domain),
        ("login", before.login != after.login),
        ("created", before.created != after.created),
        ("expires", before.expires != after.expires),
        ("permissions", before.permissions != after.permissions),
        ("note", before.note != after.note),
    ];
    pairs.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
}

struct SetReport {
    key: KeyRef,
    changed: Vec<&'static str>,
}

impl Report for SetReport {
    fn command(&self) -> &'static str {
        "set"
    }

    fn data(&self) -> Value {
        serde_json::json!({ "key": self.key, "changed": self.changed })
    }

    fn human(&self, page: &mut Page) {
        match self.changed.as_slice() {
            [] => page.line(Tone::Dim, format!("{} is as it was", self.key)),
            names => page.line(Tone::Strong, format!("{}: {} changed", self.key, names.join(", "))),
        }
    }
}

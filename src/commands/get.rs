//! `keyctl get`: one secret, or one field of a record, for another program.
//! Opens one store at most and never the network.

use super::handing::{self, Handed};
use super::logins::{self, Sought};
use crate::context::{Context, Slot};
use crate::exit::{Exit, Situation};
use crate::inventory::Inventory;
use crate::inventory::select::Filter;
use crate::key::kind::fixed_words;
use crate::key::{Kind, ProviderId, Selector};
use crate::provider;

/// Arguments of `get`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keyctl get mailgun@acme | docker secret create mailgun_key -
  keyctl get acme/berlin --provider brevo --kind smtp
  keyctl get mailgun@acme/berlin --field domain")]
pub struct Args {
    /// The key, or a scope where only one comes into question
    #[arg(value_name = "KEYREF|SCOPE", add = super::completions::selectors())]
    selector: Selector,
    /// Of a scope: the key of this provider
    #[arg(long, value_name = "PROVIDER")]
    provider: Option<ProviderId>,
    /// Of a scope: the key of this kind
    #[arg(long, value_name = "KIND")]
    kind: Option<Kind>,
    /// Of a scope: the key with this label
    #[arg(long, value_name = "LABEL")]
    label: Option<String>,
    /// Which version: current, pending, previous
    #[arg(long, value_name = "SLOT", default_value = "current", conflicts_with = "field")]
    slot: Slot,
    /// Show the secret on a terminal, too
    #[arg(long)]
    reveal: bool,
    /// Instead of the secret: domain, region, login, api-url, smtp-host, smtp-port
    #[arg(long, value_name = "FIELD")]
    field: Option<Field>,
}

/// What `--field` may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    Domain,
    Region,
    Login,
    ApiUrl,
    SmtpHost,
    SmtpPort,
}

impl Field {
    const ALL: [Self; 6] =
        [Self::Domain, Self::Region, Self::Login, Self::ApiUrl, Self::SmtpHost, Self::SmtpPort];
    fn as_str(self) -> &'static str {
        match self {
            Self::Domain => "domain",
            Self::Region => "region",
            Self::Login => "login",
            Self::ApiUrl => "api-url",
            Self::SmtpHost => "smtp-host",
            Self::SmtpPort => "smtp-port",
        }
    }
}
fixed_words!(Field, "field");

/// Writes the secret or the field, and a newline.
///
/// # Errors
/// Exit 8 when there is no such key, secret or field, exit 9 for a terminal
/// without `--reveal` and for a secret that is not the recorded one, exit 7 when the store cannot be read.
pub fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let inventory = context.inventory()?;
    let selected = context.selected(&args.selector)?;
    let filter =
        Filter { provider: args.provider, kind: args.kind, label: args.label.as_deref(), disabled: false };
    let handed = handing::single(inventory, &selected, filter)?;
    let mut bytes = zeroize::Zeroizing::new(Vec::new());
    if let Some(field) = args.field {
        bytes.extend_from_slice(value(context, inventory, &handed, field)?.as_bytes());
    } else {
        handing::guard_terminal(context, args.reveal)?;
        let secret = context.handout(inventory, handed.key, handed.record, args.slot)?;
        bytes.extend_from_slice(secret.expose().as_bytes());
    }
    bytes.push(b'\n');
    context.console.data(&bytes)?;
    Ok(Exit::Done)
}

fn value(
    context: &Context,
    inventory: &Inventory,
    handed: &Handed<'_>,
    field: Field,
) -> anyhow::Result<String> {
    let (host, relay) = provider::provider(handed.key.provider).endpoint(handed.record.kind, handed.region());
    let found = match field {
        Field::Domain => handed.domain(inventory).map(|it| it.to_string()),
        Field::Region => handed.region().map(|it| it.to_string()),
        Field::Login => handed.record.login.clone(),
        Field::ApiUrl => host.map(|it| context.origin(it)).transpose()?,
        Field::SmtpHost => relay.map(|it| context.relay(it)).transpose()?.map(|(name, _)| name),
        Field::SmtpPort => relay.map(|it| context.relay(it)).transpose()?.map(|(_, port)| port.to_string()),
    };
    let variable = match field {
        Field::ApiUrl => host.map(|it| it.variable),
        Field::SmtpHost | Field::SmtpPort => relay.map(|it| it.variable),
        Field::Domain | Field::Region | Field::Login => None,
    };
    context.say_overrides(variable.into_iter());
    found.ok_or_else(|| absent(inventory, handed, field).into())
}

fn absent(inventory: &Inventory, handed: &Handed<'_>, field: Field) -> Situation {
    let (key, kind) = (handed.key, handed.record.kind);
    let situation = Situation::missing("no-such-field", format!("`{key}` has no {field}"));
    match field {
        Field::Domain => situation.hint(format!(
            "record it: `keyctl set {key} --domain`, or `keyctl scope set {} --domain`",
            key.scope
        )),
        Field::Login => situation.hint(logins::way_to_record(inventory, Sought::of(key, handed.record))),
        Field::Region => situation.hint(format!("{} has one region only", key.provider)),
        Field::ApiUrl | Field::SmtpHost | Field::SmtpPort => {
            situation.hint(format!("it is a key of kind {kind}"))
        }
    }
}

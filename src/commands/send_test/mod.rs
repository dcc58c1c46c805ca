//! `keyctl send-test`: sends one message with a key, by API or relay, and
//! follows it until the provider knows what became of it.

mod choice;
mod follow;

use serde::Serialize;
use serde_json::{Value, json};

pub use crate::workflow::test_mail::address::Address;

use crate::clock::Span;
use crate::commands::CommandContext;
use crate::exit::{Exit, Situation};
use crate::inventory::Inventory;
use crate::inventory::select::Selected;
use crate::key::kind::fixed_words;
use crate::key::{Domain, KeyRef, Kind, Reason, Record, Scope, Selector};
use crate::output::{Page, Report, Table, Tone};
use crate::provider::{Delivery, MailEvent, Net, Sent, TestMail, Trouble};
use crate::smtp::Message;
use crate::workflow::managing_key::Keyed;
use crate::workflow::smtp_login::Sought;
use crate::workflow::test_mail::address::Subject;
use crate::workflow::test_mail::message::{SUBJECT, message};
use crate::workflow::{provider_failure, smtp_login};

/// Arguments of `send-test`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keyctl send-test acme/berlin --to you@example.com --dry-run
  keyctl send-test acme/berlin --to you@example.com --wait 60s
  keyctl send-test brevo:smtp@acme --to you@example.com
  keyctl send-test klaviyo@acme --to you@example.com --template AbC123

With --wait: exit 0 delivered, 1 failed, 4 not known in time.")]
pub struct Args {
    /// The key, or a scope: its Mailgun key, else its Brevo or Klaviyo key
    #[arg(value_name = "KEYREF|SCOPE", add = crate::cli::completions::selectors())]
    selector: Selector,
    /// Who gets the message
    #[arg(long, value_name = "ADDR")]
    to: Address,
    /// Who it is from [default: keyctl-test@DOMAIN]
    #[arg(long, value_name = "ADDR")]
    from: Option<Address>,
    /// Domain to send from [default: the key's, else the scope's]
    #[arg(long, value_name = "DOMAIN")]
    domain: Option<Domain>,
    /// Subject line
    #[arg(long, value_name = "TEXT", default_value = SUBJECT)]
    subject: Subject,
    /// Klaviyo: the template that is sent as a preview
    #[arg(long, value_name = "ID")]
    template: Option<String>,
    /// How: api, smtp [default: api, for a key of kind smtp the relay]
    #[arg(long, value_name = "WAY")]
    via: Option<Via>,
    /// Use the provider's test mode: deliver nothing
    #[arg(long)]
    dry_run: bool,
    /// Wait this long for the message to be delivered or to fail
    #[arg(long, value_name = "DURATION")]
    wait: Option<Span>,
}

/// The way a message takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Via {
    Api,
    Smtp,
}

impl Via {
    const ALL: [Self; 2] = [Self::Api, Self::Smtp];
    fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Smtp => "smtp",
        }
    }

    /// Returns the way keys of a kind send.
    fn of(kind: Kind) -> Self {
        if kind == Kind::Smtp { Self::Smtp } else { Self::Api }
    }
}
fixed_words!(Via, "way to send");

/// What is known of a message at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Status {
    Queued,
    Delivered,
    Failed,
    Pending,
    AcceptedByTestMode,
}

impl Status {
    fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Pending => "pending",
            Self::AcceptedByTestMode => "accepted-by-test-mode",
        }
    }

    fn exit(self) -> Exit {
        match self {
            Self::Queued | Self::Delivered | Self::AcceptedByTestMode => Exit::Done,
            Self::Failed => Exit::Failed,
            Self::Pending => Exit::Unknown,
        }
    }

    fn tone(self) -> Tone {
        match self {
            Self::Queued => Tone::Plain,
            Self::Delivered | Self::AcceptedByTestMode => Tone::Good,
            Self::Failed => Tone::Bad,
            Self::Pending => Tone::Warn,
        }
    }
}

/// What goes out.
enum Letter {
    Message { message: Message, domain: Domain },
    Template(String),
}

/// A message on its way: with which key, from which scope.
struct Job<'a> {
    context: &'a CommandContext,
    inventory: &'a Inventory,
    scope: &'a Scope,
    keyed: Keyed,
    facet: &'static dyn TestMail,
    via: Via,
}

/// Sends the message and, if wanted, follows it.
///
/// # Errors
/// Exit 2 for what cannot be sent that way, exit 3 when the key is refused,
/// exit 4 when nothing was proven, exit 1 when the provider did not take the
/// message, exit 7 or 8 without a key.
pub fn run(args: Args, context: &CommandContext) -> anyhow::Result<Exit> {
    let inventory = context.inventory()?;
    let selected = context.selected(&args.selector)?;
    let wish = choice::Wish { via: args.via, template: args.template.is_some() };
    let (key, record) = choice::choose(inventory, &selected, wish)?;
    let facet = choice::facet(key, record, wish)?;
    let scope = match &selected {
        Selected::Key(key) => &key.scope,
        Selected::Scope(scope) => scope,
    };
    let letter = letter(&args, inventory, scope, (key, record), facet)?;
    let delivery = if args.dry_run { Delivery::TestMode } else { Delivery::Real };
    let mut keyed = Keyed::usable(context, inventory, key)?;
    let net = context.net()?;
    if !args.dry_run {
        login(context, &net, inventory, &mut keyed)?;
    }
    let job = Job { context, inventory, scope, keyed, facet, via: Via::of(record.kind) };
    announce(&job, &args, &letter, delivery);
    let sent =
        sent(&job, &net, &args.to, &letter, delivery).map_err(|trouble| not_taken(&job, &net, trouble))?;
    context.console.detail(&sent.detail);
    let (status, events) = match (delivery, args.wait) {
        (Delivery::TestMode, _) => (Status::AcceptedByTestMode, Vec::new()),
        (Delivery::Real, None) => (Status::Queued, Vec::new()),
        (Delivery::Real, Some(wait)) => follow::follow(&job, &sent, &letter, wait)?,
    };
    let key = job.keyed.key.clone();
    context.console.report(&SendReport { key, via: job.via, message_id: sent.message_id, status, events })?;
    Ok(status.exit())
}

fn letter(
    args: &Args,
    inventory: &Inventory,
    scope: &Scope,
    (key, record): (&KeyRef, &Record),
    facet: &dyn TestMail,
) -> Result<Letter, Situation> {
    if facet.needs_template() {
        let Some(template) = &args.template else {
            return Err(Situation::usage(format!(
                "{} sends a test from one of its templates only, and none is named",
                key.provider
            ))
            .hint("name it: `--template ID`; its id stands in the address bar of the template's page"));
        };
        if args.dry_run {
            return Err(Situation::usage(format!(
                "{} has no test mode: a preview is a real message",
                key.provider
            ))
            .hint("leave out `--dry-run`, or prove the key with `keyctl validate`"));
        }
        return Ok(Letter::Template(template.clone()));
    }
    let domain = choice::domain(args.domain.as_ref(), inventory, scope, record)
        .or_else(|| args.from.as_ref().map(|it| it.domain().clone()))
        .ok_or_else(|| {
            Situation::usage(format!("neither `{key}` nor `{scope}` has a domain to send from"))
                .hint(format!("name one with `--domain`, or record it: `keyctl scope set {scope} --domain`"))
        })?;
    let mut message = message(key, &domain, &args.to);
    message.subject = args.subject.to_string();
    if let Some(from) = &args.from {
        message.from = from.to_string();
    }
    Ok(Letter::Message { message, domain })
}

fn announce(job: &Job<'_>, args: &Args, letter: &Letter, delivery: Delivery) {
    let console = &job.context.console;
    let what = match letter {
        Letter::Message { message, .. } => format!("a message from {} to {}", message.from, message.to),
        Letter::Template(id) => format!("template `{}` to {}", crate::key::text::printable(id, 60), args.to),
    };
    let way = match job.via {
        Via::Api => "API",
        Via::Smtp => "SMTP",
    };
    let mode = if delivery == Delivery::TestMode { ", in test mode" } else { "" };
    console.note(format!("Sending {what} with `{}` by {way}{mode} …", job.keyed.key));
    if delivery == Delivery::TestMode {
        if let Some(note) = job.facet.test_mode_note() {
            console.note(note);
        }
        if args.wait.is_some() {
            console.note("Nothing is delivered in test mode, so there is nothing to wait for.");
        }
    }
}

fn sent(
    job: &Job<'_>,
    net: &Net<'_>,
    to: &Address,
    letter: &Letter,
    delivery: Delivery,
) -> Result<Sent, Trouble> {
    let credential = job.keyed.credential();
    match (letter, job.via) {
        (Letter::Template(id), _) => job.facet.send_template(net.by(&credential), id, &to.to_string()),
        (Letter::Message { message, domain }, Via::Api) => {
            job.facet.send(net.by(&credential), message, domain, delivery)
        }
        (Letter::Message { message, .. }, Via::Smtp) => {
            job.facet.relay(net.by(&credential), message, delivery)
        }
    }
}

/// Finds the login that the relay needs, where none is recorded.
fn login(
    context: &CommandContext,
    net: &Net<'_>,
    inventory: &Inventory,
    keyed: &mut Keyed,
) -> Result<(), Situation> {
    let sought = Sought::of(&keyed.key, &keyed.record);
    if Via::of(keyed.record.kind) != Via::Smtp || keyed.record.login.is_some() {
        return Ok(());
    }
    let told = smtp_login::ask(context, net, inventory, sought);
    let Some(told) = told else {
        return Err(smtp_login::missing(inventory, sought, "the relay needs"));
    };
    keyed.record.login = Some(told.login);
    Ok(())
}

/// A refusal may be the login's: the key that knows it is asked.
fn not_taken(job: &Job<'_>, net: &Net<'_>, mut trouble: Trouble) -> Situation {
    let keyed = &job.keyed;
    if let (Via::Smtp, Reason::Unauthorized, Some(login)) = (job.via, trouble.reason, &keyed.record.login)
        && let Some(told) =
            smtp_login::ask(job.context, net, job.inventory, Sought::of(&keyed.key, &keyed.record))
    {
        smtp_login::explain(&keyed.key, login, &told, &mut trouble);
    }
    // What the way itself lacks (a test mode, a login) is known without asking.
    if trouble.reason == Reason::PermissionNotCheckable {
        let situation = Situation::usage(format!("nothing was sent: {}", trouble.detail));
        return match trouble.hint {
            Some(hint) => situation.hint(hint),
            None => situation,
        };
    }
    let message = if trouble.outcome_unknown {
        "whether the message was taken is not known"
    } else {
        "the message was not taken"
    };
    provider_failure::situation(job.context, &job.keyed.record, message, trouble, Exit::Failed)
}

struct SendReport {
    key: KeyRef,
    via: Via,
    message_id: Option<String>,
    status: Status,
    events: Vec<MailEvent>,
}

impl Report for SendReport {
    fn command(&self) -> &'static str {
        "send-test"
    }

    fn data(&self) -> Value {
        json!({
            "key": self.key,
            "via": self.via,
            "message_id": self.message_id,
            "status": self.status,
            "events": self.events,
        })
    }

    fn human(&self, page: &mut Page) {
        page.pieces(&[
            (Tone::Strong, self.key.as_str()),
            (Tone::Plain, "  "),
            (self.status.tone(), self.status.as_str()),
        ]);
        let id = self.message_id.as_deref().unwrap_or_default();
        page.fields(&[
            ("  via", self.via.as_str().into()),
            ("  message id", crate::key::text::printable(id, 200).into()),
        ]);
        let mut table = Table::new(&["  event", "at", "detail"]);
        for it in &self.events {
            let (at, detail) = (it.at.clone().unwrap_or_default(), it.detail.clone().unwrap_or_default());
            table.row([format!("  {}", it.event).into(), at.into(), detail.into()]);
        }
        page.table(&table);
    }
}

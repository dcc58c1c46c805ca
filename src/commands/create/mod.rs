//! `keyctl create`: a new key at the provider, kept. By API where there is one
//! and a key at hand may use it (`by_api`), otherwise by a person who is told
//! the exact way through the console.

mod by_api;
mod like;
mod lost_key;
mod not_made;

use serde::Serialize;
use serde_json::Value;

use super::add::one::{self, Added, Manner, Wanted};
use super::add::{self, report::Line};
use super::delivering::spelt;
use super::described::{self, Described};
use super::intake::{self, Source};
use super::keeping::{Existing, must_be_free};
use super::managing::{self, Managed, Managing};
use super::{completions, guiding};
use crate::clock::{Span, spoken};
use crate::context::Context;
use crate::exit::{self, Exit, Situation};
use crate::key::{Domain, Expiry, KeyRef, KeyRefArg, Kind, ProviderId, Record, Region};
use crate::output::{Page, Report, Tone};
use crate::provider::{self, ConsoleAsk, ConsoleTask, Guide};
use like::Like;

/// Arguments of `create`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keyctl create mailgun:news@acme --kind sending --domain mg.acme.example
  keyctl create mailgun@acme --role developer --expires-in 90d
  keyctl create klaviyo@acme --permissions campaigns:read,profiles:read --open
  keyctl create brevo@acme --print-url        only tells where it is made
  keyctl create mailgun@acme --not-made       you looked: the lost call made none

Mailgun keys are made by API, by an account key of the role admin; the others in the provider's
console, and pasted. A call whose reply was lost leaves the key announced (`pending`), exit 4: the
same command, after KEYCTL_SETTLE (2m), looks for that key and deletes it before it makes another.")]
pub struct Args {
    /// PROVIDER[:LABEL]@AGENCY[/LOCATION]
    #[arg(value_name = "KEYREF", add = completions::keys())]
    key: KeyRefArg,
    /// What the key is for [default: the provider's usual one; sending with --domain]
    #[arg(long, value_name = "KIND")]
    kind: Option<Kind>,
    /// The domain of a sending key or login [default: the scope's]
    #[arg(long, value_name = "DOMAIN")]
    domain: Option<Domain>,
    /// The new SMTP login [default: made of label or scope, and the date]
    #[arg(long, value_name = "LOGIN")]
    login: Option<String>,
    /// Mailgun's region: us, eu
    #[arg(long, value_name = "REGION")]
    region: Option<Region>,
    /// Mailgun's role: admin, developer, basic, support [default: admin]
    #[arg(long, value_name = "ROLE")]
    role: Option<String>,
    /// What the key shall be able to do: read-only, full, or names
    #[arg(long, value_name = "PERMISSION,…", value_delimiter = ',')]
    permissions: Vec<String>,
    /// How long it shall work, such as 90d
    #[arg(long, value_name = "DURATION")]
    expires_in: Option<Span>,
    /// What it is called at the provider
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Free text
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// A place where the key will be pasted (can be repeated)
    #[arg(long, value_name = "NAME")]
    consumer: Vec<String>,
    /// Take kind, domain, role and permissions from this key
    #[arg(long, value_name = "KEYREF", add = completions::keys())]
    like: Option<KeyRefArg>,
    /// The key that makes it
    #[arg(long, value_name = "KEYREF", add = completions::keys())]
    using: Option<KeyRefArg>,
    /// Only print the console's page and the way there
    #[arg(long, conflicts_with_all = ["open", "stdin", "using"])]
    print_url: bool,
    /// Open the console's page in the browser
    #[arg(long, conflicts_with_all = ["stdin", "using"])]
    open: bool,
    /// Read the key that was made in the console from stdin
    #[arg(long, conflicts_with = "using")]
    stdin: bool,
    /// No key was made: by your word the one that is announced is forgotten
    #[arg(long, conflicts_with_all = ["kind", "domain", "login", "region", "role", "permissions", "expires_in",
        "name", "note", "consumer", "like", "using", "print_url", "open", "stdin"])]
    not_made: bool,
}

/// The key that is to be made.
struct New<'a> {
    args: &'a Args,
    key: KeyRef,
    kind: Kind,
    /// The key that `--like` names.
    like: Option<Like>,
    /// The key that `--using` names.
    using: Option<KeyRef>,
    described: Described,
    role: Option<String>,
    /// As they are asked for in a console: also `read-only`, `full`.
    permissions: Vec<String>,
}

/// Who made the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum How {
    Api,
    Console,
}

/// Makes a key and keeps it.
///
/// # Errors
/// Exit 2 when no key may make it, exit 6 when a person must, exit 9 for a key
/// that is there already, exit 7 when the store cannot be written.
pub fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let key = add::complete(context, &args.key)?;
    if args.not_made {
        return not_made::run(context, &key);
    }
    let new = New::read(context, &args, key)?;
    if args.print_url {
        return print(context, &new);
    }
    must_be_free(context.inventory()?, &new.key)?;
    let (added, how) = match maker(context, &new)? {
        Some(managing) => (by_api::make(context, &new, &managing)?, How::Api),
        None => (by_person(context, &new)?, How::Console),
    };
    let exit = added.exit();
    context.console.report(&CreateReport { line: Line::of(&added), how })?;
    Ok(exit)
}

impl<'a> New<'a> {
    fn read(context: &Context, args: &'a Args, key: KeyRef) -> anyhow::Result<Self> {
        let inventory = context.inventory()?;
        let mut permissions = asked_for(&args.permissions)?;
        let like = args.like.as_ref().map(|it| like::read(context, it, &key, permissions.is_empty()));
        let like = like.transpose()?;
        let model = like.as_ref().map(|it| &it.record);
        let usual = match (args.domain.is_some(), key.provider) {
            (true, ProviderId::Mailgun) => Kind::Sending,
            (_, ProviderId::Highlevel) if key.scope.location.is_some() => Kind::Location,
            (_, provider) => provider.kinds()[0],
        };
        let kind = args.kind.or(model.map(|it| it.kind)).unwrap_or(usual);
        let bound = matches!(kind, Kind::Sending | Kind::Smtp) && key.provider == ProviderId::Mailgun;
        let domain = args
            .domain
            .clone()
            .or_else(|| model.and_then(|it| it.domain.clone()))
            .or_else(|| inventory.domain_at(&key.scope).map(|(it, _)| it).filter(|_| bound));
        if let Some(model) = model.filter(|_| permissions.is_empty()) {
            permissions.clone_from(&model.permissions);
        }
        let named = |it: &String| it != "read-only" && it != "full";
        // Whole seconds: nobody knows it better.
        let now = Span::seconds(0).after(context.now());
        let expires = args.expires_in.map(|span| Expiry::At(span.after(now)));
        let mut described = Described {
            kind: Some(kind),
            region: args.region.or(model.and_then(|it| it.region)),
            domain: domain.filter(|_| bound || args.domain.is_some()),
            login: args.login.clone(),
            note: args.note.clone(),
            created: Some(now),
            expires,
            permissions: permissions.iter().filter(|it| named(it)).cloned().collect(),
            consumers: args.consumer.clone(),
            no_more_than: permissions.clone(),
            no_less_than: like.as_ref().map(|it| it.held.clone()).unwrap_or_default(),
        };
        if kind == Kind::Smtp && bound && described.login.is_none() {
            described.login = described.domain.as_ref().map(|domain| login(context, &key, domain));
        }
        described.check(key.provider)?;
        let role = role(args, &key, kind, model)?;
        if kind == Kind::Smtp && args.expires_in.is_some() {
            return Err(Situation::usage("an SMTP password does not expire; leave `--expires-in` out").into());
        }
        check_lifetime(key.provider, args.expires_in)?;
        described::one_line("--name", args.name.as_deref())?;
        let using = args.using.as_ref().map(|it| context.complete(it)).transpose()?;
        Ok(Self { args, key, kind, like, using, described, role, permissions })
    }

    /// Returns the key that a person clones, since not all that it may do is known.
    fn cloned(&self) -> Option<&Like> {
        let clones = provider::provider(self.key.provider).clones() && self.permissions.is_empty();
        self.like.as_ref().filter(|_| clones)
    }

    /// Returns the way through the console.
    fn guide(&self) -> Result<Guide, Situation> {
        let name = self.name();
        let ask = ConsoleAsk {
            kind: Some(self.kind),
            name: Some(&name),
            domain: self.described.domain.as_ref(),
            permissions: &self.permissions,
            expires_in: self.args.expires_in,
            account_id: self.like.as_ref().and_then(|it| it.record.account_id.as_deref()),
            like: self.like.as_ref().map(Like::model),
            ..ConsoleAsk::default()
        };
        provider::provider(self.key.provider)
            .console(ConsoleTask::Create, &ask)
            .ok_or_else(|| Situation::usage(format!("{} has no console for that", self.key.provider)))
    }

    /// Returns the command that asks for the same key again, with more options:
    /// what was not asked for again would not be compared with.
    fn again(&self, more: &[&str]) -> String {
        let Self { args, key, .. } = self;
        fn said<T: ToString>(option: &str, value: Option<&T>) -> Vec<String> {
            value.map(|it| vec![option.to_owned(), it.to_string()]).unwrap_or_default()
        }
        let permissions = (!args.permissions.is_empty()).then(|| args.permissions.join(","));
        let consumers = args.consumer.iter().map(|it| said("--consumer", Some(it)));
        let parts = [
            said("--kind", args.kind.as_ref()),
            said("--domain", args.domain.as_ref()),
            said("--login", args.login.as_ref()),
            said("--region", args.region.as_ref()),
            said("--role", args.role.as_ref()),
            said("--permissions", permissions.as_ref()),
            said("--expires-in", args.expires_in.as_ref()),
            said("--name", args.name.as_ref()),
            said("--note", args.note.as_ref()),
            consumers.collect::<Vec<_>>().concat(),
            said("--like", self.like.as_ref().map(|it| &it.key)),
            said("--using", self.using.as_ref()),
        ];
        let command = ["keyctl", "create", key.as_str()].map(str::to_owned);
        let more: Vec<String> = more.iter().map(|it| (*it).to_owned()).collect();
        spelt(&[&command[..], &parts.concat(), &more].concat())
    }

    /// Returns what the key is to be called at the provider.
    fn name(&self) -> String {
        self.args.name.clone().unwrap_or_else(|| format!("keyctl {}", self.key))
    }
}

/// Refuses a lifetime that the provider's keys cannot have.
fn check_lifetime(id: ProviderId, wanted: Option<Span>) -> Result<(), Situation> {
    let (Some(span), Some((least, most))) = (wanted, provider::provider(id).lifetimes()) else {
        return Ok(());
    };
    if (least.seconds..=most.seconds).contains(&span.seconds) {
        return Ok(());
    }
    let (least, most) = (spoken(least.seconds), spoken(most.seconds));
    Err(Situation::usage(format!("{id} keys live {least} to {most}, or without end"))
        .hint("choose another `--expires-in`, or leave it out"))
}

/// Returns the permissions that were asked for, without blanks.
///
/// # Errors
/// Exit 2 when the option was given with nothing in it.
fn asked_for(said: &[String]) -> Result<Vec<String>, Situation> {
    let names: Vec<String> = said.iter().map(|it| it.trim().to_owned()).filter(|it| !it.is_empty()).collect();
    if names.is_empty() && !said.is_empty() {
        return Err(Situation::usage("`--permissions` is empty").hint(
            "name some, or `read-only`, or `full`; without the option you choose them in the console",
        ));
    }
    Ok(names)
}

/// The roles of Mailgun's keys (OpenAPI document, `POST /v1/keys`).
const ROLES: [&str; 4] = ["admin", "developer", "basic", "support"];

fn role(args: &Args, key: &KeyRef, kind: Kind, like: Option<&Record>) -> Result<Option<String>, Situation> {
    let Some(said) = &args.role else {
        return Ok(like.and_then(|it| it.role.clone()).filter(|it| ROLES.contains(&it.as_str())));
    };
    if key.provider != ProviderId::Mailgun || kind != Kind::Account {
        return Err(Situation::usage("only account keys of Mailgun have a role; leave `--role` out"));
    }
    let said = said.to_lowercase();
    if ROLES.contains(&said.as_str()) {
        return Ok(Some(said));
    }
    Err(Situation::usage(format!("`{}` is no role", crate::key::text::printable(&said, 40)))
        .hint(format!("known: {}", ROLES.join(", "))))
}

/// `news-20261122@mg.acme.example`
fn login(context: &Context, key: &KeyRef, domain: &Domain) -> String {
    let scope = key.scope.location.as_ref().unwrap_or(&key.scope.agency);
    let user = key.label.as_ref().unwrap_or(scope);
    format!("{user}-{}@{domain}", context.now().strftime("%Y%m%d"))
}

/// Returns the key that makes it by API; `None`: a person does.
fn maker(context: &Context, new: &New<'_>) -> anyhow::Result<Option<Managing>> {
    let provider = provider::provider(new.key.provider);
    let can = provider.keys().is_some_and(|it| it.can_replace(new.kind, None).is_ok());
    if !can {
        return match &new.using {
            None => Ok(None),
            Some(_) => Err(Situation::usage(format!("the API of {} makes no keys", new.key.provider))
                .hint("leave `--using` out: the way through the console is told")
                .into()),
        };
    }
    if new.args.stdin || new.args.open {
        return Ok(None);
    }
    let inventory = context.inventory()?;
    let managed = Managed { key: &new.key, kind: new.kind };
    match managing::find(context, inventory, managed, new.using.as_ref()) {
        Ok(managing) => Ok(Some(managing)),
        // The first key of an account can only be made in the console.
        Err(error) if exit::situation(&error).1 == "no-managing-key" && is_first(context, new)? => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns whether no key is recorded that could be asked to make this one.
fn is_first(context: &Context, new: &New<'_>) -> anyhow::Result<bool> {
    let inventory = context.inventory()?;
    let mut known = new.key.scope.levels().flat_map(|level| {
        inventory.keys.at(&level).map(|(key, record)| (key.clone(), record.kind)).collect::<Vec<_>>()
    });
    let usual = new.key.provider.kinds()[0];
    Ok(!known.any(|(key, kind)| key.provider == new.key.provider && key != new.key && kind == usual))
}

/// A person makes the key; it comes in as with `add`.
fn by_person(context: &Context, new: &New<'_>) -> anyhow::Result<Added> {
    let guide = new.guide()?;
    let key = &new.key;
    let manner = Manner { validate: true, force: false, existing: Existing::Refuse };
    let wanted = Wanted { key: key.clone(), described: new.described.clone() };
    let added = one::add(context, wanted, manner, |context| {
        if new.args.stdin {
            return intake::take(context, &Source::Stdin);
        }
        guiding::show(context, &format!("Make the key in the console of {}:", key.provider), &guide);
        if new.args.open {
            guiding::open(context, &guide.url);
        }
        if !context.console.can_ask_secret() {
            return Err(Situation::human(format!("a person makes the key in the console: {}", guide.url))
                .hint(format!("then give it: `{}`", new.again(&["--stdin"])))
                .into());
        }
        let prompt = Source::Prompt(format!("Paste the new key for {key} (it is not shown)"));
        if new.args.open {
            return intake::take(context, &prompt);
        }
        // An offer of its own would be answered in clear by who pastes at once.
        context.console.note("Enter alone opens that page in the browser.");
        match intake::take_unless_empty(context, &prompt)? {
            Some(taken) => Ok(taken),
            None => {
                guiding::open(context, &guide.url);
                intake::take(context, &prompt)
            }
        }
    })?;
    if let Some(like) = new.cloned().filter(|_| added.saved) {
        context.console.note(format!(
            "`{key}`: its scopes for writing were not compared with those of `{}`, no harmless call tells them; \
             `keyctl permissions {key} --probe-write` tries what can be tried",
            like.key
        ));
    }
    Ok(added)
}

fn print(context: &Context, new: &New<'_>) -> anyhow::Result<Exit> {
    let guide = new.guide()?;
    guiding::show(context, &format!("Make the key in the console of {}:", new.key.provider), &guide);
    context.console.report(&PageReport { key: new.key.clone(), guide })?;
    Ok(Exit::Done)
}

struct CreateReport {
    line: Line,
    how: How,
}

impl Report for CreateReport {
    fn command(&self) -> &'static str {
        "create"
    }

    fn data(&self) -> Value {
        let mut data = serde_json::json!(self.line);
        if let Value::Object(fields) = &mut data {
            fields.insert("how".to_owned(), serde_json::json!(self.how));
        }
        data
    }

    fn human(&self, page: &mut Page) {
        self.line.human(page);
    }
}

/// Only where the key is made.
struct PageReport {
    key: KeyRef,
    guide: Guide,
}

impl Report for PageReport {
    fn command(&self) -> &'static str {
        "create"
    }

    fn data(&self) -> Value {
        let Guide { url, path, path_de, steps } = &self.guide;
        serde_json::json!({ "key": self.key, "url": url, "path": path, "path_de": path_de, "steps": steps })
    }

    fn human(&self, page: &mut Page) {
        page.line(Tone::Plain, &self.guide.url);
    }
}

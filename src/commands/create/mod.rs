//! `keyctl create`: a new key at the provider, kept. By API where there is one
//! and a key at hand may use it (`by_api`), otherwise by a person who is told
//! the exact way through the console.

use serde::Serialize;
use serde_json::Value;

use crate::cli::completions;
use crate::clock::Span;
use crate::commands::CommandContext;
use crate::commands::add;
use crate::commands::add::report::Line;
use crate::exit::{Exit, Situation};
use crate::key::{Domain, KeyRef, KeyRefArg, Kind, Region};
use crate::operator::Presence;
use crate::output::{Page, Report, Tone};
use crate::provider::Guide;
use crate::workflow::add_key::{Added, Manner, Wanted};
use crate::workflow::create_testimony;
use crate::workflow::managing_key::{Managed, Managing};
use crate::workflow::new_key_request::{New, NewKeyOptions};
use crate::workflow::secret_input::Source;
use crate::workflow::store_secret::{Existing, must_be_free};
use crate::workflow::{add_key, console_guide, managing_key, secret_input};
use crate::{exit, provider};

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

impl Args {
    fn options(&self) -> NewKeyOptions {
        NewKeyOptions {
            kind: self.kind,
            domain: self.domain.clone(),
            login: self.login.clone(),
            region: self.region,
            role: self.role.clone(),
            permissions: self.permissions.clone(),
            expires_in: self.expires_in,
            name: self.name.clone(),
            note: self.note.clone(),
            consumers: self.consumer.clone(),
            like: self.like.clone(),
            using: self.using.clone(),
        }
    }
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
pub fn run(args: Args, context: &CommandContext) -> anyhow::Result<Exit> {
    let key = add::complete(context, &args.key)?;
    if args.not_made {
        create_testimony::run(context, &key)?;
        context.console.report(&WithdrawnReport { key })?;
        return Ok(Exit::Done);
    }
    let options = args.options();
    let new = New::read(context, &options, key)?;
    if args.print_url {
        return print(context, &new);
    }
    must_be_free(context.inventory()?, &new.key)?;
    let (added, how) = match maker(context, &args, &new)? {
        Some(managing) => (crate::workflow::create_key::make(context, &new, &managing)?, How::Api),
        None => (by_person(context, &args, &new)?, How::Console),
    };
    let exit = added.exit();
    context.console.report(&CreateReport { line: Line::of(&added), how })?;
    Ok(exit)
}

/// Returns the key that makes it by API; `None`: a person does.
fn maker(context: &CommandContext, args: &Args, new: &New<'_>) -> anyhow::Result<Option<Managing>> {
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
    if args.stdin || args.open {
        return Ok(None);
    }
    let inventory = context.inventory()?;
    let managed = Managed { key: &new.key, kind: new.kind };
    match managing_key::find(context, inventory, managed, new.using.as_ref()) {
        Ok(managing) => Ok(Some(managing)),
        // The first key of an account can only be made in the console.
        Err(error) if exit::situation(&error).1 == "no-managing-key" && is_first(context, new)? => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns whether no key is recorded that could be asked to make this one.
fn is_first(context: &CommandContext, new: &New<'_>) -> anyhow::Result<bool> {
    let inventory = context.inventory()?;
    let mut known = new.key.scope.levels().flat_map(|level| {
        inventory.keys.at(&level).map(|(key, record)| (key.clone(), record.kind)).collect::<Vec<_>>()
    });
    let usual = new.key.provider.kinds()[0];
    Ok(!known.any(|(key, kind)| key.provider == new.key.provider && key != new.key && kind == usual))
}

/// A person makes the key; it comes in as with `add`.
fn by_person(context: &CommandContext, args: &Args, new: &New<'_>) -> anyhow::Result<Added> {
    let guide = new.guide()?;
    let key = &new.key;
    let manner = Manner { validate: true, force: false, existing: Existing::Refuse };
    let wanted = Wanted { key: key.clone(), described: new.described.clone() };
    let added = add_key::add(context, wanted, manner, |context| {
        if args.stdin {
            return secret_input::take(context, &Source::Stdin);
        }
        console_guide::show(context, &format!("Make the key in the console of {}:", key.provider), &guide);
        if args.open {
            console_guide::open(context, &guide.url);
        }
        if context.operator.presence() == Presence::NoOne {
            return Err(Situation::human(format!("a person makes the key in the console: {}", guide.url))
                .hint(format!("then give it: `{}`", new.again(&["--stdin"])))
                .into());
        }
        let prompt = Source::Prompt(format!("Paste the new key for {key} (it is not shown)"));
        if args.open {
            return secret_input::take(context, &prompt);
        }
        // An offer of its own would be answered in clear by who pastes at once.
        context.operator.note("Enter alone opens that page in the browser.");
        match secret_input::take_unless_empty(context, &prompt)? {
            Some(taken) => Ok(taken),
            None => {
                console_guide::open(context, &guide.url);
                secret_input::take(context, &prompt)
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

fn print(context: &CommandContext, new: &New<'_>) -> anyhow::Result<Exit> {
    let guide = new.guide()?;
    console_guide::show(context, &format!("Make the key in the console of {}:", new.key.provider), &guide);
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

struct WithdrawnReport {
    key: KeyRef,
}

impl Report for WithdrawnReport {
    fn command(&self) -> &'static str {
        "create"
    }

    fn data(&self) -> Value {
        serde_json::json!({ "key": self.key, "withdrawn": true })
    }

    fn human(&self, page: &mut Page) {
        page.line(
            Tone::Plain,
            format!("`{}` is no longer announced: by your word no key was made", self.key),
        );
    }
}

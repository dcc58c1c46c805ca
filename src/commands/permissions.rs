//! `keyctl permissions`: what a key may do at its provider, and what a request
//! needs.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;

use crate::commands::CommandContext;
use crate::context::Usable;
use crate::exit::{Exit, Situation};
use crate::key::{KeyRef, KeyRefArg, ProviderId, Verdict};
use crate::output::{Cell, Page, Report, Table, Tone};
use crate::provider::{self, Credential, PermissionState, Permissions};

/// Arguments of `permissions`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keyctl permissions klaviyo@bakery
  keyctl permissions klaviyo@bakery --require lists:read       exit 3 if missing, 4 if not known
  keyctl permissions klaviyo@bakery --exact campaigns:read     exit 3 also if it may do more
  keyctl permissions mailgun@acme --require admin              Mailgun: the role, and what it grants
  keyctl permissions --for 'GET /api/profiles?include=lists'   what a request needs, offline")]
pub struct Args {
    /// The key
    #[arg(value_name = "KEYREF", required_unless_present = "request", add = crate::cli::completions::keys())]
    key: Option<KeyRefArg>,
    /// Permissions it must be proven to have
    #[arg(long, value_name = "PERMISSION,…", value_delimiter = ',', conflicts_with = "exact")]
    require: Vec<String>,
    /// Permissions it must have, and no others
    #[arg(long, value_name = "PERMISSION,…", value_delimiter = ',')]
    exact: Vec<String>,
    /// Also try writes with an empty body, which change nothing (experimental)
    #[arg(long, requires = "key")]
    probe_write: bool,
    /// Tell what a request needs; with a key, check that it has that
    #[arg(long = "for", value_name = "REQUEST", conflicts_with_all = ["require", "exact"])]
    request: Option<String>,
}

/// One permission, its fields in the contract's order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Line {
    name: String,
    state: &'static str,
    how: String,
}

/// Tells what a key may do.
///
/// # Errors
/// Exit 2 for a provider that does not tell, or a name it does not know; 3 and
/// 4 when the key was refused or nothing could be found out.
pub fn run(args: Args, context: &CommandContext) -> anyhow::Result<Exit> {
    let request = args.request.as_deref().map(needed_for).transpose()?;
    let Some(typed) = &args.key else {
        return offline(context, request);
    };
    let inventory = context.inventory()?;
    let key = context.complete(typed)?;
    let record = inventory.record(&key)?;
    let facet = facet(&key)?;
    let wanted = match request {
        None => Wanted::of(facet, &args)?,
        Some((provider, _, names)) if provider == key.provider => Wanted::These(names),
        Some((provider, request, _)) => {
            return Err(Situation::usage(format!(
                "`{request}` is a request to {provider}; `{key}` is no key of it"
            ))
            .into());
        }
    };
    let Usable { secret, record } = context.usable(inventory, &key, record)?;
    let credential = Credential::of(&record, &secret);
    if args.probe_write {
        context
            .console
            .note("note: --probe-write sends POSTs with an empty body; what they prove is not documented");
    }
    let states =
        facet.check(context.net()?.by(&credential), wanted.asked(), args.probe_write).map_err(|trouble| {
            let exit = match trouble.reason.verdict() {
                Verdict::Rejected => Exit::Rejected,
                Verdict::Unknown | Verdict::Limited | Verdict::Valid => Exit::Unknown,
            };
            let message = format!("what `{key}` may do could not be found out: {}", trouble.detail);
            let situation = Situation::new(exit, trouble.reason.as_str(), message);
            match trouble.hint {
                Some(hint) => situation.hint(hint),
                None => situation.hint(format!("`keyctl validate {key}` tells whether the key works")),
            }
        })?;
    let exit = wanted.exit(&states);
    context.console.report(&Told { key: Some(key), lines: lines(&states) })?;
    Ok(exit)
}

/// What is wanted of the permissions.
enum Wanted {
    Everything,
    These(Vec<String>),
    Exactly(Vec<String>),
}

impl Wanted {
    fn of(facet: &dyn Permissions, args: &Args) -> Result<Self, Situation> {
        let spelt = |names: &[String]| {
            let spelt = names.iter().map(|name| facet.normalise(name)).collect::<Result<Vec<_>, _>>();
            spelt.map_err(|why| Situation::usage(why).hint("`keyctl permissions KEYREF` lists what there is"))
        };
        Ok(if !args.require.is_empty() {
            Self::These(spelt(&args.require)?)
        } else if !args.exact.is_empty() {
            Self::Exactly(spelt(&args.exact)?)
        } else {
            Self::Everything
        })
    }

    /// Returns what to ask the provider for; nothing means everything.
    fn asked(&self) -> &[String] {
        match self {
            Self::These(names) => names,
            Self::Everything | Self::Exactly(_) => &[],
        }
    }

    fn exit(&self, states: &[PermissionState]) -> Exit {
        let judge = |granted: Option<bool>, wanted: bool| match granted {
            None => Exit::Unknown,
            Some(granted) if granted == wanted => Exit::Done,
            Some(_) => Exit::Rejected,
        };
        match self {
            Self::Everything => Exit::Done,
            Self::These(_) => Exit::merge(states.iter().map(|it| judge(it.granted, true))),
            Self::Exactly(names) => {
                // Roles are compared with roles, rights with rights.
                let right = |name: &str| name.contains(':');
                let kinds: BTreeSet<bool> = names.iter().map(|it| right(it)).collect();
                let compared = states.iter().filter(|it| kinds.contains(&right(&it.name)));
                Exit::merge(compared.map(|it| judge(it.granted, names.contains(&it.name))))
            }
        }
    }
}

fn facet(key: &KeyRef) -> Result<&'static dyn Permissions, Situation> {
    provider::provider(key.provider).permissions().ok_or_else(|| {
        let page = provider::provider(key.provider).terms().permissions_page;
        let hint = page.unwrap_or("`keyctl validate` tells whether the key works");
        Situation::usage(format!("{} does not tell what a key may do", key.provider)).hint(hint)
    })
}

/// Returns whose request a text is, the request, and what it needs.
fn needed_for(text: &str) -> Result<(ProviderId, String, Vec<String>), Situation> {
    let shown = crate::key::text::printable(text, 120);
    let (method, path) = text.trim().split_once(char::is_whitespace).unwrap_or(("GET", text));
    let found = provider::TABLE.iter().find_map(|provider| {
        Some((provider.id(), provider.permissions()?.needed_for(&method.to_ascii_uppercase(), path.trim())?))
    });
    match found {
        Some((provider, names)) => Ok((provider, shown, names)),
        None => Err(Situation::usage(format!("`{shown}` is no request that is known")).hint(
            "write METHOD /path, such as `GET /api/profiles?include=lists` or `POST /v3/DOMAIN/messages`",
        )),
    }
}

fn offline(
    context: &CommandContext,
    request: Option<(ProviderId, String, Vec<String>)>,
) -> anyhow::Result<Exit> {
    let Some((provider, request, names)) = request else {
        return Err(Situation::usage("no key was named").hint("`keyctl permissions KEYREF`").into());
    };
    let line =
        |name: String| Line { name, state: "unknown", how: format!("{provider}: `{request}` needs it") };
    context.console.report(&Told { key: None, lines: names.into_iter().map(line).collect() })?;
    Ok(Exit::Done)
}

fn lines(states: &[PermissionState]) -> Vec<Line> {
    let state = |granted: Option<bool>| match granted {
        Some(true) => "granted",
        Some(false) => "missing",
        None => "unknown",
    };
    states
        .iter()
        .map(|it| Line { name: it.name.clone(), state: state(it.granted), how: it.how.clone() })
        .collect()
}

struct Told {
    key: Option<KeyRef>,
    lines: Vec<Line>,
}

impl Report for Told {
    fn command(&self) -> &'static str {
        "permissions"
    }

    fn data(&self) -> Value {
        serde_json::json!({ "key": self.key, "permissions": self.lines })
    }

    fn rows(&self) -> Option<&'static str> {
        Some("permissions")
    }

    fn human(&self, page: &mut Page) {
        if self.lines.is_empty() {
            page.line(Tone::Plain, "no permission is needed");
            return;
        }
        let mut table = Table::new(&["permission", "state", "how"]);
        for line in &self.lines {
            let state = match (&self.key, line.state) {
                (None, _) => Cell::toned("needed", Tone::Plain),
                (_, "granted") => Cell::toned("granted", Tone::Good),
                (_, "missing") => Cell::toned("missing", Tone::Bad),
                (_, other) => Cell::toned(other, Tone::Warn),
            };
            table.row([line.name.clone().into(), state, Cell::toned(line.how.clone(), Tone::Dim)]);
        }
        page.table(&table);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(name: &str, granted: Option<bool>) -> PermissionState {
        PermissionState { name: name.into(), granted, how: String::new(), trouble: None }
    }

    #[test]
    fn exactly_means_no_others_and_unknown_is_not_missing() {
        let names = |list: &[&str]| list.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        let states = [state("a:read", Some(true)), state("a:write", Some(false)), state("admin", Some(true))];
        assert_eq!(Wanted::Exactly(names(&["a:read"])).exit(&states), Exit::Done);
        assert_eq!(Wanted::Exactly(names(&["admin"])).exit(&states), Exit::Done);
        assert_eq!(Wanted::Exactly(names(&["a:write"])).exit(&states), Exit::Rejected);
        let unclear = [state("a:read", Some(true)), state("a:write", None)];
        assert_eq!(Wanted::Exactly(names(&["a:read"])).exit(&unclear), Exit::Unknown);
        let both = [state("a:read", Some(false)), state("a:write", None)];
        assert_eq!(Wanted::These(names(&["a:read", "a:write"])).exit(&both), Exit::Rejected);
    }

    #[test]
    fn a_request_tells_whose_it_is() {
        let (provider, _, names) = needed_for("get /api/profiles?include=lists").unwrap();
        assert_eq!((provider, names.join(",").as_str()), (ProviderId::Klaviyo, "lists:read,profiles:read"));
        let (provider, _, names) = needed_for("POST /v3/mg.acme.example/messages").unwrap();
        assert_eq!((provider, names.join(",").as_str()), (ProviderId::Mailgun, "messages:send"));
        assert!(needed_for("brew coffee").is_err());
    }
}

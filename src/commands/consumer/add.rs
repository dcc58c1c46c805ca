//! `keyctl consumer add`.

use super::report::{Line, Lines};
use crate::commands::{completions, delivering, described};
use crate::context::Context;
use crate::exit::{Exit, Situation};
use crate::inventory::Inventory;
use crate::key::shape::shown;
use crate::key::text::{first_hidden, printable};
use crate::key::{Consumer, ConsumerKind, KeyRef, KeyRefArg, Record, Scope};
use crate::rotation::{Delivery, Progress, Rotation, Stage};

/// Arguments of `consumer add`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keyctl consumer add mailgun@acme 'Billing service' --url https://ci.example/settings
  keyctl consumer add mailgun@acme shop --command docker secret create mailgun_key -
  keyctl consumer add mailgun@acme shop --command 'deploy-key --stdin'

A command is run without a shell. It gets the key on stdin, nothing after it, and finds KEYCTL_KEY,
KEYCTL_CONSUMER, KEYCTL_LOGIN, KEYCTL_DOMAIN and KEYCTL_REGION in its environment.")]
pub struct Args {
    /// The key that is used there
    #[arg(value_name = "KEYREF", add = completions::keys())]
    key: KeyRefArg,
    /// What people call the place
    #[arg(value_name = "NAME")]
    name: String,
    /// manual: a person pastes it; command: a program takes it; highlevel: written by HighLevel's API
    /// [default: command with --command, highlevel for locations that can be written, else manual]
    #[arg(long, value_name = "KIND")]
    kind: Option<ConsumerKind>,
    /// The location it belongs to
    #[arg(long, value_name = "SCOPE", conflicts_with = "each_location", add = completions::scopes())]
    location: Option<Scope>,
    /// One place for each location where the key is effective
    #[arg(long)]
    each_location: bool,
    /// Where to paste it
    #[arg(long, value_name = "URL", value_parser = web_address)]
    url: Option<String>,
    /// The program and its arguments; one quoted text is taken apart at spaces
    #[arg(long, value_name = "ARGV", num_args = 1.., conflicts_with = "url")]
    command: Vec<String>,
}

/// Records places, and approves a command for this machine: who types it here
/// wants it run here.
///
/// # Errors
/// Exit 2 for what does not go together, exit 8 without such a key, exit 9
/// when a place of that name is recorded.
pub fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let key = context.complete(&args.key)?;
    let inventory = context.inventory()?;
    let record = inventory.record(&key)?;
    let mut consumers = wanted(&args, inventory, &key)?;
    if args.each_location {
        // Locations that came since are added to those that are there.
        let all = consumers.len();
        consumers.retain(|it| already(record, it).is_none());
        if consumers.len() < all {
            context.console.note(format!("{} of {all} locations have it already", all - consumers.len()));
        }
    }
    for consumer in &consumers {
        delivering::ready(inventory, &key, consumer).map_err(|failed| {
            let situation = Situation::usage(failed.why);
            match failed.hint {
                Some(hint) => situation.hint(hint),
                None => situation,
            }
        })?;
    }
    let added = context.update(|inventory| {
        let record = inventory.keys.get_mut(&key);
        let Some(record) = record else {
            return Err(Situation::missing("no-such-key", format!("there is no key `{key}`")).into());
        };
        for consumer in &consumers {
            if let Some(held) = already(record, consumer) {
                let why = if held.name == consumer.name {
                    format!("`{key}` has a consumer `{}` already", held.name)
                } else {
                    format!("`{}` is that location already", held.name)
                };
                return Err(Situation::refused("consumer-exists", why)
                    .hint(format!("`keyctl consumer remove {key} '{}'` first", held.name))
                    .into());
            }
            record.consumers.push(consumer.clone());
        }
        for rotation in inventory.rotations.values_mut().filter(|it| it.keys.contains(&key)) {
            enter(rotation, &key, &consumers);
        }
        Ok(consumers.clone())
    })?;
    for consumer in added.iter().filter(|it| it.kind == ConsumerKind::Command) {
        delivering::approve(context, &consumer.command)?;
        context.console.note(format!("approved on this machine: {}", delivering::spelt(&consumer.command)));
    }
    let lines = added.iter().map(|it| Line::new(context, inventory, &key, it)).collect();
    context.console.report(&Lines { consumers: lines })?;
    Ok(Exit::Done)
}

/// Returns the recorded place of the same name, or the same HighLevel location.
fn already<'a>(record: &'a Record, wanted: &Consumer) -> Option<&'a Consumer> {
    record.consumers.iter().find(|held| {
        let written = held.kind == ConsumerKind::Highlevel && wanted.kind == ConsumerKind::Highlevel;
        held.name == wanted.name || (written && held.location == wanted.location)
    })
}

/// Checks that a browser can be sent there, to what is seen.
fn web_address(text: &str) -> Result<String, String> {
    if let Some((at, named)) = first_hidden(text) {
        return Err(format!("`{}` has {named}, as character {at}; take it out", shown(text, 80)));
    }
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    match rest.is_some_and(|it| !it.is_empty() && !it.starts_with('/') && !it.contains(' ')) {
        true => Ok(text.to_owned()),
        false => Err(format!("`{}` is no web address; it begins with `https://`", printable(text, 80))),
    }
}

/// A place recorded while its key rotates has to get the new key, too; grace
/// begins again when it has.
fn enter(rotation: &mut Rotation, key: &KeyRef, consumers: &[Consumer]) {
    rotation.consumers.extend(consumers.iter().map(|it| Delivery {
        key: key.clone(),
        name: it.name.clone(),
        kind: it.kind,
        state: Progress::Todo,
        by: None,
        at: None,
    }));
    if rotation.stage == Stage::Grace {
        rotation.stage = Stage::Deploying;
        rotation.grace_until = None;
    }
}

fn wanted(args: &Args, inventory: &Inventory, key: &KeyRef) -> Result<Vec<Consumer>, Situation> {
    let name = args.name.trim();
    described::check_place("NAME", name)?;
    is_seen(&args.command)?;
    let command = argv(&args.command)?;
    let kind = match (args.kind, command.is_empty()) {
        (Some(ConsumerKind::Command), true) => {
            return Err(Situation::usage("a consumer of kind command needs `--command ARGV`"));
        }
        (Some(ConsumerKind::Manual | ConsumerKind::Highlevel), false) => {
            return Err(Situation::usage("`--command` is for consumers of kind command"));
        }
        (None, false) => ConsumerKind::Command,
        (kind, _) => kind.unwrap_or(ConsumerKind::Manual),
    };
    // A location is named to have the key written there, where that can be done.
    let writes = args.kind.is_none()
        && kind == ConsumerKind::Manual
        && args.url.is_none()
        && (args.location.is_some() || args.each_location);
    let by_itself = |it: Consumer| {
        let written = Consumer { kind: ConsumerKind::Highlevel, ..it.clone() };
        if writes && delivering::ready(inventory, key, &written).is_ok() { written } else { it }
    };
    let made = |name: String, location: Option<Scope>| Consumer {
        name,
        kind,
        location,
        url: args.url.clone(),
        command: command.clone(),
    };
    if !args.each_location {
        if let Some(location) = &args.location {
            inventory.need_scope(location)?;
        }
        return Ok(vec![by_itself(made(name.to_owned(), args.location.clone()))]);
    }
    let locations = effective_at(inventory, key);
    if locations.is_empty() {
        return Err(Situation::missing(
            "nothing-selected",
            format!("no location is recorded where `{key}` is effective"),
        )
        .hint(format!("`keyctl scope list` shows the locations of `{}`", key.scope.agency)));
    }
    let named = |it: Scope| {
        let location = it.location.as_ref().map(ToString::to_string).unwrap_or_default();
        by_itself(made(format!("{name} {location}"), Some(it)))
    };
    Ok(locations.into_iter().map(named).collect())
}

/// Returns the locations where the key is the one in effect.
fn effective_at(inventory: &Inventory, key: &KeyRef) -> Vec<Scope> {
    let mine = inventory.scopes().filter(|(scope, place)| {
        key.scope.covers(scope)
            && scope.location.is_some()
            && !place.gone
            && !inventory.sends_elsewhere(scope)
    });
    let scopes = mine.map(|(scope, _)| scope);
    scopes.filter(|scope| inventory.effective(scope).iter().any(|it| it.key == key)).collect()
}

/// Checks that a command is what is seen of it: it is shown for approval.
fn is_seen(command: &[String]) -> Result<(), Situation> {
    let found = command.iter().enumerate().find_map(|(n, it)| Some((n + 1, first_hidden(it)?)));
    let Some((n, (at, named))) = found else { return Ok(()) };
    let message = format!("argument {n} of the command has {named}, as character {at}");
    Err(Situation::usage(message).hint("take that character out; what needs it can stand in a script"))
}

/// Returns the argument list: several values as they are, a single one taken
/// apart at spaces outside quotes.
fn argv(values: &[String]) -> Result<Vec<String>, Situation> {
    match values {
        [only] => split(only).ok_or_else(|| {
            Situation::usage("the command has a quote without its end, or is empty")
                .hint("a command is a program and its arguments; there is no shell")
        }),
        several => Ok(several.to_vec()),
    }
}

/// Takes a text apart as a shell would, without its other meanings.
fn split(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some('"') | None, '\\') => word.get_or_insert_default().push(characters.next()?),
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    (quote.is_none() && !words.is_empty()).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_text_is_taken_apart_at_spaces_outside_quotes() {
        assert_eq!(split("deploy --stdin").unwrap(), ["deploy", "--stdin"]);
        assert_eq!(split(r#"sh -c 'cat > "a b"' \'"#).unwrap(), ["sh", "-c", "cat > \"a b\"", "'"]);
        assert_eq!(split("a '' b").unwrap(), ["a", "", "b"]);
        assert_eq!(split("a 'b"), None);
        assert_eq!(split("  "), None);
    }
}

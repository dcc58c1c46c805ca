//! The keys of a `.env` file. Only names, line numbers and verdicts are told;
//! a line itself is never repeated.

use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use crate::commands::CommandContext;
use crate::commands::add::Args;
use crate::commands::add::report::Line;
use crate::exit;
use crate::exit::{Exit, Situation};
use crate::key::{Domain, KeyRef, Kind, Name, ProviderId, Region, Scope, Secret};
use crate::output::{Cell, Page, Report, Table, Tone};
use crate::provider;
use crate::workflow::add_key::Wanted;
use crate::workflow::key_description::Described;
use crate::workflow::secret_input::Taken;
use crate::workflow::store_secret::Existing;
use crate::workflow::{add_key, secret_input};

/// More than any `.env` file has.
const LONGEST: u64 = 1024 * 1024;

/// One assignment of the file.
struct Entry {
    line: usize,
    name: String,
    value: Secret,
}

/// One key of the file.
struct Found {
    line: usize,
    variable: String,
    wanted: Wanted,
    taken: Taken,
}

/// Adds the keys of a file.
///
/// # Errors
/// Exit 2 when the file cannot be read or understood (the line is named, not
/// shown), exit 8 when there is no key in it.
pub fn run(args: &Args, path: &Path, context: &CommandContext) -> anyhow::Result<Exit> {
    let scope = match &context.options.scope {
        Some(scope) => scope.clone(),
        None => context.inventory()?.only_scope().ok_or_else(|| {
            Situation::usage("`--from-dotenv` does not say at which scope").hint("name it: `--scope SCOPE`")
        })?,
    };
    let text = read(path)?;
    let entries = parse(text.expose())
        .map_err(|(line, why)| Situation::usage(format!("{}:{line}: {why}", path.display())))?;
    let found = find(args, &scope, &entries);
    if found.is_empty() {
        return Err(Situation::missing("nothing-selected", format!("no key is in `{}`", path.display()))
            .hint("known names: MAILGUN_API_KEY, BREVO_API_KEY, BREVO_SMTP_KEY, KLAVIYO_API_KEY, HIGHLEVEL_TOKEN …")
            .into());
    }
    let mut lines = Vec::new();
    for one in found {
        lines.push(if args.dry_run { planned(context, one)? } else { added(context, args, one) });
    }
    lines.sort_by(|a, b| a.key.cmp(&b.key));
    let exit = Exit::merge(lines.iter().map(|it| it.exit));
    context.console.report(&DotenvReport { dry_run: args.dry_run, lines })?;
    Ok(exit)
}

fn read(path: &Path) -> anyhow::Result<Secret> {
    use std::io::Read;
    let failed =
        |error: std::io::Error| Situation::usage(format!("cannot read `{}`: {error}", path.display()));
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(LONGEST + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > LONGEST {
        return Err(Situation::usage(format!("`{}` is no .env file: it is too long", path.display())).into());
    }
    Ok(Secret::new(text))
}

/// Reads `NAME=value` lines: `export`, quotes, comments, values of several
/// lines in quotes. An error names the line and never shows it.
fn parse(text: &str) -> Result<Vec<Entry>, (usize, &'static str)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut entries: Vec<Entry> = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
        let (name, rest) = line.split_once('=').ok_or((number + 1, "a line without `=`"))?;
        let name = name.trim();
        let named = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.');
        if !named {
            return Err((number + 1, "what stands before `=` is no variable name"));
        }
        let mut rest = rest.trim().to_owned();
        let value = match rest.chars().next().filter(|c| matches!(c, '"' | '\'' | '`')) {
            None => bare(&rest).to_owned(),
            Some(quote) => loop {
                if let Some(value) = quoted(&rest, quote) {
                    break value;
                }
                let (_, more) = lines.next().ok_or((number + 1, "a quote that is never closed"))?;
                rest.push('\n');
                rest.push_str(more);
            },
        };
        entries.retain(|it| it.name != name);
        entries.push(Entry { line: number + 1, name: name.to_owned(), value: Secret::new(value) });
    }
    Ok(entries)
}

/// A value without quotes ends at ` #`.
fn bare(text: &str) -> &str {
    if text.starts_with('#') {
        return "";
    }
    text.split(" #").next().unwrap_or_default().split("\t#").next().unwrap_or_default().trim_end()
}

/// Returns what stands in quotes, or `None` while they are not closed.
fn quoted(text: &str, quote: char) -> Option<String> {
    let mut out = String::new();
    let mut chars = text.chars().skip(1);
    while let Some(c) = chars.next() {
        match c {
            c if c == quote => return Some(out),
            '\\' if quote == '"' => match chars.next()? {
                'n' => out.push('\n'),
                'r' => out.push('\r'),
                't' => out.push('\t'),
                other => out.push(other),
            },
            c => out.push(c),
        }
    }
    None
}

/// Returns whose secret programs keep in a variable, and what kind it is then.
fn named(variable: &str) -> Option<(ProviderId, Option<Kind>)> {
    provider::TABLE.iter().find_map(|vendor| {
        let (_, kind) = vendor.terms().dotenv.secrets.iter().find(|(name, _)| *name == variable)?;
        Some((vendor.id(), *kind))
    })
}

/// Finds the keys: by the names that programs use, else by a text that can be
/// nothing else.
fn find(args: &Args, scope: &Scope, entries: &[Entry]) -> Vec<Found> {
    let value = |name: &str| {
        let entry = entries.iter().find(|it| it.name == name && !it.value.is_empty())?;
        Some(entry.value.expose().to_owned())
    };
    let mut found: Vec<Found> = Vec::new();
    for entry in entries.iter().filter(|it| !it.value.is_empty()) {
        let taken = secret_input::look_at(&entry.value);
        let (provider, kind) = match (named(&entry.name), taken.candidates.first()) {
            (Some(known), _) => known,
            (None, Some((provider, candidate))) if candidate.certain => (*provider, Some(candidate.kind)),
            (None, _) => continue,
        };
        let label = if kind == Some(Kind::Smtp) { Name::parse("smtp").ok() } else { None };
        let mut key = KeyRef::new(provider, label, scope.clone());
        if found.iter().any(|it| it.wanted.key == key) {
            let Some(label) = Name::derive(&entry.name) else { continue };
            key = KeyRef::new(provider, Some(label), scope.clone());
        }
        let mut described = Described { kind, ..args.described() };
        let names = provider::provider(provider).terms().dotenv;
        match (kind, names.login, names.domain) {
            (Some(Kind::Smtp), Some(login), _) => described.login = value(login),
            (Some(Kind::Smtp), None, _) | (_, _, None) => {}
            (_, _, Some(domain)) => {
                described.domain = value(domain).and_then(|it| Domain::parse(&it).ok());
            }
        }
        if let Some(region) = names.region {
            let said = value(region).and_then(|it| it.to_lowercase().parse::<Region>().ok());
            described.region = described.region.or(said);
        }
        let wanted = Wanted { key, described };
        found.push(Found { line: entry.line, variable: entry.name.clone(), wanted, taken });
    }
    found
}

/// Tells what would be added, without asking anybody.
fn planned(context: &CommandContext, found: Found) -> anyhow::Result<DotenvLine> {
    let inventory = context.inventory()?;
    let Found { line, variable, mut wanted, taken } = found;
    let key = wanted.key.clone();
    let checked = wanted.described.check(key.provider).and_then(|()| {
        let kinds = taken.kinds(key.provider);
        let kind =
            wanted.described.kind.or_else(|| if kinds.len() == 1 { kinds.first().copied() } else { None });
        taken.fits(key.provider, kind)
    });
    let exists = inventory.keys.contains_key(&key);
    let (exit, error) = match checked {
        Err(situation) => (situation.exit, Some(situation.message)),
        Ok(()) => (Exit::Done, None),
    };
    Ok(DotenvLine { key, variable, line, exit, exists, error, added: None })
}

fn added(context: &CommandContext, args: &Args, found: Found) -> DotenvLine {
    let Found { line, variable, wanted, taken } = found;
    let key = wanted.key.clone();
    let manner = args.manner();
    let exists = manner.existing == Existing::Refuse && holds(context, &key, &taken.secret);
    if exists {
        return DotenvLine { key, variable, line, exit: Exit::Done, exists, error: None, added: None };
    }
    match add_key::add(context, wanted, manner, |_| Ok(taken)) {
        Ok(added) => {
            let exit = added.exit();
            DotenvLine { key, variable, line, exit, exists, error: None, added: Some(Line::of(&added)) }
        }
        Err(error) => {
            let (exit, _, message, hint) = exit::situation(&error);
            context.console.warning(format!("line {line}: {message}"));
            if let Some(hint) = hint {
                context.console.hint(hint);
            }
            DotenvLine { key, variable, line, exit, exists, error: Some(message), added: None }
        }
    }
}

/// Returns whether the record holds this secret already: adding a file again
/// is no mistake.
fn holds(context: &CommandContext, key: &KeyRef, secret: &Secret) -> bool {
    let recorded = context.inventory().ok().and_then(|it| it.keys.get(key));
    let fingerprint = recorded.filter(|it| it.current.is_some()).and_then(|it| it.fingerprint.as_ref());
    fingerprint == Some(&secret.fingerprint())
}

#[derive(Debug, Clone, Serialize)]
struct DotenvLine {
    key: KeyRef,
    variable: String,
    line: usize,
    #[serde(skip)]
    exit: Exit,
    /// The key is recorded already.
    exists: bool,
    error: Option<String>,
    /// What became of it; null when nothing was tried.
    added: Option<Line>,
}

struct DotenvReport {
    dry_run: bool,
    lines: Vec<DotenvLine>,
}

impl Report for DotenvReport {
    fn command(&self) -> &'static str {
        "add"
    }

    fn data(&self) -> Value {
        serde_json::json!({ "dry_run": self.dry_run, "keys": self.lines })
    }

    fn rows(&self) -> Option<&'static str> {
        Some("keys")
    }

    fn human(&self, page: &mut Page) {
        let mut table = Table::new(&["key", "variable", "line", "what"]);
        for line in &self.lines {
            let what = match (&line.error, &line.added, line.exists, self.dry_run) {
                (Some(error), ..) => Cell::toned(error.clone(), Tone::Bad),
                (None, Some(added), ..) => {
                    let verdict = added.verdict.map_or("not proven", |it| it.as_str());
                    Cell::from(format!("{} ({verdict})", if added.saved { "kept" } else { "not kept" }))
                }
                (None, None, true, _) => Cell::from("is there already"),
                (None, None, false, true) => Cell::from("would be added"),
                (None, None, false, false) => Cell::default(),
            };
            table.row([
                line.key.as_str().into(),
                line.variable.as_str().into(),
                line.line.to_string().into(),
                what,
            ]);
        }
        page.table(&table);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(usize, String, String)> {
        let entries = parse(text).unwrap();
        entries.into_iter().map(|it| (it.line, it.name, it.value.expose().to_owned())).collect()
    }

    #[test]
    fn every_form_of_assignment_is_read() {
        let text = "\u{feff}# a comment\n\nA=plain # note\nexport B = 'single # \\n'\nC=\"a\\\"b\\nc\"\nD=\"two\nlines\"\nE=\nF=#none\nA=again\n";
        let of = |name: &str| read(text).into_iter().find(|it| it.1 == name).unwrap();
        assert_eq!(of("A"), (10, "A".into(), "again".into()));
        assert_eq!(of("B").2, "single # \\n");
        assert_eq!(of("C").2, "a\"b\nc");
        assert_eq!(of("D"), (6, "D".into(), "two\nlines".into()));
        assert_eq!(of("E").2, "");
        assert_eq!(of("F").2, "");
    }

    #[test]
    fn an_error_names_the_line_only() {
        for (text, line) in [("A=1\nno assignment", 2), ("1A=2", 1), ("A='open\nB=2", 1)] {
            assert_eq!(parse(text).err().unwrap().0, line, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_taken(text in "[A-Z='\" \\\\\\n#]{0,60}") {
            let _ = parse(&text);
        }
    }
}

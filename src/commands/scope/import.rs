//! `scope import`: an agency's locations from HighLevel, or from a CSV file
//! that its console exports. Only names and ids are kept.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::Serialize;
use serde_json::Value;

use crate::context::{Context, Slot};
use crate::exit::{Exit, Situation};
use crate::inventory::select::{Filter, Selected};
use crate::inventory::{Agency, Inventory, Place};
use crate::key::text::printable;
use crate::key::{Kind, Name, ProviderId, Scope};
use crate::output::{Cell, Page, Report, Table, Tone};
use crate::provider::{self, Credential, RemoteLocation, Trouble};

/// The longest display name that is kept, in characters.
const NAME_LIMIT: usize = 200;

/// Arguments of `scope import`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keyctl scope import acme --from highlevel --dry-run
  keyctl scope import acme --from-csv locations.csv --id-column 'Location ID' --name-column Name")]
#[command(group(clap::ArgGroup::new("source").required(true).args(["from", "from_csv"])))]
pub struct Args {
    /// The agency whose locations are imported
    #[arg(value_name = "AGENCY", add = crate::commands::completions::scopes())]
    agency: Scope,
    /// Read them from the platform with the agency's token
    #[arg(long, value_name = "PLATFORM", value_parser = ["highlevel"])]
    from: Option<String>,
    /// Read them from a CSV file with a heading line
    #[arg(long, value_name = "PATH", requires_all = ["id_column", "name_column"])]
    from_csv: Option<PathBuf>,
    /// Heading of the column with the location id
    #[arg(long, value_name = "COLUMN", requires = "from_csv")]
    id_column: Option<String>,
    /// Heading of the column with the location's name
    #[arg(long, value_name = "COLUMN", requires = "from_csv")]
    name_column: Option<String>,
    /// Only show what would change
    #[arg(long)]
    dry_run: bool,
}

/// What an import does to one location.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Change {
    New,
    Changed,
    Gone,
    Unchanged,
}

impl Change {
    fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Changed => "changed",
            Self::Gone => "gone",
            Self::Unchanged => "unchanged",
        }
    }
}

#[derive(Debug, Clone, Serialize)]
struct Line {
    scope: Scope,
    highlevel_id: Option<String>,
    name: Option<String>,
    change: Change,
}

/// Imports an agency's locations.
///
/// # Errors
/// Exit 2 for a bad file, exit 4 when the platform could not be read to its
/// end, exit 8 without an agency token.
pub fn run(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    if args.agency.location.is_some() {
        return Err(Situation::usage(format!("`{}` is a location; an import needs its agency", args.agency))
            .hint(format!("`keyctl scope import {} …`", args.agency.agency))
            .into());
    }
    let found = match &args.from_csv {
        Some(path) => from_csv(path, args)?,
        None => from_platform(args, context)?,
    };
    let name = &args.agency.agency;
    // Whole seconds: a person reads this file.
    let now = jiff::Timestamp::from_second(context.now().as_second())?;
    let merge = |inventory: &mut Inventory| {
        let mut lines = Vec::new();
        let agency = inventory.agencies.entry(name.clone()).or_default();
        merge(agency, &found, now, |location, place, change| {
            lines.push(Line {
                scope: Scope { agency: name.clone(), location: Some(location.clone()) },
                highlevel_id: place.highlevel_id.clone(),
                name: place.name.clone(),
                change,
            });
        });
        lines.sort_by_key(|line| line.scope.to_string());
        lines
    };
    let lines = if args.dry_run {
        merge(&mut context.inventory()?.clone())
    } else {
        context.update(|inventory| Ok(merge(inventory)))?
    };
    context.console.report(&ImportReport { lines, dry_run: args.dry_run })?;
    Ok(Exit::Done)
}

fn from_platform(args: &Args, context: &Context) -> anyhow::Result<Vec<RemoteLocation>> {
    let inventory = context.inventory()?;
    let filter = Filter { provider: Some(ProviderId::Highlevel), ..Filter::default() };
    let (key, record) = inventory
        .choose(&Selected::Scope(args.agency.clone()), &[Kind::Agency], filter)
        .map_err(|situation| match situation.exit {
            Exit::Missing => {
                Situation::missing("no-token", format!("`{}` has no HighLevel agency token", args.agency))
                    .hint(format!(
                        "add it: `keyctl add highlevel@{} --kind agency`, or import a CSV file",
                        args.agency
                    ))
            }
            _ => situation,
        })?;
    let facet = provider::provider(key.provider).locations().ok_or_else(|| {
        Situation::failed("no-locations", format!("{} has no list of locations", key.provider))
    })?;
    let secret = context.need_secret(inventory, key, record, Slot::Current)?;
    let credential = Credential {
        kind: record.kind,
        secret: &secret,
        region: None,
        domain: None,
        login: None,
        remote_id: record.remote_id.as_deref(),
        account_id: record.account_id.as_deref(),
    };
    let company = inventory.place(&args.agency).and_then(|it| it.highlevel_id.clone());
    let company = company.or_else(|| record.account_id.clone());
    Ok(facet
        .list(context.net()?.by(&credential), company.as_deref())
        .map_err(|trouble| unreadable(&trouble))?)
}

fn unreadable(trouble: &Trouble) -> Situation {
    let exit = match trouble.reason.verdict() {
        crate::key::Verdict::Rejected => Exit::Rejected,
        _ => Exit::Unknown,
    };
    let situation = Situation::new(
        exit,
        "locations-unreadable",
        format!("the locations could not be read: {}", trouble.detail),
    );
    match &trouble.hint {
        Some(hint) => situation.hint(hint.clone()),
        None => situation.hint("nothing was changed; try again, or import a CSV file"),
    }
}

fn from_csv(path: &PathBuf, args: &Args) -> anyhow::Result<Vec<RemoteLocation>> {
    let shown = path.display();
    let mut reader = csv::Reader::from_path(path)
        .map_err(|error| Situation::usage(format!("cannot read `{shown}`: {error}")))?;
    let headings = reader
        .headers()
        .map_err(|error| Situation::usage(format!("`{shown}` is no CSV file: {error}")))?
        .clone();
    let column = |wanted: &Option<String>| {
        let wanted = wanted.as_deref().unwrap_or_default();
        headings.iter().position(|it| it.trim() == wanted).ok_or_else(|| {
            let known = headings
                .iter()
                .map(|it| format!("`{}`", crate::key::shape::shown(it.trim(), 40)))
                .collect::<Vec<_>>()
                .join(", ");
            Situation::usage(format!("`{shown}` has no column `{}`", printable(wanted, 40)))
                .hint(format!("its columns are: {known}"))
        })
    };
    let (id, name) = (column(&args.id_column)?, column(&args.name_column)?);
    let mut found: BTreeMap<String, RemoteLocation> = BTreeMap::new();
    for (n, row) in reader.records().enumerate() {
        let line = n + 2;
        // A row may hold anything: only its number is shown.
        let row = row.map_err(|_| Situation::usage(format!("line {line} of `{shown}` cannot be read")))?;
        let id = row
            .get(id)
            .map(str::trim)
            .filter(|it| !it.is_empty())
            .ok_or_else(|| Situation::usage(format!("line {line} of `{shown}` has no location id")))?;
        let location = RemoteLocation {
            id: id.to_owned(),
            name: row.get(name).unwrap_or_default().trim().to_owned(),
            company_id: None,
        };
        let name = location.name.clone();
        if let Some(before) = found.insert(id.to_owned(), location).filter(|it| it.name != name) {
            return Err(Situation::usage(format!(
                "line {line} of `{shown}` has a location id that an earlier line has, with another name than `{}`",
                printable(&before.name, 40)
            ))
            .hint("keep one of the two lines; nothing was changed")
            .into());
        }
    }
    Ok(found.into_values().collect())
}

/// Brings an agency up to date. Names once given stay: scripts use them.
fn merge(
    agency: &mut Agency,
    found: &[RemoteLocation],
    now: jiff::Timestamp,
    mut tell: impl FnMut(&Name, &Place, Change),
) {
    let by_id: BTreeMap<String, Name> = agency
        .locations
        .iter()
        .filter_map(|(name, place)| Some((place.highlevel_id.clone()?, name.clone())))
        .collect();
    let mut seen = BTreeSet::new();
    for remote in found {
        seen.insert(remote.id.as_str());
        let display = Some(printable(&remote.name, NAME_LIMIT)).filter(|it| !it.is_empty());
        match by_id.get(&remote.id) {
            Some(name) => {
                let Some(place) = agency.locations.get_mut(name) else { continue };
                let changed = place.name != display || place.gone;
                place.name = display;
                place.gone = false;
                if changed {
                    place.imported = Some(now);
                }
                tell(name, place, if changed { Change::Changed } else { Change::Unchanged });
            }
            None => {
                let name = free_name(agency, &remote.name, &remote.id);
                let place = Place {
                    name: display,
                    highlevel_id: Some(remote.id.clone()),
                    imported: Some(now),
                    ..Place::default()
                };
                tell(&name, &place, Change::New);
                agency.locations.insert(name, place);
            }
        }
    }
    for (name, place) in &mut agency.locations {
        let vanished = place.highlevel_id.as_deref().is_some_and(|id| !seen.contains(id));
        if vanished && place.imported.is_some() {
            let news = !place.gone;
            place.gone = true;
            tell(name, place, if news { Change::Gone } else { Change::Unchanged });
        }
    }
    if agency.place.highlevel_id.is_none() {
        agency.place.highlevel_id = found.iter().find_map(|it| it.company_id.clone());
    }
    if agency.place.imported.is_none() {
        agency.place.imported = Some(now);
    }
}

/// Returns a name derived from the display name that no location has yet.
fn free_name(agency: &Agency, display: &str, id: &str) -> Name {
    let derived = Name::derive(display).or_else(|| Name::derive(&format!("location {id}")));
    let base = derived.map_or_else(|| "location".to_owned(), |it| it.to_string());
    let candidates = std::iter::once(base.clone()).chain((2..).map(|n| {
        let suffix = format!("-{n}");
        let room = crate::key::name::MAX_NAME - suffix.len();
        format!("{}{suffix}", base.chars().take(room).collect::<String>().trim_end_matches('-'))
    }));
    candidates
        .filter_map(|text| Name::parse(&text).ok())
        .find(|name| !agency.locations.contains_key(name))
        .unwrap_or_else(|| unreachable!("there are more numbers than locations"))
}

struct ImportReport {
    lines: Vec<Line>,
    dry_run: bool,
}

impl Report for ImportReport {
    fn command(&self) -> &'static str {
        "scope"
    }

    fn data(&self) -> Value {
        serde_json::json!({ "locations": self.lines, "dry_run": self.dry_run })
    }

    fn rows(&self) -> Option<&'static str> {
        Some("locations")
    }

    fn human(&self, page: &mut Page) {
        let mut table = Table::new(&["scope", "name", "HighLevel id", "change"]);
        for line in self.lines.iter().filter(|it| it.change != Change::Unchanged) {
            let tone = match line.change {
                Change::New => Tone::Good,
                Change::Changed | Change::Gone => Tone::Warn,
                Change::Unchanged => Tone::Dim,
            };
            table.row([
                line.scope.to_string().into(),
                line.name.clone().unwrap_or_default().into(),
                line.highlevel_id.clone().unwrap_or_default().into(),
                Cell::toned(line.change.as_str(), tone),
            ]);
        }
        page.table(&table);
        let count = |change| self.lines.iter().filter(|it| it.change == change).count();
        let would = if self.dry_run { " (nothing was written)" } else { "" };
        let counts = [Change::New, Change::Changed, Change::Gone, Change::Unchanged];
        let words: Vec<String> = counts.iter().map(|it| format!("{} {}", count(*it), it.as_str())).collect();
        page.line(Tone::Dim, format!("{}{would}", words.join(", ")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(id: &str, name: &str) -> RemoteLocation {
        RemoteLocation { id: id.to_owned(), name: name.to_owned(), company_id: Some("company".to_owned()) }
    }

    fn changes(agency: &mut Agency, found: &[RemoteLocation]) -> Vec<(String, Change)> {
        let mut told = Vec::new();
        merge(agency, found, jiff::Timestamp::UNIX_EPOCH, |name, _, change| {
            told.push((name.to_string(), change))
        });
        told
    }

    #[test]
    fn names_are_derived_once_and_stay() {
        let mut agency = Agency::default();
        let first = [remote("1", "Zürich Süd"), remote("2", "Zurich, Sud!"), remote("3", "  ")];
        assert_eq!(
            changes(&mut agency, &first),
            [
                ("zurich-sud".to_owned(), Change::New),
                ("zurich-sud-2".to_owned(), Change::New),
                ("location-3".to_owned(), Change::New)
            ]
        );
        assert_eq!(agency.place.highlevel_id.as_deref(), Some("company"));
        let second = [remote("1", "Renamed"), remote("2", "Zurich, Sud!")];
        assert_eq!(
            changes(&mut agency, &second),
            [
                ("zurich-sud".to_owned(), Change::Changed),
                ("zurich-sud-2".to_owned(), Change::Unchanged),
                ("location-3".to_owned(), Change::Gone)
            ]
        );
        assert_eq!(changes(&mut agency, &first)[2], ("location-3".to_owned(), Change::Changed));
    }
}

//! `scope import`: an agency's locations from HighLevel (`platform`), or from a
//! CSV file that its console exports (`csv_file`). Only names and ids are kept.
//! `merge` brings the agency up to date; it never takes a location away.

mod csv_file;
mod merge;
mod platform;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;
use serde_json::Value;

use crate::context::Context;
use crate::exit::{Exit, Situation};
use crate::inventory::Inventory;
use crate::key::Scope;
use crate::key::text::printable;
use crate::output::{Cell, Page, Report, Table, Tone};
use crate::provider::RemoteLocation;

/// Arguments of `scope import`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keyctl scope import acme --from highlevel --dry-run
  keyctl scope import acme --from-csv locations.csv --id-column 'Location ID' --name-column Name

Nothing is taken away: a location that the source does not list stays in use and is `missing`
since that day; only HighLevel's own answer that there is no such location makes it `gone`.")]
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

/// The longest display name that is kept, in characters.
const NAME_LIMIT: usize = 200;

/// What an import does to one location.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Change {
    New,
    Changed,
    /// The source does not list it: it stays in use.
    Missing,
    /// HighLevel says that there is none with this id: it is no place any more.
    Gone,
    Unchanged,
}

impl Change {
    fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Changed => "changed",
            Self::Missing => "missing",
            Self::Gone => "gone",
            Self::Unchanged => "unchanged",
        }
    }
}

/// Where a list of locations comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    /// The platform's own list, read to its end.
    Highlevel,
    /// A file, which may be a part of the list, old, or somebody's own.
    File,
}

/// What HighLevel answered when it was asked for one location by its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Exists,
    /// There is none with this id.
    Absent,
}

/// The locations that a source lists.
#[derive(Debug)]
struct Listing {
    source: Source,
    /// Never empty.
    found: Vec<RemoteLocation>,
    /// By id, of locations that are recorded and not listed.
    answers: BTreeMap<String, Answer>,
}

impl Listing {
    /// Takes a list that has something in it.
    ///
    /// # Errors
    /// Exit 4 for an empty one: it tells nothing of the locations there are.
    fn new(source: Source, mut found: Vec<RemoteLocation>, from: &str) -> Result<Self, Situation> {
        if found.is_empty() {
            return Err(Situation::new(Exit::Unknown, "empty-source", format!("{from} lists no location"))
                .hint(
                    "nothing was changed; a location that is not used any more: `keyctl scope remove SCOPE`",
                ));
        }
        // Names are read by people, and new ones are made of them.
        for location in &mut found {
            location.name = printable(&location.name, NAME_LIMIT).trim().to_owned();
        }
        Ok(Self { source, found, answers: BTreeMap::new() })
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
/// end or the source lists no location, exit 8 without an agency token.
pub fn run(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    if args.agency.location.is_some() {
        return Err(Situation::usage(format!("`{}` is a location; an import needs its agency", args.agency))
            .hint(format!("`keyctl scope import {} …`", args.agency.agency))
            .into());
    }
    let listing = match &args.from_csv {
        Some(path) => csv_file::read(path, args)?,
        None => platform::read(&args.agency, context)?,
    };
    let name = &args.agency.agency;
    // Whole seconds: a person reads this file.
    let now = jiff::Timestamp::from_second(context.now().as_second())?;
    let bring_up_to_date = |inventory: &mut Inventory| {
        let mut lines = Vec::new();
        let agency = inventory.agencies.entry(name.clone()).or_default();
        merge::merge(agency, &listing, now, |location, place, change| {
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
        bring_up_to_date(&mut context.inventory()?.clone())
    } else {
        context.update(|inventory| Ok(bring_up_to_date(inventory)))?
    };
    context.console.report(&ImportReport { lines, dry_run: args.dry_run })?;
    Ok(Exit::Done)
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
                Change::Changed | Change::Missing | Change::Gone => Tone::Warn,
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
        let counts = [Change::New, Change::Changed, Change::Missing, Change::Gone, Change::Unchanged];
        let words: Vec<String> = counts.iter().map(|it| format!("{} {}", count(*it), it.as_str())).collect();
        page.line(Tone::Dim, format!("{}{would}", words.join(", ")));
        if count(Change::Missing) > 0 {
            page.line(Tone::Dim, "missing: the source does not list them; they stay in use");
        }
    }
}

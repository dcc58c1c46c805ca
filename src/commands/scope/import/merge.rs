//! Brings an agency up to date with a list of its locations. A short list is
//! no removal: what it lacks is marked `missing` and stays in use; only the
//! platform's own answer about one location makes that one `gone`.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Answer, Change, Listing, Source};
use crate::inventory::{Agency, Place};
use crate::key::Name;
use crate::provider::RemoteLocation;

/// Enters what a source lists, and tells what became of each location. Names
/// once given stay: scripts use them.
pub fn merge(
    agency: &mut Agency,
    listing: &Listing,
    now: Timestamp,
    mut tell: impl FnMut(&Name, &Place, Change),
) {
    let mut unlisted = names_by_id(agency);
    for remote in &listing.found {
        match unlisted.remove(&remote.id) {
            Some(names) => {
                for name in names {
                    let Some(place) = agency.locations.get_mut(&name) else { continue };
                    let change = listed(place, remote, listing.source, now);
                    tell(&name, place, change);
                }
            }
            None => {
                let name = free_name(agency, &remote.name, &remote.id);
                let place = Place {
                    name: display(remote),
                    highlevel_id: Some(remote.id.clone()),
                    imported: (listing.source == Source::Highlevel).then_some(now),
                    ..Place::default()
                };
                tell(&name, &place, Change::New);
                agency.locations.insert(name, place);
            }
        }
    }
    for (id, names) in &unlisted {
        for name in names {
            let Some(place) = agency.locations.get_mut(name) else { continue };
            let change = not_listed(place, listing.answers.get(id).copied(), now);
            tell(name, place, change);
        }
    }
    if agency.place.highlevel_id.is_none() {
        agency.place.highlevel_id = listing.found.iter().find_map(|it| it.company_id.clone());
    }
    if agency.place.imported.is_none() {
        agency.place.imported = Some(now);
    }
}

/// Returns the locations by the platform's id; two may have the same.
fn names_by_id(agency: &Agency) -> BTreeMap<String, Vec<Name>> {
    let mut names: BTreeMap<String, Vec<Name>> = BTreeMap::new();
    for (name, place) in &agency.locations {
        if let Some(id) = &place.highlevel_id {
            names.entry(id.clone()).or_default().push(name.clone());
        }
    }
    names
}

fn display(remote: &RemoteLocation) -> Option<String> {
    Some(remote.name.clone()).filter(|it| !it.is_empty())
}

/// A recorded location that the source lists. A name that the source leaves
/// out is kept.
fn listed(place: &mut Place, remote: &RemoteLocation, source: Source, now: Timestamp) -> Change {
    let name = display(remote).or_else(|| place.name.clone());
    let changed = place.name != name || place.gone || place.missing.is_some();
    place.name = name;
    place.gone = false;
    place.missing = None;
    if source == Source::Highlevel && (changed || place.imported.is_none()) {
        place.imported = Some(now);
    }
    if changed { Change::Changed } else { Change::Unchanged }
}

/// A recorded location that the source does not list. Without an answer about
/// it nothing is known but that.
fn not_listed(place: &mut Place, answer: Option<Answer>, now: Timestamp) -> Change {
    let (was_missing, was_gone) = (place.missing.is_some(), place.gone);
    match answer.filter(|_| place.imported.is_some()) {
        Some(Answer::Absent) => place.gone = true,
        // An earlier version took absence from a list for it.
        Some(Answer::Exists) => place.gone = false,
        None if was_gone => return Change::Unchanged,
        None => {}
    }
    place.missing.get_or_insert(now);
    match (place.gone, was_gone) {
        (true, false) => Change::Gone,
        (true, true) => Change::Unchanged,
        (false, false) if was_missing => Change::Unchanged,
        (false, _) => Change::Missing,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(id: &str, name: &str) -> RemoteLocation {
        RemoteLocation { id: id.to_owned(), name: name.to_owned(), company_id: Some("company".to_owned()) }
    }

    fn changes(agency: &mut Agency, listing: &Listing) -> Vec<(String, Change)> {
        let mut told = Vec::new();
        merge(agency, listing, Timestamp::UNIX_EPOCH, |name, _, change| {
            told.push((name.to_string(), change))
        });
        told
    }

    fn list(source: Source, found: &[RemoteLocation]) -> Listing {
        Listing { source, found: found.to_vec(), answers: BTreeMap::new() }
    }

    fn of_highlevel(found: &[RemoteLocation], answers: &[(&str, Answer)]) -> Listing {
        let answers = answers.iter().map(|(id, answer)| ((*id).to_owned(), *answer)).collect();
        Listing { answers, ..list(Source::Highlevel, found) }
    }

    #[test]
    fn names_are_derived_once_and_stay() {
        let mut agency = Agency::default();
        let first = [remote("1", "Zürich Süd"), remote("2", "Zurich, Sud!"), remote("3", "  ")];
        let first = list(Source::Highlevel, &first);
        assert_eq!(
            changes(&mut agency, &first),
            [
                ("zurich-sud".to_owned(), Change::New),
                ("zurich-sud-2".to_owned(), Change::New),
                ("location-3".to_owned(), Change::New)
            ]
        );
        assert_eq!(agency.place.highlevel_id.as_deref(), Some("company"));
        let second = list(Source::File, &[remote("1", "Renamed"), remote("2", "")]);
        assert_eq!(
            changes(&mut agency, &second),
            [
                ("zurich-sud".to_owned(), Change::Changed),
                ("zurich-sud-2".to_owned(), Change::Unchanged),
                ("location-3".to_owned(), Change::Missing)
            ]
        );
        assert_eq!(changes(&mut agency, &second)[2].1, Change::Unchanged, "it was missing before");
        assert_eq!(changes(&mut agency, &first)[2], ("location-3".to_owned(), Change::Changed));
    }

    #[test]
    fn only_an_answer_about_a_location_that_highlevel_listed_makes_it_gone() {
        let mut agency = Agency::default();
        let both = [remote("1", "One"), remote("2", "Two")];
        changes(&mut agency, &list(Source::Highlevel, &both));
        changes(&mut agency, &list(Source::File, &[remote("9", "Typed")]));
        let first = &both[..1];
        let told = |agency: &mut Agency, answers: &[(&str, Answer)]| {
            let told = changes(agency, &of_highlevel(first, answers));
            let of = |name: &str| told.iter().find(|it| it.0 == name).map(|it| it.1);
            (of("two"), of("typed"), agency.locations[&Name::parse("two").unwrap()].gone)
        };
        agency.locations.get_mut(&Name::parse("two").unwrap()).unwrap().missing = None;
        let absent = [("2", Answer::Absent), ("9", Answer::Absent)];
        assert_eq!(told(&mut agency, &[]), (Some(Change::Missing), Some(Change::Missing), false));
        assert_eq!(told(&mut agency, &[("2", Answer::Exists)]).0, Some(Change::Unchanged));
        assert_eq!(told(&mut agency, &absent), (Some(Change::Gone), Some(Change::Unchanged), true));
        assert_eq!(told(&mut agency, &[]), (Some(Change::Unchanged), Some(Change::Unchanged), true));
        let typed = &agency.locations[&Name::parse("typed").unwrap()];
        assert!(!typed.gone && typed.missing.is_some(), "HighLevel never listed that id: {typed:?}");
    }

    #[test]
    fn what_an_old_version_called_gone_is_looked_at_again() {
        let mut agency = Agency::default();
        changes(&mut agency, &list(Source::Highlevel, &[remote("1", "One"), remote("2", "Two")]));
        let two = Name::parse("two").unwrap();
        agency.locations.get_mut(&two).unwrap().gone = true;
        let listing = |answers: &[(&str, Answer)]| of_highlevel(&[remote("1", "One")], answers);
        assert_eq!(changes(&mut agency, &listing(&[]))[1].1, Change::Unchanged);
        assert_eq!(agency.locations[&two].missing, None, "nothing is known of it yet");
        assert_eq!(changes(&mut agency, &listing(&[("2", Answer::Exists)]))[1].1, Change::Missing);
        assert!(!agency.locations[&two].gone);
    }
}

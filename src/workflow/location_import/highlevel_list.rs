//! Locations from HighLevel's own list, and what it says of those that are
//! recorded here but not in the list.

use std::collections::BTreeSet;

use crate::context::{Context, Slot};
use crate::exit::{Exit, Situation};
use crate::inventory::select::{Filter, Selected};
use crate::inventory::{Agency, Place};
use crate::key::{Kind, Name, ProviderId, Reason, Scope, Verdict};
use crate::provider;
use crate::provider::{Credential, Locations, Trouble};
use crate::workflow::location_import::{Answer, Listing, Source};

/// The most locations that one import asks about.
const MOST_ASKED: usize = 200;

/// Reads the agency's locations, then asks for each recorded one that the list
/// lacks. Sends only GETs.
///
/// # Errors
/// Exit 4 when the list could not be read to its end or is empty, exit 3 when
/// the token is refused, exit 8 without an agency token.
pub fn read(agency: &Scope, context: &Context) -> anyhow::Result<Listing> {
    let inventory = context.inventory()?;
    let filter = Filter { provider: Some(ProviderId::Highlevel), ..Filter::default() };
    let (key, record) =
        inventory.choose(&Selected::Scope(agency.clone()), &[Kind::Agency], filter).map_err(|situation| {
            match situation.exit {
                Exit::Missing => no_token(agency),
                _ => situation,
            }
        })?;
    let facet = provider::provider(key.provider).locations().ok_or_else(|| {
        Situation::failed("no-locations", format!("{} has no list of locations", key.provider))
    })?;
    let secret = context.need_secret(inventory, key, record, Slot::Current)?;
    let credential =
        Credential { region: None, domain: None, login: None, ..Credential::of(record, &secret) };
    let company = inventory.place(agency).and_then(|it| it.highlevel_id.clone());
    let company = company.or_else(|| record.account_id.clone());
    let found = facet
        .list(context.net()?.by(&credential), company.as_deref())
        .map_err(|trouble| unreadable(&trouble))?;
    let mut listing = Listing::new(Source::Highlevel, found, "HighLevel")?;
    if let Some(held) = inventory.agencies.get(&agency.agency) {
        ask_about_missing(context, facet, &credential, (held, agency), &mut listing)?;
    }
    Ok(listing)
}

fn no_token(agency: &Scope) -> Situation {
    Situation::missing("no-token", format!("`{agency}` has no HighLevel agency token"))
        .hint(format!("add it: `keyctl add highlevel@{agency} --kind agency`, or import a CSV file"))
}

fn unreadable(trouble: &Trouble) -> Situation {
    let exit = match trouble.reason.verdict() {
        Verdict::Rejected => Exit::Rejected,
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

/// Asks for each location that HighLevel once listed and does not list now. A
/// list may lag behind, so that absence from it alone proves nothing; what
/// cannot be asked stays in use.
fn ask_about_missing(
    context: &Context,
    facet: &dyn Locations,
    credential: &Credential<'_>,
    (agency, scope): (&Agency, &Scope),
    listing: &mut Listing,
) -> anyhow::Result<()> {
    let listed: BTreeSet<String> = listing.found.iter().map(|it| it.id.clone()).collect();
    let missing: Vec<(&Name, &str)> = agency
        .locations
        .iter()
        .filter(|(_, place)| may_be_gone(place))
        .filter_map(|(name, place)| Some((name, place.highlevel_id.as_deref()?)))
        .filter(|(_, id)| !listed.contains(*id))
        .collect();
    let mut left = missing.len();
    for (name, id) in missing.into_iter().take(MOST_ASKED) {
        let answer = match facet.read(context.net()?.by(credential), id) {
            Ok(Some(_)) => Answer::Exists,
            Ok(None) => Answer::Absent,
            Err(trouble) => {
                context.operator.note(format!(
                    "note: `{scope}/{name}` is not in HighLevel's list, and asking for it did not tell whether it \
                     exists; it stays in use: {}",
                    trouble.detail
                ));
                left -= 1;
                if is_passing(trouble.reason) {
                    break;
                }
                continue;
            }
        };
        left -= 1;
        listing.answers.insert(id.to_owned(), answer);
    }
    if left > 0 {
        context.operator.note(format!(
            "note: not asked about this time: {left} of the locations that HighLevel does not list; they stay in \
             use, and the next import asks again"
        ));
    }
    Ok(())
}

/// Returns whether a 404 would be knowledge: HighLevel once listed this id, and
/// has not said so already.
fn may_be_gone(place: &Place) -> bool {
    place.imported.is_some() && !(place.gone && place.missing.is_some())
}

/// Returns whether all other questions would be answered the same now.
fn is_passing(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::Unreachable | Reason::Tls | Reason::RateLimited | Reason::ProviderError | Reason::IpBlocked
    )
}

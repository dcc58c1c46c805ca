//! Names that a mistyped domain may have meant: a slip of the finger, or the
//! same domain with another subdomain.

use crate::key::Domain;

/// The most names that are offered.
const MOST: usize = 3;

/// Returns the names in `known` that are near `wanted`, the nearest first.
pub fn near<'a>(wanted: &Domain, known: impl Iterator<Item = &'a Domain>) -> Vec<&'a Domain> {
    let mut found: Vec<(usize, &Domain)> = known
        .filter(|it| *it != wanted)
        .filter_map(|it| Some((distance(wanted.as_str(), it.as_str())?, it)))
        .collect();
    found.sort_unstable();
    found.dedup();
    found.into_iter().map(|(_, it)| it).take(MOST).collect()
}

/// Returns how far apart two names are; `None`: too far to be meant.
fn distance(wanted: &str, known: &str) -> Option<usize> {
    // Letters changed, added, taken away, or swapped with their neighbour.
    let slips = strsim::osa_distance(wanted, known);
    // In a short name two slips are already another name.
    let few = if wanted.len() < 8 { 1 } else { 2 };
    if slips <= few {
        return Some(slips);
    }
    let below = |long: &str, short: &str| long.strip_suffix(short).is_some_and(|rest| rest.ends_with('.'));
    let related = below(wanted, known) || below(known, wanted);
    let parent =
        |name: &str| name.split_once('.').map(|(_, rest)| rest.to_owned()).filter(|it| it.contains('.'));
    let siblings = parent(wanted).is_some() && parent(wanted) == parent(known);
    (related || siblings).then_some(few + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_come_before_other_subdomains() {
        let known: Vec<Domain> = [
            "mg.berlin.example",
            "berlin.example",
            "mail.berlin.example",
            "mg.paris.example",
            "other.example",
        ]
        .iter()
        .map(|it| it.parse().unwrap())
        .collect();
        let names = |wanted: &str| -> Vec<String> {
            near(&wanted.parse().unwrap(), known.iter()).iter().map(ToString::to_string).collect()
        };
        assert_eq!(names("mg.berlni.example"), ["mg.berlin.example"]);
        assert_eq!(
            names("mx.berlin.example"),
            ["mg.berlin.example", "berlin.example", "mail.berlin.example"]
        );
        assert_eq!(names("berlin.example"), ["mail.berlin.example", "mg.berlin.example"]);
        assert!(names("shop.test").is_empty());
    }
}

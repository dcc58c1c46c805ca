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
    let slips = edits(wanted, known);
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

/// Returns how many letters must be changed, added, taken away or swapped with
/// their neighbour (optimal string alignment).
fn edits(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    rows[0] = (0..=b.len()).collect();
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let change = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(rows[i - 1][j - 1] + change);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
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

//! Names that were perhaps meant.

use crate::key::Domain;

/// Returns whether one name may have been meant by the other: a subdomain of
/// it, or at most two letters away.
pub fn is_near(one: &Domain, other: &Domain) -> bool {
    let (a, b) = (one.as_str(), other.as_str());
    a.ends_with(&format!(".{b}")) || b.ends_with(&format!(".{a}")) || distance(a, b) <= 2
}

/// Returns how many single-letter changes lie between two names, up to 3.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<u8>, Vec<u8>) = (a.bytes().collect(), b.bytes().collect());
    if a.len().abs_diff(b.len()) > 2 {
        return 3;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let change = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_or_a_subdomain_is_near() {
        let near = |a: &str, b: &str| is_near(&a.parse().unwrap(), &b.parse().unwrap());
        assert!(near("mg.berlin.example", "mg.berlim.example"));
        assert!(near("mg.acme.example", "acme.example"));
        assert!(!near("mg.acme.example", "mg.beta.example"));
    }
}

//! What of a provider's answer outlives the probe: enough to judge by, small
//! enough for ten thousand keys of accounts with a thousand domains each.

use std::collections::BTreeSet;

use crate::key::verdict::{DomainFact, Facts};
use crate::key::{Domain, Reason};
use crate::workflow::validation::answers::Domains;
use crate::workflow::verdict_memory::KEPT;

/// Counts what is to be counted and drops the rest: of the domains, those
/// `wanted` and the first few stay, of the account's key ids the first few, of
/// the permissions none (they are judged right after the probe).
pub fn reduce(facts: &mut Facts, wanted: &BTreeSet<Domain>) -> Domains {
    let mut counted = Domains::default();
    if let Some(domains) = facts.domains.take() {
        let count = |us_rule| domains.iter().filter(|it| against(it, us_rule).next().is_none()).count();
        let (under_us_rule, elsewhere) = (count(true), count(false));
        // What was not read can only add to the count.
        let whole = facts.unread_regions.is_empty();
        counted.under_us_rule = (whole || under_us_rule > 0).then_some(under_us_rule);
        counted.elsewhere = (whole || elsewhere > 0).then_some(elsewhere);
        let kept = domains.into_iter().enumerate();
        let kept = kept.filter(|(n, it)| *n < KEPT || wanted.contains(&it.name)).map(|(_, it)| it);
        let mut kept: Vec<DomainFact> = kept.collect();
        kept.shrink_to_fit();
        facts.domains = Some(kept);
    }
    facts.sibling_ids.truncate(KEPT);
    facts.sibling_ids.shrink_to_fit();
    facts.permissions = None;
    facts.remote_name = None;
    counted
}

/// Returns what speaks against choosing a domain.
pub fn against(fact: &DomainFact, us_rule: bool) -> impl Iterator<Item = Reason> {
    fact.against.iter().copied().filter(move |it| us_rule || *it != Reason::DomainInEu)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;

    use std::sync::Arc;

    use super::*;
    use crate::key::{Judgement, Region};
    use crate::workflow::validation::answers::{Answer, Common};

    #[test]
    fn a_thousand_domains_come_down_to_those_that_matter() {
        let fact = |n: usize, region, against: &[Reason]| DomainFact {
            name: format!("d{n:04}.example").parse().unwrap(),
            region: Some(region),
            against: against.to_vec(),
        };
        let mut domains: Vec<DomainFact> = (0..1_000).map(|n| fact(n, Region::Us, &[])).collect();
        domains.push(fact(1_000, Region::Eu, &[Reason::DomainInEu]));
        let mut facts = Facts {
            domains: Some(domains),
            sibling_ids: (0..1_000).map(|n| format!("{n:08x}").into()).collect(),
            ..Facts::default()
        };
        let wanted: BTreeSet<Domain> = [fact(900, Region::Us, &[]).name].into();
        let counted = reduce(&mut facts, &wanted);
        assert_eq!((counted.selectable(true), counted.selectable(false)), (Some(1_000), Some(1_001)));
        let kept = facts.domains.unwrap();
        assert_eq!((kept.len(), kept.last().unwrap().name.as_str()), (KEPT + 1, "d0900.example"));
        assert_eq!(facts.sibling_ids.len(), KEPT);
    }

    #[test]
    fn what_answers_have_in_common_is_kept_once() {
        let answer = || {
            let facts = Facts { sibling_ids: vec!["aa-1".into()], ..Facts::default() };
            let judgement = Box::new(Judgement::valid("").with_facts(facts));
            let (domains, permissions, latency) = (Domains::default(), Vec::new(), Duration::ZERO);
            Answer { judgement, domains, permissions, latency, at: Timestamp::UNIX_EPOCH }
        };
        let mut common = Common::default();
        let ids = [(); 2].map(|()| common.kept(answer()).judgement.facts.sibling_ids);
        assert!(Arc::ptr_eq(&ids[0][0], &ids[1][0]));
    }

    #[test]
    fn a_part_that_was_not_read_leaves_nothing_to_count() {
        let mut facts =
            Facts { domains: Some(Vec::new()), unread_regions: vec![Region::Us], ..Facts::default() };
        assert_eq!(reduce(&mut facts, &BTreeSet::new()), Domains::default());
    }
}

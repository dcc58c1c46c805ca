//! Which step comes next, from what was saved, the hour and what the provider
//! can do. No I/O: the whole table of transitions is tested here.

use jiff::Timestamp;

use super::{Liveness, Progress, Rotation, Stage};
use crate::key::ConsumerKind;

/// What can be done without a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Means {
    /// The key that leaves can be switched off first, by API.
    pub switches_off: bool,
    /// A person can switch it off first, in the console.
    pub person_switches_off: bool,
}

impl Means {
    /// Returns whether the old key is switched off before it is deleted: not
    /// by a person who would come twice for a key that leaked.
    pub fn first(self, rotation: &Rotation) -> bool {
        self.switches_off || (self.person_switches_off && !rotation.compromised)
    }
}

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Make the new key, or find out what became of the last attempt.
    Create,
    Test,
    Switch,
    /// Hand the current secret to the consumers that take it by themselves.
    Deploy,
    BeginGrace,
    /// Ask the logs whether the old key is still in use.
    CheckUse,
    Disable,
    /// Delete the key that leaves.
    Retire,
    /// Prove that the key that leaves is dead.
    Prove,
    /// Delete the secret that is left over and forget the rotation.
    Finish,
    Wait(Pause),
}

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    /// Somebody pastes the key and acknowledges it.
    People,
    /// A person looks at the locations written so far and names the key.
    Campaign,
    Time(Timestamp),
}

/// Returns the next step of a rotation.
pub fn next(rotation: &Rotation, now: Timestamp, means: Means) -> Step {
    let undone = rotation.stage.is_undoing();
    let gone = rotation.leaving().state == Some(Liveness::Dead) || (undone && rotation.new.foreign);
    match rotation.stage {
        Stage::Planned | Stage::Creating => Step::Create,
        Stage::Created => Step::Test,
        Stage::Tested => Step::Switch,
        Stage::Switched => Step::Deploy,
        Stage::Deploying => deploying(rotation, gone),
        // A place that came late, or took its word back in another copy of the file.
        Stage::Grace if !rotation.delivered() => deploying(rotation, gone),
        Stage::Grace => match rotation.grace_until {
            Some(until) if until > now && !rotation.compromised => Step::Wait(Pause::Time(until)),
            _ => Step::CheckUse,
        },
        Stage::Disabled if rotation.old.state == Some(Liveness::Live) && means.first(rotation) => {
            Step::Disable
        }
        Stage::Disabled | Stage::Retiring => Step::Retire,
        Stage::RetiredVerifying => Step::Prove,
        Stage::Done => Step::Finish,
        Stage::Aborting => Step::Retire,
        Stage::RollingBack if pushes(rotation) => Step::Deploy,
        Stage::RollingBack if !rotation.delivered() => Step::Wait(waits_for(rotation)),
        Stage::RollingBack => Step::Retire,
        Stage::Aborted | Stage::RolledBack if gone => Step::Finish,
        Stage::Aborted | Stage::RolledBack => Step::Prove,
    }
}

fn deploying(rotation: &Rotation, gone: bool) -> Step {
    if pushes(rotation) {
        return Step::Deploy;
    }
    match (rotation.delivered(), gone) {
        (true, true) => Step::Finish,
        (true, false) => Step::BeginGrace,
        (false, false) if rotation.kill_now => Step::Retire,
        (false, _) => Step::Wait(waits_for(rotation)),
    }
}

/// Returns whether some consumer is left that takes the secret by itself, and
/// may have it now.
fn pushes(rotation: &Rotation) -> bool {
    rotation.consumers.iter().any(|it| match (it.kind, it.state) {
        (_, Progress::Pushed | Progress::Acked | Progress::Damaged | Progress::Skipped) => false,
        (ConsumerKind::Manual, Progress::Todo | Progress::Failed) => false,
        (ConsumerKind::Command, Progress::Todo | Progress::Failed) => true,
        (ConsumerKind::Highlevel, Progress::Todo | Progress::Failed) => rotation.may_write_locations(),
    })
}

/// What holds the locations up is told before what others still have to paste.
fn waits_for(rotation: &Rotation) -> Pause {
    let held = |it: &super::Delivery| it.kind == ConsumerKind::Highlevel && !it.state.is_done();
    match rotation.consumers.iter().any(held) {
        true => Pause::Campaign,
        false => Pause::People,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Canary;
    use super::super::{Delivery, RotationId, Side};
    use super::*;
    use crate::key::KeyRef;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn rotation(stage: Stage) -> Rotation {
        let live = Side { state: Some(Liveness::Live), ..Side::default() };
        Rotation {
            id: RotationId::from_random([3; 10]),
            keys: vec!["mailgun@acme".parse().unwrap()],
            stage,
            started: at(0),
            using: None,
            grace_seconds: 100,
            grace_until: Some(at(200)),
            switched_at: Some(at(50)),
            used_at: None,
            deadline: None,
            compromised: false,
            kill_now: false,
            permissions: Vec::new(),
            held: Vec::new(),
            held_whole: false,
            old: live.clone(),
            new: live,
            consumers: Vec::new(),
            canary: None,
            evidence: Vec::new(),
            owner: None,
            trouble: None,
        }
    }

    fn consumer(kind: ConsumerKind, state: Progress, second: i64) -> Delivery {
        let key: KeyRef = "mailgun@acme".parse().unwrap();
        Delivery { key, name: format!("{kind} {second}"), kind, state, by: None, at: Some(at(second)) }
    }

    fn step(rotation: &Rotation) -> Step {
        next(rotation, at(150), Means::default())
    }

    #[test]
    fn every_stage_has_its_step() {
        let steps = Stage::ALL.map(|stage| (stage, step(&rotation(stage))));
        let expected = [
            (Stage::Planned, Step::Create),
            (Stage::Creating, Step::Create),
            (Stage::Created, Step::Test),
            (Stage::Tested, Step::Switch),
            (Stage::Switched, Step::Deploy),
            (Stage::Deploying, Step::BeginGrace),
            (Stage::Grace, Step::Wait(Pause::Time(at(200)))),
            (Stage::Disabled, Step::Retire),
            (Stage::Retiring, Step::Retire),
            (Stage::RetiredVerifying, Step::Prove),
            (Stage::Done, Step::Finish),
            (Stage::Aborting, Step::Retire),
            (Stage::Aborted, Step::Prove),
            (Stage::RollingBack, Step::Retire),
            (Stage::RolledBack, Step::Prove),
        ];
        assert_eq!(steps, expected);
    }

    #[test]
    fn programs_come_before_people_and_nothing_is_retired_while_one_waits() {
        let mut it = rotation(Stage::Deploying);
        it.consumers = vec![
            consumer(ConsumerKind::Manual, Progress::Todo, 1),
            consumer(ConsumerKind::Command, Progress::Failed, 2),
        ];
        assert_eq!(step(&it), Step::Deploy);
        it.consumers[1].state = Progress::Pushed;
        assert_eq!(step(&it), Step::Wait(Pause::People));
        it.consumers[0].state = Progress::Acked;
        assert_eq!(step(&it), Step::BeginGrace);
        assert_eq!(it.delivered_at(), Some(at(50)));
        it.consumers[0].at = Some(at(70));
        assert_eq!(it.delivered_at(), Some(at(70)));
    }

    #[test]
    fn no_location_is_written_while_one_is_damaged_or_the_canary_question_is_open() {
        let mut it = rotation(Stage::Deploying);
        it.consumers = vec![
            consumer(ConsumerKind::Highlevel, Progress::Pushed, 1),
            consumer(ConsumerKind::Highlevel, Progress::Todo, 2),
        ];
        assert_eq!(step(&it), Step::Deploy);
        it.canary = Some(Canary::Open);
        assert_eq!(step(&it), Step::Wait(Pause::Campaign));
        it.canary = Some(Canary::Agreed);
        assert_eq!(step(&it), Step::Deploy);
        it.consumers[0].state = Progress::Damaged;
        assert_eq!(step(&it), Step::Wait(Pause::Campaign));
        it.consumers[1].state = Progress::Pushed;
        assert_eq!(step(&it), Step::Wait(Pause::Campaign), "a damaged place is not done");
        it.stage = Stage::RollingBack;
        assert_eq!(step(&it), Step::Wait(Pause::Campaign));
        // Programs are no part of it.
        it.consumers.push(consumer(ConsumerKind::Command, Progress::Todo, 3));
        assert_eq!(step(&it), Step::Deploy);
    }

    #[test]
    fn the_grace_period_ends_by_the_clock_or_at_once_after_a_leak() {
        let mut it = rotation(Stage::Grace);
        assert_eq!(next(&it, at(199), Means::default()), Step::Wait(Pause::Time(at(200))));
        assert_eq!(next(&it, at(200), Means::default()), Step::CheckUse);
        it.compromised = true;
        assert_eq!(next(&it, at(100), Means::default()), Step::CheckUse);
        it.consumers = vec![consumer(ConsumerKind::Manual, Progress::Todo, 1)];
        assert_eq!(next(&it, at(300), Means::default()), Step::Wait(Pause::People));
    }

    #[test]
    fn a_leaked_key_may_die_before_the_acknowledgements() {
        let mut it = rotation(Stage::Deploying);
        it.consumers = vec![consumer(ConsumerKind::Manual, Progress::Todo, 1)];
        it.kill_now = true;
        assert_eq!(step(&it), Step::Retire);
        it.old.state = Some(Liveness::Dead);
        assert_eq!(step(&it), Step::Wait(Pause::People));
        it.consumers[0].state = Progress::Acked;
        assert_eq!(step(&it), Step::Finish);
    }

    #[test]
    fn what_can_be_switched_off_is_switched_off_first() {
        let mut it = rotation(Stage::Disabled);
        let means = Means { switches_off: true, ..Means::default() };
        assert_eq!(next(&it, at(300), means), Step::Disable);
        let by_person = Means { person_switches_off: true, ..Means::default() };
        assert_eq!(next(&it, at(300), by_person), Step::Disable);
        it.compromised = true;
        assert_eq!(next(&it, at(300), by_person), Step::Retire, "a leaked key is deleted at once");
        assert_eq!(next(&it, at(300), means), Step::Disable);
        it.old.state = Some(Liveness::Disabled);
        assert_eq!(next(&it, at(300), means), Step::Retire);
    }

    #[test]
    fn an_undone_rotation_gives_the_old_key_back_before_the_new_one_goes() {
        let mut it = rotation(Stage::RollingBack);
        it.consumers = vec![
            consumer(ConsumerKind::Command, Progress::Todo, 1),
            consumer(ConsumerKind::Manual, Progress::Todo, 2),
        ];
        assert_eq!(step(&it), Step::Deploy);
        it.consumers[0].state = Progress::Pushed;
        assert_eq!(step(&it), Step::Wait(Pause::People));
        it.consumers[1].state = Progress::Acked;
        assert_eq!(step(&it), Step::Retire);
        it.stage = Stage::RolledBack;
        it.new.state = Some(Liveness::Dead);
        assert_eq!(step(&it), Step::Finish);
        it.stage = Stage::Aborted;
        it.new.state = Some(Liveness::Lost);
        assert_eq!(step(&it), Step::Prove);
        it.new.foreign = true;
        assert_eq!(step(&it), Step::Finish, "a key of another account is nobody's to end here");
    }
}

//! Holds the place of Mailgun until its file lands.
use super::*;
pub struct Mailgun;
impl Provider for Mailgun {
    fn id(&self) -> ProviderId {
        ProviderId::Mailgun
    }
    fn hosts(&self) -> &'static [&'static Host] {
        &[]
    }
    fn relays(&self) -> &'static [&'static Relay] {
        &[]
    }
    fn recognise(&self, _: &str) -> Recognition {
        Recognition::No
    }
    fn check(&self, _: &Net<'_>, _: &Credential<'_>) -> Judgement {
        Judgement::default()
    }
    fn handout(&self, _: &HandoutAsk<'_>) -> Vec<(&'static str, Handout)> {
        vec![]
    }
    fn handout_names(&self) -> &'static [&'static str] {
        &[]
    }
    fn endpoint(&self, _: Kind, _: Option<Region>) -> (Option<&'static Host>, Option<&'static Relay>) {
        (None, None)
    }
    fn console(&self, _: ConsoleTask, _: &ConsoleAsk<'_>) -> Option<Guide> {
        None
    }
}

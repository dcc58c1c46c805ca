//! Sends a test mail by API or relay.

use super::answer::{Answer, sort};
use super::listing::trouble_of;
use super::relay::{relay, trouble};
use super::sending_probe::{Says, meaning};
use super::{Mailgun, logs, request, wire};
use crate::key::{Domain, Reason, Region};
use crate::provider::{Call, Delivery, Fate, MailEvent, Outcome, Sent, TestMail, Trouble};
use crate::smtp::Message;

/// Test mode by relay (documentation: sending by SMTP).
const DROP: &str = "X-Mailgun-Drop-Message";

impl TestMail for Mailgun {
    fn send(&self, call: Call<'_>, message: &Message, domain: &Domain, delivery: Delivery) -> Outcome<Sent> {
        let first = call.credential.region.unwrap_or(Region::Us);
        let answer = post(call, message, domain, delivery, first);
        // The domain may be in the other region; a refusal sent nothing.
        let (answer, refused) = match answer {
            Answer::Refused(text) | Answer::Missing(text) => {
                (post(call, message, domain, delivery, first.other()), Some(text))
            }
            answer => (answer, None),
        };
        match (&answer, refused) {
            (Answer::Json(json), _) => Ok(Sent {
                message_id: wire::text(json, "id"),
                detail: wire::text(json, "message").unwrap_or_else(|| "taken".to_owned()),
                at: call.net.now,
            }),
            (Answer::Refused(_) | Answer::Missing(_), Some(text)) => Err(Trouble::new(
                Reason::Unauthorized,
                format!("both regions refused the key for {domain} ({text})"),
            )
            .with_hint(format!(
                "check the key with `keyctl validate`, and whether {domain} is in its account"
            ))),
            _ => Err(refusal(answer)),
        }
    }

    fn relay(
        &self,
        Call { net, credential }: Call<'_>,
        message: &Message,
        delivery: Delivery,
    ) -> Outcome<Sent> {
        let login = credential.login.ok_or_else(|| {
            Trouble::new(Reason::PermissionNotCheckable, "the relay needs a login, and none is recorded")
                .with_hint("record it: `keyctl set KEYREF --login LOGIN`")
        })?;
        let mut message = message.clone();
        if delivery == Delivery::TestMode {
            message.headers.push((DROP, "yes".to_owned()));
        }
        let relay = relay(credential.region.unwrap_or(Region::Us));
        let taken = net
            .smtp
            .send(relay, login, credential.secret, &message, net.deadline)
            .map_err(|failure| trouble(&failure, relay))?;
        Ok(Sent { message_id: taken.message_id, detail: taken.reply, at: net.now })
    }

    fn needs_template(&self) -> bool {
        false
    }

    fn send_template(&self, _: Call<'_>, _: &str, _: &str) -> Outcome<Sent> {
        Err(Trouble::no_templates())
    }

    fn test_mode_note(&self) -> Option<&'static str> {
        Some("Mailgun delivers nothing in test mode, but bills the message.")
    }

    fn follow(
        &self,
        Call { net, credential: reader }: Call<'_>,
        sent: &Sent,
        domain: &Domain,
        region: Option<Region>,
    ) -> Outcome<(Fate, Vec<MailEvent>)> {
        logs::follow(net, reader, sent, domain, region)
    }
}

fn post(
    Call { net, credential }: Call<'_>,
    message: &Message,
    domain: &Domain,
    delivery: Delivery,
    region: Region,
) -> Answer {
    let mut fields = vec![
        ("from", message.from.clone()),
        ("to", message.to.clone()),
        ("subject", message.subject.clone()),
        ("text", message.text.clone()),
    ];
    if delivery == Delivery::TestMode {
        fields.push(("o:testmode", "yes".to_owned()));
    }
    let request = request::message(region, credential.secret, domain, fields);
    sort(request.host, &net.send(&request))
}

fn refusal(answer: Answer) -> Trouble {
    let said = match &answer {
        Answer::Bad(_) | Answer::Denied(_) => meaning(&answer),
        _ => Says::Nothing(answer.clone()),
    };
    match (said, &answer) {
        (Says::But(reason, text), _) => {
            let trouble = Trouble::new(reason, format!("Mailgun did not take the message: {text}"));
            match reason {
                Reason::SandboxDomain | Reason::AccountNotActivated => trouble.with_hint(
                    "add the recipient to the authorized recipients in Mailgun's console, or use a verified domain",
                ),
                Reason::DomainNotVerified => {
                    trouble.with_hint("`keyctl domains --explain DOMAIN` names the DNS records that are missing")
                }
                _ => trouble,
            }
        }
        (_, Answer::Bad(text)) => {
            Trouble::new(Reason::UnexpectedResponse, format!("Mailgun did not take the message: {text}"))
        }
        _ => trouble_of(answer, "sending the message"),
    }
}

//! A message as the bytes that go over the wire.

use lettre::address::Envelope;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message as Mime};

use super::{Message, Phase, SmtpFailure};

/// A message ready to be sent.
pub(super) struct Letter {
    pub envelope: Envelope,
    pub bytes: Vec<u8>,
    /// With angle brackets.
    pub id: String,
}

impl Letter {
    /// Writes the message with Date, Message-ID and `text/plain` (lettre sets
    /// neither of the last two by itself).
    pub fn write(message: &Message) -> Result<Self, SmtpFailure> {
        let failure =
            |message: String| SmtpFailure { phase: Phase::Connect, code: None, message, tls: false };
        let mailbox = |text: &str, what: &str| {
            text.parse::<Mailbox>().map_err(|error| failure(format!("the {what} address is none: {error}")))
        };
        let from = mailbox(&message.from, "sender's")?;
        let id = message_id(from.email.domain());
        let mut builder = Mime::builder()
            .from(from)
            .to(mailbox(&message.to, "recipient's")?)
            .subject(message.subject.clone())
            .message_id(Some(id.clone()))
            .header(ContentType::TEXT_PLAIN);
        for (name, value) in &message.headers {
            let name = HeaderName::new_from_ascii((*name).to_owned())
                .map_err(|error| failure(format!("`{name}` is no header name: {error}")))?;
            builder = builder.raw_header(HeaderValue::new(name, value.clone()));
        }
        let mime = builder.body(message.text.clone()).map_err(|error| failure(error.to_string()))?;
        Ok(Self { envelope: mime.envelope().clone(), bytes: mime.formatted(), id })
    }

    /// Returns the text as it follows DATA: a dot that begins a line is doubled
    /// (RFC 5321, 4.5.2), and a line with a dot alone ends it.
    pub fn dotted(&self) -> Vec<u8> {
        let mut dotted = Vec::with_capacity(self.bytes.len() + 16);
        for line in self.bytes.split_inclusive(|byte| *byte == b'\n') {
            if line.first() == Some(&b'.') {
                dotted.push(b'.');
            }
            dotted.extend_from_slice(line);
        }
        dotted.extend_from_slice(b"\r\n.\r\n");
        dotted
    }
}

fn message_id(domain: &str) -> String {
    let mut random = [0_u8; 16];
    let _ = getrandom::fill(&mut random);
    let hex: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("<{hex}@{domain}>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_has_the_headers_receivers_expect() {
        let message = Message {
            from: "keyctl-test@mg.acme.example".into(),
            to: "someone@example.org".into(),
            subject: "Grüße".into(),
            text: "Straße\n".into(),
            headers: vec![("X-Mailgun-Drop-Message", "yes".into())],
        };
        let letter = Letter::write(&message).unwrap();
        let text = String::from_utf8(letter.bytes.clone()).unwrap();
        for part in ["Message-ID: <", "Date: ", "Content-Type: text/plain", "X-Mailgun-Drop-Message: yes\r\n"]
        {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(text.is_ascii());
        assert!(letter.id.ends_with("@mg.acme.example>"));
        let dots = Letter { bytes: b".one\r\ntwo.\r\n..\r\n".to_vec(), ..letter };
        assert_eq!(dots.dotted(), b"..one\r\ntwo.\r\n...\r\n\r\n.\r\n");
        assert!(Letter::write(&Message { to: "nobody".into(), ..message }).is_err());
    }
}

//! The links that recipients are mailed: made with the change that they are mailed for, and put
//! into the outbox on the recipient's own item.

use super::{Agreement, LIFETIME, Link, Recipient};
use crate::kernel::clock::{Span, Timestamp};
use crate::kernel::entropy::Entropy;
use crate::kernel::keyring::{Keyring, KeyringError};
use crate::messaging::courier::{Invitation, Message, SealedLink};
use crate::messaging::outbox::{Mail, OutboxMessage};
use crate::store::dynamo::keys;

/// What a link is mailed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// The agreement is to be signed.
    Signing,
    /// All have signed.
    Signed,
}

/// A link to be mailed: what is kept of it, and its message for the outbox.
#[derive(Clone, Debug)]
pub struct Invited {
    /// The link.
    pub link: Link,
    /// The mail.
    pub message: OutboxMessage,
}

impl Agreement {
    /// A new link of `recipient`, to be mailed. `base` is the address of this service.
    pub fn invite(
        &self,
        recipient: &Recipient,
        occasion: Occasion,
        base: &str,
        (keyring, entropy): (&Keyring, &Entropy),
        now: Timestamp,
    ) -> Result<Invited, KeyringError> {
        let (link, token) = Link::issue(self.account, self.id, recipient.id, entropy);
        let good_for = whole(self.expires_at.until(now));
        let pk = keys::recipient(self.id, recipient.id).pk;
        let page = format!("{base}/link");
        let sender = self.sender.name.as_ref().unwrap_or(&self.sender.email);
        let invitation = Invitation {
            link: SealedLink::seal(page, &token, good_for, &pk, keyring, now)?,
            title: self.title.clone(),
            sender: sender.clone(),
        };
        let (message, until) = match occasion {
            Occasion::Signing => (Message::AgreementLink(invitation), self.expires_at),
            Occasion::Signed => (Message::AgreementSigned(invitation), now.plus(LIFETIME)),
        };
        let mail = Mail {
            account: self.account,
            organisation: self.organisation.clone(),
            to: recipient.email.clone(),
            locale: self.locale,
            message,
        };
        Ok(Invited {
            link,
            message: OutboxMessage::new(mail, now).good_until(until),
        })
    }
}

/// A span as people are told it: whole days, or whole hours of the last, or whole minutes of the
/// last of these.
fn whole(span: Span) -> Span {
    let seconds = span.as_secs();
    match (seconds / 86_400, seconds / 3_600) {
        (0, 0) => Span::minutes((seconds / 60).max(1)),
        (0, hours) => Span::hours(hours),
        (days, _) => Span::days(days),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agreement::Status;
    use crate::messaging::courier::Stage;

    #[test]
    fn a_mail_is_of_use_in_a_stage_that_an_agreement_has() {
        assert_eq!(
            Stage::OutForSignature.status(),
            Status::OutForSignature.name()
        );
        assert_eq!(Stage::Completed.status(), Status::Completed.name());
    }

    #[test]
    fn nobody_is_told_that_a_link_is_good_for_longer_than_it_is() {
        let told = |seconds| whole(Span::seconds(seconds)).as_secs();
        for (seconds, expected) in [
            (60, 60),
            (3_599, 3_540),
            (3_600, 3_600),
            (86_399, 82_800),
            (200_000, 172_800),
        ] {
            assert_eq!(told(seconds), expected, "{seconds}");
        }
        assert_eq!(
            told(59),
            60,
            "what is about to end is said to end in a minute"
        );
    }
}

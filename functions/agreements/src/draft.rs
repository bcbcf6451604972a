//! What a sender asks for, and the agreement and recipients that come of it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use shared::account::{Account, Settings};
use shared::agreement::{
    Agreement, Authentication, Frozen, KbaState, LIFETIME, LIFETIME_MAX, RECIPIENTS_MAX, Recipient,
    RecipientStatus, Sender, Status, Viewings,
};
use shared::kernel::clock::{Span, Timestamp};
use shared::kernel::entropy::Entropy;
use shared::kernel::ids::{AgreementId, RecipientId};
use shared::signin::user::{Factor, Method};
use shared::store::audit::Head;
use shared::web::http::{FieldErrors, Problem};
use utoipa::ToSchema;

use crate::fields;

/// An agreement to be sent.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SendAgreement)]
pub struct Request {
    /// What it is called: 1 to 200 characters.
    #[schema(example = "Lease, 12 Alder Street", min_length = 1, max_length = 200)]
    pub title: String,
    /// The group that it is sent from: its settings hold, and its share of the quota is counted.
    #[schema(example = "mortgages", pattern = "^[a-z0-9][a-z0-9-]{0,63}$")]
    pub group: Option<String>,
    /// Who sends it: told to the recipients, and told if a recipient cannot prove who they are.
    pub sender: Sender,
    /// 1 to 40, each once.
    #[schema(min_items = 1, max_items = 40)]
    pub recipients: Vec<Asked>,
    /// Seconds until it expires: 30 days, at most 365.
    #[schema(example = 2_592_000, minimum = 1, maximum = 31_536_000)]
    pub expires_in: Option<i64>,
}

/// A recipient of an agreement that is to be sent.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SendRecipient)]
pub struct Asked {
    /// Where the link is mailed.
    #[schema(example = "ann@example.com", max_length = 254)]
    pub email: String,
    /// The name. Where it is given it stays the same throughout: the provider of KBA is told it.
    #[schema(example = "Ann Smith", max_length = 100)]
    pub name: Option<String>,
    /// ISO 3166-1 alpha-2; KBA works on people in the United States.
    #[schema(example = "US", pattern = "^[A-Z]{2}$")]
    pub country: Option<String>,
    /// E.164; needed for `sms`.
    #[schema(example = "+12025550100")]
    pub phone: Option<String>,
    /// What the recipient has to prove beyond having received the link.
    pub authentication: Authentication,
}

/// A request, once every field is what it has to be.
#[derive(Debug)]
pub struct Draft {
    /// What it is called.
    pub title: String,
    /// The group.
    pub group: Option<String>,
    sender: Sender,
    /// The recipients.
    pub recipients: Vec<Drafted>,
    life: Span,
}

/// A recipient, once every field is what it has to be.
#[derive(Clone, Debug)]
pub struct Drafted {
    email: String,
    /// The name.
    pub name: Option<String>,
    /// The country.
    pub country: Option<String>,
    phone: Option<(String, String)>,
    /// The method.
    pub authentication: Authentication,
}

impl Request {
    /// The draft that is asked for.
    pub fn read(self) -> Result<Draft, Problem> {
        let mut errors = FieldErrors::default();
        let title = errors.check("/title", self.title.as_str(), fields::title);
        let title = title.unwrap_or_default();
        let group = errors.check_text("/group", self.group.as_deref(), fields::group);
        let sender = sender(&self.sender, &mut errors);
        let life = errors.check("/expires_in", self.expires_in, life);
        if !(1..=RECIPIENTS_MAX).contains(&self.recipients.len()) {
            let detail = "must have 1 to 40 recipients";
            errors.add("/recipients", detail);
            errors.finish()?;
            return Err(Problem::invalid_field("/recipients", detail));
        }
        let recipients = recipients(self.recipients, &mut errors);
        errors.finish()?;
        Ok(Draft {
            title,
            group,
            sender,
            recipients,
            life: life.unwrap_or(LIFETIME),
        })
    }
}

fn sender(asked: &Sender, errors: &mut FieldErrors) -> Sender {
    let email = errors.check("/sender/email", asked.email.as_str(), fields::email);
    Sender {
        email: email.unwrap_or_default(),
        name: errors.check_text("/sender/name", asked.name.as_deref(), fields::name),
    }
}

/// The recipients, each of whom is to be one once.
fn recipients(asked: Vec<Asked>, errors: &mut FieldErrors) -> Vec<Drafted> {
    let mut seen = BTreeSet::new();
    let read = |(place, asked): (usize, Asked)| {
        let pointer = format!("/recipients/{place}");
        let drafted = asked.read(&pointer, errors);
        if !seen.insert(drafted.email.to_ascii_lowercase()) && !drafted.email.is_empty() {
            let detail = "is a recipient of this agreement already";
            errors.add(&format!("{pointer}/email"), detail);
        }
        drafted
    };
    asked.into_iter().enumerate().map(read).collect()
}

impl Asked {
    fn read(self, pointer: &str, errors: &mut FieldErrors) -> Drafted {
        let at = |field: &str| format!("{pointer}/{field}");
        let email = errors
            .check(&at("email"), self.email.as_str(), fields::email)
            .unwrap_or_default();
        let name = errors.check_text(&at("name"), self.name.as_deref(), fields::name);
        let country = errors.check_text(&at("country"), self.country.as_deref(), fields::country);
        if self.phone.is_none() && self.authentication == Authentication::Sms {
            errors.add(&at("phone"), "is missing: `sms` needs it");
        }
        let phone = errors.check_text(&at("phone"), self.phone.as_deref(), fields::phone);
        let phone = phone.map(|phone| (phone.number, phone.country));
        Drafted {
            email,
            name,
            country,
            phone,
            authentication: self.authentication,
        }
    }
}

fn life(seconds: Option<i64>) -> Result<Span, &'static str> {
    match seconds {
        None => Ok(LIFETIME),
        Some(seconds) if (1..=LIFETIME_MAX.as_secs()).contains(&seconds) => {
            Ok(Span::seconds(seconds))
        }
        Some(_) => Err("must be 1 to 31536000 seconds (365 days)"),
    }
}

impl Draft {
    /// How many of its recipients need a prepaid transaction.
    pub fn premium(&self) -> usize {
        self.recipients
            .iter()
            .filter(|recipient| recipient.authentication == Authentication::Kba)
            .count()
    }

    /// The agreement that comes of it.
    pub fn agreement(
        &self,
        id: AgreementId,
        account: &Account,
        settings: &Settings,
        now: Timestamp,
    ) -> Agreement {
        Agreement {
            id,
            account: account.id,
            organisation: account.name.clone(),
            locale: settings.locale,
            title: self.title.clone(),
            group: self.group.clone(),
            sender: self.sender.clone(),
            status: Status::OutForSignature,
            created_at: now,
            expires_at: now.plus(self.life),
            kba: Frozen::from(&settings.kba),
            recipients: u32::try_from(self.recipients.len()).unwrap_or(u32::MAX),
            completed: 0,
            closure: None,
            head: Head::default(),
        }
    }

    /// The recipients that come of it.
    pub fn recipients(
        &self,
        agreement: AgreementId,
        entropy: &Entropy,
        now: Timestamp,
    ) -> Vec<Recipient> {
        self.recipients
            .iter()
            .zip(0..)
            .map(|(drafted, place)| drafted.recipient(agreement, place, entropy, now))
            .collect()
    }
}

impl Drafted {
    fn recipient(
        &self,
        agreement: AgreementId,
        place: u32,
        entropy: &Entropy,
        now: Timestamp,
    ) -> Recipient {
        let (phone, phone_country) = self.phone.clone().unzip();
        Recipient {
            id: RecipientId::new(now, entropy),
            agreement,
            place,
            email: self.email.clone(),
            name: self.name.clone(),
            country: self.country.clone(),
            phone,
            phone_country,
            authentication: self.authentication,
            status: RecipientStatus::Pending,
            kba: KbaState::default(),
            viewing_locked_at: None,
            links: Vec::new(),
            resends: Vec::new(),
            openings: Vec::new(),
            viewings: Viewings::default(),
            // The map stands ready, because an update can only reach into one that is there.
            factors: BTreeMap::from([(Method::Sms.name().to_owned(), Factor::default())]),
            challenges: BTreeMap::new(),
            version: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn pointers(request: Value) -> Vec<String> {
        let request: Request = serde_json::from_value(request).unwrap();
        let Err(problem) = request.read() else {
            return Vec::new();
        };
        let body: Value = serde_json::from_slice(problem.into_reply("").body()).unwrap();
        body["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|error| error["pointer"].as_str().unwrap().to_owned())
            .collect()
    }

    fn recipient(email: &str) -> Value {
        json!({"email": email, "authentication": "none"})
    }

    fn request(recipients: &[Value]) -> Value {
        json!({"title": "Lease", "sender": {"email": "sales@alder.example"}, "recipients": recipients})
    }

    #[test]
    fn there_are_one_to_forty_recipients_each_once() {
        assert_eq!(pointers(request(&[])), ["/recipients"]);
        let many = |count: u32| -> Vec<Value> {
            (0..count)
                .map(|number| recipient(&format!("r{number}@example.com")))
                .collect()
        };
        assert_eq!(pointers(request(&many(40))), Vec::<String>::new());
        assert_eq!(pointers(request(&many(41))), ["/recipients"]);
        let twice = [
            recipient("ann@example.com"),
            recipient("ben@example.com"),
            recipient("Ann@Example.com"),
        ];
        assert_eq!(pointers(request(&twice)), ["/recipients/2/email"]);
    }

    #[test]
    fn every_wrong_field_is_named_at_once() {
        let wrong = json!({"title": " ", "group": "A", "sender": {"email": "x", "name": ""}, "expires_in": 0, "recipients": [
            {"email": "ann", "name": "a\nb", "country": "us", "phone": "1", "authentication": "sms"},
            {"email": "ben@example.com", "authentication": "sms"}]});
        assert_eq!(
            pointers(wrong),
            [
                "/title",
                "/group",
                "/sender/email",
                "/sender/name",
                "/expires_in",
                "/recipients/0/email",
                "/recipients/0/name",
                "/recipients/0/country",
                "/recipients/0/phone",
                "/recipients/1/phone"
            ]
        );
    }
}

//! `GET /v1/agreements`

use serde::Serialize;
use shared::account::api_key::Caller;
use shared::agreement::Agreement;
use shared::kernel::clock::Timestamp;
use shared::kernel::ids::{AccountId, AgreementId};
use shared::store::app::App;
use shared::store::dynamo::{IntoValue, Item, Key, keys};
use shared::web::http::{Call, Outcome, Reply, cursor};
use utoipa::ToSchema;

use crate::shown;

/// How many agreements a page has.
const PAGE: i32 = 50;

/// A page of agreements.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Agreements)]
pub struct Response {
    /// At most 50, the oldest first, without their recipients.
    pub agreements: Vec<shown::Agreement>,
    /// What `?cursor=` goes on with; none on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub next_cursor: Option<String>,
}

pub(crate) async fn handle(app: &App, call: &Call, caller: &Caller) -> Outcome {
    call.only_query(&["account", "cursor"])?;
    call.no_body()?;
    let (account, now) = (caller.account.id, call.arrived_at);
    let after = cursor::of::<Place>(call)?.map(|last| entry(account, &last));
    let page = app
        .table
        .list(keys::agreements(account), after, PAGE)
        .await?;
    let named = page.items.iter().filter_map(Key::of).collect();
    let agreements: Vec<Agreement> = app.table.find_listed(named).await?;
    let show = |agreement| shown::Agreement::of(agreement, now);
    Ok(Reply::json(&Response {
        agreements: agreements.iter().map(show).collect(),
        next_cursor: page.next.map(cursor::after),
    }))
}

/// Where an agreement stands in the listing: its id says nothing of its age, being made of the
/// sender's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    text: String,
    id: AgreementId,
}

impl Place {
    /// The place of an agreement that was sent then.
    pub fn of(id: AgreementId, sent_at: Timestamp) -> Self {
        Self {
            text: format!("{:013}#{id}", sent_at.as_millis()),
            id,
        }
    }

    /// As it stands in the index.
    pub fn into_text(self) -> String {
        self.text
    }
}

impl std::str::FromStr for Place {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (millis, id) = text.split_once('#').ok_or(())?;
        let millis: i64 = millis.parse().map_err(|_| ())?;
        let place = Self::of(id.parse().map_err(|_| ())?, Timestamp::from_millis(millis));
        if place.text == text {
            Ok(place)
        } else {
            Err(())
        }
    }
}

/// An agreement's entry in the listing.
fn entry(account: AccountId, place: &Place) -> Item {
    let Key { pk, sk } = keys::agreement(place.id);
    let attributes = [
        (keys::PK, pk),
        (keys::SK, sk),
        (keys::LISTING_PK, keys::agreements(account)),
        (keys::LISTING_SK, place.text.clone()),
    ];
    attributes
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.into_value()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_reads_back_and_sorts_by_age() {
        let place = |millis| {
            Place::of(
                AgreementId::from_bytes([9; 16]),
                Timestamp::from_millis(millis),
            )
        };
        assert_eq!(place(5).text.parse(), Ok(place(5)));
        assert!(place(999).text < place(1_800_000_000_000).text);
        for text in ["", "5#agr_0", "x#y", "5#agr_00000000000000000000000001"] {
            assert!(text.parse::<Place>().is_err(), "{text}");
        }
    }
}

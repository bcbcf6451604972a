//! Where a list goes on: opaque to the caller, and checked when it comes back.

use std::fmt::Display;
use std::str::FromStr;

use super::{Call, Problem};
use crate::kernel::secret;

/// The cursor that goes on after `last`.
pub fn after(last: impl Display) -> String {
    secret::encode(last.to_string())
}

/// What the list is to go on after, if `?cursor=` says so.
pub fn of<T: FromStr>(call: &Call) -> Result<Option<T>, Problem> {
    let read = |text| String::from_utf8(secret::decode(text)?).ok()?.parse().ok();
    let refusal = || Problem::invalid_parameter("cursor", "is not a cursor of this list");
    call.query("cursor")
        .map(|text| read(text).ok_or_else(refusal))
        .transpose()
}

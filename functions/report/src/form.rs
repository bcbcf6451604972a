//! The forms that a report has, and which of them a caller wants.

use shared::http::accept::quality;
use shared::http::{Outcome, Problem, Reply};
use shared::report::Report;

/// A form of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// All of it, and what the verifier reads.
    Json,
}

impl Form {
    /// The form that is wanted most; JSON where none is wanted more.
    pub fn wanted(accept: Option<&str>) -> Result<Self, Problem> {
        let Some(accept) = accept.filter(|accept| !accept.trim().is_empty()) else { return Ok(Self::Json) };
        let forms = [(Self::Json, "application", "json")];
        let weighed = forms.map(|(form, kind, subtype)| (form, quality(accept, kind, subtype)));
        let wanted = weighed.into_iter().rev().filter(|(_, weight)| *weight > 0).max_by_key(|(_, weight)| *weight);
        wanted.map(|(form, _)| form).ok_or_else(|| {
            Problem::invalid_field("Accept", "must allow application/json, text/csv or text/html: the forms that a report has")
        })
    }

    /// The report in this form.
    pub fn reply(self, report: &Report) -> Outcome {
        match self {
            Self::Json => Ok(Reply::ok(report)),
        }
    }
}

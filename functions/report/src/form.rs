//! The forms that a report has, and which of them a caller wants.

use shared::agreement::report::Report;
use shared::web::http::accept::quality;
use shared::web::http::{Outcome, Problem, Reply};

use crate::{page, table};

/// A form of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// All of it, and what the verifier reads.
    Json,
    /// A row for the agreement, for each recipient, each entry, and the signature.
    Csv,
    /// A page to be read, or printed.
    Html,
}

impl Form {
    /// The form that is wanted most; of two that are wanted alike the first of the contract's:
    /// JSON, CSV, a page.
    pub fn wanted(accept: Option<&str>) -> Result<Self, Problem> {
        let Some(accept) = accept.filter(|accept| !accept.trim().is_empty()) else {
            return Ok(Self::Json);
        };
        let forms = [
            (Self::Html, "text", "html"),
            (Self::Csv, "text", "csv"),
            (Self::Json, "application", "json"),
        ];
        let weighed = forms.map(|(form, kind, subtype)| (form, quality(accept, kind, subtype)));
        // Of equals, the last is the largest.
        let wanted = weighed
            .into_iter()
            .filter(|(_, weight)| *weight > 0)
            .max_by_key(|(_, weight)| *weight);
        wanted.map(|(form, _)| form).ok_or_else(|| {
            Problem::invalid_parameter(
                "Accept",
                "must allow application/json, text/csv or text/html",
            )
        })
    }

    /// The report in this form.
    pub fn reply(self, report: &Report) -> Outcome {
        match self {
            Self::Json => Ok(Reply::json(report)),
            Self::Csv => Ok(table::reply(report)),
            Self::Html => page::reply(report),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_shown_a_page_and_a_program_json() {
        let wanted = |accept| Form::wanted(accept).ok();
        for accept in [
            None,
            Some(""),
            Some("*/*"),
            Some("application/json"),
            Some("application/json, text/csv"),
        ] {
            assert_eq!(wanted(accept), Some(Form::Json), "{accept:?}");
        }
        assert_eq!(
            wanted(Some(
                "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
            )),
            Some(Form::Html)
        );
        for accept in ["text/csv", "text/*", "text/html;q=0.5, TEXT/CSV"] {
            assert_eq!(wanted(Some(accept)), Some(Form::Csv), "{accept}");
        }
        for accept in ["application/pdf", "application/json;q=0"] {
            assert_eq!(wanted(Some(accept)), None, "{accept}");
        }
    }
}

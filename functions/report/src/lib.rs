//! `GET /v1/agreements/{id}/audit`: the audit report of an agreement, or a part of it, for a
//! program, a spreadsheet or a person.

mod access;
mod chain;
mod form;
mod page;
mod table;
mod told;

use std::sync::Arc;

use shared::agreement::FullAgreement;
use shared::agreement::report::{Cut, NoReport, Report};
use shared::kernel::ids::AgreementId;
use shared::store::app::App;
use shared::store::dynamo::Failure;
use shared::web::http::{Call, Operation, Outcome, Problem, Slug};

use access::Access;
use form::Form;

/// Answers a request.
pub async fn handle(app: Arc<App>, call: Arc<Call>) -> Outcome {
    if call
        .route
        .is_none_or(|route| route.operation != Operation::ReportAgreement)
    {
        return Err(Problem::new(Slug::NotFound));
    }
    let access = Access::of(&app, &call).await?;
    call.no_body()?;
    let form = Form::wanted(call.header("accept"))?;
    let number = part_number(call.query("part"))?;
    let id: AgreementId = call.path_id("id")?;
    let whole = whole(&app, id, &access).await?;
    let cut = cut(number, whole.agreement.head.sequence)?;
    // Read after the agreement: it holds all that the agreement's head counts. What has come since
    // is left to the next report.
    let section = chain::section(&app, &whole.agreement, cut).await?;
    // It is of now and not of when it was asked for: no entry in it may be later than it is.
    let now = app.clock.now();
    let keyring = app.keyrings.current(now).await;
    let report = Report::of(&whole, section, &keyring, now).map_err(|none| match none {
        NoReport::Hashing(failure) => Problem::from(failure),
        NoReport::Signing(error) => Problem::from(error),
    })?;
    let reply = form.reply(&report)?.header("vary", "accept".into());
    Ok(neighbours(&report, call.query("account"))
        .fold(reply, |reply, link| reply.header("link", link)))
}

/// The agreement and its recipients, as what is signed has them: of one instant. A query may see a
/// recipient as an entry left them that the agreement does not count yet.
async fn whole(app: &App, id: AgreementId, access: &Access) -> Result<FullAgreement, Problem> {
    let not_found = || Problem::new(Slug::NotFound);
    access.opens(id)?;
    let whole = FullAgreement::read(&app.table, id)
        .await?
        .filter(|whole| whole.agreement.account == access.account());
    let whole = whole
        .ok_or_else(not_found)?
        .at_one_instant(&app.table, &app.entropy)
        .await
        .map_err(busy)?;
    whole.ok_or_else(not_found)
}

/// An agreement that was written on each time that it was looked at: the report is to be asked for
/// again.
fn busy(failure: Failure) -> Problem {
    match failure {
        Failure::Conflict => {
            Problem::new(Slug::ServiceUnavailable).header("retry-after", "1".into())
        }
        failure => failure.into(),
    }
}

/// The part that is asked for.
fn part_number(asked: Option<&str>) -> Result<Option<u64>, Problem> {
    let number = |text: &str| {
        text.parse()
            .map_err(|_| Problem::invalid_parameter("part", "must be the number of a part, from 1"))
    };
    asked.map(number).transpose()
}

/// Which entries of a chain of `count` are asked for: of part `number`, or all, where one answer
/// holds them.
fn cut(number: Option<u64>, count: u64) -> Result<Cut, Problem> {
    let parts = Cut::parts(count);
    match number {
        Some(number) => Cut::part(number, count).ok_or_else(|| {
            Problem::invalid_parameter("part", format!("must be from 1 to {parts}"))
        }),
        None if parts == 1 => Cut::part(1, count).ok_or_else(|| Problem::new(Slug::NotFound)),
        None => Err(Problem::new(Slug::ReportInParts)
            .detail(format!(
                "This report has {count} entries: ask for ?part=1 to ?part={parts}."
            ))
            .with("count", count)
            .with("parts", parts)),
    }
}

/// Where the parts before and after this one are, as `Link` has it (RFC 8288).
fn neighbours(report: &Report, account: Option<&str>) -> impl Iterator<Item = String> {
    let (id, number, of) = (report.agreement.id, report.part.number, report.part.of);
    let account = account
        .map(|account| format!("account={account}&"))
        .unwrap_or_default();
    let before = (number > 1).then(|| (number - 1, "prev"));
    let after = (number < of).then(|| (number + 1, "next"));
    let link = move |(part, rel)| {
        format!("</v1/agreements/{id}/audit?{account}part={part}>; rel=\"{rel}\"")
    };
    before.into_iter().chain(after).map(link)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_a_number_that_there_is() {
        let asked = |text| part_number(text).ok();
        assert_eq!(
            (asked(None), asked(Some("1")), asked(Some("12"))),
            (Some(None), Some(Some(1)), Some(Some(12)))
        );
        for text in ["", "x", "-1", "1.0", "1 ", "18446744073709551616"] {
            assert_eq!(asked(Some(text)), None, "{text}");
        }
        let slug = |number, count| cut(number, count).map_err(|problem| problem.slug()).err();
        assert_eq!(
            (slug(Some(0), 7), slug(Some(2), 7)),
            (Some(Slug::InvalidRequest), Some(Slug::InvalidRequest))
        );
        assert_eq!((slug(None, 2_500), slug(Some(1), 2_500)), (None, None));
        assert_eq!(
            (slug(None, 2_501), slug(Some(2), 2_501)),
            (Some(Slug::ReportInParts), None)
        );
    }
}

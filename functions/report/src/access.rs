//! Who may read a report: whoever has the scope, and whoever opened a link to it in the last
//! minutes.

use shared::account::api_key;
use shared::agreement::report::link::ReportLink;
use shared::kernel::ids::{AccountId, AgreementId};
use shared::store::app::App;
use shared::web::http::routes::Scope;
use shared::web::http::{Call, Problem, Slug};

/// What a request may read.
#[derive(Clone, Copy, Debug)]
pub enum Access {
    /// Every report of the account.
    Account(AccountId),
    /// One report.
    Link(ReportLink),
}

impl Access {
    /// What `call` may read, by the key or the link's token that it shows.
    pub async fn of(app: &App, call: &Call) -> Result<Self, Problem> {
        if !ReportLink::has_prefix(call.bearer()?.expose()) {
            let caller = api_key::caller(app, call, Scope::AuditRead).await?;
            call.only_query(&["account", "part"])?;
            return Ok(Self::Account(caller.account.id));
        }
        call.only_query(&["part"])?;
        let keyring = app.keyrings.current(call.arrived_at).await;
        ReportLink::read(call.bearer()?.expose(), &keyring, call.arrived_at)
            .map(Self::Link)
            .ok_or_else(not_good)
    }

    /// Whose reports they are.
    pub const fn account(&self) -> AccountId {
        match self {
            Self::Account(account) => *account,
            Self::Link(link) => link.account,
        }
    }

    /// Refuses a report that a link does not open. Whether there is such a one is not looked at: a
    /// link says nothing of others.
    pub fn opens(&self, agreement: AgreementId) -> Result<(), Problem> {
        match self {
            Self::Link(link) if link.agreement != agreement => Err(Problem::new(Slug::Forbidden)),
            Self::Link(_) | Self::Account(_) => Ok(()),
        }
    }
}

/// A token that nobody made, or whose time is over.
fn not_good() -> Problem {
    let problem = Problem::new(Slug::Unauthorized)
        .detail("The link to this report is not valid, or it has expired.");
    problem.header("www-authenticate", "Bearer error=\"invalid_token\"".into())
}

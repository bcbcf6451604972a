//! From a route's function to its handler: the only place that names the functions.

use std::sync::Arc;

use lambda_http::{Body, Request, Response};
use shared::edge::serve::answer;
use shared::messaging::courier::Courier;
use shared::signin::sso::IssuerKeys;
use shared::store::app::App;
use shared::web::http::routes::Function;

use crate::provider::Vendor;

/// What the handlers hold, made once as at a cold start. Who holds no keys in a deployment has none
/// here.
pub(crate) struct Functions {
    app: Arc<App>,
    keyless: Arc<App>,
    agreements: Arc<agreements::State>,
    code_issue: Arc<code_issue::State>,
    factors: Arc<factors::State>,
    links: Arc<links::State>,
    kba_callback: Arc<kba_callback::State>,
    kba_session: Arc<kba_session::State>,
    users: Arc<users::State>,
    pages: Arc<pages::State>,
    login: Arc<login::State>,
    password: Arc<password::State>,
}

impl Functions {
    /// The functions over these parts.
    pub fn new(app: &App, courier: Courier, vendor: Vendor, issuers: IssuerKeys) -> Self {
        let Vendor { client, secrets } = vendor;
        let keyless = app.without_keys();
        let pages = Arc::new(pages::State {
            frame_origin: app.config.provider_frame_origin(),
        });
        let kba_callback = Arc::new(kba_callback::State {
            app: keyless.clone(),
            courier: courier.clone(),
            secrets,
        });
        let kba_session = Arc::new(kba_session::State {
            app: app.clone(),
            provider: client,
        });
        let code_issue = Arc::new(code_issue::State {
            app: app.clone(),
            courier: courier.clone(),
        });
        let factors = Arc::new(factors::State {
            app: app.clone(),
            courier: courier.clone(),
        });
        let links = Arc::new(links::State {
            app: app.clone(),
            courier: courier.clone(),
        });
        let users = Arc::new(users::State {
            app: keyless.clone(),
            courier: courier.clone(),
        });
        let agreements = Arc::new(agreements::State {
            app: app.clone(),
            courier: courier.clone(),
        });
        let login = Arc::new(login::State {
            app: app.clone(),
            issuers,
        });
        let password = Arc::new(password::State {
            app: app.clone(),
            courier,
        });
        Self {
            app: Arc::new(app.clone()),
            keyless: Arc::new(keyless),
            agreements,
            code_issue,
            factors,
            links,
            login,
            users,
            kba_callback,
            kba_session,
            pages,
            password,
        }
    }

    /// Lets `function` answer.
    pub async fn answer(&self, function: Function, mut request: Request) -> Response<Body> {
        let app = Arc::clone(if function.holds_keys() {
            &self.app
        } else {
            &self.keyless
        });
        let arrived_at = app.clock.now();
        request
            .extensions_mut()
            .insert(app.config.trusted_proxies.clone());
        match function {
            Function::Accounts => {
                answer(request, arrived_at, |call| accounts::handle(app, call)).await
            }
            Function::Agreements => {
                answer(request, arrived_at, |call| {
                    agreements::handle(Arc::clone(&self.agreements), call)
                })
                .await
            }
            Function::Audit => answer(request, arrived_at, |call| audit::handle(app, call)).await,
            Function::CodeIssue => {
                answer(request, arrived_at, |call| {
                    code_issue::handle(Arc::clone(&self.code_issue), call)
                })
                .await
            }
            Function::CodeVerify => {
                answer(request, arrived_at, |call| code_verify::handle(app, call)).await
            }
            Function::Documents => {
                answer(request, arrived_at, |call| documents::handle(app, call)).await
            }
            Function::Factors => {
                answer(request, arrived_at, |call| {
                    factors::handle(Arc::clone(&self.factors), call)
                })
                .await
            }
            Function::LinkRedeem => {
                answer(request, arrived_at, |call| link_redeem::handle(app, call)).await
            }
            Function::Links => {
                answer(request, arrived_at, |call| {
                    links::handle(Arc::clone(&self.links), call)
                })
                .await
            }
            Function::KbaCallback => {
                answer(request, arrived_at, |call| {
                    kba_callback::handle(Arc::clone(&self.kba_callback), call)
                })
                .await
            }
            Function::KbaSession => {
                answer(request, arrived_at, |call| {
                    kba_session::handle(Arc::clone(&self.kba_session), call)
                })
                .await
            }
            Function::Login => {
                answer(request, arrived_at, |call| {
                    login::handle(Arc::clone(&self.login), call)
                })
                .await
            }
            Function::Me => answer(request, arrived_at, |call| me::handle(app, call)).await,
            Function::Pages => {
                answer(request, arrived_at, |call| {
                    pages::handle(Arc::clone(&self.pages), call)
                })
                .await
            }
            Function::Quota => answer(request, arrived_at, |call| quota::handle(app, call)).await,
            Function::QuotaTopup => {
                answer(request, arrived_at, |call| quota_topup::handle(app, call)).await
            }
            Function::Report => answer(request, arrived_at, |call| report::handle(app, call)).await,
            Function::Password => {
                answer(request, arrived_at, |call| {
                    password::handle(Arc::clone(&self.password), call)
                })
                .await
            }
            Function::Settings => {
                answer(request, arrived_at, |call| settings::handle(app, call)).await
            }
            Function::Tokens => answer(request, arrived_at, |call| tokens::handle(app, call)).await,
            Function::Users => {
                answer(request, arrived_at, |call| {
                    users::handle(Arc::clone(&self.users), call)
                })
                .await
            }
        }
    }
}

impl std::fmt::Debug for Functions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Functions")
    }
}

//! What a request costs at DynamoDB.

use shared::web::http::routes::{ROUTES, Route};

use crate::bootstraps::Bootstraps;
use crate::report::Report;
use crate::world::{CASES, Way, World};
use crate::{Fault, once};

/// One request of each case through the handlers, with the meter on, and of each route that has no
/// case. Each case has a world of its own: what others left in the table is no part of what a
/// request costs.
pub(crate) async fn measure(report: &mut Report) -> Result<(), Fault> {
    for case in CASES {
        let world = World::build(Bootstraps::none(), false).await?;
        let mut way = Way::Handlers(&world);
        for event in case.events(&mut way, 1).await? {
            world.stack.meter().take();
            way.ask(case.function, &event).await?.expect(case.status)?;
            report.route(case.name).cost = world.stack.meter().take();
        }
    }
    once::measure(report).await?;
    match ROUTES.iter().map(Route::key).find(|key| !report.has(key)) {
        Some(key) => Err(format!("nothing asks for {key}").into()),
        None => Ok(()),
    }
}

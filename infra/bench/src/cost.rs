//! What a request costs at DynamoDB.

use crate::Fault;
use crate::report::Report;
use crate::world::{CASES, Way, World};

/// One request of each case through the handlers, with the meter on.
pub(crate) async fn measure(world: &World, report: &mut Report) -> Result<(), Fault> {
    let mut way = Way::Handlers(world);
    for case in CASES {
        for event in case.events(&mut way, 1).await? {
            world.stack.meter().take();
            way.ask(case.function, &event).await?.expect(case.status)?;
            report.route(case.name).cost = world.stack.meter().take();
        }
    }
    Ok(())
}

//! Proof that each bootstrap starts, polls, and answers a real event as it should.

use serde_json::{Value, json};

use crate::Fault;
use crate::report::say;
use crate::world::{CASES, Case, Way, World};

/// Asks every case of its bootstrap, and the clean-up to run. Whether all answered as they should.
pub(crate) async fn run(world: &World) -> Result<bool, Fault> {
    let mut way = Way::bootstraps(world);
    let (mut passed, mut failed) = (0, 0);
    let mut check = |name: &str, fault: Option<String>| match fault {
        None => {
            passed += 1;
            say(&format!("ok {name}"));
        }
        Some(why) => {
            failed += 1;
            say(&format!("FAILED {name}: {why}"));
        }
    };
    for case in CASES {
        check(case.name, answered(&mut way, case).await.err().map(|fault| fault.to_string()));
    }
    check("the scheduled clean-up", cleaned(&mut way).await.err().map(|fault| fault.to_string()));
    check("a path that is no route", refused(&mut way).await.err().map(|fault| fault.to_string()));
    check("an event that is no request", survived(&mut way).await.err().map(|fault| fault.to_string()));
    say(&format!("{passed} passed, {failed} failed"));
    Ok(failed == 0)
}

async fn answered(way: &mut Way<'_>, case: &Case) -> Result<(), Fault> {
    for event in case.events(way, 1).await? {
        let answer = way.ask(case.function, &event).await?.expect(case.status)?;
        if answer.headers.get("content-type").and_then(Value::as_str).is_none() {
            return Err("the answer has no content type".into());
        }
    }
    Ok(())
}

async fn cleaned(way: &mut Way<'_>) -> Result<(), Fault> {
    let (report, _) = way.environment("expiry-cleanup").await?.invoke(&json!({})).await?;
    report.get("examined").and_then(Value::as_u64).map(drop).ok_or_else(|| format!("it reported {report}").into())
}

async fn refused(way: &mut Way<'_>) -> Result<(), Fault> {
    let answer = way.ask("documents", &crate::event::Event::get("/nowhere")).await?.expect(404)?;
    if answer.text("type")?.ends_with("/problems/not-found") { Ok(()) } else { Err(answer.body.into()) }
}

/// A bad event is an error of that invocation; the environment goes on.
async fn survived(way: &mut Way<'_>) -> Result<(), Fault> {
    let environment = way.environment("documents").await?;
    if let Ok((answer, _)) = environment.invoke(&json!({ "no": "request" })).await {
        let status = answer.get("statusCode").and_then(Value::as_u64).unwrap_or_default();
        if status < 400 {
            return Err(format!("it was answered with {status}").into());
        }
    }
    way.ask("documents", &crate::event::Event::get("/health")).await?.expect(200).map(drop)
}

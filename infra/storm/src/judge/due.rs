//! What the clean-up calls done is done: an agreement whose time was over before a run that failed
//! in nothing and left nothing is not ended later by another run.

use serde_json::Value;

use super::index::{Index, text};
use crate::history::Call;

/// What breaks it.
pub(super) fn broken(index: &Index<'_>) -> Vec<String> {
    let runs: Vec<&Call> = index
        .history
        .of("POST /_local/cleanup")
        .filter(|call| says_all_is_done(call))
        .collect();
    index
        .reports
        .iter()
        .filter_map(|(id, report)| ended_late(id, report, &runs))
        .collect()
}

fn says_all_is_done(run: &Call) -> bool {
    let nothing = |name: &str| run.value(name).and_then(Value::as_u64) == Some(0);
    run.status() == 200 && run.value("/more") == Some(&Value::Bool(false)) && nothing("/failed")
}

/// The times are the service's own, to the millisecond: in RFC 3339, of one length but for the
/// milliseconds, and so they compare as texts do once those are cut off.
fn ended_late(id: &str, report: &Call, runs: &[&Call]) -> Option<String> {
    let mut entries = report
        .value("/entries")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let ended = seconds(text(
        entries.find(|entry| text(entry, "/action") == "agreement-expired")?,
        "/at",
    ))
    .to_owned();
    let due = seconds(report.told("/agreement/expires_at")?).to_owned();
    let missed = |run: &&&Call| {
        let (asked, answered) = (run.asked.at.to_rfc3339(), run.latest().to_rfc3339());
        seconds(&asked) > due.as_str() && seconds(&answered) < ended.as_str()
    };
    let run = runs.iter().find(missed)?;
    Some(format!(
        "{id} was due at {due}, #{} said that all was done, and it was ended at {ended}",
        run.number
    ))
}

fn seconds(moment: &str) -> &str {
    moment.get(..19).unwrap_or(moment)
}

#[cfg(test)]
mod tests {
    use super::super::Promise;
    use super::super::told::{HOME, Story};
    use serde_json::{Value, json};

    /// An agreement that was due at 8:15, a run at 8:20 that was answered so, and the end at 8:30.
    fn broken(report: Value) -> usize {
        let mut story = Story::new();
        story.wait(1_200);
        story.call("POST /_local/cleanup", "", HOME, Value::Null, 200, report);
        story.report(
            "kba",
            vec![json!({"action": "agreement-expired", "at": "2027-01-15T08:30:00Z"})],
        );
        story.breaks(Promise::Due).len()
    }

    #[test]
    fn a_run_that_says_that_all_is_done_has_ended_what_was_due() {
        assert_eq!(broken(json!({"more": false, "failed": 0})), 1);
        assert_eq!(broken(json!({"more": true, "failed": 0})), 0);
        assert_eq!(broken(json!({"more": false, "failed": 2})), 0);
    }
}

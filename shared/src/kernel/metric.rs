//! What is counted for the people who run this: a line of the log in CloudWatch's embedded metric
//! format, from which CloudWatch makes the metric by itself. No call, no permission, and nothing
//! that could fail a request.

use std::io::Write;

use serde_json::{Value, json};

use crate::kernel::clock::Timestamp;

/// What the metrics stand under.
const NAMESPACE: &str = "Countersign";

/// Counts `count` of `name`. `properties` are searchable in the log and no dimensions: each value
/// of a dimension is a metric of its own.
pub fn emit(name: &str, count: u32, properties: &Value, now: Timestamp) {
    // Whoever reads the log gets the line whole, or the metric is one short: no reason to fail
    // anything.
    let _ = writeln!(std::io::stdout(), "{}", line(name, count, properties, now));
}

fn line(name: &str, count: u32, properties: &Value, now: Timestamp) -> Value {
    let mut line = properties.clone();
    if let Some(members) = line.as_object_mut() {
        members.insert(name.to_owned(), count.into());
        let metric = json!({"Namespace": NAMESPACE, "Dimensions": [[]], "Metrics": [{"Name": name, "Unit": "Count"}]});
        members.insert(
            "_aws".to_owned(),
            json!({"Timestamp": now.as_millis(), "CloudWatchMetrics": [metric]}),
        );
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_what_cloudwatch_reads() {
        let line = line(
            "LowBalance",
            1,
            &json!({"account": "acc_1", "available": 9}),
            Timestamp::from_millis(1_800_000_000_000),
        );
        assert_eq!(
            line,
            json!({
                "_aws": {"Timestamp": 1_800_000_000_000_i64, "CloudWatchMetrics": [
                    {"Namespace": "Countersign", "Dimensions": [[]], "Metrics": [{"Name": "LowBalance", "Unit": "Count"}]}
                ]},
                "LowBalance": 1, "account": "acc_1", "available": 9,
            })
        );
    }
}

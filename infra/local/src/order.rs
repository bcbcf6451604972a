//! `POST /_local/faults`: a plan, as it is asked for over HTTP.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de::Error};
use serde_json::Value;
use shared::web::http::{Body, FieldError, Problem};

use crate::plan::{Mode, Plan, Service};

/// The latest answer: API Gateway waits for none half as long.
const SECONDS_MAX: f64 = 60.0;
/// The longest that a transaction holds its items.
const MILLISECONDS_MAX: u64 = 60_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    service: Service,
    mode: Mode,
    #[serde(default, deserialize_with = "passing")]
    after: u32,
    #[serde(default = "once", deserialize_with = "struck")]
    count: u32,
    #[serde(default, deserialize_with = "seconds")]
    seconds: Option<f64>,
    #[serde(default, deserialize_with = "milliseconds")]
    milliseconds: Option<u64>,
}

const fn once() -> u32 {
    1
}

fn passing<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    u32::deserialize(deserializer)
        .map_err(|_| D::Error::custom("must be a whole number of calls, 0 or more"))
}

fn struck<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let count = u32::deserialize(deserializer)
        .ok()
        .filter(|count| *count > 0);
    count.ok_or_else(|| D::Error::custom("must be a whole number of calls, 1 or more"))
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    let seconds = f64::deserialize(deserializer)
        .ok()
        .filter(|seconds| (0.0..=SECONDS_MAX).contains(seconds));
    seconds.map(Some).ok_or_else(|| {
        D::Error::custom(format_args!(
            "must be a number of seconds, 0 to {SECONDS_MAX}"
        ))
    })
}

fn milliseconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let span = u64::deserialize(deserializer)
        .ok()
        .filter(|span| (1..=MILLISECONDS_MAX).contains(span));
    let refused = || {
        D::Error::custom(format_args!(
            "must be a whole number of milliseconds, 1 to {MILLISECONDS_MAX}"
        ))
    };
    span.map(Some).ok_or_else(refused)
}

/// Reads a plan, and what it is for. What is wrong with it is told by field.
pub(crate) fn read(value: Value) -> Result<(Service, Plan), Problem> {
    let order: Order = Body::read(value)?;
    let Order {
        service,
        mode,
        after,
        count,
        seconds,
        milliseconds,
    } = order;
    let mut wrong = Vec::new();
    if !mode.can_befall(service) {
        wrong.push(FieldError::new("/mode", mode.befalls()));
    }
    if seconds.is_some() && !matches!(mode, Mode::Slow | Mode::Lost) {
        wrong.push(FieldError::new(
            "/seconds",
            "is for `slow` and `lost` alone",
        ));
    }
    if milliseconds.is_some() && mode != Mode::Hold {
        wrong.push(FieldError::new("/milliseconds", "is for `hold` alone"));
    }
    if !wrong.is_empty() {
        return Err(Problem::invalid(wrong));
    }
    let plan = Plan::new(mode, after, count);
    let lasting = seconds
        .map(Duration::from_secs_f64)
        .or(milliseconds.map(Duration::from_millis));
    Ok((
        service,
        lasting.map_or(plan, |lasting| plan.lasting(lasting)),
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused_at(value: Value) -> Vec<String> {
        let Err(problem) = read(value) else {
            return Vec::new();
        };
        let answer: Value = serde_json::from_slice(problem.into_reply("r").body()).unwrap();
        let errors = answer["errors"].as_array().cloned().unwrap_or_default();
        errors
            .iter()
            .map(|error| error["pointer"].as_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn what_is_asked_for_is_planned() {
        let plan = |value| read(value).unwrap();
        assert_eq!(
            plan(json!({"service": "ses", "mode": "refused"})),
            (Service::Ses, Plan::new(Mode::Refused, 0, 1))
        );
        let slow = Plan::new(Mode::Slow, 1, 2).lasting(Duration::from_millis(500));
        let asked =
            json!({"service": "sns", "mode": "slow", "after": 1, "count": 2, "seconds": 0.5});
        assert_eq!(plan(asked), (Service::Sns, slow));
        let hold = Plan::new(Mode::Hold, 0, 9).lasting(Duration::from_millis(15));
        let asked = json!({"service": "dynamodb", "mode": "hold", "count": 9, "milliseconds": 15});
        assert_eq!(plan(asked), (Service::Dynamodb, hold));
    }

    #[test]
    fn what_cannot_be_planned_is_told_by_field() {
        let table = |more: Value| {
            let mut order = json!({"service": "dynamodb", "mode": "slow"});
            order
                .as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            order
        };
        for (order, field) in [
            (json!({"service": "dynamodb", "mode": "sloww"}), "/mode"),
            (json!({"service": "s3", "mode": "slow"}), "/service"),
            (json!({"mode": "slow"}), "/service"),
            (json!({"service": "ses", "mode": "hold"}), "/mode"),
            (json!({"service": "sns", "mode": "torn"}), "/mode"),
            (json!({"service": "provider", "mode": "unsettled"}), "/mode"),
            (json!({"service": "issuer", "mode": "conflict"}), "/mode"),
            (json!({"service": "dynamodb", "mode": "failed"}), "/mode"),
            (json!({"service": "issuer", "mode": "failed"}), "/mode"),
            (table(json!({"after": -1})), "/after"),
            (table(json!({"count": 0})), "/count"),
            (table(json!({"count": 1.5})), "/count"),
            (table(json!({"seconds": 61})), "/seconds"),
            (table(json!({"seconds": -1})), "/seconds"),
            (table(json!({"seconds": "3"})), "/seconds"),
            (table(json!({"milliseconds": 3})), "/milliseconds"),
            (
                table(json!({"mode": "hold", "milliseconds": 0})),
                "/milliseconds",
            ),
            (table(json!({"mode": "hold", "seconds": 1})), "/seconds"),
            (
                table(json!({"mode": "throttled", "seconds": 1})),
                "/seconds",
            ),
            (table(json!({"minutes": 1})), "/minutes"),
        ] {
            assert_eq!(refused_at(order.clone()), [field], "{order}");
        }
    }
}

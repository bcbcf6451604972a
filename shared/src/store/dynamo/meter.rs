//! Counts what requests cost. Off in production; the tests and the benchmark assert on it.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_dynamodb::types::ConsumedCapacity;

/// What some requests cost together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// Requests to DynamoDB.
    pub requests: u32,
    /// Read units consumed.
    pub read_units: f64,
    /// Write units consumed.
    pub write_units: f64,
}

/// A running sum of costs, shared by all clones.
#[derive(Clone, Debug, Default)]
pub struct Meter(Arc<Mutex<Cost>>);

impl Meter {
    /// What was spent since the last call.
    pub fn take(&self) -> Cost {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn read(&self, consumed: &[ConsumedCapacity]) {
        self.spend(|cost| cost.read_units += units(consumed));
    }

    pub(super) fn write(&self, consumed: &[ConsumedCapacity]) {
        self.spend(|cost| cost.write_units += units(consumed));
    }

    fn spend(&self, add: impl FnOnce(&mut Cost)) {
        let mut cost = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        cost.requests += 1;
        add(&mut cost);
    }
}

fn units(consumed: &[ConsumedCapacity]) -> f64 {
    consumed
        .iter()
        .filter_map(ConsumedCapacity::capacity_units)
        .sum()
}

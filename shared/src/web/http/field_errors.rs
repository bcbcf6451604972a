//! Everything that is wrong with a request, told at once.

use super::patch::Member;
use super::{FieldError, Problem};

/// What is wrong with a request, gathered so that all of it is told at once.
#[derive(Debug, Default)]
pub struct FieldErrors(Vec<FieldError>);

impl FieldErrors {
    /// What `rule` makes of the value at `pointer`; nothing, where it refuses it.
    pub fn check<T, U>(
        &mut self,
        pointer: &str,
        value: T,
        rule: impl FnOnce(T) -> Result<U, &'static str>,
    ) -> Option<U> {
        rule(value).map_err(|detail| self.add(pointer, detail)).ok()
    }

    /// The same of a text that may be left out.
    pub fn check_text<U>(
        &mut self,
        pointer: &str,
        text: Option<&str>,
        rule: impl FnOnce(&str) -> Result<U, &'static str>,
    ) -> Option<U> {
        self.check(pointer, text?, rule)
    }

    /// The same of a text that a patch may set.
    pub fn check_member<U>(
        &mut self,
        pointer: &str,
        member: &Member<String>,
        rule: impl FnOnce(&str) -> Result<U, &'static str>,
    ) -> Member<U> {
        let text = member.clone();
        text.filter_map(|text| self.check(pointer, text.as_str(), rule))
    }

    /// Something else is wrong at `pointer`.
    pub fn add(&mut self, pointer: &str, detail: &'static str) {
        self.0.push(FieldError::new(pointer, detail));
    }

    /// Refuses the request if anything was wrong with it.
    pub fn finish(self) -> Result<(), Problem> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Problem::invalid(self.0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_told() {
        let mut errors = FieldErrors::default();
        let not_empty = |text: &'static str| {
            if text.is_empty() {
                Err("must not be empty")
            } else {
                Ok(text)
            }
        };
        assert_eq!(errors.check("/title", "a", not_empty), Some("a"));
        assert_eq!(errors.check("/name", "", not_empty), None);
        errors.add("/email", "is missing");
        assert_eq!(
            errors
                .0
                .iter()
                .map(|error| error.pointer.as_str())
                .collect::<Vec<_>>(),
            ["/name", "/email"]
        );
        assert!(errors.finish().is_err() && FieldErrors::default().finish().is_ok());
    }
}

//! What a sender may choose, and why not: the refusals of the methods, in their order.

use shared::account::{Account, Settings};
use shared::agreement::Authentication;
use shared::web::http::{Problem, Slug};

/// A recipient's method, and what is known of the recipient that it depends on.
#[derive(Clone, Copy, Debug)]
pub struct Choice<'a> {
    /// Where the recipient stands in the request.
    pub pointer: &'a str,
    /// The method.
    pub authentication: Authentication,
    /// The name, if the sender gave it.
    pub name: Option<&'a str>,
    /// The country, if the sender gave it.
    pub country: Option<&'a str>,
}

/// The methods that a sender may choose.
pub fn enabled(account: &Account, settings: &Settings) -> Vec<Authentication> {
    let on = |method: &Authentication| match method {
        Authentication::None | Authentication::Email => true,
        Authentication::Sms => settings.second_factor.methods.sms,
        Authentication::Kba => account.plan.includes_kba() && settings.kba.enabled,
    };
    Authentication::ALL.into_iter().filter(on).collect()
}

/// Whether all of these may be chosen. What is refused first is told alone, for every recipient
/// that it is true of.
pub fn permit(
    account: &Account,
    settings: &Settings,
    choices: &[Choice<'_>],
) -> Result<(), Problem> {
    let kba = |choice: &Choice<'_>| choice.authentication == Authentication::Kba;
    let enabled = enabled(account, settings);
    let named = settings.kba.require_recipient_name;
    let (field, detail) = ("authentication", "needs the plan business or enterprise");
    refuse(Slug::PlanRequired, choices, (field, detail), |choice| {
        kba(choice) && !account.plan.includes_kba()
    })?;
    let detail = "is not enabled for this sender";
    refuse(Slug::MethodNotEnabled, choices, (field, detail), |choice| {
        !enabled.contains(&choice.authentication)
    })?;
    let named_so = ("name", "is required for `kba`");
    refuse(Slug::RecipientNameRequired, choices, named_so, |choice| {
        kba(choice) && named && choice.name.is_none()
    })?;
    let in_us = ("country", "must be US for `kba`");
    refuse(Slug::RecipientNotInUs, choices, in_us, |choice| {
        kba(choice) && choice.country != Some("US")
    })
}

fn refuse(
    slug: Slug,
    choices: &[Choice<'_>],
    (field, detail): (&str, &'static str),
    wrong: impl Fn(&Choice<'_>) -> bool,
) -> Result<(), Problem> {
    let mut refused = choices.iter().filter(|choice| wrong(choice)).peekable();
    if refused.peek().is_none() {
        return Ok(());
    }
    Err(refused.fold(Problem::new(slug), |problem, choice| {
        problem.field(format!("{}/{field}", choice.pointer), detail)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn account(plan: &str) -> Account {
        serde_json::from_value(json!({
            "id": "acc_00000000000000000000000001", "name": "A", "plan": plan, "created_at": 0, "version": 1, "settings_version": 0
        }))
        .unwrap()
    }

    fn refusal(
        plan: &str,
        change: impl FnOnce(&mut Settings),
        name: Option<&str>,
        country: Option<&str>,
    ) -> Option<Slug> {
        let mut settings = Settings::default();
        change(&mut settings);
        let choice = Choice {
            pointer: "/recipients/0",
            authentication: Authentication::Kba,
            name,
            country,
        };
        permit(&account(plan), &settings, &[choice])
            .err()
            .map(|problem| problem.slug())
    }

    #[test]
    fn kba_is_refused_in_the_order_that_is_promised() {
        let on = |settings: &mut Settings| settings.kba.enabled = true;
        let strict = |settings: &mut Settings| {
            settings.kba.enabled = true;
            settings.kba.require_recipient_name = true;
        };
        assert_eq!(
            refusal("starter", |_| {}, None, None),
            Some(Slug::PlanRequired)
        );
        assert_eq!(
            refusal("business", |_| {}, None, None),
            Some(Slug::MethodNotEnabled)
        );
        assert_eq!(
            refusal("business", strict, None, None),
            Some(Slug::RecipientNameRequired)
        );
        assert_eq!(
            refusal("business", strict, Some("Ann"), Some("CA")),
            Some(Slug::RecipientNotInUs)
        );
        assert_eq!(
            refusal("business", on, None, None),
            Some(Slug::RecipientNotInUs)
        );
        assert_eq!(refusal("enterprise", on, None, Some("US")), None);
    }

    #[test]
    fn what_is_off_is_not_offered() {
        let mut settings = Settings::default();
        assert_eq!(
            enabled(&account("business"), &settings),
            [
                Authentication::None,
                Authentication::Email,
                Authentication::Sms
            ]
        );
        settings.second_factor.methods.sms = false;
        settings.kba.enabled = true;
        assert_eq!(
            enabled(&account("business"), &settings),
            [
                Authentication::None,
                Authentication::Email,
                Authentication::Kba
            ]
        );
        assert_eq!(
            enabled(&account("starter"), &settings),
            [Authentication::None, Authentication::Email]
        );
    }
}

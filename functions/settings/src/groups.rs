//! The groups of an account.

use shared::account::{Account, Group, Overrides, is_group_name};
use shared::store::app::App;
use shared::store::dynamo::{Item, Key, keys, read};
use shared::web::http::{Call, FieldError, Problem, Slug};

/// How many items of the account's partition are read at once.
const PAGE: i32 = 200;

/// The group that the path names. Every name that a group may have is one.
pub fn named(call: &Call) -> Result<String, Problem> {
    call.path_parameter("group")
        .filter(|name| is_group_name(name))
        .ok_or_else(|| Problem::new(Slug::NotFound))
}

/// Refuses settings of the account that would leave a group without a second factor.
///
/// Whoever changes a group moves the account's audit chain, and the account's own change has that
/// chain's head for its condition: a group that changes after it was looked at here makes that
/// change begin anew.
pub async fn keep_a_method(
    app: &App,
    account: &Account,
    overrides: &Overrides,
) -> Result<(), Problem> {
    let patched = Account {
        overrides: overrides.clone(),
        ..account.clone()
    };
    let mut after = None;
    loop {
        let page = app
            .table
            .query(keys::account(account.id).pk, after, PAGE)
            .await?;
        for item in page.items {
            has_a_method(&patched, item)?;
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(()),
        }
    }
}

/// Refuses the account's settings where the group of `item`, if it is one, has no method with them.
fn has_a_method(account: &Account, item: Item) -> Result<(), Problem> {
    let key = Key::of(&item);
    let Some(name) = key.as_ref().and_then(|key| key.sk.strip_prefix("GROUP#")) else {
        return Ok(());
    };
    let group: Group = read(item)?;
    if account.settings_with(&group)?.second_factor.methods.any() {
        return Ok(());
    }
    let detail = format!("the group {name} would be left without a method");
    let fault = FieldError::new("/second_factor/methods", detail);
    Err(Problem::invalid(vec![fault]))
}

//! Which bootstraps have the list of the passwords that are used most in them. It is read where a
//! password is set, and a sign-in, which only compares one, does not pay for it at its cold start.

use std::collections::BTreeSet;
use std::fs;

use memchr::memmem;

use crate::Fault;
use crate::bootstraps::Bootstraps;

/// The list, as it is linked.
const LIST: &[u8] = include_bytes!("../../../shared/src/signin/user/common_passwords.bin");
/// The functions that set a password.
const SETTING: [&str; 3] = ["factors", "password", "users"];

/// Checks that the functions which set a password have it, and no others.
pub(crate) fn check(bootstraps: &Bootstraps) -> Result<(), Fault> {
    let part = part(LIST);
    let mut wrong = BTreeSet::new();
    for name in bootstraps.names() {
        let carries = memmem::find(&fs::read(bootstraps.of(name)?)?, part).is_some();
        if carries != SETTING.contains(&name) {
            wrong.insert(format!(
                "{name} {}",
                if carries { "has it" } else { "lacks it" }
            ));
        }
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(Vec::from_iter(wrong).join(", ").into())
    }
}

/// So much of its middle that it stands in nothing else.
fn part(list: &[u8]) -> &[u8] {
    let middle = list.len() / 2;
    list.get(middle..middle + 64).unwrap_or(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_looked_for_stands_in_the_list_once_and_is_long() {
        assert_eq!(part(LIST).len(), 64);
        assert_eq!(memmem::find_iter(LIST, part(LIST)).count(), 1);
    }
}

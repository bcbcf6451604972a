//! The binaries: where they are, and how they are built.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Fault;

/// Every function: folder, package and binary.
pub(crate) const FUNCTIONS: [&str; 22] = [
    "accounts",
    "audit",
    "code-issue",
    "code-verify",
    "documents",
    "expiry-cleanup",
    "factors",
    "kba-callback",
    "kba-session",
    "link-redeem",
    "links",
    "login",
    "me",
    "pages",
    "password",
    "agreements",
    "quota",
    "quota-topup",
    "report",
    "settings",
    "tokens",
    "users",
];

/// The binary of each function.
#[derive(Debug)]
pub(crate) struct Bootstraps(BTreeMap<&'static str, PathBuf>);

impl Bootstraps {
    /// None: for what is measured in this process.
    pub const fn none() -> Self {
        Self(BTreeMap::new())
    }

    /// Those in `directory` of the `wanted` functions; all of them, or it is a fault.
    pub fn find(directory: &Path, wanted: &[&'static str]) -> Result<Self, Fault> {
        let find = |name: &'static str| {
            let places = [
                directory.join(logical_id(name)).join("bootstrap"),
                directory.join(name).join("bootstrap"),
                directory.join(name),
            ];
            let found = places.into_iter().find(|place| place.is_file());
            let path = found
                .ok_or_else(|| format!("{} holds no bootstrap of {name}", directory.display()))?;
            Ok::<_, Fault>((name, path.canonicalize()?))
        };
        wanted
            .iter()
            .copied()
            .map(find)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Builds them as they are deployed, beside this program.
    pub fn build(wanted: &[&'static str]) -> Result<Self, Fault> {
        let mut cargo = Command::new("cargo");
        cargo.args(["build", "--release"]);
        cargo.args(wanted.iter().flat_map(|name| ["-p", name]));
        if !cargo.status()?.success() {
            return Err("the bootstraps were not built".into());
        }
        let here = std::env::current_exe()?;
        let target = here
            .parent()
            .and_then(Path::parent)
            .ok_or("this program stands in no target directory")?;
        Self::find(&target.join("release"), wanted)
    }

    /// The functions that there are.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.keys().copied()
    }

    /// Whether there is one of `name`.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The binary of `name`.
    pub fn of(&self, name: &str) -> Result<&Path, Fault> {
        self.0
            .get(name)
            .map(PathBuf::as_path)
            .ok_or_else(|| format!("there is no function {name}").into())
    }
}

/// The functions that `named` names, or all where it names none.
pub(crate) fn wanted(named: &[String]) -> Result<Vec<&'static str>, Fault> {
    if named.is_empty() {
        return Ok(FUNCTIONS.to_vec());
    }
    let known = |name: &String| FUNCTIONS.into_iter().find(|function| function == name);
    named
        .iter()
        .map(|name| known(name).ok_or_else(|| format!("there is no function {name}").into()))
        .collect()
}

/// The template's name of a function: `code-issue` is `CodeIssue`.
fn logical_id(name: &str) -> String {
    let capital = |word: &str| {
        let mut letters = word.chars();
        letters
            .next()
            .into_iter()
            .flat_map(char::to_uppercase)
            .chain(letters)
            .collect::<String>()
    };
    name.split('-').map(capital).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_its_logical_id() {
        assert_eq!(logical_id("code-issue"), "CodeIssue");
        assert_eq!(logical_id("me"), "Me");
    }

    #[test]
    fn those_that_are_named_are_wanted_and_no_other() {
        let named = |names: &[&str]| {
            wanted(
                &names
                    .iter()
                    .map(|&name| name.to_owned())
                    .collect::<Vec<_>>(),
            )
        };
        assert_eq!(named(&["login", "me"]).unwrap(), ["login", "me"]);
        assert_eq!(named(&[]).unwrap(), FUNCTIONS);
        assert!(named(&["log-in"]).is_err());
    }
}

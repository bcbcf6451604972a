//! The passwords that are used most, in any case: those of eight characters and more among the
//! 100,000 that the National Cyber Security Centre found most often in breaches, as the crate
//! `passwords` has them (MIT).
//!
//! The crate's own table takes five megabytes of a release binary. What stands beside this file is
//! derived from it: the first 32 bits of the SHA-256 of each, sorted. One password in a hundred
//! thousand that is not among them is taken for one that is; its owner chooses another. Nothing
//! that lets anybody in is decided by it. A test derives it anew, and writes it with
//! `UPDATE_COMMON_PASSWORDS=1` set.

use crate::kernel::secret::Fingerprint;

/// The hashes, four bytes each, ascending.
static TABLE: &[u8] = include_bytes!("common_passwords.bin");

/// Whether `password`, in lower case, is one of them.
pub fn is_common(password: &str) -> bool {
    let (hashes, _) = TABLE.as_chunks();
    hashes.binary_search(&hash(password)).is_ok()
}

fn hash(password: &str) -> [u8; 4] {
    let [a, b, c, d, ..] = Fingerprint::of(password.as_bytes()).short();
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signin::user::password::{LENGTH, normalised};
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};
    use std::process::Command;

    /// Where the crate's source is on this machine.
    fn crate_root() -> PathBuf {
        let args = [
            "metadata",
            "--offline",
            "--locked",
            "--format-version",
            "1",
            "--filter-platform",
            "x86_64-unknown-linux-gnu",
        ];
        let told = Command::new(env!("CARGO"))
            .args(args)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap();
        assert!(
            told.status.success(),
            "{}",
            String::from_utf8_lossy(&told.stderr)
        );
        let told: serde_json::Value = serde_json::from_slice(&told.stdout).unwrap();
        let packages = told["packages"].as_array().unwrap();
        let package = packages
            .iter()
            .find(|package| package["name"] == "passwords")
            .unwrap();
        Path::new(package["manifest_path"].as_str().unwrap())
            .parent()
            .unwrap()
            .to_owned()
    }

    fn derived() -> Vec<u8> {
        let list = std::fs::read(crate_root().join("data/common-passwords.json")).unwrap();
        let list: Vec<String> = serde_json::from_slice(&list).unwrap();
        assert!(
            list.iter()
                .step_by(997)
                .all(passwords::analyzer::is_common_password),
            "it is the list that the crate looks at"
        );
        let lower = list
            .iter()
            .map(|password| normalised(password).to_lowercase());
        let long = lower.filter(|password| password.chars().count() >= *LENGTH.start());
        let hashes: BTreeSet<[u8; 4]> = long.map(|password| hash(&password)).collect();
        assert!(hashes.len() > 40_000, "{}", hashes.len());
        hashes.into_iter().flatten().collect()
    }

    #[test]
    fn the_table_is_derived_from_the_crate() {
        let derived = derived();
        if crate::kernel::config::env("UPDATE_COMMON_PASSWORDS").is_some() {
            std::fs::write(
                Path::new(env!("CARGO_MANIFEST_DIR")).join("src/user/common_passwords.bin"),
                &derived,
            )
            .unwrap();
        }
        assert!(
            derived == TABLE,
            "run the test with UPDATE_COMMON_PASSWORDS=1"
        );
    }

    #[test]
    fn what_everybody_tries_is_among_them_and_what_nobody_does_is_not() {
        for password in [
            "password",
            "12345678",
            "qwertyuiop",
            "iloveyou",
            "password1",
            "elizabeth",
            "p@ssw0rd",
            "trustno1",
            "11111111",
        ] {
            assert!(is_common(password), "{password}");
        }
        let random = crate::kernel::entropy::Entropy::seeded(7);
        let found = (0..10_000)
            .filter(|_| is_common(&crate::kernel::secret::encode(random.bytes::<12>())))
            .count();
        assert!(found <= 3, "{found}");
        assert!(!is_common("correct horse battery"));
    }
}

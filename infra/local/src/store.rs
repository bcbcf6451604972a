//! What the stack keeps between runs, beside the table: keys, what it made for the demo, and how
//! far its clock was moved.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use shared::kernel::secret::Secret;

use crate::StartError;
use crate::demo::Demo;

/// What is remembered.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct State {
    /// By how many seconds the clock was moved forward, in all runs.
    pub clock_ahead: i64,
    /// The operator's key, where the stack made it.
    pub operator_key: Option<String>,
    /// The demo account.
    pub demo: Option<Demo>,
}

/// The data directory, or the memory that stands in for it.
#[derive(Debug)]
pub(crate) struct Store {
    directory: Option<Directory>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct Directory {
    path: PathBuf,
    /// Held for as long as this process uses the directory.
    _lock: File,
}

impl Store {
    /// Opens the directory and holds it against other instances.
    pub fn open(path: Option<&Path>) -> Result<Self, StartError> {
        let Some(path) = path else {
            return Ok(Self {
                directory: None,
                state: Mutex::default(),
            });
        };
        let unusable = |cause: io::Error| StartError::Data {
            path: path.to_owned(),
            cause: cause.to_string(),
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(unusable)?;
        let lock = private()
            .truncate(false)
            .open(path.join("lock"))
            .map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StartError::Locked {
                    path: path.to_owned(),
                });
            }
            Err(TryLockError::Error(cause)) => return Err(unusable(cause)),
        }
        let state = match read(&path.join("state.json")).map_err(unusable)? {
            Some(text) => serde_json::from_str(&text).map_err(|error| unusable(error.into()))?,
            None => State::default(),
        };
        Ok(Self {
            directory: Some(Directory {
                path: path.to_owned(),
                _lock: lock,
            }),
            state: Mutex::new(state),
        })
    }

    /// Where a file of that name is kept, if anything is.
    pub fn file(&self, name: &str) -> Option<PathBuf> {
        self.directory
            .as_ref()
            .map(|directory| directory.path.join(name))
    }

    /// What is remembered.
    pub fn state(&self) -> State {
        self.locked().clone()
    }

    /// Remembers a change.
    pub fn update(&self, change: impl FnOnce(&mut State)) -> io::Result<()> {
        let mut state = self.locked();
        change(&mut state);
        let text = serde_json::to_string_pretty(&*state)?;
        self.file("state.json")
            .map_or(Ok(()), |path| write(&path, &text))
    }

    /// The text of the file `name`, if it is there.
    pub fn secret(&self, name: &str) -> io::Result<Option<Secret<String>>> {
        let text = self.file(name).map_or(Ok(None), |path| read(&path))?;
        Ok(text.map(Secret::new))
    }

    /// Keeps `text` in the file `name`, for this user's eyes only.
    pub fn keep_secret(&self, name: &str, text: &Secret<String>) -> io::Result<()> {
        self.file(name)
            .map_or(Ok(()), |path| write(&path, text.expose()))
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600);
    options
}

fn read(path: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some),
    }
}

/// Writes beside the file and renames: whoever reads, also after a crash, finds the old text or the
/// new one.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = private().open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(beside, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_is_kept_is_found_again_and_nobody_else_reads_it() {
        let path = std::env::temp_dir().join(format!("countersign-store-{}", std::process::id()));
        let store = Store::open(Some(&path)).unwrap();
        assert!(matches!(
            Store::open(Some(&path)),
            Err(StartError::Locked { .. })
        ));
        store.update(|state| state.clock_ahead += 60).unwrap();
        store
            .keep_secret("keyring.json", &Secret::new("{}".into()))
            .unwrap();
        drop(store);
        let store = Store::open(Some(&path)).unwrap();
        assert_eq!(store.state().clock_ahead, 60);
        assert_eq!(
            store.secret("keyring.json").unwrap(),
            Some(Secret::new("{}".into()))
        );
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(
            (mode(&path), mode(&path.join("keyring.json"))),
            (0o700, 0o600)
        );
        fs::remove_dir_all(path).unwrap();
    }
}

//! The data folder: one process at a time, files written whole or not at all.

use crate::config::secrecy::close_to_others;
use anyhow::{Context as _, bail};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// An open data folder. The lock ends with the value, or with the process however it ends.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Creates the folder if need be (0700) and takes its lock.
    ///
    /// # Errors
    /// No permission, or another process holds the lock.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).with_context(|| {
            format!(
                "cannot create the data folder {} (choose another with BEDRUD_DATA or server.dataDir)",
                path.display()
            )
        })?;
        let path =
            path.canonicalize().with_context(|| format!("cannot open the data folder {}", path.display()))?;
        let lock_path = path.join("lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&lock_path)
            .with_context(|| format!("cannot write to the data folder {}", path.display()))?;
        match lock.try_lock() {
            Ok(()) => {
                close_private(&path)?;
                Ok(Self { path, _lock: lock })
            }
            Err(TryLockError::WouldBlock) => bail!(
                "another bedrud process is using the data folder {} (stop it, or choose another folder with BEDRUD_DATA)",
                path.display()
            ),
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("cannot lock {}", lock_path.display()))
            }
        }
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// What must not be open to others: a backup that was copied back often is.
const PRIVATE: [&str; 8] = [
    "secrets.json",
    "bedrud.db",
    "bedrud.db-wal",
    "bedrud.db-shm",
    "livekit.db",
    "livekit.db-wal",
    "livekit.db-shm",
    "tls/key.pem",
];

fn close_private(path: &Path) -> anyhow::Result<()> {
    for name in PRIVATE {
        close_to_others(&path.join(name))?;
    }
    Ok(())
}

/// Writes a private file (0600) so that a crash leaves the old content or the new, never a part.
///
/// # Errors
/// As the file system says, naming the file.
pub fn write_private(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let failed = || format!("cannot write {}", path.display());
    let mut name = path.file_name().with_context(failed)?.to_os_string();
    name.push(".new");
    let temporary = path.with_file_name(name);
    let mut file = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)
        .with_context(failed)?;
    file.write_all(content).and_then(|()| file.sync_all()).with_context(failed)?;
    fs::rename(&temporary, path).with_context(failed)?;
    if let Some(parent) = path.parent() {
        // The rename itself must survive a power cut.
        File::open(parent).and_then(|dir| dir.sync_all()).with_context(failed)?;
    }
    Ok(())
}

/// Reads a file that may not exist yet.
///
/// # Errors
/// As the file system says, naming the file.
pub fn read_optional(path: &Path) -> anyhow::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_second_process_is_kept_out_until_the_first_ends() {
        let dir = tempfile::tempdir().unwrap();
        let first = DataDir::open(&dir.path().join("data")).unwrap();
        let error = DataDir::open(first.path()).unwrap_err().to_string();
        assert!(error.contains("another bedrud process"), "{error}");
        let path = first.path().to_path_buf();
        drop(first);
        DataDir::open(&path).unwrap();
    }

    #[test]
    fn files_that_are_open_to_others_are_closed_at_the_start() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("tls")).unwrap();
        for name in PRIVATE {
            let path = dir.path().join(name);
            fs::write(&path, "x").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        }
        DataDir::open(dir.path()).unwrap();
        for name in PRIVATE {
            let mode = fs::metadata(dir.path().join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o640, "{name}");
        }
    }

    #[test]
    fn private_files_are_replaced_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        assert_eq!(read_optional(&path).unwrap(), None);
        write_private(&path, b"one").unwrap();
        write_private(&path, b"two").unwrap();
        assert_eq!(read_optional(&path).unwrap().as_deref(), Some("two"));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}

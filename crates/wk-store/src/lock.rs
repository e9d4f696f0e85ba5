//! One process per data directory.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::OpenStore;

/// Holds the data directory. The operating system lets go of it when the process ends, however it
/// ends; the file stays.
#[derive(Debug)]
pub(crate) struct DirectoryLock(#[expect(dead_code, reason = "held, never read")] File);

impl DirectoryLock {
    /// Makes `dir` if needed, readable by its owner only, and takes it.
    pub(crate) fn take(dir: &Path) -> Result<DirectoryLock, OpenStore> {
        let failed = |source| OpenStore::Directory { path: dir.to_owned(), source };
        make_directory(dir).map_err(failed)?;
        let path = lock_file(dir);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(OpenStore::Locked { path: dir.to_owned(), pid: read_pid(&mut file) });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        write_pid(&mut file).map_err(failed)?;
        Ok(DirectoryLock(file))
    }
}

fn lock_file(dir: &Path) -> PathBuf {
    dir.join("watchkeeper.lock")
}

fn make_directory(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

fn read_pid(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.take(20).read_to_string(&mut text);
    match text.trim().parse::<u32>() {
        Ok(pid) if read.is_ok() => pid.to_string(),
        _ => "unknown".to_owned(),
    }
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.seek(SeekFrom::Start(0))?;
    file.set_len(0)?;
    writeln!(file, "{}", std::process::id())
}

#[cfg(test)]
mod tests {
    use wk_model::Timestamp;
    use wk_runtime::Metrics;

    use crate::{OpenStore, Role, Store};

    #[tokio::test]
    async fn a_second_one_is_told_who_the_first_is() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("deep/data");
        let first = Store::open(&data, &Metrics::new()).unwrap();
        let clone = first.clone();
        drop(first);
        let second = Store::open(&data, &Metrics::new()).unwrap_err();
        assert!(matches!(second, OpenStore::Locked { .. }), "{second}");
        let pid = std::process::id().to_string();
        assert!(second.to_string().contains(&format!("in use by process {pid};")), "{second}");
        // Who only reads may look on.
        Store::open_read_only(&data).unwrap().chains().await.unwrap();
        // Who has a word to write may do so, and the first one sees it.
        let beside = Store::open_beside(&data, &Metrics::new()).unwrap();
        let made = beside.create_token("x", Role::Viewer, None, Timestamp(1)).await;
        drop(beside);
        let (row, secret) = made.unwrap();
        let seen = clone.verify_token(secret.reveal(), Timestamp(2)).await.unwrap();
        assert_eq!(seen.map(|token| token.id), Some(row.id));
        drop(clone);
        // Nobody is there: that keeps nobody out who comes meanwhile.
        let beside = Store::open_beside(&data, &Metrics::new()).unwrap();
        Store::open(&data, &Metrics::new()).unwrap();
        drop(beside);
    }
}

//! Notices when files change, however they are replaced: written over, renamed into place by an
//! editor, or behind links that are turned, as Kubernetes does with mounted ConfigMaps.
//!
//! Looks instead of listening: a second's delay is nothing here, and events of the file system are
//! lost on networks, in containers and behind links.

use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::hash::{DefaultHasher, Hasher};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Time between two looks. A change counts when two looks saw the same.
const EVERY: Duration = Duration::from_millis(500);
/// A file that changed less than this ago may change again without that its times show it.
const UNSETTLED: Duration = Duration::from_secs(2);
/// More of one file is not looked at, in bytes; nothing that a config names may be longer.
const LONGEST: u64 = 64 << 20;

/// What is watched, and how it looked when it was read.
#[derive(Debug, Default)]
pub(crate) struct FileWatch {
    prints: BTreeMap<PathBuf, Print>,
}

/// How one file looks.
#[derive(Clone, Debug, Default)]
struct Print {
    /// Which file it is and when it changed; none while that tells nothing.
    place: Option<Place>,
    /// Of its content; none when there is no such file.
    digest: Option<u64>,
}

/// What the file system says of a file. The same means that nothing was written.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl FileWatch {
    /// Watches `files` from how they look now.
    pub(crate) fn new(files: Vec<PathBuf>) -> FileWatch {
        let mut watch = FileWatch::default();
        watch.watch(files);
        watch
    }

    /// Watches `files` and no others. One that was watched before has changed when it differs from
    /// how it looked then.
    pub(crate) fn watch(&mut self, files: impl IntoIterator<Item = PathBuf>) {
        let mut before = std::mem::take(&mut self.prints);
        let print = |path: PathBuf| {
            let print = before.remove(&path).unwrap_or_else(|| look(&path, None));
            (path, print)
        };
        self.prints = files.into_iter().map(print).collect();
    }

    /// What is watched.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        self.prints.keys().cloned().collect()
    }

    /// Waits until something has changed and has come to rest.
    pub(crate) async fn changed(&mut self) {
        let mut before: Option<BTreeMap<PathBuf, Print>> = None;
        loop {
            tokio::time::sleep(EVERY).await;
            let known = before.clone().unwrap_or_else(|| self.prints.clone());
            let look_all = move || -> BTreeMap<PathBuf, Print> {
                let looked = known.into_iter().map(|(path, print)| {
                    let print = look(&path, Some(&print));
                    (path, print)
                });
                looked.collect()
            };
            // A file system may hang; nothing else has to.
            let Ok(now) = tokio::task::spawn_blocking(look_all).await else { continue };
            if same(&now, &self.prints) {
                self.prints = now;
                before = None;
            } else if before.as_ref().is_some_and(|before| same(&now, before)) {
                self.prints = now;
                return;
            } else {
                before = Some(now);
            }
        }
    }
}

fn same(a: &BTreeMap<PathBuf, Print>, b: &BTreeMap<PathBuf, Print>) -> bool {
    a.values().map(|print| print.digest).eq(b.values().map(|print| print.digest))
}

/// How the file looks now; its content is read only when something was written since `before`.
fn look(path: &Path, before: Option<&Print>) -> Print {
    // Follows links: what counts is the file that would be read.
    let Ok(metadata) = std::fs::metadata(path) else { return Print::default() };
    let place = Place {
        device: metadata.dev(),
        inode: metadata.ino(),
        size: metadata.size(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
    };
    if let Some(before) = before
        && before.place.as_ref() == Some(&place)
    {
        return before.clone();
    }
    let digest = if metadata.is_dir() { names(path) } else { content(path) };
    Print { place: settled(&metadata).then_some(place), digest: digest.ok() }
}

fn settled(metadata: &Metadata) -> bool {
    let age = |time: SystemTime| SystemTime::now().duration_since(time).unwrap_or_default();
    metadata.modified().is_ok_and(|time| age(time) > UNSETTLED)
}

fn content(path: &Path) -> io::Result<u64> {
    let mut file = File::open(path)?.take(LONGEST);
    let mut hasher = DefaultHasher::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finish()),
            length => hasher.write(&buffer[..length]),
        }
    }
}

/// Of a folder, the names in it; hidden ones do not count.
fn names(path: &Path) -> io::Result<u64> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path)? {
        names.push(entry?.file_name());
    }
    names.retain(|name| !name.as_encoded_bytes().starts_with(b"."));
    names.sort_unstable();
    let mut hasher = DefaultHasher::new();
    for name in names {
        hasher.write(name.as_encoded_bytes());
        hasher.write_u8(0);
    }
    Ok(hasher.finish())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    type Step = fn(&Path);

    /// Whether `step` counts as a change of `files`, which `before` made.
    async fn check(what: &str, files: &[&str], before: Step, step: Step, expected: bool) {
        let folder = tempfile::tempdir().unwrap();
        before(folder.path());
        let files = files.iter().map(|file| folder.path().join(file)).collect();
        let mut watch = FileWatch::new(files);
        step(folder.path());
        let patience = Duration::from_secs(if expected { 20 } else { 2 });
        let changed = tokio::time::timeout(patience, watch.changed()).await.is_ok();
        assert_eq!(changed, expected, "{what}");
        // A change counts once.
        let again = tokio::time::timeout(Duration::from_millis(1_200), watch.changed()).await;
        assert!(again.is_err(), "{what}: again");
    }

    fn write(folder: &Path, name: &str, text: &str) {
        fs::write(folder.join(name), text).unwrap();
    }

    /// What Kubernetes does: files are links into `..data`, which is a link to a dated folder.
    fn mounted(folder: &Path, dated: &str, text: &str) {
        fs::create_dir(folder.join(dated)).unwrap();
        write(&folder.join(dated), "a.yaml", text);
        symlink(dated, folder.join("..new")).unwrap();
        fs::rename(folder.join("..new"), folder.join("..data")).unwrap();
    }

    #[tokio::test]
    async fn a_change_is_seen_however_it_is_made() {
        let a: Step = |folder| write(folder, "a.yaml", "one");
        let map: Step = |folder| {
            mounted(folder, "..2026_01", "one");
            symlink("..data/a.yaml", folder.join("a.yaml")).unwrap();
        };
        tokio::join!(
            check("nothing", &["a.yaml"], a, |_| {}, false),
            check("another file", &["a.yaml"], a, |f| write(f, "b.yaml", "x"), false),
            check("written over", &["a.yaml"], a, |f| write(f, "a.yaml", "two"), true),
            check("touched", &["a.yaml"], a, |f| write(f, "a.yaml", "one"), false),
            check("gone", &["a.yaml"], a, |f| fs::remove_file(f.join("a.yaml")).unwrap(), true),
            check("come", &["b.yaml"], a, |f| write(f, "b.yaml", "x"), true),
            check(
                "renamed into place",
                &["a.yaml"],
                a,
                |f| {
                    fs::rename(f.join("a.yaml"), f.join("a.yaml~")).unwrap();
                    write(f, ".a.swp", "two");
                    fs::rename(f.join(".a.swp"), f.join("a.yaml")).unwrap();
                },
                true
            ),
            check(
                "a file of the same size and time",
                &["a.yaml"],
                a,
                |f| {
                    let time = fs::metadata(f.join("a.yaml")).unwrap().modified().unwrap();
                    write(f, "a.yaml", "owt");
                    File::options()
                        .write(true)
                        .open(f.join("a.yaml"))
                        .unwrap()
                        .set_modified(time)
                        .unwrap();
                },
                true
            ),
            check(
                "a ConfigMap that is updated",
                &["a.yaml"],
                map,
                |f| mounted(f, "..2026_02", "two"),
                true
            ),
            check(
                "a ConfigMap that is written anew",
                &[".", "a.yaml"],
                map,
                |f| mounted(f, "..2026_02", "one"),
                false
            ),
            check("a file in a folder", &[""], a, |f| write(f, "b.yaml", "x"), true),
            check("a hidden file in a folder", &[""], a, |f| write(f, ".b.swp", "x"), false),
        );
    }
}

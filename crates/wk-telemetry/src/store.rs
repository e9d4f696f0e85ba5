//! The store: takes batches, keeps them durable, moves them into files.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use wk_model::series::{Labels, Metadata};
use wk_model::write::{SampleSink, WriteBatch, WriteError, Written};

use crate::block::{Block, BlockWriter};
use crate::buffer::Buffer;
use crate::damage::Damage;
use crate::head::Head;
use crate::manifest::{Change, Manifest};
use crate::record::{Record, read};
use crate::settings::{Settings, millis};
use crate::wal::{self, Wal, WriteWal};

/// Damage that is remembered; there is more to read on disk then.
const MOST_DAMAGE: usize = 100;
/// An index stays in memory so many milliseconds after it was used, at least.
const REST_EVERY: i64 = 600_000;
/// Bytes that a sample in memory takes.
const SAMPLE_BYTES: u64 = 16;

/// The embedded store. It has no threads of its own: whoever owns it calls
/// [`maintain`](Store::maintain) every few seconds.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    pub(crate) settings: Settings,
    pub(crate) live: Mutex<Live>,
    wal: Wal,
    manifest: Mutex<Manifest>,
    pub(crate) damage: Mutex<Vec<Damage>>,
    /// Whose turn it is to change the set of files.
    files_turn: Mutex<()>,
    /// Held while the program runs: two of them would write over each other.
    _lock: File,
}

/// What readers see at one moment.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) head: Head,
    pub(crate) blocks: Vec<Arc<Block>>,
    frozen: Option<Frozen>,
    record: Record,
    segment: u64,
    /// The last record that was handed to the log.
    last_record: Option<u64>,
    /// This machine's clock, as the last call of `maintain` told it.
    now: i64,
    /// When indexes were let go of last.
    rested: i64,
}

/// What is on its way into a file, and the segment from which on the log is still needed then.
#[derive(Clone, Debug)]
struct Frozen {
    series: Arc<Vec<(Labels, Arc<Buffer>)>>,
    floor: u64,
}

/// The store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its folder or one of its files cannot be used.
    #[error("the telemetry store in `{}` cannot be used: see that the folder can be written to", path.display())]
    Io {
        /// The folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Another process has it open.
    #[error("the telemetry store in `{}` is used by another process: stop that, or use another `server.data_dir`", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The list of its files cannot be read.
    #[error("the list of files in `{}` cannot be read", path.display())]
    Manifest {
        /// The database file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
}

/// Work on the files failed. Nothing is lost: the samples stay in memory and in the log.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// A file could not be written or removed.
    #[error("files of the telemetry store cannot be changed: see that the disk has space")]
    Io(#[from] io::Error),
    /// The list of files could not be changed.
    #[error("the telemetry store's list of files cannot be changed")]
    Manifest(#[from] rusqlite::Error),
    /// A file that is to be merged is damaged.
    #[error("a file of the telemetry store is damaged: {0}")]
    Damage(Damage),
}

impl Store {
    /// Opens the store in `dir`, or makes it. `now_ms` is this machine's clock. What was found broken
    /// is in [`damage`](Store::damage).
    pub fn open(dir: &Path, settings: Settings, now_ms: i64) -> Result<Store, OpenError> {
        let io = |source| OpenError::Io { path: dir.to_owned(), source };
        let (logs, files) = (dir.join("wal"), dir.join("blocks"));
        fs::create_dir_all(&logs).and_then(|()| fs::create_dir_all(&files)).map_err(io)?;
        let lock = File::create(dir.join("lock")).map_err(io)?;
        lock.try_lock().map_err(|_| OpenError::InUse { path: dir.to_owned() })?;

        let path = dir.join("manifest.db");
        let manifest = Manifest::open(&path).and_then(|manifest| Ok((manifest.known()?, manifest)));
        let (known, manifest) = manifest.map_err(|source| OpenError::Manifest { path, source })?;
        let mut damage = Vec::new();
        let mut blocks = Vec::new();
        for info in known.blocks {
            match Block::open(&block_path(dir, info.id), info) {
                Ok(block) => blocks.push(Arc::new(block)),
                Err(found) => damage.push(found),
            }
        }
        let listed = |path: &Path| blocks.iter().any(|block| block.path == path);
        for entry in fs::read_dir(&files).map_err(io)? {
            let path = entry.map_err(io)?.path();
            // Written, but not in the list when the program ended.
            if !listed(&path) && damage.iter().all(|found| found.path != path) {
                fs::remove_file(&path).map_err(io)?;
            }
        }

        let mut head = Head::new(known.metadata);
        let mut numbers = HashMap::new();
        let mut within = None;
        let replay = wal::replay(&logs, known.wal_floor, |segment, payload| {
            if within.replace(segment) != Some(segment) {
                numbers.clear();
            }
            let mut wrong = None;
            read(payload, |item| {
                if let Err(why) = head.replay(item, &mut numbers, &settings, now_ms) {
                    wrong.get_or_insert(why);
                }
            })?;
            wrong.map_or(Ok(()), Err)
        })
        .map_err(io)?;
        damage.extend(replay.damage);
        let mut segment = replay.last_segment + 1;
        match replay.torn {
            // Never acknowledged: cut off, so that it is no damage in the middle later on.
            Some((path, 0)) => {
                fs::remove_file(path).map_err(io)?;
                segment -= 1;
            }
            Some((path, end)) => {
                let file = File::options().write(true).open(path).map_err(io)?;
                file.set_len(end).and_then(|()| file.sync_all()).map_err(io)?;
            }
            None => {}
        }
        let wal = Wal::create(&logs, segment, replay.next).map_err(io)?;
        let live = Live {
            head,
            blocks,
            frozen: None,
            record: Record::default(),
            segment,
            last_record: None,
            now: now_ms,
            rested: now_ms,
        };
        Ok(Store {
            dir: dir.to_owned(),
            settings,
            live: Mutex::new(live),
            wal,
            manifest: Mutex::new(manifest),
            damage: Mutex::new(damage),
            files_turn: Mutex::new(()),
            _lock: lock,
        })
    }

    /// What was found broken since the start, for people. Everything else is answered.
    pub fn damage(&self) -> Vec<Damage> {
        self.damage.lock().clone()
    }

    pub(crate) fn damaged(&self, found: Damage) {
        let mut damage = self.damage.lock();
        if damage.len() < MOST_DAMAGE && !damage.contains(&found) {
            damage.push(found);
        }
    }

    /// What is known of metrics, by name.
    pub fn metadata(&self) -> HashMap<String, Metadata> {
        self.live.lock().head.metadata.clone()
    }

    /// Looks after the files: moves samples into them when it is time, and forgets what is too old.
    /// `now_ms` is this machine's clock.
    pub fn maintain(&self, now_ms: i64) -> Result<(), FilesError> {
        let due = {
            let mut live = self.live.lock();
            live.now = now_ms;
            let head = &live.head;
            let age = head.since.map_or(0, |since| now_ms.saturating_sub(since));
            live.frozen.is_some()
                || self.wal.is_broken()
                || age >= millis(self.settings.flush_every)
                || head.samples as u64 * SAMPLE_BYTES >= self.settings.memory_bytes
        };
        if due {
            self.flush()?;
        }
        self.rest(now_ms);
        self.forget(now_ms)
    }

    /// Lets go of indexes that nobody asked for since the last time.
    fn rest(&self, now_ms: i64) {
        let mut live = self.live.lock();
        if now_ms.saturating_sub(live.rested) >= REST_EVERY {
            live.rested = now_ms;
            live.blocks.iter().for_each(|block| block.rest());
        }
    }

    /// Moves all samples in memory into files.
    pub fn flush(&self) -> Result<(), FilesError> {
        let _turn = self.files_turn.lock();
        if self.flush_frozen()? {
            return Ok(());
        }
        self.flush_frozen().map(drop)
    }

    /// Moves into a file what an earlier attempt left frozen, or else all there is; true for the
    /// latter.
    fn flush_frozen(&self) -> Result<bool, FilesError> {
        let (frozen, metadata, fresh) = {
            let mut live = self.live.lock();
            let fresh = live.frozen.is_none();
            if fresh {
                // First the log, then the samples: what comes in next belongs to the new segment.
                let floor = self.wal.rotate()?;
                live.segment = floor;
                let series = Arc::new(live.head.freeze());
                live.frozen = Some(Frozen { series, floor });
            }
            (live.frozen.clone(), live.head.metadata.clone(), fresh)
        };
        let Some(Frozen { series, floor }) = frozen else { return Ok(fresh) };
        let block = if series.is_empty() { None } else { Some(self.write_block(&series)?) };
        let added = block.as_ref().map(|block| &block.info);
        let change = Change {
            added,
            wal_floor: Some(floor),
            metadata: Some(&metadata),
            ..Change::default()
        };
        self.manifest.lock().apply(&change)?;
        {
            let mut live = self.live.lock();
            live.blocks.extend(block.map(Arc::new));
            live.frozen = None;
            live.head.thaw();
        }
        // What an earlier attempt froze is older than a fault of the log: what that fault left in
        // memory alone is not in this block, but in the next.
        if fresh {
            self.wal.mend();
        }
        wal::remove_below(&self.dir.join("wal"), floor)?;
        Ok(fresh)
    }

    fn write_block(&self, series: &[(Labels, Arc<Buffer>)]) -> Result<Block, FilesError> {
        let id = self.manifest.lock().next_block()?;
        let path = block_path(&self.dir, id);
        let written = (|| {
            let mut writer = BlockWriter::create(&path)?;
            for (labels, buffer) in series {
                let Buffer { times, values, histograms, exemplars } = &**buffer;
                writer.series(labels, (times, values), histograms, exemplars)?;
            }
            let info = writer.finish(id, 0)?;
            wal::sync_directory(&self.dir.join("blocks"))?;
            Ok::<_, io::Error>(info)
        })();
        match written {
            Ok(info) => Block::open(&path, info).map_err(FilesError::Damage),
            Err(error) => {
                let _ = fs::remove_file(&path);
                Err(error.into())
            }
        }
    }

    /// Removes the files whose newest sample is older than the retention.
    fn forget(&self, now_ms: i64) -> Result<(), FilesError> {
        let _turn = self.files_turn.lock();
        let oldest = now_ms.saturating_sub(millis(self.settings.retention));
        let old: Vec<Arc<Block>> = {
            let live = self.live.lock();
            live.blocks.iter().filter(|block| block.info.last < oldest).cloned().collect()
        };
        if old.is_empty() {
            return Ok(());
        }
        let removed: Vec<u64> = old.iter().map(|block| block.info.id).collect();
        self.manifest.lock().apply(&Change { removed: &removed, ..Change::default() })?;
        self.live.lock().blocks.retain(|block| !removed.contains(&block.info.id));
        for block in old {
            fs::remove_file(&block.path)?;
        }
        Ok(())
    }
}

impl SampleSink for Store {
    fn write(&self, batch: &WriteBatch) -> Result<Written, WriteError> {
        let refused = |error: WriteWal| {
            let text = with_source(&error);
            match error {
                WriteWal::TooLarge { .. } => WriteError::Never(text),
                WriteWal::Refused { .. } | WriteWal::Broken { .. } => WriteError::Later(text),
            }
        };
        let (number, written) = {
            let live = &mut *self.live.lock();
            live.record.clear();
            let (segment, now) = (live.segment, live.now);
            let written = live.head.take(batch, &self.settings, segment, now, &mut live.record);
            if !live.record.is_empty() {
                match self.wal.append(|out| out.extend_from_slice(&live.record.bytes)) {
                    Ok(number) => live.last_record = Some(number),
                    Err(error) => {
                        live.head.undo();
                        return Err(refused(error));
                    }
                }
            }
            (live.last_record, written)
        };
        // Also where all was there already: it may not have been durable yet.
        if let Some(number) = number {
            self.wal.commit(number).map_err(refused)?;
        }
        Ok(written)
    }
}

fn block_path(dir: &Path, id: u64) -> PathBuf {
    dir.join("blocks").join(format!("{id:012}.blk"))
}

fn with_source(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

//! The write-ahead log: what was acknowledged is on disk before it is in any file.
//!
//! A segment is a header and records. Each record carries its length, a number one above that of the
//! record before it, and a checksum over all of it. The numbers tell a torn tail, after which nothing
//! follows, from damage in the middle, after which later numbers follow.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

use crate::damage::Damage;

const MAGIC: &[u8; 8] = b"wk-wal-1";
/// Magic, segment number, number of its first record, checksum of these.
const SEGMENT_HEADER: usize = 8 + 8 + 8 + 4;
/// Length of the payload, checksum, record number.
const RECORD_HEADER: usize = 4 + 4 + 8;
/// A longer record is refused when written and taken for damage when read.
pub const MAX_RECORD: usize = 64 << 20;

/// Why a record could not be made durable.
#[derive(Debug, thiserror::Error)]
pub enum WriteWal {
    /// Nothing was written; the same call may succeed once the cause is gone.
    #[error("cannot write to `{}`; nothing of this batch was kept: free some space or make the folder writable", path.display())]
    Refused {
        /// The segment.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// An earlier write failed so that the log's end is unknown. A flush starts a new one.
    #[error(
        "the write-ahead log is out of use since an earlier fault ({why}); it is used again after a flush succeeds"
    )]
    Broken {
        /// The earlier fault.
        why: String,
    },
    /// The batch is too large for one record.
    #[error(
        "a batch of {bytes} bytes is more than the {MAX_RECORD} that fit one record; send smaller batches"
    )]
    TooLarge {
        /// Its encoded size.
        bytes: usize,
    },
}

/// The log that is being written. One process writes it: whoever opens the folder sees to that.
#[derive(Debug)]
pub struct Wal {
    dir: PathBuf,
    tail: Mutex<Tail>,
    synced: Mutex<Synced>,
    turn: Condvar,
}

#[derive(Debug)]
struct Tail {
    file: Arc<File>,
    path: PathBuf,
    number: u64,
    bytes: u64,
    next: u64,
    buffer: Vec<u8>,
    broken: Option<String>,
}

#[derive(Debug, Default)]
struct Synced {
    /// Records with lower numbers are on disk.
    below: u64,
    busy: bool,
}

impl Wal {
    /// Starts segment `number`, whose first record will be `next`.
    pub fn create(dir: &Path, number: u64, next: u64) -> io::Result<Wal> {
        let (file, path) = create_segment(dir, number, next)?;
        let tail = Tail {
            file: Arc::new(file),
            path,
            number,
            bytes: SEGMENT_HEADER as u64,
            next,
            buffer: Vec::new(),
            broken: None,
        };
        Ok(Wal {
            dir: dir.to_owned(),
            tail: Mutex::new(tail),
            synced: Mutex::new(Synced { below: next, busy: false }),
            turn: Condvar::new(),
        })
    }

    /// Hands the payload that `encode` writes to the operating system, and tells the record's number.
    /// It is durable once `commit` has returned for that number.
    pub fn append(&self, encode: impl FnOnce(&mut Vec<u8>)) -> Result<u64, WriteWal> {
        let mut tail = self.tail.lock();
        if let Some(why) = &tail.broken {
            return Err(WriteWal::Broken { why: why.clone() });
        }
        let number = tail.next;
        let mut buffer = std::mem::take(&mut tail.buffer);
        buffer.clear();
        buffer.resize(RECORD_HEADER, 0);
        encode(&mut buffer);
        let written = tail.write(&mut buffer, number);
        tail.buffer = buffer;
        written.map(|()| number)
    }

    /// Waits until the record `number` is on disk. Callers that wait together share one `fdatasync`.
    pub fn commit(&self, number: u64) -> Result<(), WriteWal> {
        let mut synced = self.synced.lock();
        loop {
            if number < synced.below {
                return Ok(());
            }
            if let Some(why) = self.tail.lock().broken.clone() {
                return Err(WriteWal::Broken { why });
            }
            if synced.busy {
                self.turn.wait(&mut synced);
                continue;
            }
            synced.busy = true;
            drop(synced);
            let (file, target) = {
                let tail = self.tail.lock();
                (tail.file.clone(), tail.next)
            };
            let outcome = file.sync_data();
            synced = self.synced.lock();
            synced.busy = false;
            match outcome {
                Ok(()) => synced.below = synced.below.max(target),
                // What the kernel holds of the file is not known after this: no second try.
                Err(error) => self.tail.lock().broken = Some(error.to_string()),
            }
            self.turn.notify_all();
        }
    }

    /// Starts a new segment and tells its number. What was written before is on disk then, or the log
    /// was broken; a broken log is whole again.
    pub fn rotate(&self) -> io::Result<u64> {
        let mut synced = self.synced.lock();
        while synced.busy {
            self.turn.wait(&mut synced);
        }
        let mut tail = self.tail.lock();
        if tail.broken.is_none() {
            tail.file.sync_data()?;
            synced.below = tail.next;
        }
        let number = tail.number + 1;
        let (file, path) = create_segment(&self.dir, number, tail.next)?;
        tail.file = Arc::new(file);
        tail.path = path;
        tail.number = number;
        tail.bytes = SEGMENT_HEADER as u64;
        Ok(number)
    }

    /// Takes the log into use again: all that it could not hold is in files now.
    pub fn mend(&self) {
        let mut synced = self.synced.lock();
        let mut tail = self.tail.lock();
        if tail.broken.take().is_some() {
            synced.below = tail.next;
        }
        drop(tail);
        self.turn.notify_all();
    }

    /// Bytes in the segment that is being written.
    pub fn bytes(&self) -> u64 {
        self.tail.lock().bytes
    }

    /// Whether writes are refused until a flush.
    pub fn is_broken(&self) -> bool {
        self.tail.lock().broken.is_some()
    }
}

impl Tail {
    fn write(&mut self, buffer: &mut [u8], number: u64) -> Result<(), WriteWal> {
        let length = buffer.len() - RECORD_HEADER;
        let Some(length) = u32::try_from(length).ok().filter(|_| length <= MAX_RECORD) else {
            return Err(WriteWal::TooLarge { bytes: length });
        };
        buffer[..4].copy_from_slice(&length.to_le_bytes());
        buffer[8..16].copy_from_slice(&number.to_le_bytes());
        let sum = checksum(buffer);
        buffer[4..8].copy_from_slice(&sum.to_le_bytes());
        if let Err(source) = (&*self.file).write_all(buffer) {
            // A part of the record may be there: the next one must not follow it.
            if let Err(error) = self.file.set_len(self.bytes) {
                self.broken = Some(format!("{source}; then {error}"));
            }
            return Err(WriteWal::Refused { path: self.path.clone(), source });
        }
        self.bytes += buffer.len() as u64;
        self.next += 1;
        Ok(())
    }
}

/// Covers all of a record but the checksum itself.
fn checksum(record: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&record[..4]);
    hasher.update(&record[8..]);
    hasher.finalize()
}

fn create_segment(dir: &Path, number: u64, first: u64) -> io::Result<(File, PathBuf)> {
    let path = segment_path(dir, number);
    let mut header = Vec::with_capacity(SEGMENT_HEADER);
    header.extend_from_slice(MAGIC);
    header.extend_from_slice(&number.to_le_bytes());
    header.extend_from_slice(&first.to_le_bytes());
    header.extend_from_slice(&crc32fast::hash(&header).to_le_bytes());
    // Append mode: after a refused write the file is cut, and the next record goes to its new end.
    // A file of this name can only be a start that failed: the number is one above all others.
    let _ = fs::remove_file(&path);
    let mut file = OpenOptions::new().append(true).create_new(true).open(&path)?;
    file.write_all(&header)?;
    file.sync_data()?;
    sync_directory(dir)?;
    Ok((file, path))
}

/// Makes names that were added to `dir`, or taken from it, durable.
pub fn sync_directory(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

fn segment_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:012}.wal"))
}

/// The segments in `dir` by number.
pub fn segments(dir: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let number = path
            .file_name()
            .and_then(|name| name.to_str())
            .and_then(|name| name.strip_suffix(".wal"))
            .and_then(|number| number.parse().ok());
        if let Some(number) = number {
            segments.push((number, path));
        }
    }
    segments.sort_unstable();
    Ok(segments)
}

/// Deletes the segments that files have made unneeded.
pub fn remove_below(dir: &Path, floor: u64) -> io::Result<()> {
    for (_, path) in segments(dir)?.into_iter().filter(|(number, _)| *number < floor) {
        fs::remove_file(path)?;
    }
    Ok(())
}

/// What reading the log found.
#[derive(Debug, Default)]
pub struct Replay {
    /// The highest segment number, and the number that the next record gets.
    pub last_segment: u64,
    pub next: u64,
    pub records: u64,
    /// Where the newest segment's whole records end, if something that was never acknowledged follows.
    pub torn: Option<(PathBuf, u64)>,
    pub damage: Vec<Damage>,
}

/// Reads the segments from `floor` on and hands each whole record to `each`, with its segment's number.
/// Damaged places are left out and told. An error of `each` tells that a record makes no sense.
pub fn replay(
    dir: &Path,
    floor: u64,
    mut each: impl FnMut(u64, &[u8]) -> Result<(), String>,
) -> io::Result<Replay> {
    let all = segments(dir)?;
    let mut replay = Replay { last_segment: floor, ..Replay::default() };
    if let Some((number, _)) = all.last() {
        replay.last_segment = floor.max(*number);
    }
    let mut expected = floor;
    let needed: Vec<_> = all.into_iter().filter(|(number, _)| *number >= floor).collect();
    for (index, (number, path)) in needed.iter().enumerate() {
        if *number > expected && expected > 0 {
            replay.damage.push(Damage {
                path: segment_path(dir, expected),
                offset: 0,
                bytes: 0,
                what: format!("{} write-ahead segment(s) are missing", number - expected),
            });
        }
        expected = number + 1;
        let newest = index + 1 == needed.len();
        read_segment(*number, path, newest, &mut replay, &mut each)?;
    }
    if needed.is_empty() && floor > 0 {
        replay.damage.push(Damage {
            path: segment_path(dir, floor),
            offset: 0,
            bytes: 0,
            what: "the newest write-ahead segment is missing".to_owned(),
        });
    }
    Ok(replay)
}

fn read_segment(
    segment: u64,
    path: &Path,
    newest: bool,
    replay: &mut Replay,
    each: &mut impl FnMut(u64, &[u8]) -> Result<(), String>,
) -> io::Result<()> {
    let bytes = fs::read(path)?;
    let mut at = match segment_header(&bytes, segment) {
        Some(first) => {
            if replay.next != 0 && first > replay.next {
                replay.damage.push(Damage {
                    path: path.to_owned(),
                    offset: 0,
                    bytes: 0,
                    what: format!("{} record(s) before this segment are gone", first - replay.next),
                });
            }
            replay.next = replay.next.max(first);
            SEGMENT_HEADER
        }
        None => match next_record(&bytes, 0, replay.next) {
            None if newest => {
                // The start of a segment that the program did not live to use.
                replay.torn = Some((path.to_owned(), 0));
                return Ok(());
            }
            found => {
                let end = found.unwrap_or(bytes.len());
                replay.damage.push(damaged(path, 0, end, "the segment's header is damaged"));
                end
            }
        },
    };
    while at < bytes.len() {
        if let Some((number, payload)) = record(&bytes[at..])
            && number >= replay.next
        {
            if number > replay.next && replay.next != 0 && replay.records > 0 {
                let gap = number - replay.next;
                replay.damage.push(damaged(path, at, at, &format!("{gap} record(s) are missing")));
            }
            replay.next = number + 1;
            replay.records += 1;
            if let Err(what) = each(segment, payload) {
                let end = at + RECORD_HEADER + payload.len();
                replay.damage.push(damaged(path, at, end, &what));
            }
            at += RECORD_HEADER + payload.len();
            continue;
        }
        match next_record(&bytes, at + 1, replay.next) {
            Some(found) => {
                let lost = record(&bytes[found..]).map_or(0, |(number, _)| number - replay.next);
                replay.damage.push(damaged(
                    path,
                    at,
                    found,
                    &format!("{lost} record(s) are damaged"),
                ));
                if let Some((number, _)) = record(&bytes[found..]) {
                    replay.next = number;
                }
                at = found;
            }
            None if newest => {
                replay.torn = Some((path.to_owned(), at as u64));
                return Ok(());
            }
            None => {
                let what = "the rest of a segment that was complete is damaged";
                replay.damage.push(damaged(path, at, bytes.len(), what));
                return Ok(());
            }
        }
    }
    Ok(())
}

fn damaged(path: &Path, from: usize, to: usize, what: &str) -> Damage {
    Damage {
        path: path.to_owned(),
        offset: from as u64,
        bytes: (to - from) as u64,
        what: what.to_owned(),
    }
}

fn segment_header(bytes: &[u8], segment: u64) -> Option<u64> {
    let header = bytes.get(..SEGMENT_HEADER)?;
    let (covered, sum) = header.split_at(SEGMENT_HEADER - 4);
    let whole = header.starts_with(MAGIC)
        && read_u32(sum) == Some(crc32fast::hash(covered))
        && read_u64(&header[8..]) == Some(segment);
    whole.then(|| read_u64(&header[16..])).flatten()
}

/// The record at the start of `bytes`, if it is whole: its number and payload.
fn record(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let length = read_u32(bytes)? as usize;
    if length > MAX_RECORD {
        return None;
    }
    let whole = bytes.get(..RECORD_HEADER + length)?;
    let sum = read_u32(&bytes[4..])?;
    let number = read_u64(&bytes[8..])?;
    (checksum(whole) == sum).then(|| (number, &whole[RECORD_HEADER..]))
}

/// Where the next whole record starts whose number can follow. The number is looked at first, since it
/// is cheap and right by chance about never.
fn next_record(bytes: &[u8], from: usize, next: u64) -> Option<usize> {
    let most = next.saturating_add((bytes.len() / RECORD_HEADER) as u64 + 1);
    (from..bytes.len().saturating_sub(RECORD_HEADER - 1)).find(|&at| {
        read_u64(&bytes[at + 8..]).is_some_and(|number| (next..=most).contains(&number))
            && record(&bytes[at..]).is_some()
    })
}

fn read_u32(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?))
}

fn read_u64(bytes: &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(..8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(dir: &Path, records: u64) -> PathBuf {
        let wal = Wal::create(dir, 1, 1).unwrap();
        for n in 0..records {
            let number = wal.append(|out| out.extend_from_slice(format!("record {n}").as_bytes()));
            wal.commit(number.unwrap()).unwrap();
        }
        segment_path(dir, 1)
    }

    fn read(dir: &Path) -> (Vec<String>, Replay) {
        let mut texts = Vec::new();
        let replay = replay(dir, 1, |_, payload| {
            texts.push(String::from_utf8_lossy(payload).into_owned());
            Ok(())
        });
        (texts, replay.unwrap())
    }

    #[test]
    fn gives_back_what_was_committed() {
        let dir = tempfile::tempdir().unwrap();
        written(dir.path(), 3);
        let (texts, replay) = read(dir.path());
        assert_eq!(texts, ["record 0", "record 1", "record 2"]);
        assert_eq!((replay.next, replay.records), (4, 3));
        assert!(replay.torn.is_none() && replay.damage.is_empty());
    }

    #[test]
    fn a_cut_anywhere_in_the_tail_loses_the_cut_record_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = written(dir.path(), 3);
        let bytes = fs::read(&path).unwrap();
        let one = RECORD_HEADER + "record 0".len();
        for cut in 1..one {
            fs::write(&path, &bytes[..bytes.len() - cut]).unwrap();
            let (texts, replay) = read(dir.path());
            assert_eq!(texts, ["record 0", "record 1"], "cut {cut}");
            assert_eq!(replay.torn, Some((path.clone(), (bytes.len() - one) as u64)), "cut {cut}");
            assert!(replay.damage.is_empty(), "cut {cut}");
        }
    }

    #[test]
    fn any_flipped_byte_in_the_middle_is_told_and_the_rest_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = written(dir.path(), 3);
        let bytes = fs::read(&path).unwrap();
        let one = RECORD_HEADER + "record 0".len();
        for at in SEGMENT_HEADER + one..SEGMENT_HEADER + 2 * one {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x41;
            fs::write(&path, damaged).unwrap();
            let (texts, replay) = read(dir.path());
            assert_eq!(texts, ["record 0", "record 2"], "byte {at}");
            assert_eq!(replay.damage.len(), 1, "byte {at}: {:?}", replay.damage);
            assert_eq!(replay.next, 4);
        }
    }

    #[test]
    fn a_damaged_header_is_told_and_the_records_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = written(dir.path(), 3);
        let mut bytes = fs::read(&path).unwrap();
        bytes[3] ^= 1;
        fs::write(&path, bytes).unwrap();
        let (texts, replay) = read(dir.path());
        assert_eq!(texts.len(), 3);
        assert_eq!(replay.damage.len(), 1);
    }

    #[test]
    fn a_missing_segment_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let wal = Wal::create(dir.path(), 1, 1).unwrap();
        for _ in 0..3 {
            wal.append(|out| out.push(7)).unwrap();
            wal.rotate().unwrap();
        }
        fs::remove_file(segment_path(dir.path(), 2)).unwrap();
        let (texts, replay) = read(dir.path());
        assert_eq!(texts.len(), 2);
        assert!(!replay.damage.is_empty());
        fs::remove_file(segment_path(dir.path(), 1)).unwrap();
        fs::remove_file(segment_path(dir.path(), 3)).unwrap();
        fs::remove_file(segment_path(dir.path(), 4)).unwrap();
        let (texts, replay) = read(dir.path());
        assert_eq!((texts.len(), replay.damage.len()), (0, 1));
    }

    #[test]
    fn a_segment_without_a_whole_header_is_a_torn_start() {
        let dir = tempfile::tempdir().unwrap();
        written(dir.path(), 2);
        fs::write(segment_path(dir.path(), 2), b"wk-w").unwrap();
        let (texts, replay) = read(dir.path());
        assert_eq!(texts.len(), 2);
        assert_eq!(replay.torn, Some((segment_path(dir.path(), 2), 0)));
        assert!(replay.damage.is_empty());
    }

    #[test]
    fn writers_that_wait_together_are_all_durable() {
        let dir = tempfile::tempdir().unwrap();
        let wal = Wal::create(dir.path(), 1, 1).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let number = wal.append(|out| out.extend_from_slice(&[1; 100])).unwrap();
                        wal.commit(number).unwrap();
                    }
                });
            }
        });
        let (texts, replay) = read(dir.path());
        assert_eq!(texts.len(), 400);
        assert!(replay.torn.is_none() && replay.damage.is_empty());
    }
}

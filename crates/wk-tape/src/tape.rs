//! The tape's form: what a real node said about a chain, in the order in which it happened.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};

use flate2::read::GzDecoder;
use flate2::{Compression, GzBuilder};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The first line's `format`. A reader refuses other forms.
const FORMAT: &str = "watchkeeper-tape/1";

/// Longest line that is read; a block of the demo is a few kilobytes.
const LONGEST_LINE: u64 = 4 << 20;

/// Most bytes that are read from one tape after unpacking.
const LARGEST_TAPE: u64 = 256 << 20;

/// A recorded chain.
#[derive(Clone, Debug, PartialEq)]
pub struct Tape {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// What the recorded node called itself.
    pub client: String,
    /// Names and addresses (`0x…`, lower case) of the contracts that play a part.
    pub contracts: BTreeMap<String, String>,
    /// How many entries, from the first, are history: there before anyone looks.
    pub history: usize,
    /// What happened, oldest first. The first is the genesis block.
    pub entries: Vec<Entry>,
}

/// One thing that happened to the chain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Entry {
    /// A block on top of the chain.
    Block(Recorded),
    /// The newest `drop` blocks are replaced by `blocks`, at once.
    Reorg {
        /// How many blocks go.
        drop: usize,
        /// What stands in their place, lowest first.
        blocks: Vec<Recorded>,
    },
}

/// A block as the recorded node served it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    /// `eth_getBlockByNumber(…, true)`.
    pub block: Value,
    /// `eth_getBlockReceipts`.
    #[serde(default)]
    pub receipts: Vec<Value>,
    /// Answers about the state after this block that differ from those after its parent, by
    /// [`state_key`].
    #[serde(default)]
    pub state: BTreeMap<String, Value>,
}

#[derive(Serialize, Deserialize)]
struct Header {
    format: String,
    chain_id: u64,
    client: String,
    contracts: BTreeMap<String, String>,
    history: usize,
}

/// Names one question about the state: `call ADDRESS DATA`, or for one sender only `call ADDRESS
/// DATA SENDER`; `storage ADDRESS SLOT`, `code ADDRESS`, `balance ADDRESS`, `nonce ADDRESS`. Hex in
/// lower case. The answer to a call that fails is `{"error": {"code", "message", "data"}}`.
pub fn state_key(question: &str, address: &str, detail: &str) -> String {
    format!("{question} {address} {detail}").trim_end().to_ascii_lowercase()
}

/// Why a tape cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadTape {
    /// The file cannot be read or unpacked.
    #[error("cannot read the tape")]
    Io(#[from] io::Error),
    /// A line is no JSON of the expected shape.
    #[error("line {line} of the tape is not what it should be")]
    Line {
        /// Which line, from 1.
        line: usize,
        /// Why.
        source: serde_json::Error,
    },
    /// It is in a form that this program does not know.
    #[error("the tape has the form `{0}`; this program reads `{FORMAT}`")]
    Format(String),
    /// It is larger than any tape should be.
    #[error("the tape is larger than {LARGEST_TAPE} bytes or has a line above {LONGEST_LINE}")]
    TooLarge,
    /// It holds no genesis block.
    #[error("the tape begins without a block")]
    Empty,
}

/// Why a tape cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the tape")]
pub struct WriteTape(#[from] io::Error);

impl Tape {
    /// Reads a tape: gzip, JSON lines, the first a header.
    pub fn read(packed: impl Read) -> Result<Tape, ReadTape> {
        let mut lines = Lines {
            reader: BufReader::new(GzDecoder::new(packed).take(LARGEST_TAPE)),
            line: 0,
            text: Vec::new(),
        };
        let Header { format, chain_id, client, contracts, history } =
            lines.next()?.ok_or(ReadTape::Empty)?;
        if format != FORMAT {
            return Err(ReadTape::Format(format));
        }
        let mut entries = Vec::new();
        while let Some(entry) = lines.next()? {
            entries.push(entry);
        }
        match entries.first() {
            Some(Entry::Block(_)) => Ok(Tape { chain_id, client, contracts, history, entries }),
            Some(Entry::Reorg { .. }) | None => Err(ReadTape::Empty),
        }
    }

    /// Writes a tape. The same tape gives the same bytes.
    pub fn write(&self, out: impl Write) -> Result<(), WriteTape> {
        let mut out = GzBuilder::new().mtime(0).write(out, Compression::best());
        let header = Header {
            format: FORMAT.to_owned(),
            chain_id: self.chain_id,
            client: self.client.clone(),
            contracts: self.contracts.clone(),
            history: self.history,
        };
        serde_json::to_writer(&mut out, &header).map_err(io::Error::from)?;
        for entry in &self.entries {
            out.write_all(b"\n")?;
            serde_json::to_writer(&mut out, entry).map_err(io::Error::from)?;
        }
        out.write_all(b"\n")?;
        out.finish()?;
        Ok(())
    }

    /// Number of blocks on the tape, those that are dropped again included.
    pub fn blocks(&self) -> usize {
        self.entries
            .iter()
            .map(|entry| match entry {
                Entry::Block(_) => 1,
                Entry::Reorg { blocks, .. } => blocks.len(),
            })
            .sum()
    }
}

struct Lines<R> {
    reader: R,
    line: usize,
    text: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    fn next<T: for<'a> Deserialize<'a>>(&mut self) -> Result<Option<T>, ReadTape> {
        self.text.clear();
        self.line += 1;
        let read = self.reader.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut self.text)?;
        if read == 0 {
            return Ok(None);
        }
        if self.text.last() != Some(&b'\n') {
            return Err(ReadTape::TooLarge);
        }
        serde_json::from_slice(&self.text)
            .map(Some)
            .map_err(|source| ReadTape::Line { line: self.line, source })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn recorded(number: &str) -> Recorded {
        Recorded {
            block: json!({"number": number}),
            receipts: vec![json!({"status": "0x1"})],
            state: BTreeMap::from([(state_key("code", "0xAB", ""), json!("0x00"))]),
        }
    }

    fn tape() -> Tape {
        Tape {
            chain_id: 7,
            client: "anvil".to_owned(),
            contracts: BTreeMap::from([("vault".to_owned(), "0xab".to_owned())]),
            history: 1,
            entries: vec![
                Entry::Block(recorded("0x0")),
                Entry::Block(recorded("0x1")),
                Entry::Reorg { drop: 1, blocks: vec![recorded("0x1")] },
            ],
        }
    }

    #[test]
    fn survives_writing_and_reading() {
        let mut bytes = Vec::new();
        tape().write(&mut bytes).expect("memory takes it");
        assert_eq!(Tape::read(&bytes[..]).expect("it was just written"), tape());
    }

    #[test]
    fn refuses_what_is_no_tape() {
        let packed = |text: &str| {
            let mut out = flate2::write::GzEncoder::new(Vec::new(), Compression::fast());
            out.write_all(text.as_bytes()).expect("memory takes it");
            out.finish().expect("memory takes it")
        };
        let header = |format: &str| {
            format!(
                r#"{{"format":"{format}","chain_id":1,"client":"","contracts":{{}},"history":0}}"#
            )
        };
        let cases = [
            (b"no gzip".to_vec(), "cannot read the tape"),
            (packed(""), "the tape begins without a block"),
            (packed("{}\n"), "line 1 of the tape is not what it should be"),
            (packed(&format!("{}\n", header("other/9"))), "the tape has the form `other/9`"),
            (packed(&format!("{}\n", header(FORMAT))), "the tape begins without a block"),
            (packed(&format!("{}\n[]\n", header(FORMAT))), "line 2 of the tape"),
            (packed(&header(FORMAT)), "the tape is larger than"),
        ];
        for (bytes, expected) in cases {
            let error = Tape::read(&bytes[..]).expect_err("it is no tape").to_string();
            assert!(error.starts_with(expected), "{error} / {expected}");
        }
    }
}

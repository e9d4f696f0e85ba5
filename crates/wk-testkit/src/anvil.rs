//! A real local chain: anvil on a free port, killed on drop and when the test process dies.

use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use alloy_primitives::Address;
use serde_json::json;
use wk_tape::NodeUrls;

use crate::rpc::Rpc;

/// How long anvil may take to listen; on a busy machine it is slow.
const START_DEADLINE: Duration = Duration::from_secs(30);

/// Keeps anvil only as long as our end of its stdin is open: a process that is killed with
/// SIGKILL cannot clean up, but the kernel closes its pipes. The first line is anvil's process id.
const KEEPER: &str = r#"
"$@" </dev/null &
child=$!
echo "pid $child"
exec >/dev/null
read -r _
kill -9 "$child"
wait "$child"
"#;

/// How anvil is started.
#[derive(Clone, Debug, PartialEq)]
pub struct AnvilOptions {
    /// EIP-155 chain id; none for one that no other anvil of this machine has.
    pub chain_id: Option<u64>,
    /// When blocks are made.
    pub mining: Mining,
    /// Unlocked accounts with 10,000 ether each. Default 10.
    pub accounts: u32,
    /// Gas limit of a block. Default 30 million; 200 transfers need 5 million.
    pub gas_limit: u64,
    /// States that are kept to answer questions about old blocks, and to reorg: about 0.1 to 1 MB
    /// each. Default 256.
    pub states: u32,
    /// `finalized` is two such epochs behind the head, `safe` one. Default 4.
    pub slots_in_an_epoch: u32,
    /// Timestamp of the genesis block, in seconds; none for now.
    pub timestamp: Option<u64>,
    /// More arguments.
    pub extra: Vec<String>,
}

/// When blocks are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mining {
    /// One for each transaction, at once.
    Auto,
    /// One each interval, down to 50 ms, with or without transactions.
    Every(Duration),
    /// By [`Anvil::mine`] only.
    Manual,
}

impl Default for AnvilOptions {
    fn default() -> AnvilOptions {
        AnvilOptions {
            chain_id: None,
            mining: Mining::Manual,
            accounts: 10,
            gas_limit: 30_000_000,
            states: 256,
            slots_in_an_epoch: 4,
            timestamp: None,
            extra: Vec::new(),
        }
    }
}

/// Why anvil does not run.
#[derive(Debug, thiserror::Error)]
pub enum StartAnvil {
    /// It is not installed.
    #[error("anvil not found (run make test)")]
    NotFound,
    /// The process cannot be started.
    #[error("cannot start anvil")]
    Spawn(#[from] io::Error),
    /// It ended or hung before it listened.
    #[error("anvil did not listen; it said: {0}")]
    NotListening(String),
}

/// A running anvil.
#[derive(Debug)]
pub struct Anvil {
    keeper: Child,
    keep: Option<ChildStdin>,
    pid: u32,
    address: String,
    chain_id: u64,
    accounts: Vec<Address>,
    pub(crate) mining: Mining,
    pub(crate) rpc: Rpc,
}

impl Anvil {
    /// Where anvil is: `WK_ANVIL`, or what `npm ci` installed in this repository.
    pub fn find() -> Option<PathBuf> {
        let named = std::env::var_os("WK_ANVIL").map(PathBuf::from);
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let installed = root.join("node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil");
        named.or(Some(installed)).filter(|path| path.is_file())
    }

    /// Starts anvil, or says why the test is skipped.
    ///
    /// # Panics
    /// When anvil is missing in CI (`CI=true`), or does not start.
    pub async fn start_or_skip(options: AnvilOptions) -> Option<Anvil> {
        match Anvil::start(options).await {
            Ok(anvil) => Some(anvil),
            Err(missing @ StartAnvil::NotFound) => {
                let in_ci = std::env::var("CI").is_ok_and(|ci| ci == "true" || ci == "1");
                assert!(!in_ci, "a test must not be skipped in CI: {missing}");
                // Past the capture of the test harness: a skipped test is to be seen.
                let _ = writeln!(io::stdout(), "SKIPPED: {missing}");
                None
            }
            Err(error) => panic!("{error}: {:?}", std::error::Error::source(&error)),
        }
    }

    /// Starts anvil on a free port of 127.0.0.1 and waits until it answers.
    ///
    /// # Errors
    /// When it is not installed or does not come up.
    pub async fn start(options: AnvilOptions) -> Result<Anvil, StartAnvil> {
        let program = Anvil::find().ok_or(StartAnvil::NotFound)?;
        let chain_id = options.chain_id.unwrap_or_else(unique_chain_id);
        let mut keeper = Command::new("sh")
            .args(["-c", KEEPER, "sh"])
            .arg(program)
            .args(arguments(&options, chain_id))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let keep = keeper.stdin.take();
        let output = keeper.stdout.take().expect("it was asked to be piped");
        let mut starting = Starting { keeper: Some(keeper), keep };
        let (pid, address) = tokio::task::spawn_blocking(move || read_start(output))
            .await
            .expect("reading lines does not panic")?;

        let rpc = Rpc::new(format!("http://{address}"));
        // From here on anvil would write a line for each call.
        rpc.call("anvil_setLoggingEnabled", json!([false])).await;
        let accounts = rpc.call("eth_accounts", json!([])).await;
        let accounts = serde_json::from_value(accounts).expect("anvil lists addresses");
        let keeper = starting.keeper.take().expect("it is taken only here");
        let keep = starting.keep.take();
        let mining = options.mining;
        Ok(Anvil { keeper, keep, pid, address, chain_id, accounts, mining, rpc })
    }

    /// Where it listens, HTTP and WebSocket.
    pub fn urls(&self) -> NodeUrls {
        NodeUrls { http: self.http_url(), ws: self.ws_url() }
    }

    /// Where to POST calls.
    pub fn http_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where to open a WebSocket.
    pub fn ws_url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// Its chain id.
    pub fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// Process id of anvil itself: to measure it, or to stop it for a while with SIGSTOP.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The unlocked accounts.
    pub fn accounts(&self) -> &[Address] {
        &self.accounts
    }

    /// Its raw client.
    pub fn rpc(&self) -> &Rpc {
        &self.rpc
    }
}

impl Drop for Anvil {
    fn drop(&mut self) {
        end(&mut self.keeper, self.keep.take());
    }
}

/// Ends anvil when the start is given up on half way.
struct Starting {
    keeper: Option<Child>,
    keep: Option<ChildStdin>,
}

impl Drop for Starting {
    fn drop(&mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            end(&mut keeper, self.keep.take());
        }
    }
}

fn end(keeper: &mut Child, keep: Option<ChildStdin>) {
    drop(keep);
    // The keeper ends at once: it kills, and waits for what it killed.
    let _ = keeper.wait();
}

fn arguments(options: &AnvilOptions, chain_id: u64) -> Vec<String> {
    let AnvilOptions {
        chain_id: _,
        mining,
        accounts,
        gas_limit,
        states,
        slots_in_an_epoch,
        timestamp,
        extra,
    } = options;
    let mut arguments: Vec<String> = vec![
        "--host=127.0.0.1".into(),
        "--port=0".into(),
        format!("--chain-id={chain_id}"),
        format!("--accounts={accounts}"),
        format!("--gas-limit={gas_limit}"),
        format!("--prune-history={states}"),
        format!("--slots-in-an-epoch={slots_in_an_epoch}"),
        "--hardfork=prague".into(),
        "--order=fifo".into(),
        "--no-request-size-limit".into(),
        "--color=never".into(),
    ];
    match mining {
        Mining::Auto => {}
        Mining::Manual => arguments.push("--no-mining".into()),
        Mining::Every(interval) => {
            arguments.push(format!("--block-time={}", interval.as_secs_f64()));
        }
    }
    arguments.extend(timestamp.map(|timestamp| format!("--timestamp={timestamp}")));
    arguments.extend(extra.iter().cloned());
    arguments
}

/// Reads the process id and the address that anvil listens on, then keeps its output flowing.
fn read_start(output: impl io::Read + Send + 'static) -> Result<(u32, String), StartAnvil> {
    let (line_out, lines) = mpsc::channel();
    // Anvil would stand still with a full pipe. The thread ends with anvil.
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let _ = line_out.send(line);
        }
    });
    let mut pid = 0;
    let mut said = String::new();
    while let Ok(line) = lines.recv_timeout(START_DEADLINE) {
        if let Some(number) = line.strip_prefix("pid ") {
            pid = number.parse().unwrap_or(0);
        } else if let Some(address) = line.strip_prefix("Listening on ") {
            return Ok((pid, address.trim().to_owned()));
        }
        said.push_str(&line);
        said.push('\n');
    }
    Err(StartAnvil::NotListening(said))
}

fn unique_chain_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let count = NEXT.fetch_add(1, Ordering::Relaxed);
    1_000_000 + u64::from(std::process::id()) * 1_000 + count % 1_000
}

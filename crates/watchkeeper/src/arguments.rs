//! What can be asked for on the command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use wk_model::{Address, FindingId, FindingStatus, Severity};

use crate::exit;
use crate::output::Format;

/// Watches, guards and operates Web3 systems.
#[derive(Debug, Parser)]
#[command(name = "watchkeeper", version, about, after_help = exit::HELP, max_term_width = 100)]
#[command(before_help = "\
Examples:
  watchkeeper demo                               see it work, without network or config
  RPC_URL=https://… watchkeeper run              watch a chain
  watchkeeper check --config watchkeeper.yaml    find faults in a config")]
pub(crate) struct Arguments {
    /// Config file, or a folder of *.yaml files [default: watchkeeper.yaml, if there is one]
    #[arg(long, short, global = true, value_name = "FILE|DIR", env = "WATCHKEEPER_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// How to print data
    #[arg(long, short, global = true, value_enum, default_value_t)]
    pub(crate) output: Format,
    /// Write logs as JSON lines
    #[arg(long, global = true)]
    pub(crate) log_json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Watch the configured chains; without a config the chain at RPC_URL, a node on loopback, or
    /// the demo
    Run(Run),
    /// Watch a recorded chain: no network, no config
    Demo(Demo),
    /// Find faults in a config without running it
    Check(Check),
    /// Run the config's `tests:`
    Test(Test),
    /// Run rules over past blocks and show when they would have fired
    Backtest(Backtest),
    /// Say what given transactions are up to, and what contracts are made of
    Inspect(Inspect),
    /// Follow where money went, or came from
    Trace(Trace),
    /// Look at past blocks again, and keep what is found
    Replay(Replay),
    /// Show which blocks were looked at, and how each was verified
    Coverage(Coverage),
    /// List findings, and the messages about them that could not be delivered
    Findings(Findings),
    /// Try every endpoint and channel, and say what to fix
    Doctor(Doctor),
    /// Print a schema or a reference page
    Schema(Schema),
    /// Make, list and revoke API tokens
    Token(Token),
    /// Print completions for a shell
    Completions(Completions),
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Watch the chain behind this JSON-RPC endpoint when there is no config
    #[arg(long, value_name = "URL", env = "RPC_URL", hide_env_values = true)]
    pub(crate) rpc_url: Option<String>,
    /// Address to serve on, instead of the config's
    #[arg(long, value_name = "IP:PORT")]
    pub(crate) listen: Option<std::net::SocketAddr>,
    /// Folder for the data, instead of the config's
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Address to serve on
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:7070")]
    pub(crate) listen: std::net::SocketAddr,
    /// Print the demo's config and end
    #[arg(long)]
    pub(crate) print_config: bool,
    /// Stop after this many seconds
    #[arg(long, value_name = "SECONDS")]
    pub(crate) seconds: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct Check {}

#[derive(Debug, Args)]
pub(crate) struct Test {
    /// Run only tests whose name contains this
    pub(crate) filter: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Backtest {
    /// First block
    #[arg(long, value_name = "HEIGHT", required_unless_present = "last")]
    pub(crate) from: Option<u64>,
    /// Last block [default: the newest]
    #[arg(long, value_name = "HEIGHT")]
    pub(crate) to: Option<u64>,
    /// So many of the newest blocks, instead of --from and --to
    #[arg(long, value_name = "BLOCKS", conflicts_with_all = ["from", "to"],
        value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) last: Option<u64>,
    /// Only this rule; may be given several times
    #[arg(long, value_name = "ID")]
    pub(crate) rule: Vec<String>,
    /// The chain, when there are several
    #[arg(long, value_name = "NAME")]
    pub(crate) chain: Option<String>,
    /// Show every finding instead of a summary per rule
    #[arg(long)]
    pub(crate) findings: bool,
    /// Look for attacks in what transactions did, instead of running rules: needs endpoints that
    /// give call traces
    #[arg(long, conflicts_with = "rule")]
    pub(crate) detectors: bool,
    /// Hold what is found against known transactions, and print precision, recall, false positives
    /// per 1,000 transactions and lead time: a JSON list of {tx, labels, name, attacker}
    #[arg(long, value_name = "FILE", conflicts_with = "findings")]
    pub(crate) labels: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Inspect {
    #[command(subcommand)]
    pub(crate) what: InspectWhat,
}

#[derive(Debug, Subcommand)]
pub(crate) enum InspectWhat {
    /// Transactions in files: callTracer, trace_block, trace_replay…, prestateTracer, receipts, or a
    /// block with the state before it, which is executed again; gzip or plain, told apart by
    /// content; prints one JSON line each
    File {
        /// Files to read
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Contract code for blocks that name it by hash: a JSON object from hash to hex
        #[arg(long, value_name = "FILE")]
        codes: Option<PathBuf>,
        /// Hold what is found against known transactions, and print how good it is instead of what
        /// it is: a JSON list of {tx, labels, name, attacker}
        #[arg(long, value_name = "FILE")]
        labels: Option<PathBuf>,
    },
    /// A transaction of a chain, traced by its node; prints the same line
    Tx {
        /// Its hash
        #[arg(value_name = "HASH", value_parser = transaction_hash)]
        hash: wk_model::B256,
        /// The node's JSON-RPC endpoint, instead of a chain of the config
        #[arg(long, value_name = "URL", conflicts_with = "chain")]
        rpc: Option<String>,
        /// The chain of the config, when there are several
        #[arg(long, value_name = "NAME")]
        chain: Option<String>,
    },
    /// A contract on a chain: its code's holes, who controls it, and how risky it is
    Contract {
        /// Its address
        address: Address,
        #[command(flatten)]
        node: Node,
        /// At this block [default: the newest]
        #[arg(long, value_name = "HEIGHT")]
        at: Option<u64>,
    },
    /// A bridge's past releases, each held against the deposits of its other chain
    Bridge {
        /// An entry of the config's `bridges`
        name: String,
        /// First block of the source chain [default: 1,000 blocks before its newest]
        #[arg(long, value_name = "HEIGHT")]
        source_from: Option<u64>,
        /// First block of the target chain [default: 1,000 blocks before its newest]
        #[arg(long, value_name = "HEIGHT")]
        target_from: Option<u64>,
    },
    /// Contracts' run-time code in files, as hex or bytes: holes, proxy, likeness to attacks
    Code {
        /// Files to read
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Addresses of ours that attack code would name, besides the config's contracts
        #[arg(long, value_name = "ADDRESS")]
        watched: Vec<Address>,
    },
}

/// Which chain is asked.
#[derive(Debug, Args)]
pub(crate) struct Node {
    /// The chain behind this JSON-RPC endpoint, instead of one of the config's
    #[arg(long, value_name = "URL", env = "RPC_URL", hide_env_values = true)]
    pub(crate) rpc: Option<String>,
    /// The chain, when the config has several
    #[arg(long, value_name = "NAME", conflicts_with = "rpc")]
    pub(crate) chain: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Trace {
    #[command(subcommand)]
    pub(crate) what: TraceWhat,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TraceWhat {
    /// Follow value from an address over hops, to mixers, bridges, exchanges or whoever holds it;
    /// the table shows a tree, JSON the whole graph
    Funds(Box<TraceFunds>),
}

#[derive(Debug, Args)]
pub(crate) struct TraceFunds {
    /// Where to begin
    pub(crate) address: Address,
    #[command(flatten)]
    pub(crate) node: Node,
    /// First block [default: 1,000 blocks before the last]
    #[arg(long, value_name = "HEIGHT")]
    pub(crate) from: Option<u64>,
    /// Last block [default: the newest]
    #[arg(long, value_name = "HEIGHT")]
    pub(crate) to: Option<u64>,
    /// Follow to where it came from
    #[arg(long)]
    pub(crate) backward: bool,
    /// How payments of mixed money are split
    #[arg(long, value_enum, default_value_t)]
    pub(crate) method: TraceMethod,
    /// Only this asset leaves the first address: `native` or a token's address; may be given several
    /// times
    #[arg(long, value_name = "ASSET", value_parser = asset)]
    pub(crate) asset: Vec<wk_contracts::funds::Asset>,
    /// Steps away from the first address
    #[arg(long, value_name = "N", default_value_t = 6)]
    pub(crate) max_hops: u16,
    /// Smaller shares (0-1) of all that is followed are not looked into
    #[arg(long, value_name = "SHARE", default_value_t = 0.001)]
    pub(crate) min_share: f64,
    /// Addresses in the result
    #[arg(long, value_name = "N", default_value_t = 500)]
    pub(crate) max_addresses: usize,
    /// Follow payments to whoever was paid, also where something came back for it
    #[arg(long)]
    pub(crate) no_exchanges: bool,
    /// Print a drawing for Graphviz instead
    #[arg(long)]
    pub(crate) dot: bool,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum TraceMethod {
    /// By share of all that the account has
    #[default]
    Haircut,
    /// First in, first out
    Fifo,
}

fn asset(text: &str) -> Result<wk_contracts::funds::Asset, String> {
    use wk_contracts::funds::Asset;
    match text {
        "native" => Ok(Asset::Native),
        token => token
            .parse()
            .map(Asset::Token)
            .map_err(|_| format!("`{token}` is neither `native` nor an address")),
    }
}

#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// First block
    #[arg(long, value_name = "HEIGHT")]
    pub(crate) from: u64,
    /// Last block
    #[arg(long, value_name = "HEIGHT")]
    pub(crate) to: u64,
    /// The chain, when there are several
    #[arg(long, value_name = "NAME")]
    pub(crate) chain: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Coverage {
    /// The chain, when there are several
    #[arg(long, value_name = "NAME")]
    pub(crate) chain: Option<String>,
    /// Show every range instead of a summary per chain
    #[arg(long)]
    pub(crate) ranges: bool,
    /// Folder of the data, instead of the config's
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Findings {
    /// Folder of the data, instead of the config's
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) action: Option<FindingsAction>,
    /// Only these states
    #[arg(long, value_name = "STATUS", value_parser = parse::<FindingStatus>)]
    pub(crate) status: Vec<FindingStatus>,
    /// Only these severities (P0 to P3)
    #[arg(long, value_name = "SEVERITY", value_parser = parse::<Severity>)]
    pub(crate) severity: Vec<Severity>,
    /// Only this rule, detector or trouble
    #[arg(long, value_name = "NAME")]
    pub(crate) source: Option<String>,
    /// Only this chain
    #[arg(long, value_name = "NAME")]
    pub(crate) chain: Option<String>,
    /// At most this many, newest first
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: u32,
}

#[derive(Debug, Subcommand)]
pub(crate) enum FindingsAction {
    /// Show one finding with its evidence
    Show {
        /// Its id
        #[arg(value_parser = parse::<FindingId>)]
        id: FindingId,
    },
    /// List messages that were given up
    Dead,
    /// Try messages that were given up again
    Resend {
        /// Id of the message; all when left out
        id: Option<i64>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Also send a test message to every channel
    #[arg(long)]
    pub(crate) send: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Schema {
    #[arg(value_enum)]
    pub(crate) what: SchemaOf,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum SchemaOf {
    /// JSON schema of the config, for editors
    Config,
    /// OpenAPI description of the HTTP API
    Openapi,
    /// Every metric with unit, type and labels
    Metrics,
    /// Triggers of rules with their variables
    Rules,
    /// All commands with their options
    Cli,
}

#[derive(Debug, Args)]
pub(crate) struct Token {
    /// Folder of the data, instead of the config's
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) action: TokenAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenAction {
    /// Make a token; it is shown once
    Create {
        /// What it is for
        #[arg(value_parser = token_name)]
        name: String,
        /// What it may do
        #[arg(long, value_enum, default_value_t)]
        role: Role,
        /// When it ends, such as 90d
        #[arg(long, value_name = "DURATION", value_parser = parse::<wk_model::HumanDuration>)]
        expires: Option<wk_model::HumanDuration>,
    },
    /// List tokens
    List,
    /// Make a token useless at once
    Revoke {
        /// Its id
        id: i64,
    },
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum Role {
    /// May look
    #[default]
    Viewer,
    /// May also act on findings and messages
    Operator,
    /// May also manage tokens and the config
    Admin,
}

#[derive(Debug, Args)]
pub(crate) struct Completions {
    #[arg(value_enum)]
    pub(crate) shell: Shell,
}

fn transaction_hash(text: &str) -> Result<wk_model::B256, String> {
    text.parse().map_err(|_| "this is no hash: 0x and 64 hex digits are needed".to_owned())
}

fn token_name(text: &str) -> Result<String, String> {
    wk_store::TokenRow::check_name(text).map(|()| text.to_owned())
}

fn parse<T: std::str::FromStr<Err = String>>(text: &str) -> Result<T, String> {
    text.parse()
}

//! One transaction, looked into: its calls, what moved, and why it was flagged.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use wk_chain::abi::{Call, Revert};
use wk_engine::{Transaction as Looked, TransactionError};
use wk_model::{B256, Bytes, ChainName, Severity, evm};
use wk_trace::{Asset, Frame, FrameKind, Party, TransferKind, TxTrace};

use super::App;
use crate::error::Problem;
use crate::extract::Path;
use crate::wire::Link;

/// Calls that are sent.
const MOST_FRAMES: usize = 50_000;
/// Transfers and changes of balances that are sent.
const MOST_TRANSFERS: usize = 10_000;
/// Bytes of a call's data that are shown.
const SHOWN_INPUT: usize = 132;
/// Bytes of what a call returned that are shown.
const SHOWN_OUTPUT: usize = 64;
/// Bytes of a call's decoded arguments, as JSON; longer ones are left out.
const SHOWN_ARGUMENTS: usize = 1_000;

/// A transaction and what is known of what it did. Accounts are numbers: places in `accounts`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Transaction {
    chain: String,
    hash: String,
    /// Its block.
    link: Link,
    /// Place in the block.
    index: u64,
    success: bool,
    sender: u32,
    /// What it called or created first.
    target: Option<u32>,
    nonce: u64,
    /// In wei; a decimal string.
    value: String,
    gas_limit: u64,
    gas_used: Option<u64>,
    /// Paid for gas in wei; a decimal string. Null where no receipt tells the price.
    fee: Option<String>,
    /// What told of it: call_tracer, parity_trace, prestate_tracer, receipts or replay.
    source: String,
    /// Whether every call is here; otherwise only what the receipt tells.
    calls_known: bool,
    /// Something was left out, since it was beyond limits.
    cut: bool,
    /// What better sources lack.
    lacks: Vec<MissingSource>,
    /// What it is, without blame: swap, arbitrage, liquidation, flash_loan, sandwich, sandwiched.
    labels: Vec<String>,
    /// What the detectors say, surest first.
    verdicts: Vec<Verdict>,
    /// All accounts that take part.
    accounts: Vec<Account>,
    /// Calls in the order in which they began; a call's own calls follow it directly.
    frames: Vec<CallFrame>,
    /// What moved, in order; nothing of reverted calls.
    transfers: Vec<Movement>,
    /// What each account won and lost in all.
    balances: Vec<Balance>,
}

/// A source of calls that cannot be used.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MissingSource {
    /// The method that an endpoint would have to offer.
    method: String,
    /// What the endpoints said.
    detail: String,
}

/// What a detector says of a transaction.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Verdict {
    detector: String,
    class: String,
    /// P0 (critical) to P3 (low).
    #[schema(value_type = String)]
    severity: Severity,
    /// 0 to 100.
    confidence: u8,
    evidence: BTreeMap<String, Value>,
}

/// An account.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Account {
    address: String,
    /// Its name in the config, where it is watched.
    name: Option<String>,
    /// As a token: its own word for itself.
    symbol: Option<String>,
    /// As a token: digits after the point.
    decimals: Option<u8>,
    /// It was created in this transaction.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    created: bool,
}

/// A call.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CallFrame {
    /// The call that made it; null for the first.
    parent: Option<u32>,
    depth: u16,
    /// call, static, delegate, create or self_destruct.
    kind: &'static str,
    from: u32,
    /// Whose storage and balance it acts on.
    to: u32,
    /// Whose code runs.
    code: u32,
    /// Wei sent along, as a decimal string; null for none.
    value: Option<String>,
    gas_used: u64,
    /// The function's signature where it is known, else its selector; null without one.
    function: Option<String>,
    /// Decoded arguments; null where they are not known, or long.
    arguments: Option<Value>,
    /// The begin of its data.
    input: String,
    /// Bytes of its data.
    input_bytes: u32,
    /// The begin of what it returned.
    output: String,
    /// It or a call around it failed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    reverted: bool,
    /// Its own error, with the reason where it is known.
    error: Option<String>,
    /// Why it is worth a look: evidence, value, moves, creates, destroys, failed or watched.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    marks: Vec<&'static str>,
}

/// Something moved.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Movement {
    frame: u32,
    /// The token; null for the chain's own coin.
    asset: Option<u32>,
    from: u32,
    to: u32,
    /// In the smallest unit; a decimal string.
    amount: String,
    /// Id of what is not fungible.
    id: Option<String>,
    /// move, mint or burn.
    kind: &'static str,
}

/// What an account won and lost of one asset.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Balance {
    account: u32,
    /// The token; null for the chain's own coin.
    asset: Option<u32>,
    /// In the smallest unit; a decimal string.
    received: String,
    /// In the smallest unit; a decimal string.
    sent: String,
    /// Received less sent; a decimal string.
    net: String,
}

/// One transaction, looked into: asks the node for its calls, and the detectors
#[utoipa::path(get, path = "/api/v1/chains/{chain}/transactions/{hash}", tag = "chains",
    params(("chain" = String, Path, description = "Name in the config"), ("hash" = String, Path, description = "The transaction's hash")),
    responses((status = 200, body = Transaction), (status = 400, body = Problem, content_type = "application/problem+json"), (status = 404, body = Problem, content_type = "application/problem+json"), (status = 503, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn transaction(
    State(app): State<App>,
    Path((chain, hash)): Path<(String, String)>,
) -> Result<Json<Transaction>, Problem> {
    let hash: B256 =
        hash.parse().map_err(|_| Problem::bad_request(format!("`{hash}` is no hash")))?;
    let chain = ChainName::new(&chain);
    match app.handle.transaction(&chain, hash).await {
        Ok(looked) => Ok(Json(View { chain: &chain, looked: &looked }.whole())),
        Err(error @ (TransactionError::NoChain(_) | TransactionError::Unknown(_))) => {
            Err(Problem::not_found(error.to_string()))
        }
        Err(
            error @ (TransactionError::Unreachable(_)
            | TransactionError::Fetch(_)
            | TransactionError::Trace(_)),
        ) => Err(Problem::not_ready(wk_runtime::with_causes(&error))),
    }
}

struct View<'a> {
    chain: &'a ChainName,
    looked: &'a Looked,
}

impl View<'_> {
    fn trace(&self) -> &TxTrace {
        &self.looked.looked.trace
    }

    fn whole(&self) -> Transaction {
        let Looked { link, tx, looked, lacks, .. } = self.looked;
        let trace = &looked.trace;
        let receipt = tx.receipt.as_ref();
        let price = receipt.and_then(|receipt| receipt.effective_gas_price).or(tx.gas_price);
        let fee = receipt.zip(price).map(|(receipt, price)| {
            price.saturating_mul(wk_model::U256::from(receipt.gas_used)).to_string()
        });
        let marked = self.marked();
        let frames = (0..).zip(&trace.frames).take(MOST_FRAMES);
        Transaction {
            chain: self.chain.to_string(),
            hash: format!("{:#x}", tx.hash),
            link: (*link).into(),
            index: tx.index,
            success: trace.success,
            sender: number(trace.sender),
            target: trace.target.map(number),
            nonce: tx.nonce,
            value: tx.value.to_string(),
            gas_limit: tx.gas,
            gas_used: trace.gas_used.or(receipt.map(|receipt| receipt.gas_used)),
            fee,
            source: trace.source.name().to_owned(),
            calls_known: trace.known.frames,
            cut: trace.known.cut
                || trace.frames.len() > MOST_FRAMES
                || trace.transfers.len() > MOST_TRANSFERS,
            lacks: lacks
                .iter()
                .map(|lack| MissingSource {
                    method: lack.via.method().to_owned(),
                    detail: lack.detail.clone(),
                })
                .collect(),
            labels: looked.report.labels.iter().map(|label| (*label).to_owned()).collect(),
            verdicts: looked
                .report
                .findings
                .iter()
                .map(|found| Verdict {
                    detector: found.detector.to_owned(),
                    class: found.class.name().to_owned(),
                    severity: found.severity,
                    confidence: found.confidence.0,
                    evidence: found.evidence.clone().into_iter().collect(),
                })
                .collect(),
            accounts: trace.parties().map(|party| self.account(party)).collect(),
            frames: frames.map(|(at, frame)| self.frame(at, frame, &marked)).collect(),
            transfers: self.transfers(),
            balances: self.balances(),
        }
    }

    fn account(&self, party: Party) -> Account {
        let address = self.trace().address(party);
        let token = self.looked.tokens.get(&address);
        let contract = self.looked.decoder.contract(self.chain, &address);
        Account {
            address: format!("{address:#x}"),
            name: contract.map(|contract| contract.name.to_string()),
            symbol: token.map(|token| token.symbol.clone()),
            decimals: token.map(|token| token.decimals),
            created: self.trace().created.iter().any(|created| created.party == party),
        }
    }

    /// Calls that the detectors point at, and those in which something moved.
    fn marked(&self) -> Marked {
        let mut marked = Marked::default();
        for found in &self.looked.looked.report.findings {
            let pointed = found.evidence.iter().filter(|(name, _)| name.ends_with("frame"));
            marked.evidence.extend(pointed.filter_map(|(_, at)| u32::try_from(at.as_u64()?).ok()));
        }
        marked.moves.extend(self.trace().transfers.iter().map(|transfer| transfer.frame));
        marked
    }

    fn frame(&self, at: u32, frame: &Frame, marked: &Marked) -> CallFrame {
        let trace = self.trace();
        let (input, output) = (trace.input(frame), trace.output(frame));
        let (function, arguments) = self.function(frame, input);
        let watched =
            |party| self.looked.decoder.contract(self.chain, &trace.address(party)).is_some();
        let mut marks = Vec::new();
        for (mark, holds) in [
            ("evidence", marked.evidence.contains(&at)),
            ("value", !frame.value.is_zero()),
            ("moves", marked.moves.contains(&at)),
            ("creates", frame.kind == FrameKind::Create),
            ("destroys", frame.kind == FrameKind::SelfDestruct),
            ("failed", frame.error.is_some()),
            ("watched", frame.kind == FrameKind::Call && watched(frame.to)),
        ] {
            if holds {
                marks.push(mark);
            }
        }
        CallFrame {
            parent: frame.parent,
            depth: frame.depth,
            kind: match frame.kind {
                FrameKind::Call => "call",
                FrameKind::StaticCall => "static",
                FrameKind::Delegate => "delegate",
                FrameKind::Create => "create",
                FrameKind::SelfDestruct => "self_destruct",
            },
            from: number(frame.from),
            to: number(frame.to),
            code: number(frame.code),
            value: (!frame.value.is_zero()).then(|| frame.value.to_string()),
            gas_used: frame.gas_used,
            function,
            arguments,
            input: begin(input, SHOWN_INPUT),
            input_bytes: u32::try_from(input.len()).unwrap_or(u32::MAX),
            output: begin(output, SHOWN_OUTPUT),
            reverted: frame.reverted,
            error: self.error(frame, output),
            marks,
        }
    }

    /// The function of a call with its arguments, by the ABI of the code that runs.
    fn function(&self, frame: &Frame, input: &[u8]) -> (Option<String>, Option<Value>) {
        let trace = self.trace();
        let selector = trace.selector(frame);
        if selector == 0 {
            return (None, None);
        }
        let call = evm::Transaction {
            to: Some(trace.address(frame.code)),
            input: Bytes::copy_from_slice(input),
            ..evm::Transaction::default()
        };
        let height = self.looked.link.block.height;
        match self.looked.decoder.call(self.chain, height, &call).call {
            Call::Function(function) => {
                let arguments = Value::Object(function.to_json());
                let short = arguments.to_string().len() <= SHOWN_ARGUMENTS;
                (Some(function.signature().to_owned()), short.then_some(arguments))
            }
            Call::Create | Call::Transfer | Call::Unknown(_) => {
                (Some(format!("0x{selector:08x}")), None)
            }
        }
    }

    fn error(&self, frame: &Frame, output: &[u8]) -> Option<String> {
        let error = frame.error.as_ref()?;
        let code = self.trace().address(frame.code);
        let said = match self.looked.decoder.revert(self.chain, Some(code), output).revert {
            Revert::Empty | Revert::Unknown(_) => None,
            said @ (Revert::Reason(_) | Revert::Panic(_) | Revert::Custom(_)) => {
                Some(said.to_string())
            }
        };
        Some(match said {
            Some(said) => format!("{error}: {said}"),
            None => error.to_string(),
        })
    }

    fn transfers(&self) -> Vec<Movement> {
        let transfers = self.trace().transfers.iter().take(MOST_TRANSFERS);
        transfers
            .map(|transfer| Movement {
                frame: transfer.frame,
                asset: token(transfer.asset),
                from: number(transfer.from),
                to: number(transfer.to),
                amount: transfer.amount.to_string(),
                id: transfer.id.map(|id| id.to_string()),
                kind: match transfer.kind {
                    TransferKind::Move => "move",
                    TransferKind::Mint => "mint",
                    TransferKind::Burn => "burn",
                },
            })
            .collect()
    }

    fn balances(&self) -> Vec<Balance> {
        let changes = self.trace().balance_changes().into_iter().take(MOST_TRANSFERS);
        changes
            .map(|change| Balance {
                account: number(change.party),
                asset: token(change.asset),
                received: change.received.to_string(),
                sent: change.sent.to_string(),
                net: change.net().to_string(),
            })
            .collect()
    }
}

#[derive(Default)]
struct Marked {
    evidence: std::collections::BTreeSet<u32>,
    moves: std::collections::BTreeSet<u32>,
}

fn number(party: Party) -> u32 {
    u32::try_from(party.index()).unwrap_or(u32::MAX)
}

fn token(asset: Asset) -> Option<u32> {
    match asset {
        Asset::Native => None,
        Asset::Token(token) => Some(number(token)),
    }
}

/// The first bytes as hex.
fn begin(bytes: &[u8], most: usize) -> String {
    alloy_primitives::hex::encode_prefixed(&bytes[..bytes.len().min(most)])
}

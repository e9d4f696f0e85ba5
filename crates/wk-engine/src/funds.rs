//! Transfers of a range of blocks, for following funds: tokens from receipts, native payments from
//! transactions and, where the node traces, from inside of them.

use std::collections::BTreeSet;
use std::sync::Arc;

use wk_chain::abi::{Standard, transfers};
use wk_chain::evm::state::StateReader;
use wk_chain::evm::{EvmConfig, FetchError, blocks};
use wk_chain::rpc::{ErrorClass, Pool, Purpose, Request};
use wk_contracts::funds::{Asset, FundGraph, Labels, Listed, Move, Movement, Settings, trace};
use wk_model::{Address, BlockRef, ChainName, Height, U256, evm};

use crate::Handle;

/// Movements of a range that are held; about 150 bytes each.
const MAX_MOVES: usize = 5_000_000;
/// Balances that are asked for.
const MAX_OPENINGS: usize = 200;

/// What a range of blocks moved.
#[derive(Default)]
pub struct Gathered {
    movements: Vec<Movement>,
    moves: usize,
    before: Option<BlockRef>,
    /// What the reader should know.
    pub notes: BTreeSet<String>,
    /// Blocks that were read.
    pub blocks: u64,
    no_traces: bool,
}

/// The transfers of a range cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum GatherError {
    /// More moved than is held.
    #[error("more than {MAX_MOVES} movements of value by block {0}; ask for fewer blocks")]
    TooMany(Height),
}

impl Gathered {
    /// Adds the next block. Without traces only the value of the transaction itself is known.
    ///
    /// # Errors
    /// When there is more than can be held.
    pub async fn look(&mut self, pool: &Pool, block: &evm::Block) -> Result<(), GatherError> {
        self.blocks += 1;
        let header = &block.header;
        if self.before.is_none()
            && let Some(height) = header.height.previous()
        {
            self.before = Some(BlockRef { height, hash: header.parent_hash });
        }
        let inner = self.traced(pool, block).await;
        for (place, tx) in block.transactions.iter().enumerate() {
            if tx.receipt.as_ref().is_some_and(|receipt| receipt.success == Some(false)) {
                continue;
            }
            let traced = inner.as_ref().and_then(|inner| inner.get(place));
            let mut moves: Vec<Move> = Vec::new();
            for transfer in transfers(tx).transfers {
                let native = transfer.standard == Standard::Native;
                // Traces tell the native payments, the transaction's own among them.
                if native && traced.is_some() {
                    continue;
                }
                let asset =
                    if native { Some(Asset::Native) } else { transfer.token.map(Asset::Token) };
                if let Some(asset) = asset.filter(|_| !transfer.amount.is_zero()) {
                    let (from, to, amount) = (transfer.from, transfer.to, transfer.amount);
                    moves.push(Move { asset, from, to, amount });
                }
            }
            moves.extend(traced.into_iter().flatten());
            if moves.is_empty() {
                continue;
            }
            self.moves += moves.len();
            if self.moves > MAX_MOVES {
                return Err(GatherError::TooMany(header.height));
            }
            self.movements.push(Movement {
                height: header.height.0,
                index: tx.index,
                tx: tx.hash,
                time: header.time.0,
                moves,
            });
        }
        Ok(())
    }

    /// Native payments of each transaction, from traces; none where the node has none.
    async fn traced(&mut self, pool: &Pool, block: &evm::Block) -> Option<Vec<Vec<Move>>> {
        if self.no_traces || block.transactions.is_empty() {
            return None;
        }
        let height = format!("0x{:x}", block.header.height.0);
        let params = serde_json::json!([height, {"tracer": "callTracer"}]);
        let reply = pool.call(Request::backfill("debug_traceBlockByNumber", params)).await;
        let traces = match reply {
            Ok(reply) => wk_trace::read(reply.value.get().as_bytes()).ok(),
            Err(error) => {
                // A node that does not trace is not asked again.
                self.no_traces |=
                    matches!(error.class(), Some(ErrorClass::RpcMethodMissing) | None);
                None
            }
        };
        let traces = traces.filter(|traces| traces.transactions.len() == block.transactions.len());
        let Some(traces) = traces else {
            self.notes.insert(
                "no traces of some blocks: native coins that contracts paid are not seen there"
                    .to_owned(),
            );
            return None;
        };
        let native = |trace: &wk_trace::TxTrace| {
            let of = trace.transfers.iter().filter(|one| one.asset == wk_trace::Asset::Native);
            of.map(|one| Move {
                asset: Asset::Native,
                from: trace.address(one.from),
                to: trace.address(one.to),
                amount: one.amount,
            })
            .collect()
        };
        Some(traces.transactions.iter().map(native).collect())
    }

    /// Follows funds over what was gathered. What the accounts on the way owned before is asked
    /// from the node, and where it does not tell, taken for nothing.
    pub async fn follow(
        self,
        pool: &Pool,
        root: Address,
        settings: &Settings,
        labels: &Labels,
    ) -> FundGraph {
        let Gathered { movements, before, mut notes, .. } = self;
        let mut listed = Listed::new(movements);
        let Ok(first) = trace(root, settings, labels, &mut listed);
        let mut unknown = 0;
        if let Some(before) = before {
            let reader = StateReader::new(pool, Purpose::Backfill);
            let mut wanted: Vec<(Address, Asset)> = first
                .nodes
                .iter()
                .filter(|(address, node)| {
                    **address != root && node.label.is_none() && node.hops < settings.max_hops
                })
                .flat_map(|(address, node)| node.received.keys().map(|asset| (*address, *asset)))
                .collect();
            unknown += wanted.len().saturating_sub(MAX_OPENINGS);
            wanted.truncate(MAX_OPENINGS);
            for (address, asset) in wanted {
                let opening = match asset {
                    Asset::Native => reader.balance(before, address).await.ok(),
                    Asset::Token(token) => {
                        let answer = reader.call(before, token, &balance_of(address)).await.ok();
                        // A token that did not exist yet answers with nothing.
                        answer.map(|word| word.get(..32).map_or(U256::ZERO, U256::from_be_slice))
                    }
                };
                match opening {
                    Some(amount) => listed = listed.with_opening(address, asset, amount),
                    None => unknown += 1,
                }
            }
        }
        if unknown > 0 {
            notes.insert(format!(
                "what {unknown} accounts owned before is not known, and taken for nothing: their \
                 payments may be followed too far"
            ));
        }
        let Ok(mut graph) = trace(root, settings, labels, &mut listed);
        notes.into_iter().for_each(|note| graph.note(note));
        graph
    }
}

/// Blocks that are followed over in one question to the running program.
const MAX_BLOCKS: u64 = 2_000;

/// Funds cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum FundsError {
    /// There is no such chain.
    #[error("no chain `{0}` is watched")]
    NoChain(ChainName),
    /// Too many blocks, or none.
    #[error(
        "at least one and at most {MAX_BLOCKS} blocks are followed over at once; for more use `watchkeeper trace funds`"
    )]
    Range,
    /// Somebody else's question is being worked on.
    #[error("another question for funds is being worked on; try again when it is done")]
    Busy,
    /// A block cannot be had.
    #[error("a block cannot be had: {0}")]
    Fetch(#[from] FetchError),
    /// Too much moved.
    #[error(transparent)]
    Gather(#[from] GatherError),
}

impl Handle {
    /// Follows funds over blocks of a watched chain; one question at a time, since it reads them all.
    ///
    /// # Errors
    /// When it cannot be done, or not now.
    pub async fn funds(
        &self,
        chain: &ChainName,
        (from, to): (Height, Height),
        root: Address,
        settings: &Settings,
    ) -> Result<FundGraph, FundsError> {
        let pool = self.pools.read().get(chain).cloned();
        let pool = pool.ok_or_else(|| FundsError::NoChain(chain.clone()))?;
        if to < from || to.above(from) >= MAX_BLOCKS {
            return Err(FundsError::Range);
        }
        let Ok(_turn) = self.funds_turn.try_lock() else { return Err(FundsError::Busy) };
        let mut gathered = Gathered::default();
        let config = EvmConfig::default();
        let mut blocks = blocks(chain, &pool, &config, &self.metrics, from, to);
        while let Some(next) = blocks.next().await {
            let (block, _) = next?;
            gathered.look(&pool, &block).await?;
        }
        let labels = Arc::clone(&self.labels.read());
        Ok(gathered.follow(&pool, root, settings, &labels).await)
    }
}

/// `balanceOf(address)`
fn balance_of(address: Address) -> Vec<u8> {
    [&[0x70, 0xa0, 0x82, 0x31][..], address.into_word().as_slice()].concat()
}

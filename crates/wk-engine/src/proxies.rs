//! Finds out what stands behind watched contracts, and keeps what is found.

use futures_util::stream::{self, StreamExt};
use tracing::{debug, info};
use wk_chain::abi::Decoder;
use wk_chain::abi::proxy::{Change, Read, Target, Upgrade, detect};
use wk_chain::evm::state::{ReadState, StateReader};
use wk_model::{BlockRef, Bytes, ChainName};
use wk_store::Implementation;

/// Reads under way at once.
const PARALLEL: usize = 8;

/// Looks at the contracts that were not looked at yet, in the state of `block`. What cannot be read
/// now is looked at again with the next block.
pub(crate) async fn look(
    decoder: &Decoder,
    reader: &StateReader,
    chain: &ChainName,
    block: BlockRef,
) -> Vec<Upgrade> {
    let mut found = Vec::new();
    for address in decoder.unread(chain) {
        let read = |reads: Vec<Read>| {
            let reads: Vec<_> =
                reads.into_iter().map(|read| one(reader.clone(), block, read)).collect();
            stream::iter(reads).buffered(PARALLEL).collect::<Vec<_>>()
        };
        match detect(address, read).await {
            Ok(detection) => {
                if let Some(implementation) = detection.implementation() {
                    info!(%chain, contract = %address, %implementation, "contract is a proxy");
                }
                found.extend(decoder.learn(chain, block, &detection));
            }
            Err(error) => debug!(%chain, contract = %address, %error, "not looked at yet"),
        }
    }
    found
}

async fn one(reader: StateReader, block: BlockRef, read: Read) -> Result<Option<Bytes>, ReadState> {
    match read {
        Read::Code(address) => reader.code(block, address).await.map(Some),
        Read::Storage(address, slot) => {
            let word = reader.storage(block, address, slot.into()).await?;
            Ok(Some(Bytes::copy_from_slice(word.as_slice())))
        }
        Read::Call(address, data) => match reader.call(block, address, &data).await {
            Ok(answer) => Ok(Some(answer)),
            Err(ReadState::Reverted { .. }) => Ok(None),
            Err(error) => Err(error),
        },
    }
}

/// What the store keeps of upgrades.
pub(crate) fn rows(upgrades: &[Upgrade]) -> impl Iterator<Item = Implementation> + '_ {
    upgrades.iter().filter_map(|upgrade| match upgrade.change {
        Change::Target(Target::Implementation(implementation)) => {
            Some(Implementation { proxy: upgrade.address, block: upgrade.block, implementation })
        }
        Change::Target(Target::Beacon(_) | Target::Nothing) | Change::Admin(_) => None,
    })
}

/// What the store kept, as upgrades.
pub(crate) fn upgrades(
    chain: &ChainName,
    rows: Vec<Implementation>,
) -> impl Iterator<Item = Upgrade> + use<'_> {
    rows.into_iter().map(|row| Upgrade {
        chain: chain.clone(),
        address: row.proxy,
        block: row.block,
        log: None,
        change: Change::Target(Target::Implementation(row.implementation)),
    })
}

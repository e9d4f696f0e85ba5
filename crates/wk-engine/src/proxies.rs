//! Finds out what stands behind watched contracts, keeps what is found, and tells what changed
//! without an event.

use futures_util::stream::{self, StreamExt};
use tracing::{debug, info};
use wk_chain::abi::Decoder;
use wk_chain::abi::proxy::{Change, Detection, Read, Target, Upgrade, detect};
use wk_chain::evm::state::{ReadState, StateReader};
use wk_model::{
    Address, AssetId, BlockLink, BlockRef, Bytes, ChainName, ChainPosition, Finding,
    FindingBuilder, Severity, Timestamp,
};

/// Contracts that are looked at at once, and reads under way for each.
const PARALLEL: usize = 8;

/// What a look at the state brought.
#[derive(Debug, Default)]
pub(crate) struct Looked {
    /// What was not known before.
    pub(crate) upgrades: Vec<Upgrade>,
    /// Those of them that replace something that was known, though no event said so.
    pub(crate) silent: Vec<Silent>,
}

/// A change that no event told.
#[derive(Debug, PartialEq)]
pub(crate) struct Silent {
    /// The watched contract that led to it; the change may be that of its beacon.
    pub(crate) contract: Address,
    /// What changed.
    pub(crate) upgrade: Upgrade,
    /// What was there before.
    pub(crate) before: Change,
}

/// Looks at `contracts` in the state of `block`. What cannot be read now is looked at again with
/// the next block.
pub(crate) async fn look(
    decoder: &Decoder,
    reader: &StateReader,
    chain: &ChainName,
    block: BlockRef,
    contracts: Vec<Address>,
) -> Looked {
    let looks: Vec<_> =
        contracts.into_iter().map(|address| look_at(reader.clone(), block, address)).collect();
    let mut looks = stream::iter(looks).buffered(PARALLEL);
    let mut looked = Looked::default();
    while let Some((address, detection)) = looks.next().await {
        match detection {
            Ok(detection) => learn(&mut looked, decoder, chain, block, &detection),
            Err(error) => {
                debug!(%chain, contract = %address, %error, "not looked at yet");
                decoder.doubt(chain, &address);
            }
        }
    }
    looked
}

async fn look_at(
    reader: StateReader,
    block: BlockRef,
    address: Address,
) -> (Address, Result<Detection, String>) {
    let read = |reads: Vec<Read>| {
        let reads: Vec<_> =
            reads.into_iter().map(|read| one(reader.clone(), block, read)).collect();
        stream::iter(reads).buffered(PARALLEL).collect::<Vec<_>>()
    };
    let detection = detect(address, read).await;
    (address, detection.map_err(|error| error.to_string()))
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

fn learn(
    looked: &mut Looked,
    decoder: &Decoder,
    chain: &ChainName,
    block: BlockRef,
    detection: &Detection,
) {
    let looked_at = detection
        .proxies
        .iter()
        .flat_map(|detected| [Some(detected.proxy), detected.beacon].into_iter().flatten());
    let before: Vec<_> = looked_at
        .chain([detection.address])
        .map(|address| (address, decoder.behind(chain, &address, block.height)))
        .collect();
    for upgrade in decoder.learn(chain, block, detection) {
        let known = before.iter().find(|(address, _)| *address == upgrade.address);
        let (target, admin) = known.map_or((None, None), |(_, known)| *known);
        let replaced = match upgrade.change {
            // What was nothing has come to be, which is no change of something.
            Change::Target(_) => {
                target.filter(|target| *target != Target::Nothing).map(Change::Target)
            }
            Change::Admin(_) => admin.map(|admin| Change::Admin(Some(admin))),
        };
        match replaced {
            Some(before) => looked.silent.push(Silent {
                contract: detection.address,
                upgrade: upgrade.clone(),
                before,
            }),
            None => info!(%chain, contract = %upgrade.address, change = ?upgrade.change, "proxy"),
        }
        looked.upgrades.push(upgrade);
    }
}

/// The finding about a change that no event told. It stands and falls with the block in whose
/// state it was seen. With `holes` an event may be in blocks that were not looked at yet.
pub(crate) fn finding(
    decoder: &Decoder,
    link: &BlockLink,
    silent: &Silent,
    holes: bool,
    now: Timestamp,
) -> Finding {
    let Silent { contract, upgrade: Upgrade { chain, address, change, .. }, before } = silent;
    let watched = decoder.contract(chain, contract);
    let name = watched.map_or_else(|| contract.to_string(), |watched| watched.name.to_string());
    let trouble = match change {
        Change::Target(_) => "silent_upgrade",
        Change::Admin(_) => "silent_admin_change",
    };
    let mut title = match change {
        Change::Target(_) => format!(
            "{name}: implementation changed without an event, from {} to {}",
            shown(before),
            shown(change)
        ),
        Change::Admin(_) => format!(
            "{name}: admin changed without an event, from {} to {}",
            shown(before),
            shown(change)
        ),
    };
    if holes {
        title.push_str("; it may be in a block that was not looked at yet");
    }
    let asset = AssetId::contract(chain, &name);
    let mut finding = FindingBuilder::system(trouble, asset, Severity::P1, title, now)
        .evidence("contract", contract.to_string().to_lowercase())
        .evidence("changed", address.to_string().to_lowercase())
        .evidence("before", shown(before))
        .evidence("after", shown(change))
        .once_per(&[link.block.hash.as_slice(), address.as_slice()])
        .build();
    if let Some(watched) = watched {
        finding.labels = (*watched.labels).clone();
    }
    finding.position = Some(ChainPosition {
        chain: chain.clone(),
        block: link.block,
        time: link.time,
        tx: None,
        log_index: None,
    });
    finding
}

fn shown(change: &Change) -> String {
    match change {
        Change::Target(Target::Implementation(code)) => code.to_string().to_lowercase(),
        Change::Target(Target::Beacon(beacon)) => format!("beacon {beacon}").to_lowercase(),
        Change::Target(Target::Nothing) => "nothing".to_owned(),
        Change::Admin(Some(admin)) => admin.to_string().to_lowercase(),
        Change::Admin(None) => "nobody".to_owned(),
    }
}

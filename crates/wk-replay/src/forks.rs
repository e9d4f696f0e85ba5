//! Which rules a block is executed under.

use revm::primitives::hardfork::SpecId;
use wk_chain::evm::wire::RawHeader;

/// The rules of one block: its fork, and whose chain it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Chain id.
    pub chain_id: u64,
    pub(crate) spec: SpecId,
}

/// Ethereum mainnet's forks by block height, newest first
/// (<https://github.com/ethereum/execution-specs>, "Ethereum Protocol Releases").
const BY_HEIGHT: [(u64, SpecId); 10] = [
    (15_537_394, SpecId::MERGE),
    (12_965_000, SpecId::LONDON),
    (12_244_000, SpecId::BERLIN),
    (9_069_000, SpecId::ISTANBUL),
    (7_280_000, SpecId::PETERSBURG),
    (4_370_000, SpecId::BYZANTIUM),
    (2_675_000, SpecId::SPURIOUS_DRAGON),
    (2_463_000, SpecId::TANGERINE),
    (1_150_000, SpecId::HOMESTEAD),
    (0, SpecId::FRONTIER),
];

/// Ethereum mainnet's forks by time in seconds, newest first (same source; Osaka: EIP-7607).
const BY_TIME: [(u64, SpecId); 4] = [
    (1_764_798_551, SpecId::OSAKA),
    (1_746_612_311, SpecId::PRAGUE),
    (1_710_338_135, SpecId::CANCUN),
    (1_681_338_455, SpecId::SHANGHAI),
];

impl Rules {
    /// The rules of a block: by the schedule on Ethereum mainnet, elsewhere by the fields that its
    /// header has.
    pub fn of(chain_id: u64, header: &RawHeader) -> Rules {
        let spec = if chain_id == 1 {
            mainnet(header.header.height.0, header.header.time.0)
        } else {
            by_fields(header)
        };
        Rules { chain_id, spec }
    }
}

fn mainnet(height: u64, seconds: u64) -> SpecId {
    let timed = BY_TIME.iter().find(|(from, _)| seconds >= *from);
    let spec = timed.or_else(|| BY_HEIGHT.iter().find(|(from, _)| height >= *from));
    spec.map_or(SpecId::FRONTIER, |(_, spec)| *spec)
}

/// Fields come with forks and never go. Chains that had all forks from their first block look
/// newest here, which they are.
fn by_fields(header: &RawHeader) -> SpecId {
    let proof_of_stake = header.difficulty.is_some_and(|difficulty| difficulty.is_zero());
    if header.requests_hash.is_some() {
        SpecId::PRAGUE
    } else if header.header.excess_blob_gas.is_some() || header.parent_beacon_block_root.is_some() {
        SpecId::CANCUN
    } else if header.withdrawals_root.is_some() {
        SpecId::SHANGHAI
    } else if header.header.base_fee_per_gas.is_some() && proof_of_stake {
        SpecId::MERGE
    } else if header.header.base_fee_per_gas.is_some() {
        SpecId::LONDON
    } else {
        SpecId::BERLIN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mainnet_forks_begin_at_their_block() {
        for (height, seconds, expected) in [
            (0, 1_438_269_988, SpecId::FRONTIER),
            (1_149_999, 1_457_981_342, SpecId::FRONTIER),
            (1_150_000, 1_457_981_393, SpecId::HOMESTEAD),
            (4_369_999, 1_508_131_303, SpecId::SPURIOUS_DRAGON),
            (4_370_000, 1_508_131_331, SpecId::BYZANTIUM),
            (12_965_000, 1_628_166_822, SpecId::LONDON),
            (15_537_394, 1_663_224_179, SpecId::MERGE),
            (17_034_869, 1_681_338_443, SpecId::MERGE),
            (17_034_870, 1_681_338_479, SpecId::SHANGHAI),
            (19_426_587, 1_710_338_135, SpecId::CANCUN),
            (22_431_084, 1_746_612_311, SpecId::PRAGUE),
            (23_935_694, 1_764_798_551, SpecId::OSAKA),
        ] {
            assert_eq!(mainnet(height, seconds), expected, "{height}");
        }
    }
}

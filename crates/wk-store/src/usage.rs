//! What transactions did with watched contracts, and what was learned of it. What it looks like is the
//! business of who learns; here it is text.

use alloy_primitives::Address;
use rusqlite::{Connection, params};
use wk_model::{BlockRef, ChainName, Height};

use crate::sql::{Db, change, rows};
use crate::{Store, StoreError};

/// Blocks for which uses wait to be learned, at most.
const MOST_WAITING: u64 = 100_000;

/// What the transactions of a block did with a contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContractUse {
    /// The contract.
    pub contract: Address,
    /// What was done with it.
    pub uses: String,
}

/// Uses of finalized blocks were learned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Learned {
    /// Up to this block, which none is to be learned of any more.
    pub through: Height,
    /// The profiles that changed.
    pub profiles: Vec<(Address, String)>,
}

impl Store {
    /// Uses of contracts of `chain` in blocks up to a height, lowest first, at most `limit`.
    pub async fn contract_uses(
        &self,
        chain: &ChainName,
        through: Height,
        limit: u32,
    ) -> Result<Vec<(Height, ContractUse)>, StoreError> {
        let chain = chain.clone();
        self.read(move |connection| {
            let sql = "SELECT * FROM contract_uses WHERE chain = ? AND height <= ?
                       ORDER BY height, contract LIMIT ?";
            rows(connection, sql, params![Db(chain), Db(through), limit], |row| {
                let contract = row.get::<_, Db<Address>>("contract")?.0;
                let uses = row.get("uses")?;
                Ok((row.get::<_, Db<Height>>("height")?.0, ContractUse { contract, uses }))
            })
        })
        .await
    }

    /// Everything that was learned of contracts of `chain`.
    pub async fn contract_profiles(
        &self,
        chain: &ChainName,
    ) -> Result<Vec<(Address, String)>, StoreError> {
        let chain = chain.clone();
        self.read(move |connection| {
            let sql = "SELECT contract, profile FROM contract_profiles WHERE chain = ?";
            rows(connection, sql, [Db(chain)], |row| {
                Ok((row.get::<_, Db<Address>>("contract")?.0, row.get("profile")?))
            })
        })
        .await
    }
}

/// These uses wait until their block is finalized; where that never comes, the oldest go.
pub(crate) fn wait(
    connection: &Connection,
    chain: &ChainName,
    block: &BlockRef,
    uses: &[ContractUse],
) -> Result<(), StoreError> {
    for ContractUse { contract, uses } in uses {
        let sql = "INSERT INTO contract_uses (chain, height, contract, hash, uses)
                   VALUES (?1, ?2, ?3, ?4, ?5)
                   ON CONFLICT (chain, height, contract) DO UPDATE SET hash = ?4, uses = ?5";
        let params =
            params![Db(chain.clone()), Db(block.height), Db(*contract), Db(block.hash), uses];
        change(connection, sql, params)?;
    }
    if !uses.is_empty() {
        let lowest = Height(block.height.0.saturating_sub(MOST_WAITING));
        let sql = "DELETE FROM contract_uses WHERE chain = ? AND height < ?";
        change(connection, sql, params![Db(chain.clone()), Db(lowest)])?;
    }
    Ok(())
}

/// What was done in a block that is no longer part of the chain is never learned.
pub(crate) fn forget_block(
    connection: &Connection,
    chain: &ChainName,
    block: &BlockRef,
) -> Result<(), StoreError> {
    let sql = "DELETE FROM contract_uses WHERE chain = ? AND height = ? AND hash = ?";
    change(connection, sql, params![Db(chain.clone()), Db(block.height), Db(block.hash)])?;
    Ok(())
}

/// What was learned takes the place of what it was learned from.
pub(crate) fn learn(
    connection: &Connection,
    chain: &ChainName,
    learned: &Learned,
) -> Result<(), StoreError> {
    for (contract, profile) in &learned.profiles {
        let sql = "INSERT INTO contract_profiles (chain, contract, profile) VALUES (?1, ?2, ?3)
                   ON CONFLICT (chain, contract) DO UPDATE SET profile = ?3";
        change(connection, sql, params![Db(chain.clone()), Db(*contract), profile])?;
    }
    let sql = "DELETE FROM contract_uses WHERE chain = ? AND height <= ?";
    change(connection, sql, params![Db(chain.clone()), Db(learned.through)])?;
    Ok(())
}

//! Which code a proxy ran from which block on.

use alloy_primitives::{Address, B256};
use rusqlite::{Connection, Row, params};
use wk_model::{BlockRef, ChainName, Height};

use crate::sql::{Db, change, first, rows};
use crate::{Implementation, Store, StoreError};

impl Store {
    /// Every known change of a proxy's implementation on `chain`, by proxy, lowest block first.
    pub async fn implementations(
        &self,
        chain: &ChainName,
    ) -> Result<Vec<Implementation>, StoreError> {
        let chain = chain.clone();
        self.read(move |connection| {
            let sql = "SELECT * FROM implementations WHERE chain = ? ORDER BY proxy, height";
            rows(connection, sql, [Db(chain)], read_implementation)
        })
        .await
    }

    /// What `proxy` ran at the end of the block at `height`; none if nothing is known that early.
    pub async fn implementation_at(
        &self,
        chain: &ChainName,
        proxy: Address,
        height: Height,
    ) -> Result<Option<Implementation>, StoreError> {
        let chain = chain.clone();
        self.read(move |connection| {
            let sql = "SELECT * FROM implementations WHERE chain = ? AND proxy = ? AND height <= ?
                       ORDER BY height DESC LIMIT 1";
            first(connection, sql, params![Db(chain), Db(proxy), Db(height)], read_implementation)
        })
        .await
    }
}

/// Proxies changed their implementation; of several changes in one block the last counts.
pub(crate) fn remember(
    connection: &Connection,
    chain: &ChainName,
    implementations: &[Implementation],
) -> Result<(), StoreError> {
    for Implementation { proxy, block, implementation } in implementations {
        let sql = "INSERT INTO implementations (chain, proxy, height, block_hash, implementation)
                   VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (chain, proxy, height)
                   DO UPDATE SET block_hash = ?4, implementation = ?5";
        let params = params![
            Db(chain.clone()),
            Db(*proxy),
            Db(block.height),
            Db(block.hash),
            Db(*implementation)
        ];
        change(connection, sql, params)?;
    }
    Ok(())
}

/// Forgets what came from the block `hash`.
pub(crate) fn forget_block(
    connection: &Connection,
    chain: &ChainName,
    hash: B256,
) -> Result<(), StoreError> {
    let sql = "DELETE FROM implementations WHERE chain = ? AND block_hash = ?";
    change(connection, sql, params![Db(chain.clone()), Db(hash)])?;
    Ok(())
}

fn read_implementation(row: &Row<'_>) -> rusqlite::Result<Implementation> {
    Ok(Implementation {
        proxy: row.get::<_, Db<Address>>("proxy")?.0,
        block: BlockRef {
            height: row.get::<_, Db<Height>>("height")?.0,
            hash: row.get::<_, Db<B256>>("block_hash")?.0,
        },
        implementation: row.get::<_, Db<Address>>("implementation")?.0,
    })
}

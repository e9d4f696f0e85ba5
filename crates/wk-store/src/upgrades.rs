//! What stood behind which proxy from which block on, and who could change it.

use alloy_primitives::{Address, B256};
use rusqlite::{Connection, Row, params};
use wk_model::proxy::{Change, LogPlace, Target, Upgrade};
use wk_model::{BlockRef, ChainName, Finality, Height};

use crate::blocks::heads;
use crate::sql::{Db, change as write, first, rows};
use crate::{Store, StoreError};

/// Place of a read: it counts after all logs.
const AFTER_LOGS: i64 = i64::MAX;
/// Most changes that are kept of one proxy; the oldest go first.
const MOST: u32 = 1_024;

/// A change of a proxy or beacon, and how settled it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpgradeRow {
    /// What changed.
    pub upgrade: Upgrade,
    /// How settled its block is now.
    pub finality: Finality,
}

impl Store {
    /// Every known change of proxies and beacons on `chain`: by contract, admins first, lowest
    /// block first.
    pub async fn upgrades(&self, chain: &ChainName) -> Result<Vec<UpgradeRow>, StoreError> {
        let chain = chain.clone();
        self.read(move |connection| {
            let heads = heads(connection, &chain)?;
            let sql = "SELECT * FROM upgrades WHERE chain = ?
                       ORDER BY address, aspect, height, place";
            let upgrades =
                rows(connection, sql, [Db(chain.clone())], |row| read_upgrade(row, &chain))?;
            let row = |upgrade: Upgrade| {
                let finality = heads.finality(upgrade.block.height);
                UpgradeRow { upgrade, finality }
            };
            Ok(upgrades.into_iter().map(row).collect())
        })
        .await
    }
}

/// Proxies or beacons changed. Of one block, a log counts more than a read.
pub(crate) fn remember(
    connection: &Connection,
    chain: &ChainName,
    upgrades: &[Upgrade],
) -> Result<(), StoreError> {
    for Upgrade { chain: _, address, block, log, change } in upgrades {
        let (aspect, kind, value) = columns(change);
        let same = params![Db(chain.clone()), Db(*address), aspect, Db(block.height)];
        if log.is_some() {
            let sql = "DELETE FROM upgrades WHERE chain = ? AND address = ? AND aspect = ?
                         AND height = ? AND tx_index IS NULL";
            write(connection, sql, same)?;
        } else {
            let sql = "SELECT 1 FROM upgrades WHERE chain = ? AND address = ? AND aspect = ?
                         AND height = ? AND tx_index IS NOT NULL";
            if first(connection, sql, same, |_| Ok(()))?.is_some() {
                continue;
            }
        }
        let place = log.map_or(Ok(AFTER_LOGS), |log| {
            i64::try_from(log.log_index)
                .map_err(|_| StoreError::Refused(format!("{} is no log's place", log.log_index)))
        })?;
        let sql = "INSERT INTO upgrades (chain, address, aspect, height, place, block_hash,
                                         tx_index, kind, value)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
                   ON CONFLICT (chain, address, aspect, height, place)
                   DO UPDATE SET block_hash = ?6, tx_index = ?7, kind = ?8, value = ?9";
        let params = params![
            Db(chain.clone()),
            Db(*address),
            aspect,
            Db(block.height),
            place,
            Db(block.hash),
            log.map(|log| Db(log.tx_index)),
            kind,
            value.map(Db)
        ];
        write(connection, sql, params)?;
    }
    Ok(())
}

/// Forgets what came from the block `hash`.
pub(crate) fn forget_block(
    connection: &Connection,
    chain: &ChainName,
    hash: B256,
) -> Result<(), StoreError> {
    let sql = "DELETE FROM upgrades WHERE chain = ? AND block_hash = ?";
    write(connection, sql, params![Db(chain.clone()), Db(hash)])?;
    Ok(())
}

/// Forgets the oldest changes of proxies that change all the time. Returns their number.
pub(crate) fn prune(connection: &Connection) -> Result<u64, StoreError> {
    let sql = "DELETE FROM upgrades WHERE (chain, address, aspect, height, place) IN (
                   SELECT chain, address, aspect, height, place FROM (
                       SELECT *, row_number() OVER (PARTITION BY chain, address, aspect
                                                    ORDER BY height DESC, place DESC) AS age
                       FROM upgrades)
                   WHERE age > ?)";
    write(connection, sql, [MOST])
}

/// How a change is written: aspect, kind and address.
fn columns(change: &Change) -> (&'static str, &'static str, Option<Address>) {
    match *change {
        Change::Target(Target::Implementation(code)) => ("target", "implementation", Some(code)),
        Change::Target(Target::Beacon(beacon)) => ("target", "beacon", Some(beacon)),
        Change::Target(Target::Nothing) => ("target", "nothing", None),
        Change::Admin(Some(admin)) => ("admin", "admin", Some(admin)),
        Change::Admin(None) => ("admin", "nothing", None),
    }
}

fn read_upgrade(row: &Row<'_>, chain: &ChainName) -> rusqlite::Result<Upgrade> {
    let (aspect, kind): (String, String) = (row.get("aspect")?, row.get("kind")?);
    let value = row.get::<_, Option<Db<Address>>>("value")?.map(|value| value.0);
    // The table's checks leave no other combination.
    let change = match (aspect.as_str(), kind.as_str(), value) {
        ("target", "implementation", Some(code)) => Change::Target(Target::Implementation(code)),
        ("target", "beacon", Some(beacon)) => Change::Target(Target::Beacon(beacon)),
        ("target", _, _) => Change::Target(Target::Nothing),
        (_, _, admin) => Change::Admin(admin),
    };
    let log = match row.get::<_, Option<Db<u64>>>("tx_index")? {
        Some(Db(tx_index)) => {
            Some(LogPlace { tx_index, log_index: row.get::<_, Db<u64>>("place")?.0 })
        }
        None => None,
    };
    Ok(Upgrade {
        chain: chain.clone(),
        address: row.get::<_, Db<Address>>("address")?.0,
        block: BlockRef {
            height: row.get::<_, Db<Height>>("height")?.0,
            hash: row.get::<_, Db<B256>>("block_hash")?.0,
        },
        log,
        change,
    })
}

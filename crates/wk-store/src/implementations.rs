//! Which code a proxy ran from which block on.

use alloy_primitives::Address;
use wk_model::{ChainName, Height};

use crate::{Implementation, Store, StoreError};

impl Store {
    /// Every known change of a proxy's implementation on `chain`, by proxy, lowest block first.
    pub async fn implementations(
        &self,
        chain: &ChainName,
    ) -> Result<Vec<Implementation>, StoreError> {
        let _ = chain;
        Err(StoreError::Closed)
    }

    /// What `proxy` ran at the end of the block at `height`; none if nothing is known that early.
    pub async fn implementation_at(
        &self,
        chain: &ChainName,
        proxy: Address,
        height: Height,
    ) -> Result<Option<Implementation>, StoreError> {
        let _ = (chain, proxy, height);
        Err(StoreError::Closed)
    }
}

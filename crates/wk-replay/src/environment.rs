//! Blocks and transactions as the interpreter takes them.

use alloy_primitives::{Address, B256, TxKind, U256};
use revm::context::{BlockEnv, CfgEnv, TxEnv};
use revm::context_interface::block::BlobExcessGasAndPrice;
use revm::context_interface::either::Either;
use revm::context_interface::transaction::{
    AccessList, AccessListItem, Authorization, SignedAuthorization,
};
use revm::primitives::eip4844::{
    BLOB_BASE_FEE_UPDATE_FRACTION_CANCUN, BLOB_BASE_FEE_UPDATE_FRACTION_PRAGUE,
};
use revm::primitives::hardfork::SpecId;
use wk_chain::evm::wire::{self, RawHeader, RawTransaction};

use crate::forks::Rules;

pub(crate) fn config(rules: Rules) -> CfgEnv {
    let mut config = CfgEnv::new_with_spec(rules.spec).with_chain_id(rules.chain_id);
    // How many blobs a transaction may carry has been decided by whoever made the block.
    config.clear_max_blobs_per_tx();
    config
}

pub(crate) fn block(rules: Rules, raw: &RawHeader) -> BlockEnv {
    let header = &raw.header;
    let merged = rules.spec.is_enabled_in(SpecId::MERGE);
    let fraction = if rules.spec.is_enabled_in(SpecId::PRAGUE) {
        BLOB_BASE_FEE_UPDATE_FRACTION_PRAGUE
    } else {
        BLOB_BASE_FEE_UPDATE_FRACTION_CANCUN
    };
    let cancun = rules.spec.is_enabled_in(SpecId::CANCUN);
    let excess = header.excess_blob_gas.or(cancun.then_some(0));
    BlockEnv {
        number: U256::from(header.height.0),
        beneficiary: header.beneficiary,
        timestamp: U256::from(header.time.0),
        gas_limit: header.gas_limit,
        basefee: header.base_fee_per_gas.map_or(0, |fee| fee.saturating_to()),
        difficulty: raw.difficulty.unwrap_or_default(),
        prevrandao: merged.then(|| raw.mix_hash.unwrap_or_default()),
        blob_excess_gas_and_price: excess
            .map(|excess| BlobExcessGasAndPrice::new(excess, fraction)),
        slot_num: raw.slot_number.unwrap_or_default(),
    }
}

pub(crate) fn transaction(raw: &RawTransaction) -> TxEnv {
    let transaction = &raw.transaction;
    let price = transaction.max_fee_per_gas.or(transaction.gas_price).unwrap_or_default();
    TxEnv {
        tx_type: transaction.kind,
        caller: transaction.from,
        gas_limit: transaction.gas,
        gas_price: price.saturating_to(),
        kind: transaction.to.map_or(TxKind::Create, TxKind::Call),
        value: transaction.value,
        data: transaction.input.clone(),
        nonce: transaction.nonce,
        chain_id: raw.chain_id,
        access_list: access_list(&raw.access_list),
        gas_priority_fee: transaction.max_priority_fee_per_gas.map(|fee| fee.saturating_to()),
        blob_hashes: raw.blob_hashes.clone(),
        max_fee_per_blob_gas: raw.max_fee_per_blob_gas.saturating_to(),
        authorization_list: raw.authorizations.iter().map(authorization).collect(),
    }
}

fn access_list(items: &[(Address, Vec<B256>)]) -> AccessList {
    let item = |(address, storage_keys): &(Address, Vec<B256>)| AccessListItem {
        address: *address,
        storage_keys: storage_keys.clone(),
    };
    AccessList(items.iter().map(item).collect())
}

fn authorization<T>(raw: &wire::Authorization) -> Either<SignedAuthorization, T> {
    let inner = Authorization { chain_id: raw.chain_id, address: raw.address, nonce: raw.nonce };
    Either::Left(SignedAuthorization::new_unchecked(inner, raw.y_parity, raw.r, raw.s))
}

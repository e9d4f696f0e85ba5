//! How watched contracts are usually used: learned from finalized blocks, held against new ones.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tracing::warn;
use wk_chain::abi::Decoder;
use wk_detectors::Config;
use wk_detectors::usage::{Profile, Use, hold_against, unusual_uses, use_of};
use wk_model::{Address, BlockRef, ChainName, Height};
use wk_store::{ContractUse, Learned, StoreError};

use super::InspectTask;
use super::finding::{named_victim, watched};
use super::look::LookedAt;
use crate::parts::ChainParts;

/// Rows that are learned in one transaction.
const AT_ONCE: u32 = 1_000;

/// What is known of contracts of one chain.
pub(super) type Profiles = HashMap<Address, Profile>;

/// What was learned so far, as it stands in the store.
pub(super) struct Usage {
    profiles: Arc<Profiles>,
    through: Option<Height>,
}

impl Usage {
    pub(super) async fn load(parts: &ChainParts) -> Result<Usage, StoreError> {
        let stored = parts.store.contract_profiles(&parts.chain).await?;
        let read =
            stored.into_iter().filter_map(|(contract, text)| match serde_json::from_str(&text) {
                Ok(profile) => Some((contract, profile)),
                Err(error) => {
                    warn!(chain = %parts.chain, %contract, %error,
                        "what was learned of a contract cannot be read; it is learned anew");
                    None
                }
            });
        Ok(Usage { profiles: Arc::new(read.collect()), through: None })
    }

    pub(super) fn profiles(&self) -> Arc<Profiles> {
        Arc::clone(&self.profiles)
    }

    /// Learns what became final. Nobody else writes these rows while this runs.
    pub(super) async fn settle(&mut self, task: &InspectTask) -> Result<(), StoreError> {
        let parts = &task.0;
        let Some(finalized) = task.finalized().filter(|height| Some(*height) != self.through)
        else {
            return Ok(());
        };
        loop {
            let rows = parts.store.contract_uses(&parts.chain, finalized, AT_ONCE).await?;
            let Some((last, _)) = rows.last() else { break };
            // The last block of a full page may be only half there.
            let cut = rows.len() >= AT_ONCE as usize && rows[0].0 != *last;
            let through = if cut { Height(last.0.saturating_sub(1)) } else { *last };
            let mut changed: BTreeMap<Address, Profile> = BTreeMap::new();
            for (height, row) in rows.iter().take_while(|(height, _)| *height <= through) {
                // What another version wrote in another shape is lost, and that is all.
                let Ok(uses) = serde_json::from_str::<Vec<Use>>(&row.uses) else { continue };
                let known = || self.profiles.get(&row.contract).cloned().unwrap_or_default();
                changed.entry(row.contract).or_insert_with(known).learn(height.0, &uses);
            }
            let mut commit = task.commit();
            commit.learned = Some(Learned {
                through,
                profiles: changed.iter().map(|(one, profile)| (*one, text(profile))).collect(),
            });
            parts.store(commit).await?;
            Arc::make_mut(&mut self.profiles).extend(changed);
        }
        self.through = Some(finalized);
        Ok(())
    }
}

/// What transactions of a block did with watched contracts. What is unusual about it is added to what
/// was found in them, and what was found is seen in its light.
pub(super) fn look(
    profiles: &Profiles,
    decoder: &Decoder,
    chain: &ChainName,
    config: &Config,
    at: BlockRef,
    looked: &mut [LookedAt],
) -> Vec<ContractUse> {
    let rules = &config.unusual_use;
    if !rules.enabled {
        return Vec::new();
    }
    let mut used: BTreeMap<Address, (Vec<usize>, Vec<Use>)> = BTreeMap::new();
    for (place, LookedAt { trace, .. }) in looked.iter().enumerate() {
        // Without calls nothing is known.
        if !trace.known.frames {
            continue;
        }
        for (_, contract) in watched(decoder, chain, trace) {
            if let Some(one) = use_of(trace, &contract.address) {
                let (places, uses) = used.entry(contract.address).or_default();
                places.push(place);
                uses.push(one);
            }
        }
    }
    for finding in looked.iter_mut().flat_map(|looked| &mut looked.report.findings) {
        if let Some(profile) = named_victim(&finding.evidence).and_then(|one| profiles.get(&one)) {
            hold_against(profile, finding);
        }
    }
    let mut found = Vec::new();
    let unknown = Profile::default();
    for (address, (places, uses)) in used {
        let profile = profiles.get(&address).unwrap_or(&unknown);
        for (which, finding) in unusual_uses(&address, profile, at.height.0, &uses, rules) {
            if config.min_severity.is_some_and(|least| finding.severity > least) {
                continue;
            }
            let findings = &mut looked[places[which]].report.findings;
            let surer = findings.partition_point(|other| other.confidence >= finding.confidence);
            findings.insert(surer, finding);
        }
        found.push(ContractUse { contract: address, uses: text(&uses) });
    }
    found
}

fn text(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("numbers and addresses can be written")
}

//! `doctor`: tries everything that the config names, and says what to fix.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use wk_chain::evm::{EvmConfig, HOW_TO_ENABLE, TraceMode, Tracer};
use wk_chain::rpc::{EndpointStatus, Health, Pool};
use wk_config::{ChainConfig, Loaded};
use wk_model::ChainName;
use wk_notifiers::{Channel, Message, Receivers};
use wk_runtime::{Clock, Metrics, StopToken};

use super::load_existing;
use crate::arguments::Doctor;
use crate::exit::{Code, Exit};
use crate::output::Output;

/// How long endpoints get to show themselves.
const PATIENCE: Duration = Duration::from_secs(10);
/// A head older than this is worth a word on any chain.
const OLD_HEAD: Duration = Duration::from_secs(120);

/// The outcome of one check.
struct Finding {
    check: String,
    result: &'static str,
    detail: String,
    fix: String,
}

impl Finding {
    fn new(check: impl Into<String>, result: &'static str, detail: impl Into<String>) -> Finding {
        Finding { check: check.into(), result, detail: detail.into(), fix: String::new() }
    }

    fn fix(mut self, fix: impl Into<String>) -> Finding {
        self.fix = fix.into();
        self
    }
}

pub(crate) async fn run(
    command: Doctor,
    config: Option<&Path>,
    output: Output,
) -> Result<(), Exit> {
    let loaded = load_existing(config)?;
    let mut findings =
        vec![Finding::new("config", "ok", format!("{} rules", loaded.config.rules.len()))];
    for warning in &loaded.warnings {
        findings.push(Finding::new("config", "warn", warning.to_string()));
    }
    findings.push(data_dir(&loaded.config.server.data_dir));
    endpoints(&loaded, &mut findings).await;
    channels(&loaded, command.send, &mut findings).await;
    let rows: Vec<Value> = findings
        .iter()
        .enumerate()
        .map(|(at, finding)| {
            json!({
                "n": at + 1, "check": finding.check, "result": finding.result,
                "detail": finding.detail, "fix": finding.fix,
            })
        })
        .collect();
    output.rows(&["n", "result", "check", "detail", "fix"], &rows)?;
    let failed = findings.iter().any(|finding| finding.result == "fail");
    if failed { Err(Exit::quiet(Code::Findings)) } else { Ok(()) }
}

fn data_dir(folder: &Path) -> Finding {
    let name = format!("data folder {}", folder.display());
    let tried = std::fs::create_dir_all(folder).and_then(|()| {
        let probe = folder.join(".doctor");
        std::fs::write(&probe, b"x")?;
        std::fs::remove_file(&probe)
    });
    match tried {
        Ok(()) => Finding::new(name, "ok", "can be written"),
        Err(error) => Finding::new(name, "fail", error.to_string())
            .fix("make it writable for this user, or set server.data_dir"),
    }
}

/// Lets each chain's pool look at its endpoints for a while, and reports what it saw.
async fn endpoints(loaded: &Loaded, findings: &mut Vec<Finding>) {
    if loaded.config.chains.is_empty() {
        findings.push(
            Finding::new("chains", "warn", "none are configured").fix("add one under `chains:`"),
        );
    }
    for (chain, ChainConfig::Evm(config)) in &loaded.config.chains {
        let pool = match Pool::build(chain, &config.pool(), Clock::system(), &Metrics::new()) {
            Ok(pool) => pool,
            Err(problems) => {
                for problem in problems {
                    findings.push(Finding::new(format!("chain {chain}"), "fail", problem.message));
                }
                continue;
            }
        };
        let stop = StopToken::new();
        let (out, mut observations) = tokio::sync::mpsc::channel(64);
        let running = tokio::spawn({
            let (pool, stop) = (pool.clone(), stop.clone());
            async move { pool.run(out, stop).await }
        });
        let drain = tokio::spawn(async move { while observations.recv().await.is_some() {} });
        let settled = async {
            loop {
                let known = |status: &EndpointStatus| match status.health {
                    Health::Unknown => false,
                    Health::Down | Health::Quarantined => true,
                    Health::Healthy | Health::Limited => status.head.is_some(),
                };
                if pool.endpoints().iter().all(known) {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        // Those that did not show themselves by then are reported as they are.
        let _ = tokio::time::timeout(PATIENCE, settled).await;
        findings.extend(pool.endpoints().iter().map(|status| endpoint(chain, status)));
        findings.extend(traces(chain, config, &pool).await);
        if pool.endpoints().len() == 1 {
            findings.push(
                Finding::new(
                    format!("chain {chain}"),
                    "warn",
                    "one endpoint only: nobody can contradict it",
                )
                .fix("add a second endpoint of another provider"),
            );
        }
        stop.stop();
        let _ = running.await;
        drain.abort();
    }
}

/// What each endpoint can tell of transactions, tried on its own head.
async fn traces(chain: &ChainName, config: &EvmConfig, pool: &Pool) -> Vec<Finding> {
    if config.traces == TraceMode::Off {
        let detail = "turned off: transactions are not inspected";
        return vec![Finding::new(format!("traces {chain}"), "ok", detail)];
    }
    let metrics = Metrics::new();
    let tracer = Tracer::new(chain, pool, config.traces, &config.trace_options, &metrics);
    let mut findings = Vec::new();
    let mut ways = 0;
    for status in pool.endpoints() {
        let Some(head) = status.head else { continue };
        let check = format!("traces {chain}/{}", status.name);
        findings.push(match tracer.try_endpoint(&status.name, head.block).await {
            Ok(via) => {
                ways += 1;
                Finding::new(check, "ok", format!("{} works", via.method()))
            }
            Err(said) => Finding::new(check, "warn", said).fix(HOW_TO_ENABLE),
        });
    }
    if ways > 0 {
        // One endpoint is enough: what the others lack needs no mending.
        for finding in findings.iter_mut().filter(|finding| finding.result == "warn") {
            finding.result = "ok";
            finding.fix = String::new();
        }
    }
    findings
}

fn endpoint(chain: &ChainName, status: &EndpointStatus) -> Finding {
    let check = format!("endpoint {chain}/{}", status.name);
    let reason = status.reason.clone().or(status.last_error.as_ref().map(|e| e.message.clone()));
    let reason = reason.unwrap_or_default();
    match (status.health, status.head) {
        (Health::Quarantined, _) => {
            Finding::new(check, "fail", reason).fix("ask the provider, or take the endpoint out")
        }
        (Health::Down | Health::Unknown, _) | (_, None) => {
            let detail = if reason.is_empty() { "no answer".to_owned() } else { reason };
            Finding::new(check, "fail", detail)
                .fix(format!("check its URL and key under chains.{chain}.evm.rpc, and the network"))
        }
        (Health::Limited, Some(_)) => Finding::new(check, "warn", reason),
        (Health::Healthy, Some(head)) => {
            let age = Clock::system().now().since(head.time.to_timestamp());
            let id = status.chain_id.map(|id| id.to_string()).unwrap_or_default();
            let client = status.client_version.clone().unwrap_or_default();
            let latency = status.latency_p50.map_or(0, |latency| latency.as_millis());
            let detail = format!(
                "chain id {id}, block {}, {} s old, {latency} ms, {client}",
                head.block.height,
                age.as_secs()
            );
            if age > OLD_HEAD {
                Finding::new(check, "warn", detail).fix("the node may not be in sync")
            } else {
                Finding::new(check, "ok", detail)
            }
        }
    }
}

async fn channels(loaded: &Loaded, send: bool, findings: &mut Vec<Finding>) {
    let receivers = match Receivers::build(&loaded.config.receivers) {
        Ok(receivers) => receivers,
        Err(problems) => {
            for problem in problems {
                findings.push(Finding::new("receivers", "fail", problem.message));
            }
            return;
        }
    };
    for problem in receivers.check_secrets() {
        findings.push(
            Finding::new(format!("receivers.{}", problem.path), "fail", problem.message)
                .fix(problem.hint.unwrap_or_default()),
        );
    }
    for (target, channel) in receivers.channels() {
        let check = format!("channel {target}");
        let tried = match channel {
            // Our own output goes there.
            Channel::Stdout(_) => channel.probe().await,
            Channel::Webhook(_) | Channel::Slack(_) if send => {
                let message = Message::test(Clock::system().now());
                channel.send(&message, "doctor").await.map(|()| "test message sent".to_owned())
            }
            Channel::Webhook(_) | Channel::Slack(_) => channel.probe().await,
        };
        findings.push(match tried {
            Ok(detail) => Finding::new(check, "ok", detail),
            Err(error) => {
                let key = target.replace('/', ".");
                Finding::new(check, "fail", error.to_string()).fix(format!(
                    "check `url` and the secrets under receivers.{key}, and that it is reachable from here"
                ))
            }
        });
    }
}

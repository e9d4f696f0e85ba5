//! What it means that nobody gave traces: nobody can, or something failed.

use std::collections::BTreeMap;

use super::LackKind;
use crate::rpc::{Attempt, CallError, EndpointName, ErrorClass, Remedy};

/// Why there are no traces.
#[derive(Debug)]
pub(super) enum Fault {
    /// This way cannot be gone.
    Lacks(LackKind, String),
    /// Somebody should have been able to.
    Failed(Box<CallError>),
}

impl Fault {
    /// An answer that was checked before does not hold any more: cannot be, and must not panic.
    pub(super) fn odd() -> Fault {
        Fault::Lacks(LackKind::Missing, "the answer cannot be read".to_owned())
    }
}

/// What hosted endpoints write when the plan does not include tracing, whatever the code.
const NOT_INCLUDED: &[&str] = &[
    "not available",
    "not supported",
    "not enabled",
    "not allowed",
    "not permitted",
    "not found",
    "disabled",
    "unsupported",
    "upgrade",
    "your plan",
    "free tier",
    "paid",
    "whitelist",
    "add-on",
    "addon",
    "unauthorized",
    "forbidden",
    "permission",
];

/// What one endpoint's last answer means.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Meaning {
    Missing,
    Pruned,
    TooLarge,
    Failed,
}

fn meaning(attempt: &Attempt) -> Meaning {
    if matches!(attempt.remedy, Remedy::Smaller { .. }) {
        return Meaning::TooLarge;
    }
    match attempt.class {
        ErrorClass::RpcMethodMissing | ErrorClass::RpcInvalidParams | ErrorClass::HttpClient => {
            Meaning::Missing
        }
        ErrorClass::RpcPruned => Meaning::Pruned,
        ErrorClass::RpcOther => {
            let said = attempt.message.to_lowercase();
            let not_included = NOT_INCLUDED.iter().any(|words| said.contains(words));
            if not_included { Meaning::Missing } else { Meaning::Failed }
        }
        ErrorClass::Http429
        | ErrorClass::HttpServer
        | ErrorClass::Timeout
        | ErrorClass::Connect
        | ErrorClass::Tls
        | ErrorClass::Json
        | ErrorClass::RpcLimit
        | ErrorClass::RpcHeaderNotFound
        | ErrorClass::Stale
        | ErrorClass::Inconsistent => Meaning::Failed,
    }
}

/// What a failed call means, and which endpoints lack the way. `known` are those that were left
/// aside for it.
pub(super) fn judge(error: CallError, known: &[EndpointName]) -> (Fault, Vec<EndpointName>) {
    let last: BTreeMap<&EndpointName, &Attempt> =
        error.attempts.iter().map(|attempt| (&attempt.endpoint, attempt)).collect();
    let mut worst = None;
    let mut said = Vec::new();
    let mut missing = Vec::new();
    for (endpoint, attempt) in last {
        let meaning = meaning(attempt);
        if meaning == Meaning::Missing {
            missing.push(endpoint.clone());
        }
        said.push(format!("{endpoint}: {}", attempt.message));
        worst = worst.max(Some(meaning));
    }
    for unused in &error.unused {
        let lacks = known.contains(&unused.endpoint);
        worst = worst.max(Some(if lacks { Meaning::Missing } else { Meaning::Failed }));
        if lacks {
            said.push(format!("{}: it said before that it cannot", unused.endpoint));
        }
    }
    let kind = match worst {
        Some(Meaning::Missing) => LackKind::Missing,
        Some(Meaning::Pruned) => LackKind::Pruned,
        Some(Meaning::TooLarge) => LackKind::TooLarge,
        Some(Meaning::Failed) | None => return (Fault::Failed(Box::new(error)), missing),
    };
    (Fault::Lacks(kind, said.join("; ")), missing)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::rpc::Unused;

    fn attempt(name: &str, class: ErrorClass, message: &str) -> Attempt {
        let remedy = match class {
            ErrorClass::Json => Remedy::Smaller { range: None, blocks: None },
            _ => Remedy::Elsewhere,
        };
        Attempt {
            endpoint: EndpointName::new(name),
            class,
            message: message.to_owned(),
            rpc: None,
            remedy,
            took: Duration::ZERO,
        }
    }

    #[test]
    fn tells_who_cannot_from_what_failed() {
        use ErrorClass::*;
        let check = |attempts: &[(&str, ErrorClass, &str)], unused: &[&str], expected: &str| {
            let error = CallError {
                method: "m".to_owned(),
                attempts: attempts.iter().map(|(name, c, said)| attempt(name, *c, said)).collect(),
                unused: unused
                    .iter()
                    .map(|name| Unused { endpoint: EndpointName::new(name), reason: String::new() })
                    .collect(),
                out_of_time: None,
            };
            let (fault, missing) = judge(error, &[EndpointName::new("known")]);
            let kind = match fault {
                Fault::Lacks(kind, _) => format!("{kind:?}"),
                Fault::Failed(_) => "Failed".to_owned(),
            };
            let names: Vec<&str> = missing.iter().map(EndpointName::as_str).collect();
            assert_eq!(format!("{kind} {}", names.join(",")).trim(), expected, "{attempts:?}");
        };
        check(&[("a", RpcMethodMissing, "")], &[], "Missing a");
        check(&[("a", HttpClient, "HTTP 403")], &[], "Missing a");
        check(
            &[("a", RpcOther, "-32600 debug_traceBlockByHash is not available on the Free tier")],
            &[],
            "Missing a",
        );
        check(&[("a", RpcMethodMissing, ""), ("b", Timeout, "")], &[], "Failed a");
        check(&[("b", Timeout, ""), ("b", RpcMethodMissing, "")], &[], "Missing b");
        check(&[("a", RpcMethodMissing, ""), ("b", RpcPruned, "")], &[], "Pruned a");
        check(&[("a", Json, "too large")], &[], "TooLarge");
        check(&[("a", RpcOther, "execution timeout")], &[], "Failed");
        check(&[], &["known"], "Missing");
        check(&[], &["known", "limited"], "Failed");
        check(&[("a", RpcMethodMissing, "")], &["known"], "Missing a");
        check(&[], &[], "Failed");
    }
}

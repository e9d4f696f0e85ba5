//! The variables of every trigger with their meaning, for the reference page.

use crate::config::Trigger;
use crate::variables::{ABSENT, BLOCK, EVENT, Field, PROBE, TX, TX_OUTCOME, WINDOW};

/// What rules of one trigger can see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TriggerReference {
    /// The trigger.
    pub trigger: Trigger,
    /// What makes such a rule look, as a sentence.
    pub doc: &'static str,
    /// Its variables, objects' fields as `tx.from`.
    pub variables: Vec<VariableReference>,
}

/// One variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VariableReference {
    /// Its name as it is written.
    pub name: String,
    /// Its type, as errors name it.
    pub ty: String,
    /// What it means, as a sentence.
    pub doc: String,
}

/// The variables of every trigger; then, without a trigger of their own, those of `window.when`
/// and of the title of a rule with `absent`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// By trigger, in the order of `Trigger::ALL`.
    pub triggers: Vec<TriggerReference>,
    /// What `window.when`, and `title` of a rule with a window, can see besides.
    pub window: Vec<VariableReference>,
    /// What `title` of a rule with `absent` can see instead, besides the block.
    pub absent: Vec<VariableReference>,
}

/// The variables that rules may use.
pub fn reference() -> Reference {
    let triggers = Trigger::ALL.into_iter().map(|trigger| TriggerReference {
        trigger,
        doc: doc(trigger),
        variables: variables(trigger),
    });
    Reference { triggers: triggers.collect(), window: table("", WINDOW), absent: table("", ABSENT) }
}

fn doc(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::EvmBlock => "Looks at each block.",
        Trigger::EvmTx => "Looks at each transaction in a block, also one that failed.",
        Trigger::EvmEvent => "Looks at each event log.",
        Trigger::EvmState => {
            "Looks at values that are read from the chain's state, each so many blocks."
        }
        Trigger::EvmPending => {
            "Looks at each transaction that waits for inclusion, where an endpoint offers them."
        }
        Trigger::Http => "Looks at each answer of an HTTP probe.",
    }
}

fn variables(trigger: Trigger) -> Vec<VariableReference> {
    let mut all = Vec::new();
    let mut add = |name: &str, ty: &str, doc: &str| all.push(variable(name, ty, doc));
    match trigger {
        Trigger::EvmBlock => {
            all.extend(table("", BLOCK));
            all.extend(table("block.", BLOCK));
        }
        Trigger::EvmTx => {
            add(
                "ARGUMENT",
                "its type",
                "Each argument by its name, when `function` says which it is.",
            );
            add(
                "contract",
                "string or null",
                "Name of the called contract, or its address; null when one is created.",
            );
            all.extend(table("tx.", TX));
            all.extend(table("tx.", TX_OUTCOME));
            all.push(variable("tx.args", ARGS, "All arguments by name."));
            all.extend(table("block.", BLOCK));
        }
        Trigger::EvmPending => {
            add(
                "ARGUMENT",
                "its type",
                "Each argument by its name, when `function` says which it is.",
            );
            add(
                "contract",
                "string or null",
                "Name of the called contract, or its address; null when one is created.",
            );
            all.extend(table("tx.", TX));
            all.push(variable("tx.args", ARGS, "All arguments by name."));
        }
        Trigger::EvmEvent => {
            add(
                "PARAMETER",
                "its type",
                "Each parameter by its name, when `event` says which it is. One that is called like an object here (`tx`, `block`, `event`, `lists`, `contracts`) is under `event.args`.",
            );
            add(
                "contract",
                "string",
                "Name of the emitting contract, or its address when it is not configured.",
            );
            all.extend(table("event.", EVENT));
            all.push(variable("event.args", ARGS, "All parameters by name; each is also a field of `event` unless one of those above has its name."));
            all.extend(table("tx.", TX));
            all.extend(table("tx.", TX_OUTCOME));
            all.push(variable(
                "tx.args",
                "map<string, dyn>",
                "Arguments of the transaction's call, when an ABI knows it.",
            ));
            all.extend(table("block.", BLOCK));
        }
        Trigger::EvmState => {
            add(
                "value",
                "its type",
                "What `read` gave; several returned values are an object of them.",
            );
            add("NAME", "its type", "What each of `reads` gave.");
            add(
                "previous",
                "as the value, or null",
                "What was read the time before; with `reads` an object by their names. Null at the first read.",
            );
            add("contract", "string or null", "Name of the watched contract, or its address.");
            all.extend(table("block.", BLOCK));
        }
        Trigger::Http => all.extend(table("", PROBE)),
    }
    let mut add = |name: &str, ty: &str, doc: &str| all.push(variable(name, ty, doc));
    if !matches!(trigger, Trigger::Http | Trigger::EvmBlock) {
        add("chain", "string", "The chain's name in the config.");
    }
    if trigger != Trigger::Http {
        add(
            "finality",
            "string",
            "How settled the block is when people are told: the rule's `deliver`.",
        );
    }
    add(
        "lists.NAME",
        "list",
        "A list of the config. What an identifier cannot have in its name is written `_`.",
    );
    add("contracts.NAME", "address", "Address of a contract of the config.");
    all
}

/// Arguments are an object where they are known at load, else a map.
const ARGS: &str = "object or map<string, dyn>";

fn variable(name: &str, ty: &str, doc: &str) -> VariableReference {
    VariableReference { name: name.to_owned(), ty: ty.to_owned(), doc: doc.to_owned() }
}

fn table<G>(prefix: &str, fields: &[Field<G>]) -> Vec<VariableReference> {
    let one = |field: &Field<G>| {
        let ty = field.kind.to_type().to_string();
        variable(&format!("{prefix}{}", field.name), &ty, field.doc)
    };
    fields.iter().map(one).collect()
}

//! A rule after the load-time checks: nothing in it can be wrong any more.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::{Address, B256, U256};
use wk_chain::abi::{DynSolType, DynSolValue, Event, Function, Item};
use wk_model::{Bytes, ChainName, Finality, HumanDuration, Secret, Severity};

use crate::cel::{Program, Type, Value};
use crate::config::{HttpMethod, Trigger, WindowSpan};
use crate::convert::{lowest_bytes, param_type, to_value};
use crate::input::StateRead;
use crate::template::Template;
use crate::view::Slot;

/// A compiled rule.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) id: Arc<str>,
    pub(crate) trigger: Trigger,
    pub(crate) enabled: bool,
    /// The chains that it looks at.
    pub(crate) chains: Vec<ChainName>,
    /// What it watches, as the config calls it.
    pub(crate) watch: Vec<String>,
    /// Where the values of the variables of its expressions come from.
    pub(crate) slots: Vec<Slot>,
    /// The same for the title's expressions.
    pub(crate) title_slots: Vec<Slot>,
    pub(crate) types: ObjectTypes,
    /// Type of the parameters or arguments by name, where they are known at load.
    pub(crate) args: Type,
    /// Which parameters are fields of `event` too, in the order of the fields.
    pub(crate) event_params: Vec<usize>,
    /// Type of `previous`.
    pub(crate) previous: Type,
    pub(crate) reads_by_name: bool,
    pub(crate) condition: Option<Program>,
    /// The condition compares with the read before.
    pub(crate) uses_previous: bool,
    /// Some expression shows why a transaction failed.
    pub(crate) uses_revert_reason: bool,
    pub(crate) window: Option<Window>,
    pub(crate) absent: Option<Duration>,
    pub(crate) every: u64,
    pub(crate) target: Target,
    pub(crate) title: Option<Template>,
    pub(crate) severity: Severity,
    pub(crate) class: String,
    pub(crate) deliver: Finality,
    pub(crate) notify: Vec<String>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) description: Option<String>,
    pub(crate) runbook: Option<String>,
    /// All of it, as the config says.
    pub(crate) definition: serde_json::Value,
}

impl Rule {
    /// Whether its transactions are in a block, with what came of them.
    pub(crate) fn sees_outcome(&self) -> bool {
        self.trigger != Trigger::EvmPending
    }

    /// Whether it looks at blocks of `chain`.
    pub(crate) fn looks_at(&self, chain: &ChainName) -> bool {
        self.chains.contains(chain)
    }
}

/// Types of the objects that the rule sees.
#[derive(Clone, Debug)]
pub(crate) struct ObjectTypes {
    pub(crate) block: Type,
    pub(crate) tx: Type,
    pub(crate) event: Type,
}

/// What the rule looks at.
#[derive(Debug)]
pub(crate) enum Target {
    Blocks,
    Calls(Calls),
    Logs(Logs),
    State(Vec<StateTarget>),
    Http(Box<Http>),
}

/// Transactions, in blocks or before.
#[derive(Debug)]
pub(crate) struct Calls {
    /// Receivers; empty for all.
    pub(crate) watch: Vec<Watched>,
    /// Functions; empty for all.
    pub(crate) functions: Vec<Arc<Signature<Function>>>,
}

/// Event logs.
#[derive(Debug)]
pub(crate) struct Logs {
    /// Emitters; empty for all.
    pub(crate) watch: Vec<Watched>,
    /// Events; empty for all.
    pub(crate) events: Vec<Arc<Signature<Event>>>,
}

/// A watched contract.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Watched {
    pub(crate) chain: ChainName,
    pub(crate) address: Address,
}

/// A definition, and which of its parameters the rule's variables are.
#[derive(Debug)]
pub(crate) struct Signature<I> {
    pub(crate) item: Arc<I>,
    /// Types of all its parameters.
    pub(crate) types: Vec<Type>,
    /// For each variable the place of its parameter.
    pub(crate) order: Vec<usize>,
}

impl<I: Item> Signature<I> {
    /// `variables` are the names of the parameters that the rule sees.
    pub(crate) fn new<'a>(
        item: &Arc<I>,
        variables: impl IntoIterator<Item = &'a str>,
    ) -> Signature<I> {
        let params = item.params();
        let place = |name: &str| params.iter().position(|param| &*param.name == name);
        Signature {
            item: Arc::clone(item),
            types: params.iter().map(param_type).collect(),
            order: variables.into_iter().filter_map(place).collect(),
        }
    }

    /// The bare name.
    pub(crate) fn name(&self) -> &str {
        self.item.name()
    }

    /// The canonical signature.
    pub(crate) fn text(&self) -> &str {
        self.item.signature()
    }

    /// Decoded values as expressions see them, in the item's own order.
    pub(crate) fn values(&self, decoded: &[DynSolValue]) -> Vec<Value> {
        self.types.iter().zip(decoded).map(|(ty, value)| to_value(ty, value)).collect()
    }
}

/// What an `evm.state` rule reads of one contract.
#[derive(Debug)]
pub(crate) struct StateTarget {
    pub(crate) chain: ChainName,
    /// Tells the rule's targets apart: the contract's name or address; empty for a single one
    /// without `watch`.
    pub(crate) key: String,
    /// The watched contract.
    pub(crate) address: Option<Address>,
    pub(crate) reads: Vec<Read>,
}

/// One read, and how to understand its answer.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) name: String,
    pub(crate) request: StateRead,
    pub(crate) decode: Decode,
}

/// How to understand the answer to a read.
#[derive(Debug)]
pub(crate) enum Decode {
    /// What a function returned; one value as itself, several as an object of this type.
    Outputs(Arc<Function>, Type),
    /// A storage slot that holds one value.
    Slot(DynSolType),
    /// A number.
    Balance,
}

impl Decode {
    /// The type of what is read.
    pub(crate) fn ty(&self) -> Type {
        match self {
            Decode::Outputs(_, ty) => ty.clone(),
            Decode::Slot(kind) => match kind {
                DynSolType::Bool => Type::Bool,
                DynSolType::Address => Type::Address,
                DynSolType::FixedBytes(_) => Type::Bytes,
                _ => Type::Int,
            },
            Decode::Balance => Type::Int,
        }
    }

    /// The value in an answer.
    pub(crate) fn value(&self, answer: &[u8]) -> Result<Value, String> {
        match self {
            Decode::Outputs(function, ty) => {
                if answer.is_empty() {
                    return Err(
                        "the call returned nothing: there may be no such contract".to_owned()
                    );
                }
                let values = function.decode_output(answer).map_err(|error| {
                    format!("the answer is not what `{}` returns: {error}", function.signature())
                })?;
                match (values.as_slice(), ty) {
                    ([one], ty) => Ok(to_value(ty, one)),
                    (many, ty) => Ok(to_value(ty, &DynSolValue::Tuple(many.to_vec()))),
                }
            }
            Decode::Slot(kind) => Ok(slot_value(kind, &word(answer)?)),
            Decode::Balance => Ok(U256::from_be_bytes(word(answer)?.0).into()),
        }
    }
}

fn word(answer: &[u8]) -> Result<B256, String> {
    B256::try_from(answer)
        .map_err(|_| format!("32 bytes are needed, the answer has {}", answer.len()))
}

fn slot_value(kind: &DynSolType, word: &B256) -> Value {
    match kind {
        DynSolType::Bool => Value::Bool(word[31] != 0),
        DynSolType::Address => Value::Address(Address::from_word(*word)),
        DynSolType::FixedBytes(32) => Value::Hash(*word),
        DynSolType::FixedBytes(size) => Value::Bytes(lowest_bytes(word, *size)),
        DynSolType::Int(bits) => {
            let unused = 256 - *bits;
            Value::from(
                alloy_primitives::I256::from_be_bytes(word.0).wrapping_shl(unused).asr(unused),
            )
        }
        DynSolType::Uint(bits) if *bits < 256 => {
            let mask = (U256::ONE << *bits) - U256::ONE;
            Value::from(U256::from_be_bytes(word.0) & mask)
        }
        _ => Value::from(U256::from_be_bytes(word.0)),
    }
}

/// An HTTP probe, and when its answer is bad.
#[derive(Debug)]
pub(crate) struct Http {
    pub(crate) probe: HttpProbe,
    /// What must hold; without it the rule's condition says what is bad.
    pub(crate) expect: Option<Program>,
    pub(crate) hold: Duration,
}

/// A probe that a rule asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpProbe {
    /// Id of the rule.
    pub rule: String,
    /// What to ask.
    pub url: Secret,
    /// Request method.
    pub method: HttpMethod,
    /// Request headers.
    pub headers: BTreeMap<String, Secret>,
    /// Request body.
    pub body: Option<String>,
    /// Time from the start of one probe to the start of the next.
    pub interval: HumanDuration,
    /// How long a probe may take; never more than the interval.
    pub timeout: HumanDuration,
}

/// Counts matches per key.
#[derive(Debug)]
pub(crate) struct Window {
    pub(crate) by: Option<Program>,
    pub(crate) span: WindowSpan,
    pub(crate) value: Option<Program>,
    pub(crate) when: Program,
    /// `when` only reads what the window adds up: it can be asked again for an old match.
    pub(crate) is_pure: bool,
    pub(crate) needs: Needs,
    pub(crate) max_keys: usize,
}

/// Which sums some expression of the rule reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    pub(crate) sum: bool,
    pub(crate) extremes: bool,
    pub(crate) distinct: bool,
}

/// A call's data as the read sees it.
pub(crate) fn call(to: Address, data: Vec<u8>) -> StateRead {
    StateRead::Call { to, data: Bytes::from(data) }
}

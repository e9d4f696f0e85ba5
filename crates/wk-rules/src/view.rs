//! What a rule's expressions see while they are evaluated.

use std::time::Duration;

use wk_chain::abi::{Event, Function};
use wk_model::{ChainName, Finality, Timestamp};

use crate::cel::{Int, Scope, Unavailable, Value};
use crate::convert::object_type;
use crate::input::ProbeAnswer;
use crate::rule::{Rule, Signature};
use crate::variables::{
    BLOCK, BlockView, EVENT, LogView, PROBE, Silence, Stat, TX, TX_OUTCOME, TxField, TxView,
};

/// Where the value of a variable comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    /// Known at load.
    Constant,
    Chain,
    Finality,
    Contract,
    Block,
    BlockField(usize),
    Tx,
    Event,
    /// A parameter of the event, an argument of the function.
    Arg(usize),
    /// A value that was read from state.
    Read(usize),
    /// The values of the read before.
    Previous,
    Stat(Stat),
    Silence(Silence),
    Probe(usize),
}

/// The event or call that a rule looks at, decoded with the definition that the rule names.
#[derive(Clone, Copy)]
pub(crate) enum Args<'a> {
    /// The rule names no event and no function: whatever the known ABIs say.
    Any,
    Event(&'a Signature<Event>, &'a [Value]),
    Function(&'a Signature<Function>, &'a [Value]),
}

impl Args<'_> {
    fn get(&self, place: usize) -> Option<Value> {
        match self {
            Args::Any => None,
            Args::Event(signature, values) => {
                signature.order.get(place).and_then(|own| values.get(*own)).cloned()
            }
            Args::Function(signature, values) => {
                signature.order.get(place).and_then(|own| values.get(*own)).cloned()
            }
        }
    }
}

/// Sums over a window, at one match.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Stats {
    pub(crate) key: String,
    pub(crate) count: u64,
    pub(crate) rate: f64,
    pub(crate) sum: Option<Int>,
    pub(crate) min: Option<Int>,
    pub(crate) max: Option<Int>,
    pub(crate) distinct: Option<u64>,
}

/// All that a rule can see at one place. What its trigger does not have is none.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) rule: &'a Rule,
    /// Where the values of the expression's variables come from.
    pub(crate) slots: &'a [Slot],
    pub(crate) chain: &'a ChainName,
    pub(crate) block: Option<&'a BlockView<'a>>,
    pub(crate) tx: Option<&'a TxView<'a>>,
    pub(crate) log: Option<&'a LogView<'a>>,
    pub(crate) args: Args<'a>,
    pub(crate) contract: Option<&'a str>,
    pub(crate) reads: &'a [Value],
    pub(crate) previous: Option<&'a [Value]>,
    pub(crate) stats: Option<&'a Stats>,
    pub(crate) silence: Option<(Duration, Option<Timestamp>)>,
    pub(crate) probe: Option<&'a ProbeAnswer>,
}

impl<'a> View<'a> {
    /// A view of `rule` with nothing but the chain.
    pub(crate) fn new(rule: &'a Rule, chain: &'a ChainName) -> View<'a> {
        View {
            rule,
            slots: &rule.slots,
            chain,
            block: None,
            tx: None,
            log: None,
            args: Args::Any,
            contract: None,
            reads: &[],
            previous: None,
            stats: None,
            silence: None,
            probe: None,
        }
    }

    fn contract(&self) -> Result<Value, Unavailable> {
        if let Some(log) = self.log {
            return (EVENT[CONTRACT].get)(log);
        }
        if let Some(contract) = self.contract {
            return Ok(Value::string(contract));
        }
        Ok(self.tx.and_then(TxView::contract).unwrap_or(Value::Null))
    }

    fn tx_fields(&self) -> impl Iterator<Item = &'static TxField> {
        let outcome = if self.rule.sees_outcome() { TX_OUTCOME } else { &[] };
        TX.iter().chain(outcome)
    }

    /// The field of `tx` at `index`; behind the table's fields stands `args`.
    fn tx_field(&self, index: usize) -> Result<Value, Unavailable> {
        let tx = self.tx.ok_or_else(|| missing("tx"))?;
        match self.tx_fields().nth(index) {
            Some(field) => (field.get)(tx),
            None => Ok(match self.args {
                Args::Function(..) => self.all_args(),
                Args::Any | Args::Event(..) => tx.args(),
            }),
        }
    }

    /// The field of `event` at `index`; behind the table's fields stand `args` and the parameters.
    fn event_field(&self, index: usize) -> Result<Value, Unavailable> {
        let log = self.log.ok_or_else(|| missing("event"))?;
        if let Args::Event(signature, _) = self.args {
            // The definition that the rule names says more than what the known ABIs would guess.
            match index {
                NAME => return Ok(Value::string(signature.name())),
                SIGNATURE => return Ok(Value::string(signature.text())),
                _ => {}
            }
        }
        match index.checked_sub(EVENT.len()) {
            None => (EVENT[index].get)(log),
            Some(0) => Ok(match self.args {
                Args::Event(..) => self.all_args(),
                Args::Any | Args::Function(..) => log.args(),
            }),
            Some(place) => {
                let place = self.rule.event_params.get(place - 1).copied();
                place.and_then(|place| self.args.get(place)).ok_or_else(|| missing("event"))
            }
        }
    }

    fn all_args(&self) -> Value {
        let Some(ty) = object_type(&self.rule.args) else { return Value::map([]) };
        let fields = (0..ty.fields.len()).map(|i| self.args.get(i).unwrap_or(Value::Null));
        Value::object(ty, fields.collect())
    }

    fn previous(&self) -> Value {
        match self.previous {
            None => Value::Null,
            Some(values) => match object_type(&self.rule.previous) {
                // Several reads by name, also where each of them is an object itself.
                Some(ty) if self.rule.reads_by_name => Value::object(ty, values.to_vec()),
                _ => values.first().cloned().unwrap_or(Value::Null),
            },
        }
    }

    fn stat(&self, stat: Stat) -> Result<Value, Unavailable> {
        let stats = self.stats.ok_or_else(|| missing("the window"))?;
        let int = |number: Option<Int>| number.map(Value::Int).ok_or_else(|| missing("the window"));
        match stat {
            Stat::Count => Ok(stats.count.into()),
            Stat::Rate => Ok(stats.rate.into()),
            Stat::Sum => int(stats.sum),
            Stat::Min => int(stats.min),
            Stat::Max => int(stats.max),
            Stat::Distinct => int(stats.distinct.map(Int::from)),
            Stat::Key => Ok(Value::string(&stats.key)),
        }
    }
}

/// Places in the table of an event's fields.
const NAME: usize = 0;
const SIGNATURE: usize = 1;
const CONTRACT: usize = 2;

fn missing(what: &str) -> Unavailable {
    Unavailable(format!("`{what}` is not known here"))
}

/// How a finality reads in expressions.
pub(crate) fn finality_word(finality: Finality) -> Value {
    Value::string(&finality.to_string())
}

impl Scope for View<'_> {
    fn variable(&self, slot: usize) -> Result<Value, Unavailable> {
        match self.slots.get(slot).copied().unwrap_or(Slot::Constant) {
            Slot::Constant => Err(missing("the constant")),
            Slot::Chain => Ok(Value::string(self.chain.as_str())),
            Slot::Finality => Ok(finality_word(self.rule.deliver)),
            Slot::Contract => self.contract(),
            Slot::Block => {
                let fields =
                    (0..BLOCK.len()).map(|i| self.field(slot, &[i]).unwrap_or(Value::Null));
                let ty = object_type(&self.rule.types.block).ok_or_else(|| missing("block"))?;
                Ok(Value::object(ty, fields.collect()))
            }
            Slot::BlockField(index) => {
                (BLOCK[index].get)(self.block.ok_or_else(|| missing("block"))?)
            }
            Slot::Tx => {
                let ty = object_type(&self.rule.types.tx).ok_or_else(|| missing("tx"))?;
                let fields = (0..ty.fields.len()).map(|i| self.tx_field(i).unwrap_or(Value::Null));
                Ok(Value::object(ty, fields.collect()))
            }
            Slot::Event => {
                let ty = object_type(&self.rule.types.event).ok_or_else(|| missing("event"))?;
                let fields =
                    (0..ty.fields.len()).map(|i| self.event_field(i).unwrap_or(Value::Null));
                Ok(Value::object(ty, fields.collect()))
            }
            Slot::Arg(place) => self.args.get(place).ok_or_else(|| missing("the parameter")),
            Slot::Read(place) => self.reads.get(place).cloned().ok_or_else(|| missing("value")),
            Slot::Previous => Ok(self.previous()),
            Slot::Stat(stat) => self.stat(stat),
            Slot::Silence(what) => {
                let (length, last) = self.silence.ok_or_else(|| missing("the silence"))?;
                Ok(match what {
                    Silence::Length => length.into(),
                    Silence::Last => Value::optional(last),
                })
            }
            Slot::Probe(index) => (PROBE[index].get)(self.probe.ok_or_else(|| missing("status"))?),
        }
    }

    fn field(&self, slot: usize, fields: &[usize]) -> Result<Value, Unavailable> {
        let (first, rest) = fields.split_first().ok_or_else(|| missing("the field"))?;
        let value = match self.slots.get(slot).copied().unwrap_or(Slot::Constant) {
            Slot::Block => {
                let block = self.block.ok_or_else(|| missing("block"))?;
                (BLOCK.get(*first).ok_or_else(|| missing("block"))?.get)(block)?
            }
            Slot::Tx => self.tx_field(*first)?,
            Slot::Event => self.event_field(*first)?,
            _ => return below(self.variable(slot)?, fields),
        };
        below(value, rest)
    }
}

/// Follows field indices down; a field of null is null.
fn below(mut value: Value, fields: &[usize]) -> Result<Value, Unavailable> {
    for index in fields {
        value = match value {
            Value::Object(object) => object.fields.get(*index).cloned().unwrap_or(Value::Null),
            _ => Value::Null,
        };
    }
    Ok(value)
}

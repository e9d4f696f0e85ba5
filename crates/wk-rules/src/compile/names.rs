//! The names that each kind of rule may use, with their types and where the values come from.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::cel::{Program, Type, TypeEnv, Value};
use crate::config::Trigger;
use crate::convert::object_type;
use crate::env::RuleEnv;
use crate::variables::{ABSENT, BLOCK, EVENT, Field, PROBE, Stat, TX, TX_OUTCOME, WINDOW};
use crate::view::Slot;

/// What all rules may name: `lists` and `contracts`.
pub(crate) struct Constants {
    lists: (Type, Value),
    contracts: (Type, Value),
}

impl Constants {
    pub(crate) fn new(env: &RuleEnv) -> Constants {
        let mut lists: BTreeMap<String, (Type, Value)> = BTreeMap::new();
        for (name, list) in &env.lists {
            lists.insert(name.clone(), (list.kind.clone(), list.value.clone()));
        }
        for name in &env.broken {
            lists.entry(name.clone()).or_insert((Type::Dyn, Value::Null));
        }
        let mut contracts = BTreeMap::new();
        for contract in env.decoder.contracts() {
            let value = (Type::Address, Value::Address(contract.address));
            contracts.insert(contract.name.to_string(), value);
        }
        for name in &env.broken {
            let value = (Type::Address, Value::Address(Default::default()));
            contracts.entry(name.clone()).or_insert(value);
        }
        Constants { lists: object("lists", lists), contracts: object("contracts", contracts) }
    }
}

/// An object of named values. A name that is no identifier, such as `cold-wallets`, can be written
/// with `_` in the place of what an identifier cannot have.
fn object(name: &str, values: BTreeMap<String, (Type, Value)>) -> (Type, Value) {
    let mut all = values.clone();
    for (name, value) in values {
        let plain: String =
            name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        all.entry(plain).or_insert(value);
    }
    let ty = Type::object(name, all.iter().map(|(name, (ty, _))| (name.as_str(), ty.clone())));
    let values = all.into_values().map(|(_, value)| value).collect();
    let value = object_type(&ty).map_or(Value::Null, |ty| Value::object(ty, values));
    (ty, value)
}

/// Names with their types, and where the values come from.
#[derive(Clone)]
pub(crate) struct Names {
    pub(crate) env: TypeEnv,
    pub(crate) slots: Vec<Slot>,
    pub(crate) block: Type,
    pub(crate) tx: Type,
    pub(crate) event: Type,
    pub(crate) args: Type,
    pub(crate) event_params: Vec<usize>,
    pub(crate) previous: Type,
    pub(crate) by_name: bool,
}

/// Parameters as variables: names and types, in the order of their places.
pub(crate) type Params = [(Arc<str>, Type)];

impl Names {
    fn empty() -> Names {
        Names {
            env: TypeEnv::new(),
            slots: Vec::new(),
            block: Type::Null,
            tx: Type::Null,
            event: Type::Null,
            args: Type::Null,
            event_params: Vec::new(),
            previous: Type::Null,
            by_name: false,
        }
    }

    /// `evm.block`: the block's fields by themselves, too.
    pub(crate) fn blocks(constants: &Constants) -> Names {
        let mut names = Names::empty();
        for (index, field) in BLOCK.iter().enumerate() {
            names.declare(field.name, field.kind.to_type(), Slot::BlockField(index));
        }
        names.declare("finality", Type::String, Slot::Finality);
        names.with_block().with_constants(constants)
    }

    /// `evm.tx` and `evm.pending`. Arguments win over `chain`, `contract` and `finality`, and lose
    /// against objects such as `tx`, whose other fields could not be reached otherwise.
    pub(crate) fn calls(
        constants: &Constants,
        trigger: Trigger,
        is_decoded: bool,
        params: &Params,
    ) -> Names {
        let mut names = Names::scalars();
        names.params(params);
        names.args = args_type("arguments", is_decoded, params);
        names.tx = tx_type(trigger, &names.args);
        names.declare("tx", names.tx.clone(), Slot::Tx);
        let names = if trigger == Trigger::EvmPending { names } else { names.with_block() };
        names.with_constants(constants)
    }

    /// `evm.event`. Parameters win over `chain`, `contract` and `finality`, and lose against
    /// objects such as `tx`; `event.args` has them all.
    pub(crate) fn logs(constants: &Constants, is_decoded: bool, params: &Params) -> Names {
        let mut names = Names::scalars();
        names.params(params);
        names.args = args_type("parameters", is_decoded, params);
        names.tx = tx_type(Trigger::EvmTx, &any_args());
        names.declare("tx", names.tx.clone(), Slot::Tx);

        let own = |name: &str| name == "args" || EVENT.iter().any(|field| field.name == name);
        let shown = params.iter().enumerate().filter(|(_, (name, _))| !own(name));
        names.event_params = shown.clone().map(|(place, _)| place).collect();
        let table = EVENT.iter().map(|field| {
            // The rule says which event it is, so its name is never missing.
            let known = is_decoded && matches!(field.name, "name" | "signature");
            (field.name, if known { Type::String } else { field.kind.to_type() })
        });
        let args = [("args", names.args.clone())];
        let params = shown.map(|(_, (name, ty))| (&**name, ty.clone()));
        names.event = Type::object("event", table.chain(args).chain(params));
        names.declare("event", names.event.clone(), Slot::Event);
        names.with_block().with_constants(constants)
    }

    /// `evm.state`.
    pub(crate) fn state(constants: &Constants, by_name: bool, reads: &Params) -> Names {
        let mut names = Names::scalars();
        for (place, (name, ty)) in reads.iter().enumerate() {
            names.declare(name, ty.clone(), Slot::Read(place));
        }
        let previous = if by_name {
            Type::object("previous", reads.iter().map(|(name, ty)| (&**name, ty.clone())))
        } else {
            reads.first().map_or(Type::Null, |(_, ty)| ty.clone())
        };
        names.previous = Type::optional(previous);
        names.by_name = by_name;
        names.declare("previous", names.previous.clone(), Slot::Previous);
        names.with_block().with_constants(constants)
    }

    /// `http`.
    pub(crate) fn http(constants: &Constants) -> Names {
        let mut names = Names::empty();
        for (index, field) in PROBE.iter().enumerate() {
            names.declare(field.name, field.kind.to_type(), Slot::Probe(index));
        }
        names.with_constants(constants)
    }

    /// The title of a rule with `absent`.
    pub(crate) fn silence(constants: &Constants) -> Names {
        let mut names = Names::empty();
        names.declare("chain", Type::String, Slot::Chain);
        names.declare("finality", Type::String, Slot::Finality);
        for field in ABSENT {
            names.declare(field.name, field.kind.to_type(), Slot::Silence(field.get));
        }
        names.with_block().with_constants(constants)
    }

    /// These names and what a window adds up. The window's win: a parameter called `count` is under
    /// `event.args` and `tx.args`.
    pub(crate) fn with_window(&self, adds_up: bool, counts_kinds: bool) -> Names {
        let mut names = self.clone();
        for field in WINDOW {
            let offered = match field.get {
                Stat::Count | Stat::Rate | Stat::Key => true,
                Stat::Sum | Stat::Min | Stat::Max => adds_up,
                Stat::Distinct => counts_kinds,
            };
            if offered {
                names.declare(field.name, field.kind.to_type(), Slot::Stat(field.get));
            }
        }
        names
    }

    /// Whether a program reads what was read before.
    pub(crate) fn reads_previous(&self, program: &Program) -> bool {
        self.slots_of(program).any(|slot| slot == Slot::Previous)
    }

    /// Where a program's values come from.
    pub(crate) fn slots_of<'a>(&'a self, program: &'a Program) -> impl Iterator<Item = Slot> + 'a {
        let references = program.references().iter();
        references.filter_map(|reference| self.slots.get(reference.slot).copied())
    }

    fn scalars() -> Names {
        let mut names = Names::empty();
        names.declare("chain", Type::String, Slot::Chain);
        names.declare("finality", Type::String, Slot::Finality);
        names.declare("contract", Type::optional(Type::String), Slot::Contract);
        names
    }

    fn params(&mut self, params: &Params) {
        for (place, (name, ty)) in params.iter().enumerate() {
            self.declare(name, ty.clone(), Slot::Arg(place));
        }
    }

    fn with_block(mut self) -> Names {
        self.block = table_type("block", BLOCK);
        self.declare("block", self.block.clone(), Slot::Block);
        self
    }

    fn with_constants(mut self, constants: &Constants) -> Names {
        for (name, (ty, value)) in
            [("lists", &constants.lists), ("contracts", &constants.contracts)]
        {
            self.env.constant(name, ty.clone(), value.clone());
            self.slots.push(Slot::Constant);
        }
        self
    }

    fn declare(&mut self, name: &str, ty: Type, slot: Slot) {
        let place = self.env.variable(name, ty);
        debug_assert_eq!(place, self.slots.len(), "slots are counted alike");
        self.slots.push(slot);
    }
}

fn table_type<G>(name: &str, table: &'static [Field<G>]) -> Type {
    Type::object(name, table.iter().map(|field| (field.name, field.kind.to_type())))
}

/// The type of `tx`: the table's fields, then `args`. `View` counts them alike.
fn tx_type(trigger: Trigger, args: &Type) -> Type {
    let outcome = if trigger == Trigger::EvmPending { &[] } else { TX_OUTCOME };
    let table = TX.iter().chain(outcome).map(|field| (field.name, field.kind.to_type()));
    Type::object("transaction", table.chain([("args", args.clone())]))
}

fn args_type(name: &str, is_decoded: bool, params: &Params) -> Type {
    if !is_decoded {
        return any_args();
    }
    Type::object(name, params.iter().map(|(name, ty)| (&**name, ty.clone())))
}

/// Parameters that are only known when the event or call is there.
fn any_args() -> Type {
    Type::map(Type::String, Type::Dyn)
}

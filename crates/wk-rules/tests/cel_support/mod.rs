//! A world of names and values that the language's tests share.

use wk_model::{Address, B256, Bytes, Timestamp, U256};
use wk_rules::cel::{EvalError, Key, Program, Scope, Type, TypeEnv, Unavailable, Value};

/// Names, their types, and their values by slot.
pub(crate) struct World {
    pub(crate) env: TypeEnv,
    pub(crate) values: Vec<Value>,
}

pub(crate) const TREASURY: &str = "0x52908400098527886E0F7030069857D2E4169EE7";
pub(crate) const STRANGER: &str = "0x8617E340B3D01FA5F11F306F4090FD50E238070D";

fn address(text: &str) -> Value {
    Value::Address(text.parse::<Address>().expect("the constants are addresses"))
}

impl World {
    pub(crate) fn new() -> World {
        let mut world = World { env: TypeEnv::new(), values: Vec::new() };
        let ether = |n: u64| Value::from(U256::from(n) * U256::from(10).pow(U256::from(18)));
        world.put("amount", Type::Int, ether(1500));
        world.put("to", Type::Address, address(STRANGER));
        world.put("paused", Type::Bool, Value::Bool(false));
        world.put("price", Type::Double, Value::Double(1.25));
        world.put("name", Type::String, Value::string("Vault A"));
        world.put(
            "data",
            Type::Bytes,
            Value::Bytes(Bytes::from_static(&[0xa9, 0x05, 0x9c, 0xbb, 1])),
        );
        world.put("now", Type::Timestamp, Value::Timestamp(Timestamp(1_795_383_364_123)));
        world.put("age", Type::Duration, Value::from(std::time::Duration::from_secs(754)));
        world.put("topics", Type::list(Type::Bytes), {
            Value::list(vec![Value::Hash(B256::repeat_byte(1)), Value::Hash(B256::repeat_byte(2))])
        });
        world.put("amounts", Type::list(Type::Int), {
            Value::list([3u64, 1, 2].into_iter().map(Value::from).collect())
        });
        world.put("labels", Type::map(Type::String, Type::String), {
            Value::map([(Key::String("team".into()), Value::string("treasury"))])
        });
        let receipt = Type::object("receipt", [("gas_used", Type::Int), ("success", Type::Bool)]);
        let tx = Type::object(
            "transaction",
            [
                ("from", Type::Address),
                ("to", Type::optional(Type::Address)),
                ("value", Type::Int),
                ("max_fee_per_gas", Type::optional(Type::Int)),
                ("hash", Type::Bytes),
                ("receipt", Type::optional(receipt)),
            ],
        );
        let Type::Object(tx_type) = &tx else { unreachable!() };
        let tx_value = Value::object(
            tx_type,
            vec![
                address(TREASURY),
                Value::Null,
                ether(2),
                Value::Null,
                Value::Hash(B256::repeat_byte(0xab)),
                Value::Null,
            ],
        );
        world.put("tx", tx.clone(), tx_value);
        let transfer = Type::object("transfer", [("to", Type::Address), ("amount", Type::Int)]);
        let Type::Object(transfer_type) = &transfer else { unreachable!() };
        let transfers = [1u64, 2, 3]
            .map(|n| Value::object(transfer_type, vec![address(STRANGER), Value::from(n)]));
        world.put("transfers", Type::list(transfer.clone()), Value::list(transfers.into()));
        let json = serde_json::json!({
            "status": "ok", "count": 3, "ratio": 0.5, "owner": TREASURY.to_lowercase(),
            "items": [1, 2, 3], "nested": {"deep": null}
        });
        world.put("body", Type::Dyn, Value::from_json(&json));
        world.put("previous", Type::optional(Type::Int), Value::from(7u64));
        world.put("missing", Type::optional(Type::Int), Value::Null);

        let lists = Type::object(
            "lists",
            [("treasury", Type::list(Type::Address)), ("words", Type::list(Type::String))],
        );
        let Type::Object(lists_type) = &lists else { unreachable!() };
        let many = (1..=20).map(|n| Value::Address(Address::repeat_byte(n)));
        let treasury = many.chain([address(TREASURY)]).collect();
        let lists_value = Value::object(
            lists_type,
            vec![
                Value::indexed_list(treasury),
                Value::indexed_list(vec![Value::string("a"), Value::string("b")]),
            ],
        );
        world.values.push(Value::Null);
        world.env.constant("lists", lists, lists_value);
        world.env.function("balance", vec![Type::Address], Type::Int);
        world.env.function("broken", vec![Type::optional(Type::Int)], Type::Bool);
        world
    }

    fn put(&mut self, name: &str, ty: Type, value: Value) {
        assert!(value.is_a(&ty), "{name} is no {ty}");
        assert_eq!(self.env.variable(name, ty), self.values.len());
        self.values.push(value);
    }

    #[allow(dead_code, reason = "not every test file evaluates")]
    pub(crate) fn eval(&self, text: &str) -> Result<Value, EvalError> {
        let program = Program::compile(text, &self.env)
            .unwrap_or_else(|error| panic!("{}", wk_rules::cel::render(text, &error)));
        let value = program.eval(self)?;
        assert!(value.is_a(program.output()), "`{text}` gives {value}, no {}", program.output());
        Ok(value)
    }
}

impl Scope for World {
    fn variable(&self, slot: usize) -> Result<Value, Unavailable> {
        self.values.variable(slot)
    }

    fn call(&self, function: usize, arguments: &[Value]) -> Result<Value, Unavailable> {
        match function {
            0 => {
                let address = arguments[0].as_address().expect("the checker saw to it");
                Ok(Value::from(u64::from(address[0])))
            }
            _ => Err(Unavailable("the node did not answer".to_owned())),
        }
    }
}

//! Events, functions and errors as the program uses them: parsed once, hashed once, then shared.

use std::fmt::Write;
use std::sync::Arc;

use alloy_dyn_abi::{DynSolType, DynSolValue};
use alloy_primitives::{B256, Selector, keccak256};
use wk_model::evm::Log;

use super::data::{self, DataError, Fit, Reader};

/// Topics that a log can have.
const MAX_TOPICS: usize = 4;

/// One parameter of an event, function or error: its name and type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParamSpec {
    /// Its name; `arg0`, `arg1`, … where the source gives none.
    pub name: Arc<str>,
    /// Its type, as declared.
    pub kind: DynSolType,
    /// True for an event's parameter that stands in the topics.
    pub indexed: bool,
    /// The fields, where the type is a tuple or an array of tuples; else empty.
    pub fields: Vec<ParamSpec>,
}

impl ParamSpec {
    /// True when only the keccak-256 of the value is known: an indexed parameter whose type does
    /// not fit in a topic. Its value is then 32 fixed bytes.
    pub fn is_hashed(&self) -> bool {
        self.indexed && !is_word(&self.kind)
    }

    /// The type of the decoded value: the declared one, or `bytes32` for a hash.
    pub fn value_kind(&self) -> DynSolType {
        if self.is_hashed() { DynSolType::FixedBytes(32) } else { self.kind.clone() }
    }

    /// Writes the canonical type, such as `(address,uint256)[]`.
    fn write_kind(&self, out: &mut String) {
        write_kind(&self.kind, out);
    }
}

/// What events, functions and errors have in common.
pub trait Item {
    /// The bare name, such as `Transfer`.
    fn name(&self) -> &Arc<str>;
    /// The canonical signature, such as `Transfer(address,address,uint256)`.
    fn signature(&self) -> &Arc<str>;
    /// The parameters in order; for a function, what goes in.
    fn params(&self) -> &[ParamSpec];
}

/// An event's definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    name: Arc<str>,
    signature: Arc<str>,
    topic0: B256,
    anonymous: bool,
    params: Vec<ParamSpec>,
}

impl Event {
    /// An event; an error text when it has more indexed parameters than a log has topics.
    pub(super) fn new(
        name: &str,
        params: Vec<ParamSpec>,
        anonymous: bool,
    ) -> Result<Event, String> {
        let signature = signature(name, &params);
        let event = Event {
            name: name.into(),
            topic0: keccak256(signature.as_bytes()),
            signature,
            anonymous,
            params,
        };
        let indexed = event.indexed().count();
        let most = MAX_TOPICS - usize::from(!anonymous);
        if indexed > most {
            return Err(format!("{indexed} parameters are indexed, and at most {most} can be"));
        }
        Ok(event)
    }

    /// keccak-256 of the signature: the first topic of its logs unless it is anonymous.
    pub fn topic0(&self) -> B256 {
        self.topic0
    }

    /// True when its logs do not carry the signature's hash.
    pub fn is_anonymous(&self) -> bool {
        self.anonymous
    }

    /// Topics of its logs, the signature's hash included.
    pub fn topic_count(&self) -> usize {
        self.indexed().count() + usize::from(!self.anonymous)
    }

    /// For each parameter whether it is indexed: with the signature, this tells two events apart.
    pub(super) fn layout(&self) -> impl Iterator<Item = bool> + '_ {
        self.params.iter().map(|param| param.indexed)
    }

    /// The values of a log of this event, in the order of the parameters. An indexed parameter
    /// that does not fit in a topic comes as its hash (32 fixed bytes).
    pub fn decode(&self, log: &Log) -> Result<Vec<DynSolValue>, DecodeError> {
        self.fit(&log.topics, &log.data).map(|(values, _)| values)
    }

    /// Like `decode`, and how well the log fits.
    pub(super) fn fit(
        &self,
        topics: &[B256],
        data: &[u8],
    ) -> Result<(Vec<DynSolValue>, Fit), DecodeError> {
        if topics.len() != self.topic_count() {
            return Err(DecodeError::TopicCount {
                expected: self.topic_count(),
                actual: topics.len(),
            });
        }
        let mut topics = topics.iter();
        if !self.anonymous {
            let first = topics.next().copied().unwrap_or_default();
            if first != self.topic0 {
                return Err(DecodeError::Topic0 { expected: self.topic0, actual: first });
            }
        }
        let mut reader = Reader::new(data);
        let mut values = Vec::with_capacity(self.params.len());
        for param in &self.params {
            let value = if param.indexed {
                let topic = topics.next().expect("as many topics as indexed parameters");
                if param.is_hashed() {
                    DynSolValue::FixedBytes(*topic, 32)
                } else {
                    reader.word(&param.kind, topic)
                }
            } else {
                reader.next(&param.kind)?
            };
            values.push(value);
        }
        Ok((values, reader.fit()))
    }

    fn indexed(&self) -> impl Iterator<Item = &ParamSpec> {
        self.params.iter().filter(|param| param.indexed)
    }
}

/// A function's definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    name: Arc<str>,
    signature: Arc<str>,
    selector: Selector,
    inputs: Vec<ParamSpec>,
    outputs: Vec<ParamSpec>,
}

impl Function {
    pub(super) fn new(name: &str, inputs: Vec<ParamSpec>, outputs: Vec<ParamSpec>) -> Function {
        let signature = signature(name, &inputs);
        Function { name: name.into(), selector: selector(&signature), signature, inputs, outputs }
    }

    /// The first four bytes of the signature's keccak-256.
    pub fn selector(&self) -> Selector {
        self.selector
    }

    /// What it returns.
    pub fn outputs(&self) -> &[ParamSpec] {
        &self.outputs
    }

    /// Call data: the selector and the encoded arguments.
    pub fn encode(&self, arguments: &[DynSolValue]) -> Result<Vec<u8>, EncodeError> {
        if arguments.len() != self.inputs.len() {
            return Err(EncodeError::Count {
                function: self.signature.clone(),
                expected: self.inputs.len(),
                actual: arguments.len(),
            });
        }
        for (param, argument) in self.inputs.iter().zip(arguments) {
            if !param.kind.matches(argument) {
                return Err(EncodeError::Kind {
                    function: self.signature.clone(),
                    param: param.name.clone(),
                    expected: kind_name(&param.kind),
                });
            }
        }
        let mut input = self.selector.to_vec();
        input.extend(DynSolValue::Tuple(arguments.to_vec()).abi_encode_params());
        Ok(input)
    }

    /// The arguments in call data that begins with this function's selector.
    pub fn decode_input(&self, input: &[u8]) -> Result<Vec<DynSolValue>, DecodeError> {
        self.fit(input).map(|(values, _)| values)
    }

    /// The values in what a call of this function returned.
    pub fn decode_output(&self, output: &[u8]) -> Result<Vec<DynSolValue>, DecodeError> {
        let (values, _) = data::decode(self.outputs.iter().map(|param| &param.kind), output)?;
        Ok(values)
    }

    pub(super) fn fit(&self, input: &[u8]) -> Result<(Vec<DynSolValue>, Fit), DecodeError> {
        fit_selected(self.selector, &self.inputs, input)
    }
}

/// A custom error's definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomError {
    name: Arc<str>,
    signature: Arc<str>,
    selector: Selector,
    params: Vec<ParamSpec>,
}

impl CustomError {
    pub(super) fn new(name: &str, params: Vec<ParamSpec>) -> CustomError {
        let signature = signature(name, &params);
        CustomError { name: name.into(), selector: selector(&signature), signature, params }
    }

    /// The first four bytes of the signature's keccak-256.
    pub fn selector(&self) -> Selector {
        self.selector
    }

    pub(super) fn fit(&self, data: &[u8]) -> Result<(Vec<DynSolValue>, Fit), DecodeError> {
        fit_selected(self.selector, &self.params, data)
    }
}

impl Item for Event {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn signature(&self) -> &Arc<str> {
        &self.signature
    }

    fn params(&self) -> &[ParamSpec] {
        &self.params
    }
}

impl Item for Function {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn signature(&self) -> &Arc<str> {
        &self.signature
    }

    fn params(&self) -> &[ParamSpec] {
        &self.inputs
    }
}

impl Item for CustomError {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn signature(&self) -> &Arc<str> {
        &self.signature
    }

    fn params(&self) -> &[ParamSpec] {
        &self.params
    }
}

/// Why bytes are not a log, a call or an answer of some definition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The log has another number of topics.
    #[error("the log has {actual} topics, the event {expected}")]
    TopicCount {
        /// Topics of the event.
        expected: usize,
        /// Topics of the log.
        actual: usize,
    },
    /// The log is of another event.
    #[error("the log's first topic is {actual}, the event's is {expected}")]
    Topic0 {
        /// The event's.
        expected: B256,
        /// The log's.
        actual: B256,
    },
    /// The call or revert data begin with another selector.
    #[error("the data do not begin with the selector {expected}")]
    Selector {
        /// The definition's.
        expected: Selector,
    },
    /// The data do not hold values of the declared types.
    #[error("the data do not hold the declared values")]
    Data(#[from] DataError),
}

/// Why arguments cannot be call data of a function.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// Too many or too few arguments.
    #[error("{function} takes {expected} arguments, {actual} are given")]
    Count {
        /// Signature of the function.
        function: Arc<str>,
        /// Arguments that it takes.
        expected: usize,
        /// Arguments that are given.
        actual: usize,
    },
    /// An argument of another type.
    #[error("{function}: `{param}` must be a {expected}")]
    Kind {
        /// Signature of the function.
        function: Arc<str>,
        /// The parameter.
        param: Arc<str>,
        /// Its type.
        expected: String,
    },
}

/// The canonical name of a type, such as `(address,uint256)[2]`.
pub fn kind_name(kind: &DynSolType) -> String {
    let mut name = String::new();
    write_kind(kind, &mut name);
    name
}

/// True when a value of this type fits in one word, and so stands in a topic as itself.
pub(super) fn is_word(kind: &DynSolType) -> bool {
    match kind {
        DynSolType::Bool
        | DynSolType::Int(_)
        | DynSolType::Uint(_)
        | DynSolType::FixedBytes(_)
        | DynSolType::Address
        | DynSolType::Function => true,
        DynSolType::Bytes
        | DynSolType::String
        | DynSolType::Array(_)
        | DynSolType::FixedArray(..)
        | DynSolType::Tuple(_) => false,
    }
}

/// Unlike `DynSolType::sol_type_name`, a tuple of one has no trailing comma: this text is hashed.
fn write_kind(kind: &DynSolType, out: &mut String) {
    match kind {
        DynSolType::Tuple(kinds) => {
            out.push('(');
            for (index, kind) in kinds.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_kind(kind, out);
            }
            out.push(')');
        }
        DynSolType::Array(inner) => {
            write_kind(inner, out);
            out.push_str("[]");
        }
        DynSolType::FixedArray(inner, length) => {
            write_kind(inner, out);
            write!(out, "[{length}]").expect("a String takes every text");
        }
        word => out.push_str(&word.sol_type_name()),
    }
}

fn signature(name: &str, params: &[ParamSpec]) -> Arc<str> {
    let mut signature = String::from(name);
    signature.push('(');
    for (index, param) in params.iter().enumerate() {
        if index > 0 {
            signature.push(',');
        }
        param.write_kind(&mut signature);
    }
    signature.push(')');
    signature.into()
}

fn selector(signature: &str) -> Selector {
    Selector::from_slice(&keccak256(signature.as_bytes())[..4])
}

fn fit_selected(
    selector: Selector,
    params: &[ParamSpec],
    bytes: &[u8],
) -> Result<(Vec<DynSolValue>, Fit), DecodeError> {
    let arguments = bytes
        .strip_prefix(selector.as_slice())
        .ok_or(DecodeError::Selector { expected: selector })?;
    Ok(data::decode(params.iter().map(|param| &param.kind), arguments)?)
}

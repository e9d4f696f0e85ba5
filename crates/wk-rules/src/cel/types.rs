//! Types of the language, and the names an expression may use.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::Value;

/// What a value can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    /// Only `null`.
    Null,
    /// `true` or `false`.
    Bool,
    /// A whole number, wide enough for `uint256`, `int256` and their products.
    Int,
    /// IEEE 754 double.
    Double,
    /// Text.
    String,
    /// Bytes of any length; hashes are bytes.
    Bytes,
    /// 20 bytes that name an account.
    Address,
    /// A point in time.
    Timestamp,
    /// A span of time.
    Duration,
    /// Any number of values of one type.
    List(Arc<Type>),
    /// Values by key; keys are bool, int, string, bytes or address.
    Map(Arc<Type>, Arc<Type>),
    /// Named fields.
    Object(Arc<ObjectType>),
    /// The type, or `null`. Fields of an optional object are optional themselves.
    Optional(Arc<Type>),
    /// Known only when it is there, such as JSON. Operators check it at run time.
    Dyn,
}

impl Type {
    /// A list of `item`.
    pub fn list(item: Type) -> Type {
        Type::List(Arc::new(item))
    }

    /// A map from `key` to `value`.
    pub fn map(key: Type, value: Type) -> Type {
        Type::Map(Arc::new(key), Arc::new(value))
    }

    /// An object called `name`, with its fields in the order of their indices.
    pub fn object<'a>(
        name: impl Into<String>,
        fields: impl IntoIterator<Item = (&'a str, Type)>,
    ) -> Type {
        let fields =
            fields.into_iter().map(|(name, ty)| Field { name: name.to_owned(), ty }).collect();
        Type::Object(Arc::new(ObjectType { name: name.into(), fields }))
    }

    /// `inner` or `null`; an optional of an optional is one optional.
    pub fn optional(inner: Type) -> Type {
        match inner {
            Type::Optional(_) | Type::Null | Type::Dyn => inner,
            inner => Type::Optional(Arc::new(inner)),
        }
    }

    /// The type without its `null`.
    pub fn required(&self) -> &Type {
        match self {
            Type::Optional(inner) => inner,
            other => other,
        }
    }

    /// True when `null` is one of its values.
    pub fn is_optional(&self) -> bool {
        matches!(self, Type::Optional(_) | Type::Null | Type::Dyn)
    }
}

/// As errors name it: `list<address>`, `int or null`.
impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::Null => f.write_str("null"),
            Type::Bool => f.write_str("bool"),
            Type::Int => f.write_str("int"),
            Type::Double => f.write_str("double"),
            Type::String => f.write_str("string"),
            Type::Bytes => f.write_str("bytes"),
            Type::Address => f.write_str("address"),
            Type::Timestamp => f.write_str("timestamp"),
            Type::Duration => f.write_str("duration"),
            Type::List(item) => write!(f, "list<{item}>"),
            Type::Map(key, value) => write!(f, "map<{key}, {value}>"),
            Type::Object(object) => f.write_str(&object.name),
            Type::Optional(inner) => write!(f, "{inner} or null"),
            Type::Dyn => f.write_str("dyn"),
        }
    }
}

/// An object's name and fields.
#[derive(Debug, PartialEq, Eq)]
pub struct ObjectType {
    /// As errors name it, such as `event Withdraw`.
    pub name: String,
    /// Its fields; a field's place here is its index.
    pub fields: Vec<Field>,
}

impl ObjectType {
    /// Index and type of the field called `name`.
    pub fn field(&self, name: &str) -> Option<(usize, &Type)> {
        let index = self.fields.iter().position(|field| field.name == name)?;
        Some((index, &self.fields[index].ty))
    }
}

/// A named part of an object.
#[derive(Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: Type,
}

/// The names an expression may use, with their types.
#[derive(Clone, Debug, Default)]
pub struct TypeEnv {
    pub(super) variables: Vec<Variable>,
    pub(super) functions: Vec<Function>,
    // The newest declaration of a name.
    variable_by_name: HashMap<String, usize>,
    function_by_name: HashMap<String, usize>,
}

#[derive(Clone, Debug)]
pub(super) struct Variable {
    pub(super) name: String,
    pub(super) ty: Type,
    /// Set when the value is known at load.
    pub(super) value: Option<Value>,
}

#[derive(Clone, Debug)]
pub(super) struct Function {
    pub(super) name: String,
    pub(super) params: Vec<Type>,
    pub(super) output: Type,
}

impl TypeEnv {
    /// No names but the built-in functions.
    pub fn new() -> TypeEnv {
        TypeEnv::default()
    }

    /// Declares a variable, and returns its slot: 0, 1, 2 … in order of declaration. A later
    /// declaration of the same name hides the earlier one.
    pub fn variable(&mut self, name: &str, ty: Type) -> usize {
        self.declare(name, ty, None)
    }

    /// Declares a name whose value is known at load, such as a configured list. It takes a slot
    /// like a variable, but the scope is never asked for it.
    pub fn constant(&mut self, name: &str, ty: Type, value: Value) -> usize {
        self.declare(name, ty, Some(value))
    }

    /// Declares a function that the scope answers (`Scope::call`), and returns its number: 0, 1,
    /// 2 … in order of declaration. It hides a built-in function of the same name.
    pub fn function(&mut self, name: &str, params: Vec<Type>, output: Type) -> usize {
        let number = self.functions.len();
        self.functions.push(Function { name: name.to_owned(), params, output });
        self.function_by_name.insert(name.to_owned(), number);
        number
    }

    fn declare(&mut self, name: &str, ty: Type, value: Option<Value>) -> usize {
        let slot = self.variables.len();
        self.variables.push(Variable { name: name.to_owned(), ty, value });
        self.variable_by_name.insert(name.to_owned(), slot);
        slot
    }

    pub(super) fn find_variable(&self, name: &str) -> Option<(usize, &Variable)> {
        let slot = *self.variable_by_name.get(name)?;
        Some((slot, &self.variables[slot]))
    }

    pub(super) fn find_function(&self, name: &str) -> Option<(usize, &Function)> {
        let number = *self.function_by_name.get(name)?;
        Some((number, &self.functions[number]))
    }

    /// The variables that are not hidden, in order of declaration.
    pub(super) fn visible_variables(&self) -> impl Iterator<Item = &Variable> {
        self.variables
            .iter()
            .enumerate()
            .filter(|(slot, variable)| self.variable_by_name.get(&variable.name) == Some(slot))
            .map(|(_, variable)| variable)
    }
}

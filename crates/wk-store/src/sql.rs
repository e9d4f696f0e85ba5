//! How the vocabulary looks in the database.

use std::fmt;
use std::str::FromStr;

use alloy_primitives::{Address, B256};
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, Params, Row};
use wk_model::{
    AssetId, BlockTime, ChainName, EntryKind, Finality, FindingId, FindingStatus, Height, Intake,
    NoticeKind, Severity, Timestamp,
};

use crate::{OutboxState, Role, StoreError};

/// A value on its way into or out of the database.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Db<T>(pub(crate) T);

/// What a column holds that is no such value.
#[derive(Debug)]
struct Unfit(String);

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unfit {}

fn unfit(reason: impl Into<String>) -> FromSqlError {
    FromSqlError::Other(Box::new(Unfit(reason.into())))
}

/// Integers. `exact` numbers name something and must fit; the others are capped: a block time or a
/// count out of range is nonsense from a node, and no reason to stop.
macro_rules! integers {
    ($($kind:ty, $exact:expr, $get:expr, $make:expr;)*) => {$(
        impl ToSql for Db<$kind> {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                let number: u64 = $get(&self.0);
                match i64::try_from(number) {
                    Ok(number) => Ok(number.into()),
                    Err(_) if !$exact => Ok(i64::MAX.into()),
                    Err(_) => Err(rusqlite::Error::ToSqlConversionFailure(Box::new(Unfit(
                        format!("{number} is too large for a {}", stringify!($kind)),
                    )))),
                }
            }
        }

        impl FromSql for Db<$kind> {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                let number = u64::try_from(value.as_i64()?)
                    .map_err(|_| unfit(concat!("negative ", stringify!($kind))))?;
                Ok(Db($make(number)))
            }
        }
    )*};
}

integers! {
    Height, true, |height: &Height| height.0, Height;
    Timestamp, false, |time: &Timestamp| time.0, Timestamp;
    BlockTime, false, |time: &BlockTime| time.0, BlockTime;
    u64, false, |number: &u64| *number, |number| number;
}

macro_rules! bytes {
    ($($kind:ty),*) => {$(
        impl ToSql for Db<$kind> {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(ToSqlOutput::Borrowed(ValueRef::Blob(self.0.as_slice())))
            }
        }

        impl FromSql for Db<$kind> {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                <$kind>::try_from(value.as_blob()?)
                    .map(Db)
                    .map_err(|_| unfit(concat!("wrong length of ", stringify!($kind))))
            }
        }
    )*};
}

bytes!(B256, Address);

macro_rules! texts {
    ($($kind:ty, $name:expr, $parse:expr;)*) => {$(
        impl ToSql for Db<$kind> {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(ToSqlOutput::Owned(Value::Text($name(&self.0).into())))
            }
        }

        impl FromSql for Db<$kind> {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                let parse: fn(&str) -> Result<$kind, String> = $parse;
                parse(value.as_str()?).map(Db).map_err(unfit)
            }
        }
    )*};
}

texts! {
    FindingId, ToString::to_string, FindingId::from_str;
    FindingStatus, |status: &FindingStatus| status.name(), FindingStatus::from_str;
    Finality, ToString::to_string, Finality::from_str;
    ChainName, ChainName::as_str, |text| Ok(ChainName::new(text));
    AssetId, AssetId::as_str, |text| Ok(AssetId::parse(text));
    NoticeKind, |kind: &NoticeKind| kind.name(), NoticeKind::from_str;
    OutboxState, |state: &OutboxState| state.name(), OutboxState::from_str;
    Role, |role: &Role| role.name(), Role::from_str;
    Intake, |intake: &Intake| intake_name(*intake), parse_intake;
    EntryKind, |kind: &EntryKind| entry_kind_name(*kind), parse_entry_kind;
}

impl ToSql for Db<Severity> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(i64::from(self.0 as u8).into())
    }
}

impl FromSql for Db<Severity> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let number = value.as_i64()?;
        usize::try_from(number)
            .ok()
            .and_then(|number| Severity::ALL.get(number))
            .map(|severity| Db(*severity))
            .ok_or_else(|| unfit(format!("no severity {number}")))
    }
}

fn intake_name(intake: Intake) -> &'static str {
    match intake {
        Intake::Live => "live",
        Intake::Backfill => "backfill",
        Intake::Refill => "refill",
        Intake::Rescan => "rescan",
    }
}

fn parse_intake(text: &str) -> Result<Intake, String> {
    [Intake::Live, Intake::Backfill, Intake::Refill, Intake::Rescan]
        .into_iter()
        .find(|intake| intake_name(*intake) == text)
        .ok_or_else(|| format!("no intake `{text}`"))
}

fn entry_kind_name(kind: EntryKind) -> &'static str {
    match kind {
        EntryKind::Match => "match",
        EntryKind::State => "state",
        EntryKind::Start => "start",
    }
}

fn parse_entry_kind(text: &str) -> Result<EntryKind, String> {
    [EntryKind::Match, EntryKind::State, EntryKind::Start]
        .into_iter()
        .find(|kind| entry_kind_name(*kind) == text)
        .ok_or_else(|| format!("no entry kind `{text}`"))
}

/// All rows of a query.
pub(crate) fn rows<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    row: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map(params, row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The first row of a query, if there is one.
pub(crate) fn first<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    row: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Option<T>, StoreError> {
    use rusqlite::OptionalExtension;
    let mut statement = connection.prepare_cached(sql)?;
    Ok(statement.query_row(params, row).optional()?)
}

/// Changes rows; their number.
pub(crate) fn change(
    connection: &Connection,
    sql: &str,
    params: impl Params,
) -> Result<u64, StoreError> {
    let changed = connection.prepare_cached(sql)?.execute(params)?;
    Ok(changed as u64)
}

/// Conditions of a query that is put together from what was asked, with their parameters.
#[derive(Default)]
pub(crate) struct Filter {
    conditions: Vec<String>,
    params: Vec<Value>,
}

impl Filter {
    /// Adds a condition in which `?` stands for `value`.
    pub(crate) fn and(&mut self, condition: &str, value: impl ToSql) -> Result<(), StoreError> {
        self.conditions.push(condition.to_owned());
        self.params.push(owned(&value)?);
        Ok(())
    }

    /// Adds `column IN (values)`; no values mean no condition.
    pub(crate) fn any_of<T: ToSql>(
        &mut self,
        column: &str,
        values: impl IntoIterator<Item = T>,
    ) -> Result<(), StoreError> {
        let values: Vec<Value> =
            values.into_iter().map(|value| owned(&value)).collect::<Result<_, _>>()?;
        match values.len() {
            0 => {}
            1 => self.conditions.push(format!("{column} = ?")),
            count => {
                // The plus keeps it off the index: that would give several runs, to be sorted
                // whole for each page.
                let marks = vec!["?"; count].join(", ");
                self.conditions.push(format!("+{column} IN ({marks})"));
            }
        }
        self.params.extend(values);
        Ok(())
    }

    /// The `WHERE` clause; true without conditions.
    pub(crate) fn clause(&self) -> String {
        if self.conditions.is_empty() {
            "WHERE 1".to_owned()
        } else {
            format!("WHERE {}", self.conditions.join(" AND "))
        }
    }

    /// The parameters, in the order of their marks.
    pub(crate) fn params(self) -> impl Params {
        rusqlite::params_from_iter(self.params)
    }
}

fn owned(value: &impl ToSql) -> Result<Value, StoreError> {
    Ok(match value.to_sql()? {
        ToSqlOutput::Owned(value) => value,
        ToSqlOutput::Borrowed(value) => value
            .try_into()
            .map_err(|error: FromSqlError| StoreError::Refused(error.to_string()))?,
        _ => return Err(StoreError::Refused("a value of an unknown kind".to_owned())),
    })
}

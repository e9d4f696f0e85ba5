//! API tokens: who may ask what. The secret is shown once; only its SHA-256 is stored.

use std::fmt;
use std::str::FromStr;

use std::time::Duration;

use alloy_primitives::{B256, hex};
use rand::RngCore;
use rusqlite::{Row, params};
use sha2::{Digest, Sha256};
use wk_model::Timestamp;

use crate::sql::{Db, change, first, rows};
use crate::{Store, StoreError};

/// How exactly the last use is known: one write per token and minute, not one per request.
const USE_STEP: Duration = Duration::from_secs(60);

/// What the bearer of a token may do. Each may do what the ones before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Read.
    Viewer,
    /// Read and act: send again, acknowledge.
    Operator,
    /// Everything, tokens included.
    Admin,
}

impl Role {
    /// Its name as data shows it.
    pub fn name(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Operator => "operator",
            Role::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Role, String> {
        match text {
            "viewer" => Ok(Role::Viewer),
            "operator" => Ok(Role::Operator),
            "admin" => Ok(Role::Admin),
            _ => Err(format!("`{text}` is no role; use viewer, operator or admin")),
        }
    }
}

/// Names a token. No secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenId(pub i64);

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for TokenId {
    type Err = String;

    fn from_str(text: &str) -> Result<TokenId, String> {
        text.parse().map(TokenId).map_err(|_| format!("`{text}` is no token id"))
    }
}

/// A token's secret, `wk_` and 64 hex digits. Debug does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenSecret(String);

impl TokenSecret {
    /// The secret itself: for the person who asked for the token, once.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for TokenSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenSecret(***)")
    }
}

/// A token, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRow {
    /// Its id.
    pub id: TokenId,
    /// What its owner called it.
    pub name: String,
    /// What its bearer may do.
    pub role: Role,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// From when on it is no longer valid; none means it does not end by itself.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

impl TokenSecret {
    fn random() -> TokenSecret {
        let mut bytes = [0; 32];
        rand::rng().fill_bytes(&mut bytes);
        TokenSecret(format!("wk_{}", hex::encode(bytes)))
    }
}

/// What is stored in place of the secret. Its 256 random bits need no salt and no slow hash.
fn secret_hash(secret: &str) -> B256 {
    B256::from_slice(&Sha256::digest(secret.as_bytes()))
}

impl Store {
    /// Makes a token. The secret cannot be had again.
    pub async fn create_token(
        &self,
        name: &str,
        role: Role,
        expires_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(TokenRow, TokenSecret), StoreError> {
        let name = name.to_owned();
        let secret = TokenSecret::random();
        let hash = secret_hash(secret.reveal());
        let row = self
            .write(move |connection| {
                let sql = format!(
                    "INSERT INTO tokens (name, role, secret_hash, created_at, expires_at)
                     VALUES (?, ?, ?, ?, ?) RETURNING {COLUMNS}"
                );
                let params = params![name, Db(role), Db(hash), Db(now), expires_at.map(Db)];
                first(connection, &sql, params, read_token)?
                    .ok_or_else(|| StoreError::Damaged("a token that was not kept".to_owned()))
            })
            .await?;
        Ok((row, secret))
    }

    /// The token with this secret, if it is valid now. Notes the use.
    pub async fn verify_token(
        &self,
        secret: &str,
        now: Timestamp,
    ) -> Result<Option<TokenRow>, StoreError> {
        if !secret.starts_with("wk_") || secret.len() != 67 {
            return Ok(None);
        }
        // Found by its hash: comparing tells nothing about the secret, however long it takes.
        let hash = secret_hash(secret);
        let sql = format!("SELECT {COLUMNS} FROM tokens WHERE secret_hash = ?");
        let found =
            self.read(move |connection| first(connection, &sql, [Db(hash)], read_token)).await?;
        let Some(token) = found.filter(|token| token.is_valid(now)) else { return Ok(None) };
        let stale = token.last_used_at.is_none_or(|used| now.since(used) >= USE_STEP);
        let id = token.id;
        if stale
            && let Err(error) = self
                .write(move |connection| {
                    let sql = "UPDATE tokens SET last_used_at = ? WHERE id = ?";
                    change(connection, sql, params![Db(now), id.0])
                })
                .await
        {
            // A full disk must not lock people out.
            tracing::warn!(%error, token = %id, "use of a token was not noted");
        }
        Ok(Some(token))
    }

    /// All tokens, oldest first, revoked and expired ones too.
    pub async fn tokens(&self) -> Result<Vec<TokenRow>, StoreError> {
        self.read(|connection| {
            let sql = format!("SELECT {COLUMNS} FROM tokens ORDER BY id");
            rows(connection, &sql, [], read_token)
        })
        .await
    }

    /// Revokes a token; false when there is none, or it was revoked before.
    pub async fn revoke_token(&self, id: TokenId, now: Timestamp) -> Result<bool, StoreError> {
        self.write(move |connection| {
            let sql = "UPDATE tokens SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL";
            Ok(change(connection, sql, params![Db(now), id.0])? > 0)
        })
        .await
    }
}

/// How long a token's name may be, in characters.
const LONGEST_NAME: usize = 100;

impl TokenRow {
    /// Whether a token may be called so: something, not too long, on one line.
    pub fn check_name(name: &str) -> Result<(), String> {
        let length = name.chars().count();
        if name.trim().is_empty() || length > LONGEST_NAME || name.contains(char::is_control) {
            return Err(format!("a token's name is one line of 1 to {LONGEST_NAME} characters"));
        }
        Ok(())
    }

    /// Whether its bearer is let in at `now`.
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|expires| now < expires)
    }
}

const COLUMNS: &str = "id, name, role, created_at, last_used_at, expires_at, revoked_at";

fn read_token(row: &Row<'_>) -> rusqlite::Result<TokenRow> {
    let time = |name: &str| {
        Ok::<_, rusqlite::Error>(row.get::<_, Option<Db<Timestamp>>>(name)?.map(|time| time.0))
    };
    Ok(TokenRow {
        id: TokenId(row.get("id")?),
        name: row.get("name")?,
        role: row.get::<_, Db<Role>>("role")?.0,
        created_at: row.get::<_, Db<Timestamp>>("created_at")?.0,
        last_used_at: time("last_used_at")?,
        expires_at: time("expires_at")?,
        revoked_at: time("revoked_at")?,
    })
}

//! API tokens: who may ask what. The secret is shown once; only its SHA-256 is stored.

use std::fmt;
use std::str::FromStr;

use wk_model::Timestamp;

use crate::{Store, StoreError};

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

impl Store {
    /// Makes a token. The secret cannot be had again.
    pub async fn create_token(
        &self,
        name: &str,
        role: Role,
        expires_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(TokenRow, TokenSecret), StoreError> {
        let _ = (name, role, expires_at, now);
        Err(StoreError::Closed)
    }

    /// The token with this secret, if it is valid now. Notes the use.
    pub async fn verify_token(
        &self,
        secret: &str,
        now: Timestamp,
    ) -> Result<Option<TokenRow>, StoreError> {
        let _ = (secret, now);
        Err(StoreError::Closed)
    }

    /// All tokens, oldest first, revoked and expired ones too.
    pub async fn tokens(&self) -> Result<Vec<TokenRow>, StoreError> {
        Err(StoreError::Closed)
    }

    /// Revokes a token; false when there is none, or it was revoked before.
    pub async fn revoke_token(&self, id: TokenId, now: Timestamp) -> Result<bool, StoreError> {
        let _ = (id, now);
        Err(StoreError::Closed)
    }
}

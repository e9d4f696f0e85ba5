//! `token`: API tokens.

use std::path::Path;

use serde_json::{Value, json};
use wk_model::Timestamp;
use wk_runtime::Clock;
use wk_store::{TokenId, TokenRow};

use super::{data_dir, open_to_read, open_to_write};
use crate::arguments::{Role, Token, TokenAction};
use crate::exit::{Code, Exit};
use crate::output::{Format, Output};

pub(crate) async fn run(command: Token, config: Option<&Path>, output: Output) -> Result<(), Exit> {
    let folder = data_dir(command.data_dir, config)?;
    let now = Clock::system().now();
    match command.action {
        TokenAction::Create { name, role, expires } => {
            let store = open_to_write(&folder)?;
            let expires_at = expires.map(|duration| now.after(duration.0));
            let (token, secret) = store.create_token(&name, role_of(role), expires_at, now).await?;
            if output.format == Format::Table {
                output.text(secret.reveal())?;
            } else {
                let mut made = row(&token);
                made["secret"] = Value::from(secret.reveal());
                output.object(&made)?;
            }
        }
        TokenAction::List => {
            let tokens = open_to_read(&folder)?.tokens().await?;
            let rows: Vec<Value> = tokens.iter().map(row).collect();
            output.rows(
                &["id", "name", "role", "created", "last_used", "expires", "revoked"],
                &rows,
            )?;
        }
        TokenAction::Revoke { id } => {
            if !open_to_write(&folder)?.revoke_token(TokenId(id), now).await? {
                return Err(Exit::new(Code::NotFound, format!("there is no valid token {id}")));
            }
        }
    }
    Ok(())
}

fn row(token: &TokenRow) -> Value {
    let text = |at: Option<Timestamp>| at.map(|at| at.to_string());
    json!({
        "id": token.id.0,
        "name": token.name,
        "role": token.role.name(),
        "created": token.created_at.to_string(),
        "last_used": text(token.last_used_at),
        "expires": text(token.expires_at),
        "revoked": text(token.revoked_at),
    })
}

fn role_of(role: Role) -> wk_store::Role {
    match role {
        Role::Viewer => wk_store::Role::Viewer,
        Role::Operator => wk_store::Role::Operator,
        Role::Admin => wk_store::Role::Admin,
    }
}

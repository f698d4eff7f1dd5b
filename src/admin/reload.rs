//! `POST /v1/reload`: reloads the configuration and reports the result.

use std::fmt::{self, Display};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::Admin;
use crate::config::count;
use crate::world::{Change, ChangeKind, MAX_SHOWN};

/// Requests a reload and waits for its outcome. Supplied by the daemon.
pub type ReloadHandle =
    Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Arc<ReloadOutcome>> + Send>> + Send + Sync>;

/// The outcome of a reload.
#[derive(Clone, Debug)]
pub enum ReloadOutcome {
    /// A new world is in use.
    Reloaded {
        /// Its hash.
        hash: String,
        /// Its differences from the previous world.
        changes: Vec<Change>,
        /// Changes that require a restart.
        needs_restart: Vec<String>,
        /// Warnings.
        warnings: Vec<Finding>,
    },
    /// The sources are identical to those of the world in use, which was not replaced.
    Unchanged {
        /// The hash of the world.
        hash: String,
        /// Changes that require a restart.
        needs_restart: Vec<String>,
    },
    /// The previous world remains in use.
    Failed {
        /// The errors.
        errors: Vec<Finding>,
    },
}

/// An error or warning of a reload, with its position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Its stable code.
    pub code: &'static str,
    /// `file:line:column`, or the file.
    pub position: String,
    /// What is wrong.
    pub message: String,
    /// How to fix it.
    pub help: Option<String>,
}

/// Reloads and responds: 200 if the configuration is in use, 422 if it was rejected. JSON, or text with
/// `Accept: text/plain`.
pub(super) async fn reload(State(admin): State<Admin>, headers: HeaderMap) -> Response {
    let outcome = (admin.reload)().await;
    let status = match *outcome {
        ReloadOutcome::Reloaded { .. } | ReloadOutcome::Unchanged { .. } => StatusCode::OK,
        ReloadOutcome::Failed { .. } => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    if accepted.is_some_and(|accepted| accepted.starts_with("text/plain")) {
        return (status, outcome.to_string()).into_response();
    }
    (status, Json(outcome.value())).into_response()
}

impl ReloadOutcome {
    /// The outcome as JSON.
    fn value(&self) -> Value {
        match self {
            Self::Reloaded { hash, changes, needs_restart, warnings } => json!({
                "result": "ok",
                "hash": hash,
                "changes": changes.iter().take(MAX_SHOWN).map(change).collect::<Vec<_>>(),
                "more_changes": changes.len().saturating_sub(MAX_SHOWN),
                "needs_restart": needs_restart,
                "warnings": warnings.iter().map(Finding::value).collect::<Vec<_>>(),
            }),
            Self::Unchanged { hash, needs_restart } => json!({
                "result": "unchanged",
                "hash": hash,
                "changes": [],
                "more_changes": 0,
                "needs_restart": needs_restart,
                "warnings": [],
            }),
            Self::Failed { errors } => json!({
                "result": "failed",
                "errors": errors.iter().map(Finding::value).collect::<Vec<_>>(),
            }),
        }
    }
}

fn change(change: &Change) -> Value {
    let Change { kind, id, change: what } = change;
    match what {
        ChangeKind::Added => json!({ "kind": kind, "id": id, "what": "added" }),
        ChangeKind::Removed => json!({ "kind": kind, "id": id, "what": "removed" }),
        ChangeKind::Changed(how) => json!({ "kind": kind, "id": id, "what": "changed", "how": how }),
    }
}

/// The outcome as text.
impl Display for ReloadOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let restart = |f: &mut fmt::Formatter<'_>, settings: &[String]| {
            settings.iter().try_for_each(|setting| writeln!(f, "requires a restart: {setting}"))
        };
        match self {
            Self::Reloaded { hash, changes, needs_restart, warnings } => {
                for warning in warnings {
                    write!(f, "warning {warning}")?;
                }
                writeln!(f, "reloaded: {hash}, {}", count(changes.len(), "change"))?;
                for change in changes.iter().take(MAX_SHOWN) {
                    writeln!(f, "  {change}")?;
                }
                if changes.len() > MAX_SHOWN {
                    writeln!(f, "  and {} more", changes.len() - MAX_SHOWN)?;
                }
                restart(f, needs_restart)
            }
            Self::Unchanged { hash, needs_restart } => {
                writeln!(f, "unchanged: {hash}")?;
                restart(f, needs_restart)
            }
            Self::Failed { errors } => {
                for error in errors {
                    write!(f, "error {error}")?;
                }
                writeln!(f, "rejected: {}; the previous configuration is kept", count(errors.len(), "error"))
            }
        }
    }
}

impl Finding {
    fn value(&self) -> Value {
        let Self { code, position, message, help } = self;
        json!({ "code": code, "place": position, "message": message, "help": help })
    }
}

/// One line, followed by its help.
impl Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, position, message, help } = self;
        writeln!(f, "{position}: [{code}]: {message}")?;
        help.iter().try_for_each(|help| writeln!(f, "   help: {help}"))
    }
}

//! The admin server: health, metrics, explanations, the network as JSON, reloads. Plain HTTP/1.1, for
//! loopback or a trusted network.
//!
//! - `server`: connections and their limits; `guard`: checks on requests

mod explain;
mod guard;
mod network;
mod reload;
mod server;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

pub use guard::AllowedHosts;
pub use reload::{Finding, ReloadHandle, ReloadOutcome};
pub use server::MAX_CONNECTIONS;

use crate::serve::Engine;
use crate::serve::forward::missing_sources;

/// The media type of Prometheus's text format, version 0.0.4.
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The state of the admin server.
#[derive(Clone)]
pub struct Admin {
    /// The engine.
    pub engine: Arc<Engine>,
    /// Whether queries are accepted: false before the listeners are open and while they drain.
    pub ready: Arc<AtomicBool>,
    /// Requests reloads.
    pub reload: ReloadHandle,
    /// The allowed hosts.
    pub hosts: AllowedHosts,
    /// Maximum number of open connections; [`MAX_CONNECTIONS`] if the open file limit is sufficient.
    pub connections: usize,
}

impl Admin {
    /// Serves until `stop` completes; requests in progress are then completed.
    pub async fn serve(self, listener: tokio::net::TcpListener, stop: impl Future<Output = ()>) {
        let (engine, limits) = (self.engine.clone(), server::ServerLimits::new(self.connections));
        server::serve(listener, self.router(), limits, engine.observer().listeners(), stop).await;
    }

    /// The router.
    pub fn router(self) -> Router {
        Router::new()
            .route("/health", get(health))
            .route("/ready", get(ready))
            .route("/metrics", get(metrics))
            .route("/v1/explain", get(explain::explain))
            .route("/v1/network", get(network::network))
            .route("/v1/world", get(renamed_to_network))
            .route("/v1/reload", post(reload::reload))
            .fallback(not_found)
            .layer(middleware::from_fn_with_state(self.hosts.clone(), guard::guard))
            .with_state(self)
    }
}

/// The process is alive.
async fn health() -> &'static str {
    "ok\n"
}

/// Queries are accepted.
async fn ready(State(admin): State<Admin>) -> Response {
    if admin.ready.load(Ordering::Acquire) {
        // The warnings do not affect readiness: all other queries are answered.
        let world = admin.engine.live().load();
        let dead = admin.engine.forwarder().dead_upstreams(&world);
        let dead = dead.iter().map(|upstream| format!("{}: no name server is answering", upstream.name));
        let warnings = missing_sources(&world).into_iter().chain(dead);
        let lines: String = warnings.map(|sentence| format!("warning: {sentence}\n")).collect();
        format!("ready\n{lines}").into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n").into_response()
    }
}

async fn metrics(State(admin): State<Admin>) -> Response {
    ([(header::CONTENT_TYPE, METRICS_TYPE)], admin.engine.observer().render()).into_response()
}

async fn not_found() -> Response {
    let resources =
        "resources: /health /ready /metrics /v1/explain?name=&type=&from= /v1/network, POST /v1/reload\n";
    (StatusCode::NOT_FOUND, resources).into_response()
}

/// The former path of `/v1/network`: 410 (RFC 9110 section 15.5.11) with the new path.
async fn renamed_to_network() -> (StatusCode, &'static str) {
    (StatusCode::GONE, "/v1/world was renamed: use /v1/network\n")
}

//! `GET /v1/explain?name=&type=&from=`: the output of `explain --json`.

use std::net::{IpAddr, SocketAddr};

use axum::Json;
use axum::extract::{ConnectInfo, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use super::Admin;
use crate::dns::{Class, Name, Question, RecordType};
use crate::explain::{Explanation, PathExplanation, json as explain_json, vantage};
use crate::serve::Engine;
use crate::serve::{InspectedAnswer, Inspection};

/// The query parameters.
#[derive(Debug, Deserialize)]
pub(super) struct ExplainQuery {
    /// The name.
    name: Option<String>,
    /// The record type. Default: A.
    r#type: Option<String>,
    /// A location by name or address.
    from: String,
    /// A resolver: a VPC ID, an inbound endpoint ID, or `public`.
    view: Option<String>,
    /// An address instead of a name: only its path is explained.
    address: Option<String>,
}

/// Explains the answer of the daemon to a query for a name, or the path to an address, from a location.
pub(super) async fn explain(
    State(admin): State<Admin>,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
    Query(parameters): Query<ExplainQuery>,
) -> Response {
    match answer(&admin.engine, client.ip(), &parameters).await {
        Ok(value) => Json(value).into_response(),
        Err(message) => (StatusCode::BAD_REQUEST, Json(json!({ "error": message }))).into_response(),
    }
}

async fn answer(
    engine: &Engine,
    client: IpAddr,
    parameters: &ExplainQuery,
) -> Result<serde_json::Value, String> {
    let world = engine.live().load_full();
    let vantage = vantage(&world, &parameters.from, parameters.view.as_deref())?;
    match (&parameters.name, &parameters.address) {
        (Some(name), None) => {
            let qname: Name = name.parse().map_err(|error| format!("name: {error}"))?;
            let type_text = parameters.r#type.as_deref().unwrap_or("A");
            let qtype: RecordType = type_text.parse().map_err(|error| format!("type: {error}"))?;
            let question = Question { qname, qtype, qclass: Class::IN };
            let InspectedAnswer { result, considered } =
                engine.inspect(&world, vantage, &question, client, engine.now()).await;
            let explained = match result {
                Inspection::Answered(outcome) => {
                    Explanation::of_outcome(&world, vantage, &question, &outcome, considered)
                }
                Inspection::NotQueried { upstream } => {
                    Explanation::not_queried(&world, vantage, &question, &upstream, considered)
                }
                Inspection::NoReply => {
                    return Err("no reply: DNS support is disabled for the VPC".to_owned());
                }
            };
            Ok(explain_json::value(&explained))
        }
        (None, Some(address)) => {
            let address: IpAddr = address.parse().map_err(|_| format!("invalid IP address `{address}`"))?;
            Ok(explain_json::path_value(&PathExplanation::of(&world, vantage, address)))
        }
        _ => Err("specify either `name` or `address`".to_owned()),
    }
}

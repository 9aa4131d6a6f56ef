//! The port for operators: alive, ready, metrics. It is never the clients' port, so it needs no tokens
//! and must not be reachable from outside.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use metrics_exporter_prometheus::PrometheusHandle;

use crate::api::{unknown_method, unknown_route};
use crate::readiness::Readiness;

/// The admin port's routes.
pub(crate) fn router(readiness: Arc<Readiness>, metrics: PrometheusHandle) -> Router {
    Router::new()
        .route("/livez", get(alive))
        .route("/readyz", get(ready).with_state(readiness))
        .route("/metrics", get(scrape).with_state(metrics))
        .fallback(unknown_route)
        .method_not_allowed_fallback(unknown_method)
}

/// That it answers is the answer.
async fn alive() -> impl IntoResponse {
    Json(serde_json::json!({ "alive": true }))
}

async fn ready(State(readiness): State<Arc<Readiness>>) -> impl IntoResponse {
    let obstacles = readiness.not_ready_reasons().await;
    let status = if obstacles.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let body = serde_json::json!({ "ready": obstacles.is_empty(), "notReady": obstacles });
    (status, Json(body))
}

async fn scrape(State(metrics): State<PrometheusHandle>) -> impl IntoResponse {
    let format = "text/plain; version=0.0.4; charset=utf-8";
    ([(CONTENT_TYPE, format)], metrics.render())
}

//! Which request goes where. What is not our own belongs to llama-server, known or not.

use crate::{Shared, proxy};
use axum::Router;
use std::sync::Arc;

pub(crate) fn routes(shared: Arc<Shared>) -> Router {
    Router::new().fallback(proxy::forward).with_state(shared)
}

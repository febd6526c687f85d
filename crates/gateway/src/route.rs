//! Which request goes where. What is not our own belongs to llama-server, known or not.

use crate::{Shared, access, fleet, guard, interface, proxy};
use axum::Router;
use std::sync::Arc;

pub(crate) fn routes(shared: Arc<Shared>) -> Router {
    let log = axum::middleware::from_fn_with_state(shared.clone(), access::log);
    let guard = axum::middleware::from_fn_with_state(shared.clone(), guard::check);
    Router::new()
        .merge(interface::routes())
        .merge(fleet::routes())
        .fallback(proxy::forward)
        .layer(guard)
        .layer(log)
        .with_state(shared)
}

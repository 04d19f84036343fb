//! Cross-origin rules of the API, from the configuration.

use crate::config::Config;
use axum::http::{HeaderName, HeaderValue, Method};
use std::time::Duration;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

/// The layer for `/api`. Names that are no header, method or origin are left out.
pub fn api_layer(config: &Config) -> CorsLayer {
    let cors = &config.cors;
    let headers =
        |names: &[String]| -> Vec<HeaderName> { names.iter().filter_map(|h| h.parse().ok()).collect() };
    let methods: Vec<Method> =
        cors.allowed_methods.iter().filter_map(|m| m.to_ascii_uppercase().parse().ok()).collect();
    let mut layer = CorsLayer::new()
        .allow_methods(methods)
        .allow_credentials(cors.allow_credentials)
        .expose_headers(headers(&cors.expose_headers));
    layer = match config.allowed_origins() {
        None => layer.allow_origin(AllowOrigin::any()),
        Some(list) => {
            let origins = list.iter().filter_map(|o| HeaderValue::from_str(o.trim_end_matches('/')).ok());
            layer.allow_origin(AllowOrigin::list(origins))
        }
    };
    layer = if cors.allowed_headers.is_empty() {
        layer.allow_headers(AllowHeaders::mirror_request())
    } else {
        layer.allow_headers(headers(&cors.allowed_headers))
    };
    if cors.max_age > 0 {
        layer = layer.max_age(Duration::from_secs(cors.max_age.into()));
    }
    layer
}

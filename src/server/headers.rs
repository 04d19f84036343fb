//! Response headers for everything that a browser may render.

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;

const FIXED: [(HeaderName, &str); 11] = [
    (header::X_XSS_PROTECTION, "1; mode=block"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "strict-origin-when-cross-origin"),
    (HeaderName::from_static("cross-origin-embedder-policy"), "unsafe-none"),
    (HeaderName::from_static("cross-origin-opener-policy"), "unsafe-none"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("origin-agent-cluster"), "?1"),
    (header::X_DNS_PREFETCH_CONTROL, "off"),
    (HeaderName::from_static("x-download-options"), "noopen"),
    (HeaderName::from_static("x-permitted-cross-domain-policies"), "none"),
];

/// Policy of answers that are no page: nothing in them may run.
const INERT_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";

/// Adds the security headers; a policy set by the handler stays.
pub async fn secure(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in FIXED {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(INERT_POLICY));
    response
}

//! The embedded web app: precompressed files, immutable caching, one page for all addresses of the app.

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rust_embed::{Embed, EmbeddedFile};
use sha2::{Digest as _, Sha256};
use std::borrow::Cow;
use std::sync::Arc;

#[derive(Embed)]
#[folder = "frontend/dist"]
#[allow_missing = true]
struct Dist;

/// Where files come from; tests bring their own.
type Files = fn(&str) -> Option<EmbeddedFile>;

const IMMUTABLE: &str = "public, max-age=31536000, immutable";
const REVALIDATE: &str = "no-cache";
/// Endings of files: a missing one is a 404 and never the page.
const FILE_ENDINGS: [&str; 18] = [
    ".css",
    ".js",
    ".mjs",
    ".map",
    ".json",
    ".wasm",
    ".woff",
    ".woff2",
    ".ttf",
    ".ico",
    ".png",
    ".jpg",
    ".jpeg",
    ".svg",
    ".webp",
    ".txt",
    ".xml",
    ".webmanifest",
];
/// First segments of the app's own addresses. Everything else that is no file does not exist.
const PAGES: [&str; 7] = ["", "auth", "setup", "dashboard", "new", "m", "c"];
const NOT_BUILT: &str = "The web app is not part of this build.\n\nBuild it and then bedrud again:\n\n    cd frontend && npm ci && npm run build\n    cargo build --release\n\nThe API under /api and the media server under /livekit work without it.\n";

#[derive(Clone)]
struct Ui {
    files: Files,
    connect: Arc<str>,
}

/// Routes for everything that is neither API nor media. `connect` lists further origins the app may talk to (a media
/// address elsewhere).
pub fn router(connect: &[String]) -> Router {
    with_files(Dist::get, connect)
}

fn with_files(files: Files, connect: &[String]) -> Router {
    Router::new().fallback(serve).with_state(Ui { files, connect: connect.join(" ").into() })
}

async fn serve(State(ui): State<Ui>, request: Request<Body>) -> Response {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, HEAD")]).into_response();
    }
    let path = request.uri().path().trim_start_matches('/');
    let headers = request.headers();
    if !path.is_empty()
        && !is_variant(path)
        && let Some(response) = ui.file(path, headers)
    {
        return response;
    }
    if path.starts_with("assets/") || FILE_ENDINGS.iter().any(|e| path.ends_with(e)) {
        return (StatusCode::NOT_FOUND, "Not Found").into_response();
    }
    let known = PAGES.contains(&path.split('/').next().unwrap_or_default());
    // Programs that ask for what is not here must not take the app's page for it; people see that it is not here.
    if !known && !wants_page(headers) {
        return (StatusCode::NOT_FOUND, "Not Found").into_response();
    }
    let mut page =
        ui.file("index.html", headers).unwrap_or_else(|| (StatusCode::OK, NOT_BUILT).into_response());
    if !known {
        *page.status_mut() = StatusCode::NOT_FOUND;
        page.headers_mut().remove(header::ETAG);
    }
    page
}

/// True for browsers that open an address.
fn wants_page(headers: &HeaderMap) -> bool {
    let accept = headers.get_all(header::ACCEPT).iter().filter_map(|v| v.to_str().ok());
    accept.flat_map(|v| v.split(',')).any(|kind| kind.trim().starts_with("text/html"))
}

/// The compressed copies are answers to `Accept-Encoding`, not files of their own.
fn is_variant(path: &str) -> bool {
    path.ends_with(".br") || path.ends_with(".gz")
}

impl Ui {
    fn file(&self, path: &str, headers: &HeaderMap) -> Option<Response> {
        let plain = (self.files)(path)?;
        let html = path.ends_with(".html");
        let policy = html.then(|| policy(&plain.data, &self.connect));
        let mut variant = plain;
        let mut encoding = None;
        for (name, ending) in [("br", "br"), ("gzip", "gz")] {
            if accepts(headers, name)
                && let Some(file) = (self.files)(&format!("{path}.{ending}"))
            {
                variant = file;
                encoding = Some(name);
                break;
            }
        }
        let tag = format!("\"{}\"", hex(&variant.metadata.sha256_hash()[..16]));
        let cache = if path.starts_with("assets/") { IMMUTABLE } else { REVALIDATE };
        let not_modified = headers.get_all(header::IF_NONE_MATCH).iter().any(|v| {
            v.to_str().is_ok_and(|v| {
                v.split(',').any(|t| t.trim().trim_start_matches("W/") == tag || t.trim() == "*")
            })
        });
        let mut response = if not_modified {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            match variant.data {
                Cow::Borrowed(bytes) => Body::from(bytes),
                Cow::Owned(bytes) => Body::from(bytes),
            }
            .into_response()
        };
        let out = response.headers_mut();
        if !not_modified {
            let mime = mime_guess::from_path(path).first_or_octet_stream();
            let text =
                mime.type_() == mime_guess::mime::TEXT || mime.subtype() == mime_guess::mime::JAVASCRIPT;
            let mime = if text { format!("{}; charset=utf-8", mime.essence_str()) } else { mime.to_string() };
            set(out, header::CONTENT_TYPE, &mime);
            if let Some(encoding) = encoding {
                set(out, header::CONTENT_ENCODING, encoding);
            }
        }
        set(out, header::ETAG, &tag);
        set(out, header::CACHE_CONTROL, cache);
        set(out, header::VARY, "accept-encoding");
        if let Some(policy) = policy {
            set(out, header::CONTENT_SECURITY_POLICY, &policy);
            set(
                out,
                header::HeaderName::from_static("permissions-policy"),
                "camera=(self), microphone=(self), display-capture=(self), fullscreen=(self), geolocation=(), payment=(), usb=()",
            );
        }
        Some(response)
    }
}

fn set(headers: &mut HeaderMap, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// True when the client takes this encoding (RFC 9110 section 12.5.3).
fn accepts(headers: &HeaderMap, encoding: &str) -> bool {
    headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|v| v.to_str().ok()).any(|value| {
        value.split(',').any(|item| {
            let mut parts = item.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            let refused = parts
                .filter_map(|p| p.strip_prefix("q="))
                .any(|q| q.trim().parse::<f32>().is_ok_and(|q| q <= 0.0));
            name.eq_ignore_ascii_case(encoding) && !refused
        })
    })
}

/// Scripts from this server only; the page's own inline scripts are allowed by their hash.
fn policy(html: &[u8], connect: &str) -> String {
    let mut scripts = String::from("'self' 'wasm-unsafe-eval'");
    for script in inline(&String::from_utf8_lossy(html), "script") {
        scripts.push_str(&format!(" 'sha256-{}'", STANDARD.encode(Sha256::digest(script.as_bytes()))));
    }
    let mut styles = String::from("'self'");
    for style in inline(&String::from_utf8_lossy(html), "style") {
        styles.push_str(&format!(" 'sha256-{}'", STANDARD.encode(Sha256::digest(style.as_bytes()))));
    }
    let connect = if connect.is_empty() { String::new() } else { format!(" {connect}") };
    format!(
        "default-src 'none'; script-src {scripts}; style-src {styles}; style-src-attr 'unsafe-inline'; \
         img-src 'self' data: blob:; media-src 'self' blob:; font-src 'self'; connect-src 'self'{connect}; \
         worker-src 'self' blob:; manifest-src 'self'; frame-src 'none'; base-uri 'none'; form-action 'self'; \
         frame-ancestors 'none'; object-src 'none'"
    )
}

/// Contents of all elements of a kind that carry their text in the page.
fn inline<'a>(html: &'a str, tag: &str) -> Vec<&'a str> {
    let (open, close) = (format!("<{tag}"), format!("</{tag}>"));
    let mut found = Vec::new();
    let mut rest = html;
    while let Some((_, after)) = rest.split_once(open.as_str()) {
        let Some((attributes, body)) = after.split_once('>') else { break };
        let Some((content, tail)) = body.split_once(close.as_str()) else { break };
        if !attributes.contains("src=") && !content.trim().is_empty() {
            found.push(content);
        }
        rest = tail;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use rust_embed::Metadata;
    use tower::ServiceExt as _;

    const PAGE: &str =
        "<html><script>theme()</script><script type=module src=/assets/a-1.js></script></html>";

    fn files(path: &str) -> Option<EmbeddedFile> {
        let data: &'static [u8] = match path {
            "index.html" => PAGE.as_bytes(),
            "assets/a-1.js" => b"plain",
            "assets/a-1.js.br" => b"brotli",
            "assets/a-1.js.gz" => b"gzip",
            "favicon.svg" => b"<svg/>",
            _ => return None,
        };
        let hash: [u8; 32] = Sha256::digest(data).into();
        let metadata = Metadata::__rust_embed_new(hash, None, None);
        Some(EmbeddedFile { data: data.into(), metadata })
    }

    async fn get(path: &str, headers: &[(&str, &str)]) -> (StatusCode, HeaderMap, String) {
        let mut request = Request::builder().uri(path);
        for (k, v) in headers {
            request = request.header(*k, *v);
        }
        let app = with_files(files, &["wss://media.example".into()]);
        let response = app.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        (parts.status, parts.headers, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn best_encoding_is_chosen_and_hashed_files_are_immutable() {
        for (accept, encoding, body) in [
            ("gzip, deflate, br", Some("br"), "brotli"),
            ("gzip;q=1, br;q=0", Some("gzip"), "gzip"),
            ("identity", None, "plain"),
        ] {
            let (status, headers, text) = get("/assets/a-1.js", &[("accept-encoding", accept)]).await;
            assert_eq!((status, text.as_str()), (StatusCode::OK, body));
            assert_eq!(headers.get("content-encoding").map(|v| v.to_str().unwrap()), encoding);
            assert_eq!(headers["cache-control"], IMMUTABLE);
            assert_eq!(headers["content-type"], "text/javascript; charset=utf-8");
        }
    }

    #[tokio::test]
    async fn addresses_of_the_app_get_the_page_and_missing_files_do_not() {
        for path in ["/", "/m/room.name", "/auth/login", "/dashboard/admin/users"] {
            let (status, headers, body) = get(path, &[]).await;
            assert_eq!((status, body.as_str()), (StatusCode::OK, PAGE), "{path}");
            assert_eq!(headers["cache-control"], REVALIDATE);
        }
        for path in ["/assets/none", "/nothing.js", "/assets/a-1.js.br", "/x.png"] {
            let (status, _, body) = get(path, &[]).await;
            assert_eq!((status, body.as_str()), (StatusCode::NOT_FOUND, "Not Found"), "{path}");
        }
    }

    #[tokio::test]
    async fn what_is_no_address_of_the_app_is_not_found() {
        for path in
            ["/healthz", "/metrics", "/livez", "/readyz", "/.well-known/security", "/wp-admin", "/mm/x", "/x"]
        {
            for accept in ["*/*", "application/json"] {
                let (status, _, body) = get(path, &[("accept", accept)]).await;
                assert_eq!((status, body.as_str()), (StatusCode::NOT_FOUND, "Not Found"), "{path}");
            }
            let (status, _, body) = get(path, &[("accept", "text/html,*/*;q=0.8")]).await;
            assert_eq!((status, body.as_str()), (StatusCode::NOT_FOUND, PAGE), "{path}");
        }
    }

    #[test]
    fn the_pages_are_those_of_the_app() {
        let routes = include_str!("../frontend/src/app/routes.ts");
        let paths = routes.split("{ path: '/").skip(1).filter_map(|rest| rest.split('\'').next());
        let first: std::collections::BTreeSet<&str> =
            paths.map(|path| path.split('/').next().unwrap_or_default()).collect();
        assert_eq!(first, PAGES.into_iter().collect());
    }

    #[tokio::test]
    async fn page_policy_names_the_inline_script_by_hash() {
        let (_, headers, _) = get("/", &[]).await;
        let policy = headers["content-security-policy"].to_str().unwrap();
        let hash = STANDARD.encode(Sha256::digest(b"theme()"));
        assert!(
            policy.contains(&format!("script-src 'self' 'wasm-unsafe-eval' 'sha256-{hash}';")),
            "{policy}"
        );
        assert!(policy.contains("connect-src 'self' wss://media.example;"));
        assert!(!policy.contains("script-src 'self' 'unsafe-inline'"));
    }

    #[tokio::test]
    async fn unchanged_files_are_answered_by_304() {
        let (_, headers, _) = get("/favicon.svg", &[]).await;
        let tag = headers["etag"].to_str().unwrap().to_owned();
        let (status, headers, body) =
            get("/favicon.svg", &[("if-none-match", &format!("W/\"x\", {tag}"))]).await;
        assert_eq!((status, body.as_str()), (StatusCode::NOT_MODIFIED, ""));
        assert_eq!(headers["etag"], tag.as_str());
        assert_eq!(get("/favicon.svg", &[("if-none-match", "\"other\"")]).await.0, StatusCode::OK);
    }

    #[tokio::test]
    async fn a_build_without_the_app_says_so() {
        let app = with_files(|_| None, &[]);
        let response = app.oneshot(Request::get("/").body(Body::empty()).unwrap()).await.unwrap();
        let body = axum::body::to_bytes(response.into_body(), 1 << 16).await.unwrap();
        assert!(String::from_utf8_lossy(&body).contains("npm run build"));
    }
}

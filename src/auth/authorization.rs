//! The `Authorization` header (RFC 9110 section 11.6.2), read in one way wherever there is one.

use axum::http::{HeaderMap, header};

/// What the header says, if anything.
pub(crate) fn value(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?.trim();
    (!value.is_empty()).then_some(value)
}

/// The credentials of a scheme, whose name ignores case; `None` for another scheme, or none.
pub(crate) fn credentials<'h>(headers: &'h HeaderMap, scheme: &str) -> Option<&'h str> {
    let (given, credentials) = value(headers)?.split_once(' ')?;
    given.eq_ignore_ascii_case(scheme).then(|| credentials.trim())
}

/// The token behind `Bearer` (RFC 6750).
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    credentials(headers, "Bearer").filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_scheme_ignores_case() {
        let of = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, text.parse().unwrap());
            headers
        };
        for good in ["Bearer abc", "bearer abc", "BEARER  abc", " Bearer abc "] {
            assert_eq!(bearer(&of(good)), Some("abc"), "{good}");
        }
        for bad in ["Bearer", "Bearer ", "abc", "Basic abc", "Bearerabc", ""] {
            assert_eq!(bearer(&of(bad)), None, "{bad}");
        }
        assert_eq!(bearer(&HeaderMap::new()), None);
        assert_eq!(credentials(&of("basic YTpi"), "Basic"), Some("YTpi"));
    }
}

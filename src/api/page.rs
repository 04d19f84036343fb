//! Pages of long lists.

use axum::http::Uri;

/// Which page is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Page {
    /// From 1.
    pub(super) number: i64,
    /// Entries on a page.
    pub(super) limit: i64,
}

impl Page {
    /// Reads `page` and `limit` of the query. Values that make no sense fall back to the first page and to `default`.
    pub(super) fn of(uri: &Uri, default: i64) -> Self {
        let value = |key: &str| {
            let pairs = uri.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
            pairs.filter(|(name, _)| *name == key).find_map(|(_, value)| value.parse::<i64>().ok())
        };
        Self {
            number: value("page").filter(|number| (1..=1_000_000).contains(number)).unwrap_or(1),
            limit: value("limit").filter(|limit| (1..=100).contains(limit)).unwrap_or(default),
        }
    }

    /// Entries before this page.
    pub(super) fn offset(self) -> i64 {
        (self.number - 1) * self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_values_fall_back() {
        let page = |query: &str| {
            let page = Page::of(&format!("/x?{query}").parse().unwrap(), 50);
            (page.number, page.limit, page.offset())
        };
        assert_eq!(page("page=3&limit=20"), (3, 20, 40));
        assert_eq!(page(""), (1, 50, 0));
        for odd in
            ["page=0&limit=0", "page=-1&limit=101", "page=x&limit=1000", "page=9999999999999999999&limit="]
        {
            assert_eq!(page(odd), (1, 50, 0), "{odd}");
        }
    }
}

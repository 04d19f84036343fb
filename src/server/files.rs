//! The limit of open files. Every signalling socket and every ICE/TCP connection takes one, and what shells and service
//! managers give by default is too little for a busy server.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Below this many a warning is due.
const ENOUGH: u64 = 65_536;

/// Raises the soft limit to the hard one, as any process may, and tells once what is in force.
pub fn raise_limit() {
    let before = getrlimit(Resource::Nofile);
    let wanted = Rlimit { current: before.maximum, maximum: before.maximum };
    let raised = before.current != before.maximum && setrlimit(Resource::Nofile, wanted).is_ok();
    let limit = getrlimit(Resource::Nofile).current;
    match verdict(limit) {
        None => tracing::info!(open_files = shown(limit), raised, "limit of open files"),
        Some(text) => tracing::warn!(open_files = shown(limit), raised, "{text}"),
    }
}

/// What to tell the operator about a limit; `None` limits nothing.
fn verdict(limit: Option<u64>) -> Option<String> {
    let limit = limit.filter(|n| *n < ENOUGH)?;
    Some(format!(
        "this process may open {limit} files only, and every connected client takes one or two: raise the hard limit to \
         {ENOUGH} or more (LimitNOFILE= in the systemd unit, --ulimit nofile= with Docker, or `ulimit -Hn`)"
    ))
}

fn shown(limit: Option<u64>) -> String {
    limit.map_or_else(|| "unlimited".to_owned(), |n| n.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        raise_limit();
        let now = getrlimit(Resource::Nofile);
        assert_eq!(now.current, now.maximum);
    }

    #[test]
    fn little_is_warned_of_in_words() {
        assert_eq!(verdict(None), None);
        assert_eq!(verdict(Some(ENOUGH)), None);
        let text = verdict(Some(1024)).unwrap();
        assert!(text.contains("1024 files") && text.contains("LimitNOFILE"), "{text}");
    }
}

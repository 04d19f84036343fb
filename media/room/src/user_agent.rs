//! Fills browser, system and device of a [`ClientInfo`] from the `User-Agent` header, for SDKs that leave them empty.

use livekit_protocol::{ClientInfo, client_info::Sdk};

pub(crate) fn complete(info: &mut ClientInfo, user_agent: &str) {
    let in_browser = matches!(
        Sdk::try_from(info.sdk),
        Ok(Sdk::Js | Sdk::ReactNative | Sdk::Flutter | Sdk::Unity | Sdk::Unknown) | Err(_)
    );
    if !in_browser || user_agent.is_empty() {
        return;
    }
    if info.browser.is_empty()
        && let Some((name, version)) = browser(user_agent)
    {
        name.clone_into(&mut info.browser);
        info.browser_version = version;
    }
    if info.os.is_empty()
        && let Some(os) = system(user_agent)
    {
        os.clone_into(&mut info.os);
    }
    if info.device_model.is_empty() {
        let device = ["iPhone", "iPad", "Mac"].into_iter().find(|d| user_agent.contains(d));
        device.unwrap_or_default().clone_into(&mut info.device_model);
    }
}

fn browser(ua: &str) -> Option<(&'static str, String)> {
    // Order matters: most browsers also claim to be Chrome and Safari.
    let marks = [
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("FxiOS/", "Firefox iOS"),
        ("Firefox/", "Firefox"),
        ("CriOS/", "Chrome iOS"),
        ("Chrome/", "Chrome"),
        ("Version/", "Safari"),
    ];
    marks.into_iter().find_map(|(mark, name)| {
        let version = ua.split_once(mark)?.1;
        let end = version.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(version.len());
        Some((name, version.get(..end.min(32))?.to_owned()))
    })
}

fn system(ua: &str) -> Option<&'static str> {
    let marks = [
        ("Android", "Android"),
        ("iPhone", "iOS"),
        ("iPad", "iOS"),
        ("Windows", "Windows"),
        ("Mac OS X", "Mac OS X"),
        ("CrOS", "Chrome OS"),
        ("Linux", "Linux"),
    ];
    marks.into_iter().find(|(mark, _)| ua.contains(mark)).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_are_told_apart() {
        let of = |ua: &str| {
            let mut info = ClientInfo { sdk: Sdk::Js as i32, ..ClientInfo::default() };
            complete(&mut info, ua);
            (info.browser, info.browser_version, info.os)
        };
        let chrome = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/156.0.0.0 Safari/537.36";
        assert_eq!(of(chrome), ("Chrome".into(), "156.0.0.0".into(), "Linux".into()));
        let firefox = "Mozilla/5.0 (Windows NT 10.0; rv:140.0) Gecko/20100101 Firefox/140.0";
        assert_eq!(of(firefox), ("Firefox".into(), "140.0".into(), "Windows".into()));
        let safari =
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Version/17.0 Mobile Safari/604.1";
        assert_eq!(of(safari), ("Safari".into(), "17.0".into(), "iOS".into()));
    }

    #[test]
    fn what_the_sdk_said_stays() {
        let mut info = ClientInfo { sdk: Sdk::Js as i32, browser: "Mine".into(), ..ClientInfo::default() };
        complete(&mut info, "Firefox/140.0");
        assert_eq!(info.browser, "Mine");
        let mut native = ClientInfo { sdk: Sdk::Rust as i32, ..ClientInfo::default() };
        complete(&mut native, "Firefox/140.0");
        assert_eq!(native.browser, "");
    }
}

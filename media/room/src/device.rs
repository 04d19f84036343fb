//! What particular browsers and devices cannot do, whatever their SDP says.

use bedrud_rtp::Codec;
use livekit_protocol::{ClientConfiguration, ClientInfo, Codec as WireCodec, DisabledCodecs};

/// Codecs that do not work on a client's device.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Device {
    /// In either direction.
    pub(crate) refused: &'static [Codec],
    /// As an encoder.
    pub(crate) refused_publish: &'static [Codec],
}

impl Device {
    pub(crate) fn of(info: &ClientInfo) -> Self {
        let browser = info.browser.to_ascii_lowercase();
        let os = info.os.to_ascii_lowercase();
        if browser == "safari" {
            // VP9 publishing broke with 18.4.
            let broken = version(&info.browser_version) > (18, 3);
            let refused_publish: &[Codec] = if broken { &[Codec::Vp9] } else { &[] };
            return Self { refused: &[Codec::Av1], refused_publish };
        }
        let firefox = browser == "firefox" || browser == "firefox mobile";
        let no_h264 = firefox && matches!(os.as_str(), "linux" | "android")
            || info.device_model.eq_ignore_ascii_case("xiaomi 2201117ti") && os == "android";
        let refused_publish: &[Codec] = if no_h264 { &[Codec::H264] } else { &[] };
        Self { refused: &[], refused_publish }
    }

    /// What the client is told of it.
    pub(crate) fn configuration(self) -> Option<ClientConfiguration> {
        if self == Self::default() {
            return None;
        }
        let list = |codecs: &[Codec]| {
            let one = |c: &Codec| WireCodec { mime: c.mime_type().to_owned(), fmtp_line: String::new() };
            codecs.iter().map(one).collect()
        };
        let disabled = DisabledCodecs { codecs: list(self.refused), publish: list(self.refused_publish) };
        Some(ClientConfiguration { disabled_codecs: Some(disabled), ..ClientConfiguration::default() })
    }
}

/// Major and minor number.
fn version(text: &str) -> (u32, u32) {
    let mut parts = text.split('.').map(|p| p.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_device_is_spared_what_it_cannot_do() {
        let of = |browser: &str, version: &str, os: &str, model: &str| {
            let info = ClientInfo {
                browser: browser.into(),
                browser_version: version.into(),
                os: os.into(),
                device_model: model.into(),
                ..ClientInfo::default()
            };
            let d = Device::of(&info);
            (d.refused.to_vec(), d.refused_publish.to_vec())
        };
        let none = (vec![], vec![]);
        assert_eq!(of("Chrome", "156.0", "Linux", ""), none);
        assert_eq!(of("Safari", "18.3", "Mac OS X", ""), (vec![Codec::Av1], vec![]));
        assert_eq!(of("safari", "18.10", "iOS", ""), (vec![Codec::Av1], vec![Codec::Vp9]));
        assert_eq!(of("Safari", "9.1", "", ""), (vec![Codec::Av1], vec![]));
        assert_eq!(of("Firefox", "140", "Linux", ""), (vec![], vec![Codec::H264]));
        assert_eq!(of("Firefox Mobile", "140", "Android", ""), (vec![], vec![Codec::H264]));
        assert_eq!(of("Firefox", "140", "Windows", ""), none);
        assert_eq!(of("", "", "Android", "Xiaomi 2201117TI"), (vec![], vec![Codec::H264]));
    }
}

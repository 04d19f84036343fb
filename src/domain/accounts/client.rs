//! Who asks to sign in, and how a device of theirs is known again.
//!
//! After a sign-in the device keeps a cookie: a random id, sealed together with the account. It opens nothing. It gives
//! the device a count of failures of its own ([`super::Throttle`]), and tells two tabs of one browser from a stranger
//! with a copied refresh token.

use std::net::IpAddr;

use crate::{
    auth::{digest, secret::Secret},
    domain::email,
};

/// Longest cookie looked at, in bytes.
const MAX_BYTES: usize = 256;

/// What is known of the one who asks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Client {
    /// The address, as the server judged it; an IPv6 customer counts by its /64.
    pub address: Option<IpAddr>,
    /// The device cookie as it was sent.
    pub device: Option<String>,
}

/// An account as it was named, whether there is one or not.
pub(super) fn account_key(address: &str) -> String {
    email::canonical(address).unwrap_or_else(|| address.trim().to_lowercase())
}

/// A device that signs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Device {
    id: String,
    /// Value of its cookie.
    pub(crate) cookie: String,
}

impl Device {
    /// The device of an earlier sign-in to this account, or a new one whose first session is `session`.
    pub(crate) fn of(client: &Client, account: &str, secret: &Secret, session: &str) -> Self {
        let fresh = || digest::hmac_hex(secret, &format!("new device\n{session}"));
        let id = known(client, account, secret).map_or_else(fresh, str::to_owned);
        let cookie = format!("{id}.{}", seal(&id, account, secret));
        Self { id, cookie }
    }

    /// What a refresh token says of its device. The cookie cannot be made from it.
    pub(crate) fn fingerprint(&self) -> String {
        fingerprint(&self.id)
    }
}

/// The id of a device that signed in to this account before.
pub(super) fn known<'c>(client: &'c Client, account: &str, secret: &Secret) -> Option<&'c str> {
    let cookie = client.device.as_deref().filter(|cookie| cookie.len() <= MAX_BYTES)?;
    let (id, sealed) = cookie.split_once('.')?;
    digest::hmac_matches(secret, &sealed_text(id, account), sealed).then_some(id)
}

/// True when the cookie is the one of the device with this fingerprint.
pub(super) fn is_device(client: &Client, print: &str) -> bool {
    let id = client.device.as_deref().filter(|cookie| cookie.len() <= MAX_BYTES);
    id.and_then(|cookie| cookie.split_once('.')).is_some_and(|(id, _)| fingerprint(id) == print)
}

fn seal(id: &str, account: &str, secret: &Secret) -> String {
    digest::hmac_hex(secret, &sealed_text(id, account))
}

fn sealed_text(id: &str, account: &str) -> String {
    format!("device\n{id}\n{account}")
}

fn fingerprint(id: &str) -> String {
    digest::sha256_hex(&format!("device\n{id}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sent(cookie: &str) -> Client {
        Client { address: None, device: Some(cookie.into()) }
    }

    #[test]
    fn a_device_is_known_for_its_account_only() {
        let secret = Secret::from("secret");
        let device = Device::of(&Client::default(), "ann@example.org", &secret, "one");
        let client = sent(&device.cookie);
        assert_eq!(known(&client, "ann@example.org", &secret), Some(device.id.as_str()));
        assert_eq!(known(&client, "bob@example.org", &secret), None);
        assert_eq!(known(&client, "ann@example.org", &"other".into()), None);
        assert_eq!(Device::of(&client, "ann@example.org", &secret, "two"), device, "the id stays");
        assert_ne!(Device::of(&client, "bob@example.org", &secret, "two").id, device.id);
        assert!(is_device(&client, &device.fingerprint()));
        assert!(!is_device(&sent(&device.fingerprint()), &device.fingerprint()));
        assert!(!is_device(&sent("x.y"), &device.fingerprint()));
    }

    #[test]
    fn accounts_that_do_not_exist_have_keys_too() {
        assert_eq!(account_key(" Ann@Example.ORG "), "ann@example.org");
        assert_eq!(account_key(" No Address "), "no address");
    }

    proptest! {
        #[test]
        fn no_other_cookie_is_known(cookie in "\\PC{0,300}") {
            let client = sent(&cookie);
            prop_assert_eq!(known(&client, "ann@example.org", &"secret".into()), None);
        }
    }
}

//! Runs the fuzz entry of the platform on generated inputs, so that the entry keeps compiling and holding.
#![allow(unreachable_pub, reason = "shared with the fuzz crate")]

#[path = "../media/fuzz/src/platform.rs"]
mod platform;

use bedrud::auth;
use proptest::prelude::*;

proptest! {
    #[test]
    fn access_token(data in prop_oneof![any::<Vec<u8>>(), Just(br#"{"iss":"devkey","exp":9}"#.to_vec())]) {
        platform::access_token(&data);
    }
}

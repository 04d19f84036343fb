//! Connecting, restarting and ending, against an independent peer.

mod pair;

use bedrud_transport::{
    CloseReason, DataChannel, Proto, SrtpProfile, TransportConfig, TransportError, TransportOutput,
};
use bytes::Bytes;
use pair::{Pair, address, creds};
use std::time::Duration;
use str0m::{Candidate, IceCreds};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn connects_and_exports_srtp_keys() {
    let mut pair = Pair::new(1);
    pair.describe_client();
    let began = pair.now;
    assert!(pair.run_until(SECOND, Pair::server_connected));
    assert!(pair.now - began < Duration::from_millis(200), "{:?}", pair.now - began);
    let keying = pair
        .server_outputs
        .iter()
        .find_map(|o| match o {
            TransportOutput::Connected { keying, proto: Proto::Udp, remote } if *remote == address(0) => {
                Some(keying)
            }
            _ => None,
        })
        .unwrap();
    assert_eq!(keying.profile, SrtpProfile::AeadAes256Gcm);
    assert_eq!(keying.material.len(), 88);
    assert!(!keying.is_client);
    assert!(
        pair.server_outputs
            .contains(&TransportOutput::AddressLearned { proto: Proto::Udp, address: address(0) })
    );
    assert_eq!(pair.server.destination(), Some((Proto::Udp, address(0))));
    pair.run(40 * SECOND);
    assert!(pair.server.is_connected(), "an idle connection stays");
    assert!(!pair.server_outputs.contains(&TransportOutput::IceDisconnected));
}

#[test]
fn a_client_may_be_the_dtls_server() {
    for (seed, loss) in [(3, 0), (4, 20), (5, 40)] {
        let mut pair = Pair::with_dtls_server(seed);
        pair.dtls_loss = loss;
        pair.describe_client();
        pair.server.open_channel(pair.now, DataChannel::Reliable);
        assert!(pair.run_until(Duration::from_secs(25), |p| p.server_connected()
            && p.server_opened(DataChannel::Reliable)));
        pair.server.send(pair.now, DataChannel::Reliable, Bytes::from_static(b"to the DTLS server"));
        assert!(pair.run_until(Duration::from_secs(10), |p| p.client_data() == [b"to the DTLS server"]));
    }
}

#[test]
fn checks_before_the_remote_description_are_answered_afterwards() {
    let mut pair = Pair::new(2);
    pair.run(Duration::from_millis(300));
    assert_eq!(pair.server.destination(), None);
    pair.describe_client();
    assert!(pair.run_until(SECOND, Pair::server_connected));
}

#[test]
fn connects_with_a_fifth_of_dtls_lost() {
    let mut worst = Duration::ZERO;
    for seed in 0..24 {
        let mut pair = Pair::new(seed);
        pair.dtls_loss = 20;
        pair.describe_client();
        let began = pair.now;
        assert!(pair.run_until(12 * SECOND, Pair::server_connected), "seed {seed}");
        worst = worst.max(pair.now - began);
    }
    assert!(worst > Duration::from_millis(200), "loss had no effect");
}

#[test]
fn ice_restart_moves_to_a_new_address_at_once_and_keeps_keys_and_channels() {
    let mut pair = Pair::connected(3);
    pair.run(SECOND);
    // The old network is gone, the client restarts from a new one.
    pair.dead.insert(address(0));
    pair.server.set_local_ice(creds("server2"), pair.now);
    let mut remote = pair.client_description();
    remote.ice = creds("client2");
    pair.server.set_remote(&remote, pair.now).unwrap();
    let old = Candidate::host(address(0), "udp").unwrap();
    let (local, theirs) = (creds("client2"), creds("server2"));
    let mut api = pair.client.direct_api();
    api.invalidate_candidate(&old);
    api.set_local_ice_credentials(IceCreds { ufrag: local.ufrag, pass: local.pwd });
    api.set_remote_ice_credentials(IceCreds { ufrag: theirs.ufrag, pass: theirs.pwd });
    pair.client.add_local_candidate(Candidate::host(address(1), "udp").unwrap());
    let restarted = pair.now;
    let moved = TransportOutput::PathChanged { proto: Proto::Udp, remote: address(1) };
    assert!(pair.run_until(3 * SECOND, |p| p.server_outputs.contains(&moved)));
    pair.server.send(pair.now, DataChannel::Reliable, Bytes::from_static(b"after"));
    assert!(pair.run_until(3 * SECOND, |p| p.client_data().contains(&&b"after"[..])));
    assert!(pair.now - restarted < 3 * SECOND, "data must not wait for the agent to drop the old pair");
    assert_eq!(pair.server_closed(), None);
}

#[test]
fn a_path_that_only_sends_loses_against_the_one_that_works() {
    let mut pair = Pair::with(4, TransportConfig::default(), &[address(0), address(1)]);
    pair.deaf.insert(address(0));
    pair.describe_client();
    assert!(pair.run_until(5 * SECOND, Pair::server_connected));
    assert_eq!(pair.server.destination(), Some((Proto::Udp, address(1))));
}

#[test]
fn silence_disconnects_and_a_check_revives() {
    let mut pair = Pair::connected(5);
    pair.dead.insert(address(0));
    assert!(pair.run_until(20 * SECOND, |p| p.server_outputs.contains(&TransportOutput::IceDisconnected)));
    assert_eq!(pair.server_closed(), None);
    // The client agent restarts as browsers do after `disconnected`.
    pair.dead.clear();
    pair.server.set_local_ice(creds("server2"), pair.now);
    let mut remote = pair.client_description();
    remote.ice = creds("client2");
    pair.server.set_remote(&remote, pair.now).unwrap();
    let (local, theirs) = (creds("client2"), creds("server2"));
    let mut api = pair.client.direct_api();
    api.set_local_ice_credentials(IceCreds { ufrag: local.ufrag, pass: local.pwd });
    api.set_remote_ice_credentials(IceCreds { ufrag: theirs.ufrag, pass: theirs.pwd });
    pair.client.add_local_candidate(Candidate::host(address(1), "udp").unwrap());
    assert!(pair.run_until(10 * SECOND, |p| p.server_outputs.contains(&TransportOutput::IceReconnected)));
}

#[test]
fn long_silence_ends_the_transport() {
    let mut pair = Pair::connected(6);
    pair.dead.insert(address(0));
    assert!(pair.run_until(90 * SECOND, |p| p.server_closed().is_some()));
    assert_eq!(pair.server_closed(), Some(CloseReason::TimedOut));
    assert_eq!(pair.server.poll_deadline(), None);
}

#[test]
fn a_client_that_never_comes_times_out() {
    let mut pair = Pair::new(7);
    pair.dead.insert(address(0));
    pair.describe_client();
    pair.run(29 * SECOND);
    assert_eq!(pair.server_closed(), None);
    pair.run(2 * SECOND);
    assert_eq!(pair.server_closed(), Some(CloseReason::TimedOut));
}

#[test]
fn a_wrong_fingerprint_never_connects() {
    let mut pair = Pair::new(8);
    let mut remote = pair.client_description();
    remote.fingerprint = format!("sha-256 {}", vec!["AB"; 32].join(":"));
    pair.server.set_remote(&remote, pair.now).unwrap();
    assert!(pair.run_until(5 * SECOND, |p| p.server_closed().is_some()));
    assert_eq!(pair.server_closed(), Some(CloseReason::ProtocolError));
    assert!(!pair.server_connected());
}

#[test]
fn unusable_and_changed_fingerprints_are_refused() {
    let mut pair = Pair::new(9);
    let good = pair.client_description();
    for bad in ["", "sha-256", "sha-256 zz", "sha-256 AA:BB", "md5 AA:BB", "sha-512 AA"] {
        let remote = bedrud_transport::RemoteTransport { fingerprint: bad.to_owned(), ..good.clone() };
        assert!(
            matches!(pair.server.set_remote(&remote, pair.now), Err(TransportError::Fingerprint(_))),
            "{bad}"
        );
    }
    pair.server.set_remote(&good, pair.now).unwrap();
    pair.server.set_remote(&good, pair.now).unwrap();
    let other = format!("sha-256 {}", vec!["AB"; 32].join(":"));
    let changed = bedrud_transport::RemoteTransport { fingerprint: other, ..good };
    assert!(matches!(pair.server.set_remote(&changed, pair.now), Err(TransportError::FingerprintChanged)));
    assert!(pair.run_until(SECOND, Pair::server_connected), "a refused description changes nothing");
}

#[test]
fn closing_tells_the_peer() {
    let mut pair = Pair::connected(10);
    pair.server.close(pair.now);
    assert!(pair.run_until(SECOND, |p| p.client_events.iter().any(|e| matches!(e, str0m::Event::Closed))));
    assert_eq!(pair.server_closed(), None, "a close that was asked for needs no event");
    assert!(pair.server.is_closed());
}

#[test]
fn a_peer_that_leaves_is_noticed_at_once() {
    let mut pair = Pair::connected(11);
    pair.client.close().unwrap();
    assert!(pair.run_until(SECOND, |p| p.server_closed().is_some()));
    assert_eq!(pair.server_closed(), Some(CloseReason::ClosedByPeer));
}

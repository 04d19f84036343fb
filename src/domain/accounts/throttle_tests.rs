use super::*;
use crate::domain::accounts::client::Device;

const ANN: &str = "ann@example.org";

fn secret() -> Secret {
    Secret::from("secret")
}

fn at(secs: i64) -> Moment {
    Moment::from_secs(1_800_000_000 + secs)
}

fn from(ip: u32) -> Client {
    Client { address: Some(IpAddr::V4(ip.into())), device: None }
}

impl Throttle {
    fn fail(&self, account: &str, client: &Client, now: Moment) -> Result<(), Wait> {
        self.begin(account, client, &secret(), now).map(drop)
    }

    fn succeed(&self, account: &str, client: &Client, now: Moment) {
        let attempt = self.begin(account, client, &secret(), now).unwrap();
        self.succeeded(attempt, now);
    }
}

#[test]
fn waits_grow_and_end_in_a_day() {
    let secs: Vec<u64> = [0, 4, 5, 6, 10, 14, 15, 99, 100, u32::MAX].map(|n| pause(n).as_secs()).to_vec();
    assert_eq!(secs, [0, 0, 1, 2, 32, 512, 900, 900, 86_400, 86_400]);
}

#[test]
fn many_addresses_share_one_row_of_failures() {
    let throttle = Throttle::default();
    let allowed = (0..300).filter(|n| throttle.fail(ANN, &from(*n), at(0)).is_ok()).count();
    assert_eq!(allowed, 5, "300 guesses from 300 addresses at once");
    assert_eq!(throttle.fail(ANN, &from(7), at(0)), Err(Wait(Duration::from_secs(1))));
    assert!(throttle.fail("bob@example.org", &from(7), at(0)).is_ok(), "others are not touched");
}

#[test]
fn a_patient_guesser_gets_a_hundred_and_then_waits_a_day() {
    let throttle = Throttle::default();
    let (mut now, mut allowed) = (0, 0);
    // A try every second, from a new address each time, for thirty hours.
    while now < 30 * 3600 {
        allowed += u32::from(throttle.fail(ANN, &from(now as u32), at(now)).is_ok());
        now += 1;
    }
    assert_eq!(allowed, MAX_FAILURES);
    let Err(Wait(left)) = throttle.fail(ANN, &from(1), at(now)) else { panic!("allowed") };
    assert!(left > Duration::from_secs(12 * 3600), "{left:?}");
    assert!(throttle.fail(ANN, &from(1), at(now + 24 * 3600)).is_ok(), "the row is forgotten");
}

#[test]
fn strangers_lock_nobody_out_who_was_here_before() {
    let throttle = Throttle::default();
    let home = from(1);
    let device = Device::of(&Client::default(), ANN, &secret(), "session");
    let phone = Client { address: Some(IpAddr::from([203, 0, 113, 9])), device: Some(device.cookie) };
    throttle.succeed(ANN, &home, at(0));
    let mut now = 1;
    for n in 0..400_000_u32 {
        let _ = throttle.fail(ANN, &from(1000 + n), at(now));
        now += 1;
    }
    assert!(throttle.fail(ANN, &from(2), at(now)).is_err(), "strangers wait");
    throttle.succeed(ANN, &phone, at(now));
    throttle.succeed(ANN, &home, at(now));
    // What is known for one account is nothing for another.
    for n in 0..5 {
        throttle.fail("bob@example.org", &from(900 + n), at(now)).unwrap();
    }
    assert!(throttle.fail("bob@example.org", &phone, at(now)).is_err());
}

#[test]
fn a_known_device_has_a_limit_too() {
    let throttle = Throttle::default();
    throttle.succeed(ANN, &from(1), at(0));
    let allowed = (0..50).filter(|_| throttle.fail(ANN, &from(1), at(1)).is_ok()).count();
    assert_eq!(allowed, 5);
    assert!(throttle.fail(ANN, &from(2), at(1)).is_ok(), "and leaves the others alone");
}

#[test]
fn success_ends_the_row_and_a_failure_of_ours_does_not_count() {
    let throttle = Throttle::default();
    for _ in 0..3 {
        for n in 0..4 {
            throttle.fail(ANN, &from(n), at(0)).unwrap();
        }
        throttle.succeed(ANN, &from(99), at(0));
        // The address is known now, and must not lend its count to strangers.
        throttle.0.lock().unwrap().addresses.clear();
    }
    for n in 0..100 {
        let attempt = throttle.begin(ANN, &from(n), &secret(), at(0)).unwrap();
        throttle.undecided(attempt);
    }
}

#[test]
fn an_ipv6_network_is_one_address() {
    let throttle = Throttle::default();
    let v6 = |text: &str| Client { address: Some(text.parse().unwrap()), device: None };
    throttle.succeed(ANN, &v6("2001:db8::1"), at(0));
    for n in 0..9 {
        let _ = throttle.fail(ANN, &from(n), at(1));
    }
    assert!(throttle.fail(ANN, &v6("2001:db8:0:1::1"), at(1)).is_err());
    throttle.succeed(ANN, &v6("2001:db8::2"), at(1));
}

#[test]
fn memory_is_bounded_and_a_flood_of_names_does_not_free_a_guesser() {
    let throttle = Throttle::default();
    for n in 0..6 {
        let _ = throttle.fail(ANN, &from(n), at(0));
    }
    for n in 0..u32::try_from(MAX_ROWS).unwrap() + 1000 {
        throttle.fail(&format!("{n}@example.org"), &from(n), at(0)).unwrap();
        throttle.opened(&format!("{n}@example.org"), &from(n), at(0));
    }
    assert_eq!(throttle.sizes(), [MAX_ROWS; 4]);
    assert!(throttle.fail(ANN, &from(7), at(0)).is_err());
    throttle.tidy(at(24 * 3600));
    assert_eq!(throttle.sizes(), [0, 0, MAX_ROWS, MAX_ROWS]);
    throttle.tidy(at(90 * 24 * 3600));
    assert_eq!(throttle.sizes(), [0; 4]);
}

#[test]
fn a_clock_that_was_set_back_locks_nobody_out() {
    let throttle = Throttle::default();
    for n in 0..9 {
        let _ = throttle.fail(ANN, &from(n), at(10_000));
    }
    assert!(throttle.fail(ANN, &from(1), at(0)).is_ok());
}

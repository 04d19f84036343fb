use super::*;
use proptest::prelude::*;

fn at(secs: i64) -> Moment {
    Moment::from_secs(secs)
}

fn entry(id: i64, now: Moment) -> Entry {
    Entry { id, attempts: 0, next_at: now, created_at: now }
}

fn plan(limits: Limits, targets: usize) -> Plan {
    Plan::new(limits, targets, 7)
}

fn put(plan: &mut Plan, now: Moment, target: usize, room: &str, id: i64) -> bool {
    let taken = plan.reserve(target, room).is_some();
    if taken {
        plan.add(now, target, room, entry(id, now));
    }
    taken
}

fn ids(plan: &mut Plan, now: Moment) -> Vec<i64> {
    std::iter::from_fn(|| plan.next(now)).map(|a| a.id).collect()
}

const LATER: Outcome = Outcome::Failed { wait: None };

#[test]
fn a_room_gets_one_event_at_a_time_in_order_and_rooms_take_turns() {
    let mut plan = plan(Limits { workers: 1, ..Limits::default() }, 1);
    for (id, room) in [(1, "a"), (2, "a"), (3, "a"), (4, "b")] {
        assert!(put(&mut plan, at(0), 0, room, id));
    }
    let mut order = Vec::new();
    while let Some(attempt) = plan.next(at(1)) {
        assert_eq!(plan.next(at(1)), None, "one worker");
        order.push(attempt.id);
        assert_eq!(plan.finish(at(1), &attempt, Outcome::Delivered), Verdict::Done);
    }
    assert_eq!(order, [1, 4, 2, 3]);
    assert_eq!((plan.pending(), plan.queues()), (0, 0));
}

#[test]
fn a_failing_room_waits_longer_each_time_and_holds_back_nobody_else() {
    let mut plan = plan(Limits::default(), 1);
    put(&mut plan, at(0), 0, "a", 1);
    put(&mut plan, at(0), 0, "a", 2);
    put(&mut plan, at(0), 0, "b", 3);
    let mut now = at(0);
    let mut waits = Vec::new();
    let (first, other) = (plan.next(now).unwrap(), plan.next(now).unwrap());
    assert_eq!((first.id, other.id), (1, 3));
    plan.finish(now, &other, Outcome::Delivered);
    let mut attempt = first;
    for n in 1..=14 {
        let Verdict::Retry { attempts, at } = plan.finish(now, &attempt, LATER) else { panic!("given up") };
        assert_eq!(attempts, n);
        assert_eq!(plan.deadline(), Some(at));
        let wait = at.since(now);
        assert_eq!(plan.next(at.minus(Duration::from_millis(1))), None, "not before its time");
        now = at;
        waits.push(wait.as_secs_f64());
        attempt = plan.next(now).unwrap();
        assert_eq!(attempt.id, 1, "the second event of the room does not overtake");
    }
    for (n, wait) in waits.iter().enumerate() {
        let full = f64::from(1u32 << n.min(20)).min(600.0);
        assert!((full * 0.5..=full).contains(wait), "wait {n}: {wait}");
    }
    assert!(waits.windows(2).any(|w| (w[1] / w[0] - 2.0).abs() > 0.01), "waits are spread: {waits:?}");
    plan.finish(now, &attempt, Outcome::Delivered);
    assert_eq!(ids(&mut plan, now), [2]);
}

#[test]
fn an_event_is_given_up_after_its_attempts_or_its_age_and_the_next_one_follows() {
    let limits = Limits { attempts: 2, age: Duration::from_secs(100), ..Limits::default() };
    let mut plan = plan(limits, 1);
    for id in 1..=3 {
        put(&mut plan, at(0), 0, "a", id);
    }
    let one = plan.next(at(0)).unwrap();
    assert!(matches!(plan.finish(at(0), &one, LATER), Verdict::Retry { attempts: 1, .. }));
    let one = plan.next(at(1)).unwrap();
    assert_eq!(plan.finish(at(1), &one, LATER), Verdict::Dead { attempts: 2 });
    let two = plan.next(at(101)).unwrap();
    assert_eq!(two.id, 2);
    assert_eq!(plan.finish(at(101), &two, LATER), Verdict::Dead { attempts: 1 });
    let three = plan.next(at(101)).unwrap();
    assert_eq!(plan.finish(at(101), &three, Outcome::Refused), Verdict::Dead { attempts: 1 });
    assert_eq!((plan.pending(), plan.queues()), (0, 0));
}

#[test]
fn a_receiver_may_ask_for_a_longer_wait_up_to_the_longest() {
    let mut plan = plan(Limits::default(), 1);
    put(&mut plan, at(0), 0, "a", 1);
    for (asked, expected) in [(30, 30), (100_000, 600)] {
        let attempt = plan.next(at(10_000)).or_else(|| plan.next(at(0))).unwrap();
        let outcome = Outcome::Failed { wait: Some(Duration::from_secs(asked)) };
        let Verdict::Retry { at: next, .. } = plan.finish(at(20_000), &attempt, outcome) else { panic!() };
        assert_eq!(next, at(20_000 + expected));
        plan.targets[0].wake(next);
    }
}

#[test]
fn full_queues_lose_the_newest_and_say_how_many() {
    let mut plan = plan(Limits { depth: 2, pending: 3, ..Limits::default() }, 1);
    assert!(put(&mut plan, at(0), 0, "a", 1));
    assert!(put(&mut plan, at(0), 0, "a", 2));
    assert!(!put(&mut plan, at(0), 0, "a", 3));
    assert!(!put(&mut plan, at(0), 0, "a", 4));
    assert_eq!(plan.reserve(0, "b"), Some(0), "another room is not full");
    assert_eq!(plan.reserve(0, "c"), None, "the receiver is");
    plan.forget(0, "b");
    let attempt = plan.next(at(0)).unwrap();
    plan.finish(at(0), &attempt, Outcome::Delivered);
    assert_eq!(plan.reserve(0, "a"), Some(3), "two of the room and one of the receiver");
    plan.forget(0, "a");
    plan.missed(5);
    assert_eq!(plan.reserve(0, "a"), Some(5));
}

#[test]
fn a_stuck_receiver_takes_its_own_workers_only() {
    let mut plan = plan(Limits { workers: 2, ..Limits::default() }, 2);
    for target in 0..2 {
        for id in 0..4 {
            put(&mut plan, at(0), target, &format!("room {id}"), id + 10 * i64::try_from(target).unwrap());
        }
    }
    let stuck: Vec<_> = std::iter::from_fn(|| plan.next(at(0))).collect();
    assert_eq!(stuck.iter().map(|a| a.id).collect::<Vec<_>>(), [0, 1, 10, 11]);
    for attempt in &stuck[2..] {
        plan.finish(at(0), attempt, Outcome::Delivered);
    }
    assert_eq!(ids(&mut plan, at(0)), [12, 13], "the other receiver goes on");
}

#[test]
fn events_of_an_earlier_run_keep_their_attempts_and_a_wrong_clock_is_forgiven() {
    let mut plan = plan(Limits { depth: 1, ..Limits::default() }, 1);
    let far = at(1_000_000);
    plan.restore(at(0), 0, "a", Entry { id: 1, attempts: 99, next_at: far, created_at: at(0) });
    plan.restore(at(0), 0, "a", entry(2, at(0)));
    assert_eq!(plan.next(at(0)), None);
    let attempt = plan.next(at(600)).unwrap();
    assert_eq!(plan.finish(at(600), &attempt, LATER), Verdict::Dead { attempts: 100 });
    assert_eq!(ids(&mut plan, at(600)), [2]);
}

proptest! {
    /// Whatever receivers do, each room's events are sent in order, at most `workers` at once, and all of them end.
    #[test]
    fn order_and_bounds_hold(
        events in prop::collection::vec((0usize..2, 0u8..4), 1..60),
        outcomes in prop::collection::vec(0u8..4, 1..400),
    ) {
        let limits = Limits { workers: 2, attempts: 3, ..Limits::default() };
        let mut plan = plan(limits, 2);
        for (id, (target, room)) in (0i64..).zip(&events) {
            put(&mut plan, at(0), *target, &room.to_string(), id);
        }
        let mut now = at(0);
        let mut last = HashMap::new();
        let mut ended = 0;
        let mut aloft: Vec<Attempt> = Vec::new();
        let mut outcomes = outcomes.iter().cycle();
        while plan.pending() > 0 {
            while let Some(attempt) = plan.next(now) {
                let key = (attempt.target, Arc::clone(&attempt.room));
                prop_assert!(!aloft.iter().any(|a| (a.target, &a.room) == (key.0, &key.1)));
                prop_assert!(last.get(&key).is_none_or(|id| *id <= attempt.id));
                last.insert(key, attempt.id);
                aloft.push(attempt);
                prop_assert!((0..2).all(|t| aloft.iter().filter(|a| a.target == t).count() <= 2));
            }
            if aloft.is_empty() {
                now = plan.deadline().unwrap();
                continue;
            }
            let attempt = aloft.swap_remove(usize::from(*outcomes.next().unwrap()) % aloft.len());
            let outcome = match outcomes.next().unwrap() {
                0 => Outcome::Refused,
                1 => Outcome::Delivered,
                _ => LATER,
            };
            if !matches!(plan.finish(now, &attempt, outcome), Verdict::Retry { .. }) {
                ended += 1;
            }
        }
        prop_assert_eq!(ended, events.len());
        prop_assert_eq!(plan.queues(), 0);
    }
}

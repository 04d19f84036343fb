//! A file for two receivers, one of them slow.

use crate::network::{Network, address, tid};
use bedrud_sfu::{Command, DataChannel, Event, charge};

/// As much as a receiver with 2 Mbit/s was removed for.
const MESSAGES: u32 = 1200;
const LEN: usize = 15_000;

fn numbers(n: &Network, client: usize) -> Vec<u32> {
    n.clients[client].data.iter().map(|b| u32::from_be_bytes(*b.first_chunk().unwrap())).collect()
}

/// The control plane in small: what one client sends goes to the others, and is granted again unless one is behind.
#[derive(Default)]
struct Control {
    behind: bool,
    owed: u64,
    seen: usize,
}

impl Control {
    fn run(&mut self, n: &mut Network) {
        for at in self.seen..n.events.len() {
            match &n.events[at] {
                Event::Data { id, payload, .. } if *id == tid(0) => {
                    self.owed += charge(payload.len()) as u64;
                    let (to, payload) = (vec![tid(1), tid(2)], payload.clone());
                    n.command(Command::SendData { to, channel: DataChannel::Reliable, payload });
                }
                Event::DataCongested { id, congested } if *id == tid(1) => self.behind = *congested,
                Event::Closed { id, reason } => panic!("{id:?}: {reason:?}"),
                _ => {}
            }
        }
        n.events.clear();
        if !self.behind && self.owed > 0 {
            n.command(Command::GrantData { id: tid(0), bytes: std::mem::take(&mut self.owed) });
        }
    }
}

#[test]
fn a_receiver_with_two_megabits_gets_a_large_file_and_its_sender_waits() {
    let mut n = Network::new(8);
    for slot in 0..3 {
        n.add_client(slot, &[address(slot as u16)]);
        n.command(Command::OpenDataChannel { id: tid(slot), channel: DataChannel::Reliable });
    }
    n.run(1500);
    n.events.clear();
    n.slow = Some((address(1), 250_000));
    let (mut control, mut sent, mut most, mut ms) = (Control::default(), 0, 0, 0u64);
    while n.clients[1].data.len() < MESSAGES as usize {
        let alice = &mut n.clients[0];
        let channel = alice.channel.unwrap();
        while sent < MESSAGES {
            let mut message = sent.to_be_bytes().to_vec();
            message.resize(LEN, 5);
            if !alice.rtc.channel(channel).unwrap().write(true, &message).unwrap() {
                break;
            }
            sent += 1;
        }
        n.run(5);
        control.run(&mut n);
        ms += 5;
        most = most.max(sent as usize - n.clients[1].data.len());
        assert!(ms < 150_000, "{} of {sent} messages", n.clients[1].data.len());
    }
    n.run(100);
    for client in [1, 2] {
        assert_eq!(numbers(&n, client), (0..MESSAGES).collect::<Vec<_>>(), "all of it, in order");
    }
    // Its queue, the window, and what its sender's SCTP and ours hold: not the file.
    assert!(most * LEN < 4 << 20, "{} bytes under way", most * LEN);
    let least = u64::from(MESSAGES) * LEN as u64 * 1000 / 250_000;
    assert!(ms >= least, "faster than the link");
    assert!(ms < 2 * least, "{ms} ms: the link was not used");
}

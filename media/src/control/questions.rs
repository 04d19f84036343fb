//! Questions about everything that wait for the answers of shards.

use super::Request;
use bedrud_net::ShardReport;
use std::time::{Duration, Instant};

/// A shard that has not answered by then is shown as it was last.
const PATIENCE: Duration = Duration::from_secs(1);

/// One question.
struct Question {
    number: u64,
    /// [`Request::Stats`] or [`Request::Metrics`].
    request: Request,
    due: Instant,
    /// By shard; `None` where the answer is still to come.
    answers: Vec<Option<ShardReport>>,
    /// By shard: an answer is to come.
    awaited: Vec<bool>,
}

/// All that wait. The control plane never does.
#[derive(Default)]
pub(super) struct Questions {
    waiting: Vec<Question>,
    next: u64,
}

/// A question that can be answered: the reports in it stand for those shards that did answer.
pub(super) struct Answered {
    pub(super) request: Request,
    pub(super) reports: Vec<Option<ShardReport>>,
}

impl Questions {
    /// Notes a question, of which `ask` tells the shards; it returns which of them will answer.
    pub(super) fn add(&mut self, now: Instant, request: Request, ask: impl FnOnce(u64) -> Vec<bool>) {
        self.next += 1;
        let awaited = ask(self.next);
        let answers = vec![None; awaited.len()];
        self.waiting.push(Question { number: self.next, request, due: now + PATIENCE, answers, awaited });
    }

    /// A shard answered.
    pub(super) fn answer(&mut self, number: u64, shard: u16, report: ShardReport) {
        let Some(question) = self.waiting.iter_mut().find(|q| q.number == number) else { return };
        if let Some(slot) = question.answers.get_mut(usize::from(shard)) {
            *slot = Some(report);
        }
        if let Some(awaited) = question.awaited.get_mut(usize::from(shard)) {
            *awaited = false;
        }
    }

    /// Those with all their answers, and those that have waited long enough.
    pub(super) fn take(&mut self, now: Instant) -> Vec<Answered> {
        let ready = |q: &mut Question| q.due <= now || !q.awaited.contains(&true);
        let done = self.waiting.extract_if(.., ready);
        done.map(|q| Answered { request: q.request, reports: q.answers }).collect()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.waiting.iter().map(|q| q.due).min()
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "an origin for the virtual clock")]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    #[test]
    fn a_shard_that_is_stuck_does_not_keep_the_answer_for_ever() {
        let now = Instant::now();
        let mut questions = Questions::default();
        for awaited in [vec![true, true], vec![true, false]] {
            let (reply, _answer) = oneshot::channel();
            questions.add(now, Request::Stats { reply }, |_| awaited);
        }
        assert!(questions.take(now).is_empty());
        let report = ShardReport::default();
        questions.answer(1, 0, report);
        questions.answer(2, 0, report);
        questions.answer(7, 0, report);
        questions.answer(1, 9, report);
        let done = questions.take(now);
        assert_eq!(done.len(), 1, "the other one waits for its second shard");
        assert_eq!(done[0].reports, [Some(report), None]);
        assert_eq!(questions.deadline(), Some(now + PATIENCE));
        let done = questions.take(now + PATIENCE);
        assert_eq!(done[0].reports, [Some(report), None]);
        assert_eq!(questions.deadline(), None);
    }
}

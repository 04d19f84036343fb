//! Counts the steps of reading and answering, in tests: what a description costs must grow with its size, not faster.

/// One look at a line, a word, a section or an entry of a list. Free outside tests.
#[inline]
pub(crate) fn step() {
    #[cfg(test)]
    STEPS.with(|steps| steps.set(steps.get().saturating_add(1)));
}

#[cfg(test)]
thread_local! {
    static STEPS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// Steps taken by `run`.
#[cfg(test)]
pub(crate) fn steps(run: impl FnOnce()) -> u64 {
    STEPS.with(|steps| steps.set(0));
    run();
    STEPS.with(std::cell::Cell::get)
}

#[cfg(test)]
mod tests;

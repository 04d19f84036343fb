//! The process as the system sees it (Linux).

use std::fs;

use super::text::{Kind, Text};

/// Clock ticks a second in `/proc`: part of the kernel's interface to programs.
const TICKS: f64 = 100.0;

/// Writes the usual `process_*` families; what cannot be read is left out.
pub(super) fn write(text: &mut Text) {
    if let Some(stat) = fs::read_to_string("/proc/self/stat").ok().as_deref().and_then(Stat::parse) {
        text.single(
            "process_cpu_seconds_total",
            Kind::Counter,
            "CPU time, user and system.",
            stat.ticks as f64 / TICKS,
        );
        text.single("process_threads", Kind::Gauge, "Threads.", stat.threads);
        text.single("process_virtual_memory_bytes", Kind::Gauge, "Virtual memory.", stat.virtual_bytes);
        if let Some(boot) = boot_time() {
            let start = boot as f64 + stat.started as f64 / TICKS;
            text.single("process_start_time_seconds", Kind::Gauge, "Start, since the epoch.", start);
        }
    }
    if let Some(bytes) = resident() {
        text.single("process_resident_memory_bytes", Kind::Gauge, "Resident memory.", bytes);
    }
    if let Ok(entries) = fs::read_dir("/proc/self/fd") {
        // The listing itself holds one.
        text.single(
            "process_open_fds",
            Kind::Gauge,
            "Open file descriptors.",
            entries.count().saturating_sub(1),
        );
    }
    if let Some(max) = max_files() {
        text.single("process_max_fds", Kind::Gauge, "Most open file descriptors.", max);
    }
}

struct Stat {
    ticks: u64,
    threads: u64,
    started: u64,
    virtual_bytes: u64,
}

impl Stat {
    /// `proc_pid_stat(5)`. The name in parentheses may hold anything, so fields are counted behind it.
    fn parse(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let number = |n: usize| fields.get(n)?.parse::<u64>().ok();
        Some(Self {
            ticks: number(11)?.saturating_add(number(12)?),
            threads: number(17)?,
            started: number(19)?,
            virtual_bytes: number(20)?,
        })
    }
}

fn value_of(file: &str, key: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().find_map(|word| word.parse().ok())
}

fn boot_time() -> Option<u64> {
    value_of("/proc/stat", "btime ")
}

fn resident() -> Option<u64> {
    value_of("/proc/self/status", "VmRSS:").map(|kib| kib.saturating_mul(1024))
}

fn max_files() -> Option<u64> {
    value_of("/proc/self/limits", "Max open files")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_spaces_and_parentheses_do_not_shift_the_fields() {
        let line =
            "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0 8 0 1000 4096000 100 18446744073709551615";
        let stat = Stat::parse(line).unwrap();
        assert_eq!((stat.ticks, stat.threads, stat.started, stat.virtual_bytes), (300, 8, 1000, 4_096_000));
        assert!(Stat::parse("junk").is_none());
    }

    #[test]
    fn this_process_has_all_of_them() {
        let mut text = Text::default();
        write(&mut text);
        let text = text.finish();
        for name in [
            "cpu_seconds_total",
            "threads",
            "virtual_memory_bytes",
            "start_time_seconds",
            "resident_memory_bytes",
            "open_fds",
            "max_fds",
        ] {
            assert!(text.contains(&format!("\nprocess_{name} ")), "{name}: {text}");
        }
    }
}

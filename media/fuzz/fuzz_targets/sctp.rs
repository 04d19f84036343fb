#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bedrud_fuzz::media::sctp::run(data));

#![no_main]

#[path = "../entries.rs"]
mod entries;

use libfuzzer_sys::fuzz_target;

// The first byte picks the parser, the rest is what it gets.
fuzz_target!(|data: &[u8]| {
    if let Some((&pick, file)) = data.split_first() {
        entries::ALL[usize::from(pick) % entries::ALL.len()].1(file);
    }
});

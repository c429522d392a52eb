//! The kept inputs of each target, run as an ordinary test; and the same inputs with random changes, from a seed that
//! `NACRE_FUZZ_SEED` sets.

use nacre_fuzz::{Body, TARGETS};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{env, fs};

fn inputs(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let mut found: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("the corpus is readable").path())
        .map(|path| (path.clone(), fs::read(path).expect("the corpus is readable")))
        .collect();
    found.sort();
    assert!(!found.is_empty(), "{target} has no inputs");
    found
}

/// Says which input it was when something breaks, whatever way it breaks.
struct Trace(Option<String>);

impl Drop for Trace {
    fn drop(&mut self) {
        if let Some(what) = &self.0
            && std::thread::panicking()
        {
            eprintln!("it was {what}");
        }
    }
}

fn run(body: Body, input: &[u8], what: impl FnOnce() -> String) {
    let mut trace = Trace(Some(what()));
    body(input);
    trace.0 = None;
}

#[test]
fn every_kept_input_passes() {
    for (target, body) in TARGETS {
        for (path, input) in inputs(target) {
            run(*body, &input, || format!("{target}: {}", path.display()));
        }
    }
}

#[test]
fn changed_inputs_pass() {
    let seed = match env::var("NACRE_FUZZ_SEED") {
        Ok(seed) => seed.parse().expect("NACRE_FUZZ_SEED is a number"),
        Err(_) => SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").subsec_nanos().into(),
    };
    println!("NACRE_FUZZ_SEED={seed}");
    let mut random = Random(seed);
    let full = env::var_os("NACRE_TEST_FULL").is_some();
    for (target, body) in TARGETS {
        let inputs = inputs(target);
        let until = Instant::now() + Duration::from_secs(if full { 20 } else { 1 });
        let mut runs = 0;
        while Instant::now() < until || runs == 0 {
            let mut input = inputs[random.below(inputs.len())].1.clone();
            for _ in 0..1 + random.below(8) {
                let at = random.below(input.len() + 1);
                match random.below(4) {
                    0 if at < input.len() => input[at] ^= 1 << random.below(8),
                    1 if at < input.len() => input[at] = random.below(256) as u8,
                    2 => input.insert(at, random.below(256) as u8),
                    _ => input.truncate(at.max(input.len() / 2)),
                }
            }
            runs += 1;
            run(*body, &input, || format!("{target}: run {runs} of NACRE_FUZZ_SEED={seed}: {input:02x?}"));
        }
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 = self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1);
        self.0 ^= self.0 >> 31;
        (self.0 >> 16) as usize % bound
    }
}

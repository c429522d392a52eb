//! Every algorithm with every real peer that has it: rows of key exchange, host key, cipher, MAC and compression in
//! which each pair of names comes up, each with a transfer that is compared and new keys on the way.
//!
//! Some rows by a seed that is printed (`NACRE_MATRIX_SEED`, `NACRE_MATRIX_ROWS`), in the full form all of them.

mod support;

#[path = "peers/mod.rs"]
mod harness;

use harness::{Role, matrix};

macro_rules! tests {
    ($($test:ident: $name:literal $role:ident $($heavy:ident)?;)*) => {
        $(
            #[test]
            fn $test() {
                if std::env::var_os("NACRE_MATRIX_SURVEY").is_some() {
                    return matrix::survey($name, Role::$role);
                }
                if stringify!($($heavy)?).is_empty() || support::full() {
                    matrix::run_all($name, Role::$role);
                }
            }
        )*
    };
}

harness::with_peers!(tests);

#[test]
fn the_rows_cover_every_pair() {
    let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let names = [
        list(&["k1", "k2", "k3"]),
        list(&["h1", "h2"]),
        list(&["gcm", "c1", "c2"]),
        list(&["m1", "m2", "m3"]),
        list(&["none", "z"]),
    ];
    let bad = (0, "k1".to_owned(), 2, "c2".to_owned());
    let rows = matrix::rows(&names, std::slice::from_ref(&bad), &mut matrix::Random::of_test("pairs"));
    assert!(rows.len() < 30, "{} rows, the product has {}", rows.len(), 3 * 2 * 2 * (1 + 2 * 3));
    for first in 0..names.len() {
        for second in first + 1..names.len() {
            for name in &names[first] {
                for other in &names[second] {
                    let found = rows.iter().any(|row| row[first] == *name && row[second] == *other);
                    let impossible = name == "gcm" && other.starts_with('m');
                    let excused = *name == bad.1 && *other == bad.3;
                    assert_eq!(found, !impossible && !excused, "{name} with {other}");
                }
            }
        }
    }
}

//! Other projects' clients and servers against nacre's server and client; tests/peers.md says who lacks what.

mod support;

#[path = "peers/mod.rs"]
mod harness;

use harness::{Role, excuses, jobs, matrix};

/// One test a peer and role.
macro_rules! tests {
    ($($test:ident: $name:literal $role:ident $($heavy:ident)?;)*) => {
        /// Each peer and its role.
        const PEERS: &[(&str, Role)] = &[$(($name, Role::$role)),*];

        $(
            #[test]
            fn $test() {
                if stringify!($($heavy)?).is_empty() || support::full() {
                    jobs::run_all($name, Role::$role);
                }
            }
        )*
    };
}

harness::with_peers!(tests);

#[test]
fn every_program_has_its_test_and_every_excuse_its_peer() {
    let mut programs = Vec::new();
    for entry in std::fs::read_dir(support::root().join("tests/peers")).expect("tests/peers can be read") {
        let folder = entry.expect("an entry can be read").path();
        let name = folder.file_name().and_then(|name| name.to_str()).expect("a plain name").to_owned();
        for role in [Role::Client, Role::Server] {
            if folder.join(role.name()).is_file() {
                programs.push((name.clone(), role));
            }
        }
    }
    assert!(programs.len() > 1, "tests/peers holds only {programs:?}");
    let tested = |name: &str, role: Role| PEERS.contains(&(name, role));
    for (name, role) in &programs {
        assert!(tested(name, *role), "{name} as {} has no test", role.name());
    }
    assert_eq!(PEERS.len(), programs.len(), "a test has no program: {PEERS:?}");
    let algorithms = matrix::ours().concat();
    for excuse in excuses::all() {
        assert!(excuse.roles.iter().all(|role| tested(&excuse.peer, *role)), "there is no such peer: {excuse:?}");
        for name in &excuse.lacks {
            // Of two with a plus between them each works with others.
            let known = |name: &str| algorithms.iter().any(|known| known == name);
            assert!(
                jobs::NAMES.contains(&name.as_str()) || name.split('+').all(known),
                "{name} is no job and no algorithm of ours: {excuse:?}"
            );
        }
    }
}

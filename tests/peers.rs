//! Other projects' clients and servers against nacre's server and client; tests/peers.md says who lacks what.

mod support;

#[path = "peers/mod.rs"]
mod harness;

use harness::{Role, excuses, jobs};

/// One test a peer and role. `heavy`: those that take minutes to build run in the full form only.
macro_rules! peers {
    ($($test:ident: $name:literal $role:ident $($heavy:ident)?;)*) => {
        /// Each peer, its role, and the word `heavy` or nothing.
        const PEERS: &[(&str, Role, &str)] = &[$(($name, Role::$role, stringify!($($heavy)?))),*];

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

peers! {
    openssh_server: "openssh" Server;
    openssh_client: "openssh" Client;
    dropbear_server: "dropbear" Server;
    dropbear_client: "dropbear" Client;
    tinysshd_server: "tinysshd" Server;
    plink_client: "plink" Client;
    libssh_server: "libssh" Server;
    libssh_client: "libssh" Client;
    libssh2_client: "libssh2" Client;
    go_server: "go" Server;
    go_client: "go" Client;
    russh_server: "russh" Server heavy;
    russh_client: "russh" Client heavy;
    asyncssh_server: "asyncssh" Server;
    asyncssh_client: "asyncssh" Client;
    paramiko_server: "paramiko" Server;
    paramiko_client: "paramiko" Client;
    ssh2_client: "ssh2" Client;
}

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
    let tested = |name: &str, role: &str| PEERS.iter().any(|peer| peer.0 == name && peer.1.name() == role);
    for (name, role) in &programs {
        assert!(tested(name, role.name()), "{name} as {} has no test", role.name());
    }
    assert_eq!(PEERS.len(), programs.len(), "a test has no program: {PEERS:?}");
    for excuse in excuses::all() {
        assert!(tested(&excuse.peer, &excuse.role), "there is no such peer: {excuse:?}");
    }
}

//! What tests/peers.md says that the peers lack.

use super::Role;
use crate::support::root;

/// One line of the table.
#[derive(Debug)]
pub struct Excuse {
    pub peer: String,
    pub roles: Vec<Role>,
    pub lacks: Vec<String>,
}

/// The rows of the table whose first columns are `peer | role | version | lacks`.
pub fn all() -> Vec<Excuse> {
    let page = std::fs::read_to_string(root().join("tests/peers.md")).expect("tests/peers.md can be read");
    let excuses: Vec<Excuse> = page
        .lines()
        .skip_while(|line| !line.starts_with("| peer | role | version | lacks |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            let &[peer, role, version, lacks, why] = cells.as_slice() else { panic!("not five cells: {line}") };
            assert!(!version.is_empty() && !why.is_empty(), "every excuse has a version and a reason: {line}");
            let roles = match role {
                "client" => vec![Role::Client],
                "server" => vec![Role::Server],
                "both" => vec![Role::Client, Role::Server],
                _ => panic!("no role: {line}"),
            };
            let lacks: Vec<String> = lacks.split('`').skip(1).step_by(2).map(str::to_owned).collect();
            assert!(!lacks.is_empty(), "it excuses nothing: {line}");
            Excuse { peer: peer.to_owned(), roles, lacks }
        })
        .collect();
    assert!(!excuses.is_empty(), "there is no table in tests/peers.md");
    excuses
}

/// What one peer lacks in one role: jobs and algorithms by name.
pub fn of(peer: &str, role: Role) -> Vec<String> {
    all().into_iter().filter(|row| row.peer == peer && row.roles.contains(&role)).flat_map(|row| row.lacks).collect()
}

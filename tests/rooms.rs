//! The arrows between the rooms of ARCHITECTURE.md, the homes of `unsafe`, and the sizes of files.

use std::fs;
use std::path::{Path, PathBuf};

/// Which rooms each room may name. Every room may use `error`.
const ARROWS: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("wire", &[]),
    ("crypto", &["wire"]),
    ("keys", &["crypto", "wire"]),
    ("transport", &["crypto", "keys", "wire"]),
    ("auth", &["keys", "wire"]),
    ("connection", &["wire"]),
    ("session", &["transport", "auth", "connection"]),
    ("engine", &["session"]),
    ("client", &["engine", "keys"]),
    ("ffi", &["client", "engine", "keys", "wire", "crypto"]),
];

/// The files that may hold `unsafe`: prefixes below `src`.
const UNSAFE_HOMES: &[&str] = &[
    "ffi/",
    "engine/sys/",
    "crypto/bignum",
    "crypto/cbc",
    "crypto/key_file",
    "crypto/md5_mac",
    "crypto/rsa",
    "crypto/signature",
];

/// Test code may look into any room.
fn is_test(path: &Path) -> bool {
    path.components().any(|part| matches!(part.as_os_str().to_str(), Some("tests" | "tests.rs")))
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("src is readable") {
        let path = entry.expect("src is readable").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn all_sources() -> Vec<(String, PathBuf)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    sources(&root, &mut found);
    found.sort();
    found
        .into_iter()
        .map(|path| (path.strip_prefix(&root).expect("below src").to_string_lossy().into_owned(), path))
        .collect()
}

fn room_of(name: &str) -> &str {
    name.split(['/', '.']).next().unwrap_or(name)
}

/// The code of a file without comments, so that prose may name what it likes.
fn code(path: &Path) -> String {
    fs::read_to_string(path)
        .expect("a source file is readable")
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n")
}

/// The rooms named by `crate::ROOM` and by `use crate::{ROOM::…, ROOM::…}`.
fn rooms_named(code: &str) -> Vec<String> {
    let mut rooms = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 1;
            let mut name = String::new();
            let mut taking = true;
            for character in group.chars() {
                match character {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    ',' if depth == 1 => taking = true,
                    c if depth == 1 && taking && (c.is_alphanumeric() || c == '_') => name.push(c),
                    _ => {}
                }
                if !(character.is_alphanumeric() || character == '_' || name.is_empty()) {
                    rooms.push(std::mem::take(&mut name));
                    taking = character == ',';
                }
                if depth == 0 {
                    break;
                }
            }
        } else {
            rooms.push(rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
        }
    }
    rooms
}

#[test]
fn every_arrow_is_in_the_table() {
    let known: Vec<&str> = ARROWS.iter().map(|(room, _)| *room).collect();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for (name, path) in all_sources() {
        let room = room_of(&name);
        if room == "lib" || is_test(&path) {
            continue;
        }
        let Some((_, allowed)) = ARROWS.iter().find(|(known, _)| *known == room) else {
            wrong.push(format!("{name}: the room '{room}' is not in the table"));
            continue;
        };
        seen += 1;
        for target in rooms_named(&code(&path)) {
            let is_room = known.contains(&target.as_str());
            if is_room && target != room && target != "error" && !allowed.contains(&target.as_str()) {
                wrong.push(format!("{name}: {room} -> {target}"));
            }
        }
    }
    assert!(seen > 40, "the test read only {seen} files");
    assert!(wrong.is_empty(), "arrows that ARCHITECTURE.md does not have:\n{}", wrong.join("\n"));
}

#[test]
fn the_reader_of_arrows_sees_groups() {
    assert_eq!(rooms_named("use crate::{auth::{A, b::C}, wire, engine::X};"), ["auth", "wire", "engine"]);
    assert_eq!(rooms_named("let x = crate::session::Y::new();"), ["session"]);
}

#[test]
fn unsafe_stays_at_home() {
    let mut wrong = Vec::new();
    for (name, path) in all_sources() {
        let at_home = UNSAFE_HOMES.iter().any(|home| name.starts_with(home));
        if at_home {
            continue;
        }
        for (number, line) in code(&path).lines().enumerate() {
            let words = line.split(|c: char| !(c.is_alphanumeric() || c == '_'));
            if words.into_iter().any(|word| word == "unsafe") {
                wrong.push(format!("{name}:{}", number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "unsafe outside its rooms: {}", wrong.join(", "));
}

#[test]
fn files_stay_small() {
    let mut wrong = Vec::new();
    for (name, path) in all_sources() {
        let lines = fs::read_to_string(&path).expect("a source file is readable").lines().count();
        if !is_test(&path) && lines > 640 {
            wrong.push(format!("{name} has {lines} lines"));
        }
    }
    assert!(wrong.is_empty(), "split these: {}", wrong.join(", "));
}

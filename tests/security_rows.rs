//! `docs/security.md` says of each fault of others how nacre stands to it: every row is there once, and
//! every test that it names exists.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const ROWS: u32 = 94;
const CAPABILITIES: &[&str] = &["Algorithms", "Keys", "Transport", "SFTP", "GSSAPI", "Speed", "Host configuration"];

struct Row {
    number: u32,
    state: String,
    where_shown: String,
}

fn rows(text: &str) -> Vec<Row> {
    text.lines()
        .filter_map(|line| {
            let cells: Vec<&str> = line.trim().trim_matches('|').split('|').map(str::trim).collect();
            let [number, _fault, state, where_shown] = cells.as_slice() else { return None };
            let number = number.parse().ok()?;
            Some(Row { number, state: (*state).to_owned(), where_shown: (*where_shown).to_owned() })
        })
        .collect()
}

/// What stands between backticks.
fn names(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn test_names(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("the folder is readable") {
        let path = entry.expect("the folder is readable").path();
        if path.is_dir() {
            test_names(&path, found);
            continue;
        }
        let text = fs::read_to_string(&path).unwrap_or_default();
        for (at, _) in text.match_indices("fn ") {
            found.insert(text[at + 3..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
        }
        if let Some(stem) = path.file_stem().and_then(|stem| stem.to_str()) {
            found.insert(stem.to_owned());
        }
    }
}

#[test]
fn every_row_is_answered_once_and_its_tests_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("docs/security.md")).expect("docs/security.md is there");
    let rows = rows(&text);
    let numbers: Vec<u32> = rows.iter().map(|row| row.number).collect();
    assert_eq!(numbers, (1..=ROWS).collect::<Vec<_>>(), "one table row a number, in order");

    let mut tests = BTreeSet::new();
    test_names(&root.join("src"), &mut tests);
    test_names(&root.join("tests"), &mut tests);
    test_names(&root.join("fuzz/tests"), &mut tests);
    let mut wrong = Vec::new();
    for row in &rows {
        let named = names(&row.where_shown);
        let names_a_capability = CAPABILITIES.iter().any(|capability| row.where_shown.contains(capability));
        match row.state.as_str() {
            "in part" | "later" if !names_a_capability => {
                wrong.push(format!("row {}: no capability named", row.number))
            }
            "shown" if named.is_empty() => wrong.push(format!("row {}: no test named", row.number)),
            "shown" | "in part" => {
                for name in named.iter().filter(|name| !tests.contains(*name)) {
                    wrong.push(format!("row {}: no test `{name}`", row.number));
                }
            }
            "later" => {}
            "cannot arise" if row.where_shown.len() < 20 => wrong.push(format!("row {}: no reason", row.number)),
            "cannot arise" => {}
            other => wrong.push(format!("row {}: unknown state '{other}'", row.number)),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

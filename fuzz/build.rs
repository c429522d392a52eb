//! Reads the C header and writes one caller for each function in it, so that a new function is fuzzed as it appears.

use std::collections::HashMap;
use std::fmt::Write;
use std::path::Path;
use std::{env, fs};

/// Only for a child of fork().
const LEFT_OUT: &[&str] = &["nacre_engine_atfork", "nacre_engine_adopt", "nacre_transport_atfork"];
/// Written by hand in `boundary.rs`: their arguments need more sense than a type tells.
const BY_HAND: &[&str] =
    &["nacre_engine_new", "nacre_transport_from_fd", "nacre_transport_dial", "nacre_poll", "nacre_key_generate"];
/// They lend the handle that they give.
const LENDING: &[&str] = &["nacre_ticket_transport", "nacre_ticket_channel"];

fn main() {
    let header = Path::new(&env::var("CARGO_MANIFEST_DIR").expect("set by cargo")).join("../include/nacre.h");
    println!("cargo:rerun-if-changed={}", header.display());
    println!("cargo:rerun-if-changed=build.rs");
    let text = without_comments(&fs::read_to_string(&header).expect("include/nacre.h is readable"));
    let types = Types::read(&text);
    let functions = functions(&text);
    assert!(functions.len() > 150, "only {} functions were found in the header", functions.len());
    let mut out = String::new();
    declarations(&mut out, &functions);
    structs(&mut out, &types);
    callers(&mut out, &types, &functions);
    let to = Path::new(&env::var("OUT_DIR").expect("set by cargo")).join("calls.rs");
    fs::write(to, out).expect("the callers can be written");
}

fn without_comments(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, comment)) = rest.split_once("/*") {
        out.push_str(before);
        rest = comment.split_once("*/").map_or("", |(_, after)| after);
    }
    out.push_str(rest);
    out.lines().filter(|line| !line.trim_start().starts_with('#')).collect::<Vec<_>>().join("\n")
}

struct Types {
    handles: Vec<String>,
    /// Size of each struct, and the place of each of its members.
    structs: Vec<(String, usize)>,
}

impl Types {
    fn read(text: &str) -> Self {
        let mut handles = Vec::new();
        let mut structs: Vec<(String, usize)> = Vec::new();
        let mut rest = text;
        while let Some((_, after)) = rest.split_once("typedef struct ") {
            let (name, tail) = after.split_once([' ', '\n']).expect("a typedef has a name");
            if tail.trim_start().starts_with('{') {
                let (members, tail) = tail.split_once('}').expect("a struct ends");
                let members = members.trim_start().trim_start_matches('{');
                structs.push((name.to_owned(), size_of_members(members)));
                rest = tail;
            } else {
                handles.push(name.to_owned());
                rest = tail;
            }
        }
        Self { handles, structs }
    }

    fn is_handle(&self, name: &str) -> bool {
        self.handles.iter().any(|handle| handle == name)
    }

    fn struct_size(&self, name: &str) -> Option<usize> {
        self.structs.iter().find(|(known, _)| known == name).map(|(_, size)| *size)
    }
}

/// As a C compiler lays them out on a 64-bit machine.
fn size_of_members(members: &str) -> usize {
    let mut size = 0usize;
    for member in members.split(';').map(str::trim).filter(|member| !member.is_empty()) {
        let (unit, count) = if member.contains('*') || member.starts_with("size_t") || member.starts_with("uint64_t") {
            (8, 1)
        } else if member.starts_with("char") || member.starts_with("uint8_t") {
            let count = member.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
            (1, count.map_or(1, |(count, _)| count.parse().expect("the length of an array is a number")))
        } else {
            (4, 1)
        };
        size = size.next_multiple_of(unit) + unit * count;
    }
    size.next_multiple_of(8)
}

struct Function {
    name: String,
    result: String,
    /// Type and name.
    parameters: Vec<(String, String)>,
}

fn functions(text: &str) -> Vec<Function> {
    let prototypes = text.rsplit_once("extern \"C\" {").expect("the header has a part in C").1;
    let mut found = Vec::new();
    for prototype in prototypes.split(';') {
        let prototype = prototype.split_whitespace().collect::<Vec<_>>().join(" ");
        let Some((head, parameters)) = prototype.split_once('(') else { continue };
        let Some(at) = head.find("nacre_").filter(|_| !head.contains("typedef")) else { continue };
        let at = head.rfind("nacre_").unwrap_or(at);
        let (result, name) = head.split_at(at);
        let parameters = parameters.rsplit_once(')').expect("a prototype ends").0;
        found.push(Function {
            name: name.trim().to_owned(),
            result: result.trim().to_owned(),
            parameters: split_parameters(parameters),
        });
    }
    found
}

fn split_parameters(text: &str) -> Vec<(String, String)> {
    let mut depth = 0;
    let mut parts = vec![String::new()];
    for character in text.chars() {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        parts.last_mut().expect("never empty").push(character);
    }
    let parts = parts.iter().map(|part| part.trim()).filter(|part| !part.is_empty() && *part != "void");
    parts
        .map(|part| {
            if let Some((_, rest)) = part.split_once("(*") {
                let name = rest.split_once(')').expect("a function pointer has a name").0;
                return ("callback".to_owned(), name.to_owned());
            }
            let at = part.rfind([' ', '*']).expect("a parameter has a type and a name") + 1;
            let (kind, name) = part.split_at(at);
            (kind.replace("struct ", "").trim().to_owned(), name.to_owned())
        })
        .collect()
}

fn rust_type(c: &str) -> &'static str {
    match c {
        "callback" => "*const c_void",
        _ if c.ends_with('*') => "*mut c_void",
        "size_t" => "usize",
        "uint64_t" => "u64",
        "uint32_t" => "u32",
        "uint8_t" => "u8",
        "void" => "()",
        _ => "i32",
    }
}

fn declarations(out: &mut String, functions: &[Function]) {
    out.push_str("unsafe extern \"C\" {\n");
    for function in functions {
        let parameters: Vec<String> = function
            .parameters
            .iter()
            .enumerate()
            .map(|(at, (kind, _))| format!("a{at}: {}", rust_type(kind)))
            .collect();
        let result = rust_type(&function.result);
        writeln!(out, "    pub fn {}({}) -> {result};", function.name, parameters.join(", ")).expect("a String grows");
    }
    out.push_str("}\n\n");
}

fn structs(out: &mut String, types: &Types) {
    out.push_str("pub const STRUCTS: &[(&str, usize)] = &[\n");
    for (name, size) in &types.structs {
        writeln!(out, "    (\"{name}\", {size}),").expect("a String grows");
    }
    out.push_str("];\n\n");
    out.push_str("#[derive(Clone, Copy, Debug, PartialEq, Eq)]\n#[allow(non_camel_case_types)]\npub enum Kind {\n");
    for handle in &types.handles {
        writeln!(out, "    {handle},").expect("a String grows");
    }
    out.push_str("}\n\npub const KINDS: &[(Kind, unsafe extern \"C\" fn(*mut c_void))] = &[\n");
    for handle in &types.handles {
        writeln!(out, "    (Kind::{handle}, {handle}_free),").expect("a String grows");
    }
    out.push_str("];\n\n");
}

fn callers(out: &mut String, types: &Types, functions: &[Function]) {
    let mut names = Vec::new();
    for function in functions {
        if LEFT_OUT.contains(&function.name.as_str()) {
            continue;
        }
        names.push(function.name.as_str());
        if BY_HAND.contains(&function.name.as_str()) {
            continue;
        }
        caller(out, types, function);
    }
    out.push_str("pub type Call = unsafe fn(&World<'_>);\n\npub const CALLS: &[(&str, Call)] = &[\n");
    for name in names {
        writeln!(out, "    (\"{name}\", call_{name}),").expect("a String grows");
    }
    out.push_str("];\n");
}

fn caller(out: &mut String, types: &Types, function: &Function) {
    let name = &function.name;
    writeln!(out, "unsafe fn call_{name}(world: &World<'_>) {{").expect("a String grows");
    let of_handle = |end: &str| types.handles.iter().find(|handle| format!("{handle}{end}") == *name);
    if let Some(handle) = of_handle("_free") {
        writeln!(
            out,
            "    if let Some(handle) = world.give_up(Kind::{handle}) {{ unsafe {{ {name}(handle) }} }}\n}}\n"
        )
        .expect("a String grows");
        return;
    }
    if let Some(handle) = of_handle("_ref") {
        writeln!(
            out,
            "    let handle = world.handle(Kind::{handle});\n    if unsafe {{ {name}(handle) }} == 0 {{ world.own(Kind::{handle}, handle); }}\n}}\n"
        )
        .expect("a String grows");
        return;
    }
    let mut after = String::new();
    let mut length_of: HashMap<usize, String> = HashMap::new();
    for (at, (kind, parameter)) in function.parameters.iter().enumerate() {
        let next_is_size = function.parameters.get(at + 1).is_some_and(|(kind, _)| kind == "size_t");
        let bare = kind.trim_start_matches("const ").trim_end_matches(['*', ' ']).trim_end_matches("const").trim();
        let bare = bare.trim_end_matches(['*', ' ']);
        let stars = kind.matches('*').count();
        let value = match (kind.as_str(), stars) {
            ("callback", _) if parameter == "destroy" => "world.destroy()".to_owned(),
            ("callback", _) => "world.interactive()".to_owned(),
            (_, 2) if types.is_handle(bare) => {
                let lent = LENDING.contains(&name.as_str());
                if !lent {
                    writeln!(after, "    world.own_optional(Kind::{bare}, &a{at});").expect("a String grows");
                }
                "world.cell()".to_owned()
            }
            (_, 1) if types.is_handle(bare) => format!("world.handle(Kind::{bare})"),
            ("const char *const *", _) => {
                length_of.insert(at + 1, format!("a{at}.length()"));
                "world.texts()".to_owned()
            }
            (_, 1) if types.struct_size(bare).is_some() => {
                let size = types.struct_size(bare).unwrap_or(0);
                if bare == "nacre_event" {
                    writeln!(after, "    if result == 0 {{ world.take_event(&a{at}); }}").expect("a String grows");
                }
                if kind.starts_with("const") {
                    format!("world.given_struct(\"{bare}\", {size})")
                } else {
                    format!("world.struct_for_result({size})")
                }
            }
            ("const char *", _) => format!("world.text(\"{parameter}\")"),
            ("const int32_t *", _) => {
                // It stands between an array of strings and their number, and has as many elements.
                if let Some(length) = length_of.remove(&at) {
                    length_of.insert(at + 1, length);
                }
                "world.numbers()".to_owned()
            }
            ("const void *", _) => {
                length_of.insert(at + 1, format!("a{at}.length()"));
                "world.data()".to_owned()
            }
            ("void *", _) if parameter == "userdata" => "world.userdata()".to_owned(),
            ("void *" | "char *", _) if next_is_size => {
                length_of.insert(at + 1, format!("a{at}.length()"));
                "world.room()".to_owned()
            }
            ("uint64_t *", _) if parameter == "op" => {
                writeln!(after, "    world.note_operation(&a{at});").expect("a String grows");
                "world.cell()".to_owned()
            }
            (_, 1) => "world.cell()".to_owned(),
            ("size_t", _) => match length_of.get(&at) {
                Some(length) => length.clone(),
                None => "world.number() as usize".to_owned(),
            },
            ("uint64_t", _) if parameter == "op" => "world.operation()".to_owned(),
            ("uint64_t", _) => "world.long_number()".to_owned(),
            ("uint32_t", _) => "world.number()".to_owned(),
            ("uint8_t", _) => "world.number() as u8".to_owned(),
            (_, 0) if parameter == "timeout_ms" => "world.timeout()".to_owned(),
            (_, 0) => "world.small_number()".to_owned(),
            _ => panic!("{name}: nothing is known of '{kind}{parameter}'"),
        };
        writeln!(out, "    let a{at} = {value};").expect("a String grows");
    }
    let arguments: Vec<String> = function
        .parameters
        .iter()
        .enumerate()
        .map(|(at, (kind, _))| match rust_type(kind) {
            "*mut c_void" | "*const c_void" => format!("a{at}.pointer()"),
            _ => format!("a{at}"),
        })
        .collect();
    if function.parameters.is_empty() {
        out.push_str("    let _ = world;\n");
    }
    let uses_userdata = function.parameters.iter().any(|(_, name)| name == "destroy");
    writeln!(out, "    let result = unsafe {{ {name}({}) }};", arguments.join(", ")).expect("a String grows");
    out.push_str(&after);
    if uses_userdata {
        out.push_str("    world.registered(result == 0);\n");
    }
    let check = match function.result.as_str() {
        "nacre_status" => "    world.check_status(result);\n",
        "const char *" => "    world.check_text(result);\n",
        _ => "    let _ = result;\n",
    };
    out.push_str(check);
    out.push_str("}\n\n");
}

//! The message decoder and what lies below it: data types, name-lists, cleaned text.

use crate::input::Input;
use nacre::wire::messages::DECODERS;
use nacre::wire::{NameList, Reader, check_name, clean, put_mpint};

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    match input.byte() % 4 {
        0 | 1 => message(&mut input),
        2 => reader(&mut input),
        _ => text(&mut input),
    }
}

/// What decodes encodes to the same fields, in as many bytes as `length` says.
fn message(input: &mut Input<'_>) {
    let (name, number, decode) = *input.pick(DECODERS);
    let payload = input.rest();
    let Ok(message) = decode(payload) else { return };
    assert_eq!(message.number(), number);
    let mut encoded = Vec::new();
    message.encode(&mut encoded);
    assert_eq!(encoded.len(), message.length(), "{name}");
    assert_eq!(encoded.len(), payload.len() + 1, "{name}");
    assert_eq!(encoded.first(), Some(&number));
    let again = decode(&encoded[1..]);
    assert_eq!(again.as_ref().ok(), Some(&message), "{name}");
    assert!(!format!("{message:?}").is_empty());
}

/// Any reads in any order: none goes beyond the end, and one that fails takes nothing.
fn reader(input: &mut Input<'_>) {
    let mut steps = Input::new(input.bytes(64));
    let bytes = input.rest();
    let mut reader = Reader::new(bytes);
    while !steps.is_empty() {
        let before = reader.remaining();
        let failed = match steps.byte() % 9 {
            0 => reader.u8().is_err(),
            1 => reader.u32().is_err(),
            2 => reader.u64().is_err(),
            3 => reader.boolean().is_err(),
            4 => reader.string().is_err(),
            5 => reader.ascii().is_err(),
            6 => reader.name_list().is_err(),
            7 => match reader.mpint() {
                Ok(magnitude) => {
                    let mut written = Vec::new();
                    put_mpint(&mut written, magnitude);
                    assert_eq!(written.len(), before - reader.remaining(), "mpints have one form");
                    false
                }
                Err(_) => true,
            },
            _ => reader.bytes(usize::from(steps.byte())).is_err(),
        };
        assert!(reader.remaining() <= before);
        assert!(!failed || reader.remaining() == before || before > reader.remaining());
    }
    let left = reader.remaining();
    assert_eq!(reader.finish().is_ok(), left == 0);
}

fn text(input: &mut Input<'_>) {
    let most = usize::from(input.byte());
    let bytes = input.rest();
    let shown = clean(bytes, most);
    assert!(shown.chars().all(|c| !c.is_control()), "{shown:?}");
    if let Ok(list) = NameList::parse(bytes) {
        for name in list.names() {
            assert!(list.contains(name));
            assert!(!name.is_empty() && !name.contains(','));
        }
    }
    if let Ok(text) = std::str::from_utf8(bytes)
        && check_name(text).is_ok()
    {
        assert_eq!(NameList::parse(bytes).ok().and_then(|list| list.first()), Some(text));
    }
}

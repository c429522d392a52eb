/// A peer's text made fit for a log or an error: control characters, escape sequences and broken UTF-8
/// become `?`, and what is longer than `most` characters is cut with an ellipsis.
pub fn clean(bytes: &[u8], most: usize) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut out = String::with_capacity(text.len().min(most));
    for (index, character) in text.trim_end().chars().enumerate() {
        if index == most {
            out.push('…');
            break;
        }
        out.push(if is_harmless(character) { character } else { '?' });
    }
    out
}

fn is_harmless(character: char) -> bool {
    let reorders = matches!(character, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !character.is_control() && !reorders && character != '\u{fffd}'
}

//! Just enough JSON to take a small object apart and to write one.  The host sends valid JSON; on anything else these
//! find nothing.
use std::fmt::Write;

fn space(json: &[u8], mut at: usize) -> usize {
    while json.get(at).map_or(false, u8::is_ascii_whitespace) {
        at += 1;
    }
    at
}

/// The end of the string that begins at `at`, behind its closing quote.
fn string_end(json: &[u8], mut at: usize) -> usize {
    at += 1;
    while at < json.len() {
        match json[at] {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    json.len()
}

/// The end of the value that begins at `at`.
fn value_end(json: &[u8], mut at: usize) -> usize {
    let mut depth = 0;
    while at < json.len() {
        match json[at] {
            b'"' => {
                at = string_end(json, at);
                if depth == 0 {
                    return at;
                }
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth <= 1 => return at + depth,
            b'}' | b']' => depth -= 1,
            c if depth == 0 && (c == b',' || c.is_ascii_whitespace()) => return at,
            _ => {}
        }
        at += 1;
    }
    at
}

/// The value of a key of the outermost object, as it stands.  Keys with escapes in them are not found.
pub fn get<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let json = text.as_bytes();
    let mut at = space(json, 0);
    if json.get(at) != Some(&b'{') {
        return None;
    }
    loop {
        at = space(json, at + 1);
        if json.get(at) != Some(&b'"') {
            return None;
        }
        let end = string_end(json, at);
        let colon = space(json, end);
        if json.get(colon) != Some(&b':') {
            return None;
        }
        let from = space(json, colon + 1);
        let to = value_end(json, from);
        if text.get(at + 1..end - 1) == Some(key) {
            return text.get(from..to);
        }
        at = space(json, to);
        if json.get(at) != Some(&b',') {
            return None;
        }
    }
}

/// A JSON string decoded; empty where it is none.
pub fn text(json: &str) -> String {
    let inner = match json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(inner) => inner,
        None => return String::new(),
    };
    // As UTF-16, in which an escape of two halves of a pair is two units.
    let mut units: Vec<u16> = Vec::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        let unit = match c {
            '\\' => match chars.next() {
                Some('u') => {
                    let hex: String = chars.by_ref().take(4).collect();
                    units.push(u16::from_str_radix(&hex, 16).unwrap_or(0xfffd));
                    continue;
                }
                Some('b') => '\u{8}',
                Some('f') => '\u{c}',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('t') => '\t',
                Some(other) => other,
                None => break,
            },
            c => c,
        };
        units.extend_from_slice(unit.encode_utf16(&mut [0; 2]));
    }
    String::from_utf16_lossy(&units)
}

/// A text as a JSON string, with its quotes.
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c < ' ' => write!(out, "\\u{:04x}", c as u32).unwrap_or_default(),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// An object of keys and values; a value is JSON, and left out where it is empty.
pub fn object(fields: &[(&str, &str)]) -> String {
    let mut out = String::from("{");
    for (key, value) in fields.iter().filter(|(_, value)| !value.is_empty()) {
        if out.len() > 1 {
            out.push(',');
        }
        write!(out, "{}:{}", quote(key), value).unwrap_or_default();
    }
    out.push('}');
    out
}

//! File names that a message may suggest.

/// How long a file's name may be, in bytes, so that the file systems in use take it with a number added.
const MAX_NAME: usize = 200;
/// How long an ending may be that survives a name's shortening, in bytes.
const MAX_ENDING: usize = 16;

/// Names that are devices on Windows, whatever they end in.
const DEVICES: &[&str] = &["con", "prn", "aux", "nul", "com", "lpt"];

/// A name that can be a file's, in any folder of any system; `None` where nothing is left.
pub(super) fn safe(name: &str) -> Option<String> {
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            c if c.is_control() || is_hidden(c) => {}
            '<' | '>' | ':' | '"' | '|' | '?' | '*' => out.push('_'),
            c => out.push(c),
        }
    }
    // Dots in front hide it, those behind vanish on Windows.
    let out = out.trim_matches(|c: char| c == '.' || c.is_whitespace());
    let (stem, _) = out.split_once('.').unwrap_or((out, ""));
    let stem = stem.trim_end().to_ascii_lowercase();
    let device = stem.trim_end_matches(|c: char| c.is_ascii_digit());
    let is_device = DEVICES.contains(&device)
        && (stem.len() == device.len()) == !matches!(device, "com" | "lpt");
    let out = if is_device {
        format!("_{out}")
    } else {
        out.to_owned()
    };
    (!out.is_empty()).then(|| shortened(&out))
}

/// Characters that change what is seen: directions, joiners, marks of nothing, line ends.
pub(super) fn is_hidden(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'
            | '\u{1160}'
            | '\u{17b4}'
            | '\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

fn shortened(name: &str) -> String {
    if name.len() <= MAX_NAME {
        return name.to_owned();
    }
    let ending = name.rfind('.').map(|at| &name[at..]).unwrap_or_default();
    let ending = if ending.len() <= MAX_ENDING {
        ending
    } else {
        ""
    };
    let end = name.floor_char_boundary(MAX_NAME - ending.len());
    format!("{}{ending}", &name[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_only_a_name() {
        for (name, expected) in [
            ("a.txt", Some("a.txt")),
            ("../../etc/passwd", Some("passwd")),
            ("C:\\Windows\\system32\\evil.exe", Some("evil.exe")),
            ("/", None),
            ("..", None),
            ("", None),
            (".bashrc", Some("bashrc")),
            ("a.txt. . .", Some("a.txt")),
            ("a\0b\r\nc.txt", Some("abc.txt")),
            // As it is shown, this ends in .pdf.
            ("invoice\u{202e}fdp.exe", Some("invoicefdp.exe")),
            ("a.pdf\u{200b}\u{2066}.exe", Some("a.pdf.exe")),
            ("a:b?.txt", Some("a_b_.txt")),
            ("CON.txt", Some("_CON.txt")),
            ("com1", Some("_com1")),
            ("com", Some("com")),
            ("nul", Some("_nul")),
            ("console.txt", Some("console.txt")),
            ("gr\u{fc}n.txt", Some("gr\u{fc}n.txt")),
        ] {
            assert_eq!(safe(name).as_deref(), expected, "{name:?}");
        }
    }

    #[test]
    fn a_long_name_keeps_its_ending() {
        let name = safe(&format!("{}.tar.gz", "\u{20ac}".repeat(5000))).expect("a name");
        assert!(
            name.len() <= MAX_NAME && name.ends_with("\u{20ac}.gz"),
            "{name}"
        );
        let name = safe(&"a".repeat(5000)).expect("a name");
        assert_eq!(name.len(), MAX_NAME);
        let name = safe(&format!("a.{}", "b".repeat(5000))).expect("a name");
        assert_eq!(name.len(), MAX_NAME);
    }
}

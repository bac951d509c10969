//! Names of entries, which become names of files.

/// The longest name of an entry, in bytes.
const MAX_NAME: usize = 255;

/// Says what is wrong with a name that must not become a file: one that is empty
/// or absolute, leaves its folder, or means something else on another system.
pub(crate) fn check_entry_name(name: &str) -> Result<(), &'static str> {
    if name.is_empty() || name.len() > MAX_NAME {
        return Err("it is empty or longer than 255 bytes");
    }
    if name.contains(['\\', ':']) || name.chars().any(char::is_control) {
        return Err("it has a backslash, a colon or a control character");
    }
    for part in name.split('/') {
        if part.is_empty() || part == "." || part == ".." {
            return Err("it is absolute, or has an empty, `.` or `..` part");
        }
        if part.ends_with(['.', ' ']) || reserved(part) {
            return Err("a part of it is not a file's name on every system");
        }
    }
    Ok(())
}

/// Names that mean devices on Windows, with or without an extension.
fn reserved(part: &str) -> bool {
    let stem = part.split('.').next().unwrap_or(part).to_ascii_lowercase();
    matches!(stem.as_str(), "con" | "prn" | "aux" | "nul")
        || (stem.len() == 4
            && (stem.starts_with("com") || stem.starts_with("lpt"))
            && stem.as_bytes().get(3).is_some_and(u8::is_ascii_digit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_relative_names_pass() {
        for good in ["model.onnx", "1_Pooling/config.json", "a b/ü.json", ".gitattributes"] {
            assert_eq!(check_entry_name(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "/etc/passwd",
            "../up",
            "a/../b",
            "a//b",
            "a/",
            "./a",
            "C:/x",
            "c:x",
            "a\\b",
            "a\0b",
            "a\nb",
            "nul",
            "con.json",
            "a/COM1.txt",
            "dot.",
            "space ",
            "..",
        ] {
            assert!(check_entry_name(bad).is_err(), "{bad:?}");
        }
        assert!(check_entry_name(&"a".repeat(256)).is_err());
    }
}

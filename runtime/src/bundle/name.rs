//! Which names an entry may have.

/// Checks that `name` may name an entry: a relative path of plain parts,
/// separated by `/`, that means the same file on every system and cannot leave
/// the folder into which a bundle is unpacked.
///
/// # Errors
/// The reason, naming the entry.
pub fn check_entry_name(name: &str) -> Result<(), String> {
    let bad = |reason: &str| Err(format!("the entry name {name:?} {reason}"));
    if name.is_empty() || name.len() > 255 {
        return bad("is not 1 to 255 bytes long");
    }
    if let Some(c) = name.chars().find(|c| c.is_control() || "\\:*?\"<>|".contains(*c)) {
        return bad(&format!("holds {c:?}, which is not allowed"));
    }
    for part in name.split('/') {
        match part {
            "" => return bad("is absolute or has an empty part"),
            "." | ".." => return bad("leaves its folder"),
            _ if part.ends_with(['.', ' ']) => {
                return bad("has a part that ends in a dot or space");
            }
            _ if reserved(part) => return bad("is reserved by Windows"),
            _ => {}
        }
    }
    Ok(())
}

/// Whether Windows takes `part` for a device, whatever its extension.
fn reserved(part: &str) -> bool {
    let stem = part.split('.').next().unwrap_or(part).to_ascii_uppercase();
    matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL")
        || (stem.len() == 4
            && (stem.starts_with("COM") || stem.starts_with("LPT"))
            && stem.ends_with(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_relative_names_are_allowed() {
        for name in ["model.onnx", "1_Pooling/config.json", "a b/ü.txt", "console.txt"] {
            assert_eq!(check_entry_name(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn names_that_escape_or_differ_between_systems_are_refused() {
        for name in [
            "",
            "/etc/passwd",
            "../x",
            "a/../../x",
            "a//b",
            "a/",
            ".",
            "a\\b",
            "C:x",
            "a\0b",
            "nul",
            "x/COM1.txt",
            "end.",
            "a\nb",
        ] {
            assert!(check_entry_name(name).is_err(), "{name:?}");
        }
        assert!(check_entry_name(&"x".repeat(256)).is_err());
    }
}

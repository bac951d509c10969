//! Lines of comma-separated values (RFC 4180).

/// One line, with its end. Fields are quoted where they must be.
pub(crate) fn line(fields: &[impl AsRef<str>]) -> Vec<u8> {
    let mut line = Vec::new();
    for (i, field) in fields.iter().enumerate() {
        if i > 0 {
            line.push(b',');
        }
        let field = field.as_ref();
        let quoted = field.contains(['"', ',', '\n', '\r'])
            || field.starts_with(' ')
            || field.ends_with(' ')
            // An empty line would not count as a record.
            || (field.is_empty() && fields.len() == 1);
        if quoted {
            line.push(b'"');
            line.extend_from_slice(field.replace('"', "\"\"").as_bytes());
            line.push(b'"');
        } else {
            line.extend_from_slice(field.as_bytes());
        }
    }
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_where_they_must_be() {
        assert_eq!(line(&["a", "b c", ""]), b"a,b c,\n");
        assert_eq!(
            line(&["a,b", "say \"x\"", "two\nlines"]),
            b"\"a,b\",\"say \"\"x\"\"\",\"two\nlines\"\n"
        );
        assert_eq!(line(&[""]), b"\"\"\n");
    }
}

//! The little of HTTP/1.1 that a static server needs.

use std::io::BufRead;
use std::path::{Component, Path, PathBuf};

/// No request line or header of a browser comes near this.
const LONGEST_LINE: u64 = 16 << 10;
const MOST_HEADERS: usize = 100;

#[derive(Debug, Default)]
pub struct Request {
    pub head_only: bool,
    /// Percent-decoded, without the query.
    pub path: String,
    pub range: Option<String>,
    pub if_range: Option<String>,
    pub if_none_match: Option<String>,
}

/// What came over the wire.
#[derive(Debug)]
pub enum Asked {
    For(Request),
    /// Something that deserves this status and the end of the connection.
    Badly(&'static str),
}

/// Reads one request; None where the other side has closed.
pub fn read(reader: &mut impl BufRead) -> std::io::Result<Option<Asked>> {
    let Some(line) = read_line(reader)? else {
        return Ok(None);
    };
    let mut words = line.split(' ');
    let (Some(method), Some(target), Some(_)) = (words.next(), words.next(), words.next()) else {
        return Ok(Some(Asked::Badly("400 Bad Request")));
    };
    let head_only = match method {
        "GET" => false,
        "HEAD" => true,
        _ => return Ok(Some(Asked::Badly("405 Method Not Allowed"))),
    };
    let target = target.split(['?', '#']).next().unwrap_or_default();
    let Some(path) = percent_decode(target) else {
        return Ok(Some(Asked::Badly("400 Bad Request")));
    };
    let mut request = Request { head_only, path, ..Request::default() };
    for _ in 0..MOST_HEADERS {
        let Some(line) = read_line(reader)? else {
            return Ok(None);
        };
        if line.is_empty() {
            return Ok(Some(Asked::For(request)));
        }
        let Some((name, value)) = line.split_once(':') else {
            return Ok(Some(Asked::Badly("400 Bad Request")));
        };
        let value = Some(value.trim().to_string());
        match name.to_ascii_lowercase().as_str() {
            "range" => request.range = value,
            "if-range" => request.if_range = value,
            "if-none-match" => request.if_none_match = value,
            _ => {}
        }
    }
    Ok(Some(Asked::Badly("431 Request Header Fields Too Large")))
}

fn read_line(reader: &mut impl BufRead) -> std::io::Result<Option<String>> {
    let mut line = Vec::new();
    std::io::Read::take(&mut *reader, LONGEST_LINE).read_until(b'\n', &mut line)?;
    if line.pop() != Some(b'\n') {
        return Ok(None);
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(Some(String::from_utf8_lossy(&line).into_owned()))
}

fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
                digit(rest.next()?)? << 4 | digit(rest.next()?)?
            }
            plain => plain,
        });
    }
    String::from_utf8(bytes).ok()
}

/// The file that a path means; None where it would leave `root`.
pub fn resolve(root: &Path, path: &str) -> Option<PathBuf> {
    if path.contains(['\0', '\\']) {
        return None;
    }
    let relative = Path::new(path.strip_prefix('/')?);
    let inside =
        relative.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    inside.then(|| root.join(relative))
}

#[derive(Debug, PartialEq, Eq)]
pub enum Range {
    /// No range that this server understands: the whole file.
    Whole,
    /// Bytes `start..end`.
    Part {
        start: u64,
        end: u64,
    },
    Unsatisfiable,
}

/// Reads a Range header for a file of `length` bytes. Several ranges at once get the whole file, as
/// RFC 9110 allows.
pub fn byte_range(text: &str, length: u64) -> Range {
    let Some((first, last)) = text.strip_prefix("bytes=").and_then(|range| range.split_once('-'))
    else {
        return Range::Whole;
    };
    match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(start), _) if start >= length => Range::Unsatisfiable,
        (Ok(start), Err(_)) if last.is_empty() => Range::Part { start, end: length },
        (Ok(start), Ok(last)) if last >= start => {
            Range::Part { start, end: last.saturating_add(1).min(length) }
        }
        (Err(_), Ok(0)) if first.is_empty() => Range::Unsatisfiable,
        (Err(_), Ok(_)) if first.is_empty() && length == 0 => Range::Unsatisfiable,
        (Err(_), Ok(size)) if first.is_empty() => {
            Range::Part { start: length.saturating_sub(size), end: length }
        }
        _ => Range::Whole,
    }
}

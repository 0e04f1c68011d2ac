//! A small preprocessor for WGSL, so that one readable file serves every variant of a kernel.
//!
//! | directive | meaning |
//! |---|---|
//! | `${NAME}` | the constant's value |
//! | `#if NAME`, `#if NAME == v`, `#if NAME != v`, `#elif ...`, `#else`, `#endif` | keep or drop lines; a bare name holds unless it is `0`, alternatives are joined by `\|\|` |
//! | `#for i in 0..N` ... `#endfor` | the lines once per value, `${i}` replaced: loops that must become registers are unrolled here and not left to each driver's taste |
//! | `#include "lib/name.wgsl"` | another file of `shaders/` |
//!
//! An undefined name is an error, so a typo cannot silently choose a variant.

use crate::error::Result;
use crate::{err, Code};

/// The files that shaders include.
const INCLUDES: &[(&str, &str)] = &[
    ("lib/activation.wgsl", include_str!("../../shaders/lib/activation.wgsl")),
    ("lib/conv.wgsl", include_str!("../../shaders/lib/conv.wgsl")),
    ("lib/attention.wgsl", include_str!("../../shaders/lib/attention.wgsl")),
    ("lib/conv1d.wgsl", include_str!("../../shaders/lib/conv1d.wgsl")),
    ("lib/linear.wgsl", include_str!("../../shaders/lib/linear.wgsl")),
    ("lib/order.wgsl", include_str!("../../shaders/lib/order.wgsl")),
    ("lib/reduce.wgsl", include_str!("../../shaders/lib/reduce.wgsl")),
    ("lib/weights.wgsl", include_str!("../../shaders/lib/weights.wgsl")),
    ("lib/window.wgsl", include_str!("../../shaders/lib/window.wgsl")),
];

/// Expands `source` (of the file `name`) under `constants`.
pub fn preprocess(name: &str, source: &str, constants: &[(&str, String)]) -> Result<String> {
    let mut scope: Vec<(String, String)> =
        constants.iter().map(|(name, value)| (name.to_string(), value.clone())).collect();
    let lines: Vec<&str> = source.lines().collect();
    let mut out = String::with_capacity(2 * source.len());
    expand(name, &lines, &mut scope, &mut out)?;
    Ok(out)
}

fn expand(
    file: &str,
    lines: &[&str],
    scope: &mut Vec<(String, String)>,
    out: &mut String,
) -> Result<()> {
    let mut at = 0;
    while at < lines.len() {
        let fail = |what: String| err!(Code::Internal, "shader {file}, line {}: {what}", at + 1);
        let line = lines[at];
        let (directive, rest) = split_directive(line);
        match directive {
            "#if" => {
                let end = block_end(lines, at, "#if", "#endif")
                    .ok_or_else(|| fail("#if without #endif".into()))?;
                for (condition, from, to) in branches(lines, at, end) {
                    let holds = match condition {
                        Some(text) => holds(text, scope).map_err(fail)?,
                        None => true,
                    };
                    if holds {
                        expand(file, &lines[from..to], scope, out)?;
                        break;
                    }
                }
                at = end;
            }
            "#for" => {
                let end = block_end(lines, at, "#for", "#endfor")
                    .ok_or_else(|| fail("#for without #endfor".into()))?;
                let (variable, first, last) = range(rest, scope).map_err(fail)?;
                for i in first..last {
                    scope.push((variable.to_string(), i.to_string()));
                    expand(file, &lines[at + 1..end], scope, out)?;
                    scope.pop();
                }
                at = end;
            }
            "#include" => {
                let path = rest.trim_matches('"');
                let (_, source) = INCLUDES
                    .iter()
                    .find(|(name, _)| *name == path)
                    .ok_or_else(|| fail(format!("no file {path:?} to include")))?;
                expand(path, &source.lines().collect::<Vec<_>>(), scope, out)?;
            }
            "" => {
                out.push_str(&substitute(line, scope).map_err(fail)?);
                out.push('\n');
            }
            other => return Err(fail(format!("unknown directive {other}"))),
        }
        at += 1;
    }
    Ok(())
}

/// The directive that a line holds (empty for an ordinary line) and what follows it.
fn split_directive(line: &str) -> (&str, &str) {
    let line = line.trim();
    if !line.starts_with('#') {
        return ("", line);
    }
    let (directive, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    (directive, rest.trim())
}

/// The line that closes the block opened at `start`.
fn block_end(lines: &[&str], start: usize, open: &str, close: &str) -> Option<usize> {
    let mut depth = 0usize;
    for (i, line) in lines.iter().enumerate().skip(start) {
        let (directive, _) = split_directive(line);
        if directive == open {
            depth += 1;
        } else if directive == close {
            depth -= 1;
            if depth == 0 {
                return Some(i);
            }
        }
    }
    None
}

/// The branches of an `#if` block: condition (none for `#else`), first line, end.
fn branches<'a>(
    lines: &[&'a str],
    start: usize,
    end: usize,
) -> Vec<(Option<&'a str>, usize, usize)> {
    let mut heads = vec![(Some(split_directive(lines[start]).1), start)];
    let mut depth = 0usize;
    for (i, line) in lines.iter().enumerate().take(end).skip(start + 1) {
        match split_directive(line) {
            ("#if", _) => depth += 1,
            ("#endif", _) => depth -= 1,
            ("#elif", condition) if depth == 0 => heads.push((Some(condition), i)),
            ("#else", _) if depth == 0 => heads.push((None, i)),
            _ => {}
        }
    }
    let ends = heads.iter().skip(1).map(|(_, at)| *at).chain([end]);
    heads.iter().zip(ends).map(|(&(condition, at), to)| (condition, at + 1, to)).collect()
}

fn lookup<'a>(name: &str, scope: &'a [(String, String)]) -> std::result::Result<&'a str, String> {
    scope
        .iter()
        .rev()
        .find(|(n, _)| n == name)
        .map(|(_, value)| value.as_str())
        .ok_or_else(|| format!("constant {name:?} is not defined"))
}

fn holds(condition: &str, scope: &[(String, String)]) -> std::result::Result<bool, String> {
    if let Some((left, right)) = condition.split_once("||") {
        return Ok(holds(left, scope)? || holds(right, scope)?);
    }
    if let Some((name, value)) = condition.split_once("==") {
        Ok(lookup(name.trim(), scope)? == value.trim())
    } else if let Some((name, value)) = condition.split_once("!=") {
        Ok(lookup(name.trim(), scope)? != value.trim())
    } else {
        Ok(lookup(condition.trim(), scope)? != "0")
    }
}

/// `i in A..B`, the ends being numbers or constants.
fn range<'a>(
    text: &'a str,
    scope: &[(String, String)],
) -> std::result::Result<(&'a str, u32, u32), String> {
    let bad = || format!("expected `#for i in A..B`, found {text:?}");
    let (variable, ends) = text.split_once(" in ").ok_or_else(bad)?;
    let (first, last) = ends.split_once("..").ok_or_else(bad)?;
    let number = |end: &str| {
        let end = end.trim();
        if end.is_empty() {
            return Err(bad());
        }
        let value =
            if end.starts_with(|c: char| c.is_ascii_digit()) { end } else { lookup(end, scope)? };
        value.parse::<u32>().map_err(|_| bad())
    };
    Ok((variable.trim(), number(first)?, number(last)?))
}

fn substitute(line: &str, scope: &[(String, String)]) -> std::result::Result<String, String> {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find("${") {
        let (before, after) = (&rest[..at], &rest[at + 2..]);
        let (name, tail) = after.split_once('}').ok_or("`${` without `}`")?;
        out.push_str(before);
        out.push_str(lookup(name, scope)?);
        rest = tail;
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(source: &str) -> Result<String> {
        let constants = [("FORMAT", "q8".to_string()), ("BIAS", "0".into()), ("N", "2".into())];
        preprocess("test", source, &constants)
    }

    #[test]
    fn branches_nest_and_the_first_that_holds_wins() {
        let source = "#if FORMAT == f32\na\n#elif FORMAT == q8\n  #if BIAS\nb\n  #else\nc\n  \
                      #endif\n#else\nd\n#endif\n#if FORMAT != q4\ne\n#endif\n#if BIAS || FORMAT == q8\nf\n#endif";
        assert_eq!(run(source).unwrap(), "c\ne\nf\n");
    }

    #[test]
    fn loops_unroll_with_their_variable() {
        let source = "#for i in 0..N\n#for j in 1..3\nx${i}${j}\n#endfor\n#endfor";
        assert_eq!(run(source).unwrap(), "x01\nx02\nx11\nx12\n");
    }

    #[test]
    fn mistakes_name_the_file_and_the_line() {
        for (source, message) in [
            ("ok\n${NOPE}", "line 2: constant \"NOPE\" is not defined"),
            ("#if BIAS\nx", "line 1: #if without #endif"),
            ("#for i in 0..\n#endfor", "expected `#for i in A..B`"),
            ("#include \"lib/none.wgsl\"", "no file \"lib/none.wgsl\" to include"),
            ("#endif", "unknown directive #endif"),
        ] {
            let error = run(source).unwrap_err();
            assert!(error.message.contains(message), "{}", error.message);
        }
    }
}

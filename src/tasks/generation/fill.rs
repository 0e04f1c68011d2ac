//! Infilling, as BART was trained to do: a text with one `<mask>` is written anew, and a span of any
//! length stands where the mask was.

use crate::error::Result;
use crate::{err, Code};

/// What stands around the mask.
#[derive(Debug)]
pub(super) struct Around {
    left: String,
    right: String,
}

impl Around {
    /// Cuts `text` at its one `mask`.
    pub fn new(text: &str, mask: &str) -> Result<Self> {
        match text.split(mask).collect::<Vec<_>>()[..] {
            [left, right] => Ok(Around { left: left.trim().into(), right: right.trim().into() }),
            ref parts => {
                let count = parts.len() - 1;
                Err(err!(Code::Input, "fill takes a text with one {mask}, and this has {count}")
                    .remedy(format!("write {mask} once, where the words are missing")))
            }
        }
    }

    /// What was written in the mask's place; nothing where the text around it was rewritten too.
    pub fn span<'a>(&self, written: &'a str) -> Option<&'a str> {
        let rest = written.trim().strip_prefix(&self.left)?;
        Some(rest.strip_suffix(&self.right)?.trim())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_span_is_what_the_context_leaves() {
        let span = |text: &str, written: &'static str| {
            Around::new(text, "<mask>").unwrap().span(written).map(str::to_string)
        };
        let news = "UN Chief Says There Is No <mask> in Syria";
        let written = " UN Chief Says There Is No Plan to Stop Chemical Weapons in Syria";
        assert_eq!(span(news, written).unwrap(), "Plan to Stop Chemical Weapons");
        assert_eq!(span(news, "UN Chief Says There Is No in Syria"), Some("".into()));
        assert_eq!(span(news, "The UN chief says there is no war in Syria"), None);
        assert_eq!(span("<mask>", "a b").unwrap(), "a b");
        assert_eq!(span("a <mask>", "a b").unwrap(), "b");
        assert_eq!(span("aba<mask>aba", "aba"), None, "the sides do not overlap");
        for text in ["no mask", "<mask> and <mask>"] {
            assert_eq!(Around::new(text, "<mask>").unwrap_err().code, Code::Input);
        }
    }
}

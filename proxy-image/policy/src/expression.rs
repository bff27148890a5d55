//! Expressions of routes, anchored as their source demands. RE2's syntax, linear time.

use regex::{Error, Regex, RegexBuilder};

/// A compiled expression may take this much memory; a proxy holds many.
const REGEX_BYTES: usize = 1 << 20;
/// Longest pattern: as long as the longest that Gateway API takes.
const PATTERN_BYTES: usize = 4096;

/// Must match the whole text.
///
/// # Errors
/// When the pattern is no expression or too large.
pub fn whole(pattern: &str) -> Result<Regex, Error> {
    compile(pattern, &format!(r"\A(?:{pattern})\z"))
}

/// Must match at the start (SMI HTTPRouteGroup).
///
/// # Errors
/// When the pattern is no expression or too large.
pub fn from_start(pattern: &str) -> Result<Regex, Error> {
    compile(pattern, &format!(r"\A(?:{pattern})"))
}

/// The pattern must stand on its own: `a)|(b` would slip out of the anchors.
fn compile(pattern: &str, anchored: &str) -> Result<Regex, Error> {
    if pattern.len() > PATTERN_BYTES {
        return Err(Error::CompiledTooBig(PATTERN_BYTES));
    }
    let build = |text: &str| RegexBuilder::new(text).size_limit(REGEX_BYTES).dfa_size_limit(REGEX_BYTES).build();
    build(pattern).and_then(|_| build(anchored))
}

#[cfg(test)]
mod tests {
    use super::{from_start, whole};

    #[test]
    fn a_pattern_cannot_slip_out_of_its_anchors() {
        assert!(whole("a)|(b").is_err());
        assert!(from_start("a)|(b").is_err());
        assert!(whole("a|b").unwrap().is_match("b"));
        assert!(!whole("(?m)a$").unwrap().is_match("a\nb"));
    }

    #[test]
    fn an_expression_that_would_take_too_much_memory_is_refused() {
        assert!(whole("((a{100}){100}){100}").is_err());
        assert!(whole("((a{10}){10}){10}").is_ok(), "a smaller one is not");
    }

    #[test]
    fn a_pattern_that_is_too_long_is_refused_before_it_is_read() {
        assert!(whole(&"a".repeat(super::PATTERN_BYTES)).is_ok());
        assert!(from_start(&"a".repeat(super::PATTERN_BYTES + 1)).is_err());
    }
}

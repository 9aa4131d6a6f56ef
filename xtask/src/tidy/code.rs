//! Rust source with everything that is not code blanked out.
//!
//! A brace in a string, a quote in a comment or an attribute in a doc example must not count. This is
//! no parser: it knows where literals and comments begin and end, and leaves every line in its place.

/// `source` with comments and the contents of string and character literals replaced by spaces.
pub(crate) fn code_only(source: &str) -> String {
    let mut blanker = Blanker {
        source: source.chars().collect(),
        at: 0,
        code: String::new(),
    };
    blanker.run();
    blanker.code
}

struct Blanker {
    source: Vec<char>,
    at: usize,
    code: String,
}

impl Blanker {
    fn run(&mut self) {
        while let Some(here) = self.peek(0) {
            match here {
                '/' if self.peek(1) == Some('/') => self.blank_while(|c| c != '\n'),
                '/' if self.peek(1) == Some('*') => self.blank_block_comment(),
                '"' => self.blank_string(),
                '\'' if self.is_char_literal() => self.blank_char(),
                'r' if self.raw_hashes().is_some() => self.blank_raw_string(),
                c if is_identifier(c) => self.keep_word(),
                _ => self.keep(),
            }
        }
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.source.get(self.at + ahead).copied()
    }

    fn keep(&mut self) {
        self.code.extend(self.peek(0));
        self.at += 1;
    }

    fn blank(&mut self, count: usize) {
        for _ in 0..count {
            let Some(c) = self.peek(0) else { return };
            self.code.push(if c == '\n' { '\n' } else { ' ' });
            self.at += 1;
        }
    }

    fn blank_while(&mut self, wanted: impl Fn(char) -> bool) {
        while self.peek(0).is_some_and(&wanted) {
            self.blank(1);
        }
    }

    /// Takes a whole word, so that the `r` of `for"` or of `r#fn` is never taken for a prefix.
    fn keep_word(&mut self) {
        let start = self.at;
        while self.peek(0).is_some_and(is_identifier) {
            self.keep();
        }
        let word: String = self.source[start..self.at].iter().collect();
        let raw_prefix = matches!(word.as_str(), "br" | "cr");
        if raw_prefix {
            self.at -= 1;
            self.code.pop();
            if self.raw_hashes().is_some() {
                self.blank_raw_string();
            } else {
                self.keep();
            }
        }
    }

    /// At an `r`: how many `#` stand before the opening quote, if this is a raw string at all.
    fn raw_hashes(&self) -> Option<usize> {
        let mut hashes = 0;
        while self.peek(1 + hashes) == Some('#') {
            hashes += 1;
        }
        (self.peek(1 + hashes) == Some('"')).then_some(hashes)
    }

    fn blank_raw_string(&mut self) {
        let hashes = self.raw_hashes().unwrap_or_default();
        self.blank(2 + hashes);
        while let Some(c) = self.peek(0) {
            let closes = c == '"' && (1..=hashes).all(|ahead| self.peek(ahead) == Some('#'));
            self.blank(if closes { 1 + hashes } else { 1 });
            if closes {
                return;
            }
        }
    }

    fn blank_string(&mut self) {
        self.blank(1);
        while let Some(c) = self.peek(0) {
            self.blank(if c == '\\' { 2 } else { 1 });
            if c == '"' {
                return;
            }
        }
    }

    /// `'a'` and `'\n'` are characters; `'a` is a lifetime.
    fn is_char_literal(&self) -> bool {
        self.peek(1) == Some('\\') || self.peek(2) == Some('\'')
    }

    fn blank_char(&mut self) {
        self.blank(1);
        while let Some(c) = self.peek(0) {
            self.blank(if c == '\\' { 2 } else { 1 });
            if c == '\'' {
                return;
            }
        }
    }

    fn blank_block_comment(&mut self) {
        let mut depth = 0;
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some('/'), Some('*')) => {
                    depth += 1;
                    self.blank(2);
                }
                (Some('*'), Some('/')) => {
                    depth -= 1;
                    self.blank(2);
                }
                (Some(_), _) => self.blank(1),
                (None, _) => return,
            }
            if depth == 0 {
                return;
            }
        }
    }
}

pub(crate) fn is_identifier(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_and_comments_become_spaces_and_code_stays() {
        let cases = [
            ("a // }\nb", "a\nb"),
            ("a /* { /* } */ { */ b", "ab"),
            (r#"a("}\"{")b"#, "a()b"),
            ("a(b\"}\")", "a(b)"),
            ("r\"}\" + 1", "+1"),
            ("r#\"}\"{\"# + 1", "+1"),
            ("br#\"}\"#;", "b;"),
            ("r#fn()", "r#fn()"),
            ("['{', '\\'', '\\u{7d}']", "[,,]"),
            ("<'a>(&'a str){}", "<'a>(&'astr){}"),
            ("for\"}\"", "for"),
        ];
        for (source, kept) in cases {
            let code = code_only(source);
            assert_eq!(code.replace(' ', ""), kept, "from {source}");
            assert_eq!(
                code.chars().count(),
                source.chars().count(),
                "from {source}"
            );
        }
    }

    #[test]
    fn every_line_keeps_its_number() {
        let source = "\"a\nb\"\n/* c\nd */\nr#\"e\nf\"#\n";
        assert_eq!(
            code_only(source).matches('\n').count(),
            source.matches('\n').count()
        );
    }

    #[test]
    fn an_unfinished_literal_ends_with_the_file() {
        for source in ["\"open", "r#\"open", "/* open", "'\\", "\"open\\"] {
            assert_eq!(code_only(source).trim(), "", "from {source}");
        }
    }
}

//! Words: quotes, patterns, and what a shell puts in the place of `$`, a backtick or `~`.

use super::{Ended, Parser, UNKNOWN_PART, Word};
use crate::command_policy::reason::Reason;
use crate::command_policy::{MAX_DEPTH, MAX_WORDS};

impl Parser<'_> {
    /// A word up to what ends it; new if there is none.
    pub(super) fn word(&mut self) -> Result<Word, Ended> {
        self.words += 1;
        if self.words > MAX_WORDS {
            return Err(self.end(Reason::TooLong));
        }
        let mut word = Word::default();
        while let Some(c) = self.peek() {
            match c {
                ' ' | '\t' | '\n' | ';' | '&' | '|' | '<' | '>' | '(' | ')' => break,
                '\\' => self.escaped(&mut word)?,
                '\'' => self.single_quoted(&mut word)?,
                '"' => self.double_quoted(&mut word)?,
                '$' => {
                    let is_start = word.is_new();
                    self.dollar(&mut word, false, is_start)?;
                }
                '`' => self.backticks(&mut word)?,
                '~' if word.is_new() => self.tilde(&mut word),
                _ => self.plain(&mut word, c),
            }
        }
        if word.text == "[" && word.first_quote.is_none() {
            word.first_pattern = None;
        }
        if word.has_braces && !matches!(word.text.as_str(), "{}" | "{" | "}") {
            self.doubt(Reason::Braces);
        }
        if word.text != UNKNOWN_PART {
            word.substitution = None;
        }
        Ok(word)
    }

    fn plain(&mut self, word: &mut Word, c: char) {
        match c {
            '*' | '?' | '[' => {
                word.first_pattern.get_or_insert(word.text.len());
            }
            '{' | '}' => word.has_braces = true,
            // Signs of other scripts may look like the ones that mean something here.
            _ if !c.is_ascii() && !c.is_alphanumeric() => self.doubt(Reason::Characters),
            _ => {}
        }
        word.text.push(c);
        self.at += 1;
    }

    fn escaped(&mut self, word: &mut Word) -> Result<(), Ended> {
        match self.peek_at(1) {
            None => return Err(self.end(Reason::Unfinished)),
            Some('\n') => self.doubt(Reason::Continuation),
            Some(escaped) => {
                word.quote();
                word.text.push(escaped);
            }
        }
        self.at += 2;
        Ok(())
    }

    fn single_quoted(&mut self, word: &mut Word) -> Result<(), Ended> {
        word.quote();
        self.at += 1;
        let rest = self.chars.get(self.at..).unwrap_or_default();
        let Some(length) = rest.iter().position(|c| *c == '\'') else {
            return Err(self.end(Reason::Unfinished));
        };
        word.text.extend(rest.iter().take(length));
        self.at += length + 1;
        Ok(())
    }

    fn double_quoted(&mut self, word: &mut Word) -> Result<(), Ended> {
        let mut is_start = word.is_new();
        word.quote();
        self.at += 1;
        while let Some(c) = self.peek() {
            match c {
                '"' => {
                    self.at += 1;
                    return Ok(());
                }
                '\\' => {
                    match self.peek_at(1) {
                        Some('\n') => self.doubt(Reason::Continuation),
                        Some(escaped @ ('$' | '`' | '"' | '\\')) => word.text.push(escaped),
                        Some(other) => word.text.extend(['\\', other]),
                        None => {}
                    }
                    self.at += 2;
                }
                '$' => self.dollar(word, true, is_start)?,
                '`' => self.backticks(word)?,
                _ => {
                    word.text.push(c);
                    self.at += 1;
                }
            }
            is_start = false;
        }
        Err(self.end(Reason::Unfinished))
    }

    /// `~` at the beginning of a word. Other users' home directories, and shells' own variables, are not known.
    fn tilde(&mut self, word: &mut Word) {
        self.at += 1;
        word.is_home = matches!(
            self.peek(),
            None | Some('/' | ' ' | '\t' | '\n' | ';' | '&' | '|' | ')')
        );
        if !word.is_home {
            self.doubt(Reason::Expansion);
        }
        word.text.push('~');
    }

    fn dollar(&mut self, word: &mut Word, is_quoted: bool, is_start: bool) -> Result<(), Ended> {
        let rest = self.chars.get(self.at + 1..).unwrap_or_default();
        match rest.first().copied() {
            // Text: nothing that a shell could put there is called so.
            Some('"' | ' ' | '|' | ')' | '/' | '\\') if is_quoted => {
                word.text.push('$');
                self.at += 1;
            }
            Some('\'') if !is_quoted => return Err(self.end(Reason::Quoting)),
            Some('"') => {
                self.doubt(Reason::Quoting);
                self.at += 1;
            }
            Some('(') if rest.get(1) == Some(&'(') => {
                self.doubt(Reason::Expansion);
                self.at += 1;
                self.balanced('(', ')')?;
                word.text.push_str(UNKNOWN_PART);
            }
            Some('(') => {
                self.at += 2;
                self.substitution(word, Self::inner_list)?;
            }
            Some('{') => {
                self.doubt(Reason::Expansion);
                let name = if rest.starts_with(&['{', 'H', 'O', 'M', 'E', '}']) {
                    "HOME"
                } else {
                    ""
                };
                self.at += 1;
                self.balanced('{', '}')?;
                variable(word, name, is_start);
            }
            Some(c) if c.is_ascii_alphabetic() || c == '_' => {
                self.doubt(Reason::Expansion);
                let is_part = |c: &&char| c.is_ascii_alphanumeric() || **c == '_';
                let name: String = rest.iter().take_while(is_part).collect();
                self.at += 1 + name.len();
                variable(word, &name, is_start);
            }
            Some(c) if c.is_ascii_digit() || "@*#?-$!".contains(c) => {
                self.doubt(Reason::Expansion);
                self.at += 2;
                word.text.push_str(UNKNOWN_PART);
            }
            _ => {
                self.doubt(Reason::Expansion);
                word.text.push('$');
                self.at += 1;
            }
        }
        Ok(())
    }

    /// Reads commands whose output or name becomes a part of the word.
    fn substitution(
        &mut self,
        word: &mut Word,
        read: impl FnOnce(&mut Self) -> Result<(), Ended>,
    ) -> Result<(), Ended> {
        self.doubt(Reason::Substitution);
        let from = self.script.commands.len();
        // Here-documents of a substitution are its own.
        let outer = std::mem::take(&mut self.here_documents);
        read(self)?;
        self.here_documents = outer;
        word.text.push_str(UNKNOWN_PART);
        word.substitution = Some(from..self.script.commands.len());
        Ok(())
    }

    /// `<(…)` and `>(…)`; the bracket has been read.
    pub(super) fn process_substitution(&mut self) -> Result<Word, Ended> {
        let mut word = Word::default();
        self.substitution(&mut word, Self::inner_list)?;
        Ok(word)
    }

    fn backticks(&mut self, word: &mut Word) -> Result<(), Ended> {
        self.at += 1;
        let mut text = Vec::new();
        loop {
            match (self.peek(), self.peek_at(1)) {
                (None, _) => return Err(self.end(Reason::Unfinished)),
                (Some('`'), _) => break,
                (Some('\\'), Some(escaped @ ('`' | '\\' | '$'))) => {
                    text.push(escaped);
                    self.at += 2;
                }
                (Some(c), _) => {
                    text.push(c);
                    self.at += 1;
                }
            }
        }
        self.at += 1;
        self.substitution(word, |outer| {
            if outer.depth >= MAX_DEPTH {
                return Err(outer.end(Reason::TooDeep));
            }
            let mut inner = Parser::new(&text, outer.depth + 1, outer.pipelines);
            inner.words = outer.words;
            inner.script = std::mem::take(&mut outer.script);
            let result = inner.list(false);
            outer.words = inner.words;
            outer.pipelines = inner.pipelines;
            outer.script = inner.script;
            result
        })
    }

    /// Passes over a bracket that begins here, to behind the one that closes it. There is a doubt already.
    fn balanced(&mut self, open: char, close: char) -> Result<(), Ended> {
        let mut depth = 0_usize;
        while let Some(c) = self.peek() {
            self.at += 1;
            match c {
                '\\' => self.at += 1,
                '\'' | '"' => {
                    let rest = self.chars.get(self.at..).unwrap_or_default();
                    let Some(length) = rest.iter().position(|other| *other == c) else {
                        break;
                    };
                    self.at += length + 1;
                }
                _ if c == open => depth += 1,
                _ if c == close => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        return Ok(());
                    }
                }
                _ => {}
            }
        }
        Err(self.end(Reason::Unfinished))
    }
}

/// A variable's name stays, for shells that are given this word as a script; `HOME` at the beginning is what `~` is.
fn variable(word: &mut Word, name: &str, is_start: bool) {
    if name == "HOME" && is_start {
        word.is_home = true;
        word.text.push('~');
    } else if name.is_empty() {
        word.text.push_str(UNKNOWN_PART);
    } else {
        word.text.push('$');
        word.text.push_str(name);
    }
}

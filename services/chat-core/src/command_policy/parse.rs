//! Reads a command as a shell reads it: words, redirections, and what stands between commands.
//!
//! What the policy does not take for harmless anyway is read as far as commands in it can be found, and leaves a doubt. Where even that
//! would be guessing, reading ends: commands before that place are kept, since shells run them before they see the rest.

use std::ops::Range;

use super::MAX_DEPTH;
use super::reason::Reason;

mod expand;

/// Stands in a word for what only a shell knows.
pub(super) const UNKNOWN_PART: &str = "$_";

/// A command's text, taken apart.
#[derive(Debug, Default)]
pub(super) struct Script {
    /// All commands, those in substitutions before the one whose word they are in.
    pub(super) commands: Vec<Command>,
    /// The first thing that was not understood completely.
    pub(super) doubt: Option<Reason>,
    /// Names of functions that it defines.
    pub(super) functions: Vec<String>,
}

/// A program with what it is given.
#[derive(Debug, Default)]
pub(super) struct Command {
    /// The program's name and its arguments, without assignments.
    pub(super) words: Vec<Word>,
    pub(super) redirections: Vec<Redirection>,
    /// The same for commands whose output goes into each other.
    pub(super) pipeline: usize,
    pub(super) is_background: bool,
    /// How many groups and substitutions it is in.
    pub(super) level: usize,
}

impl Command {
    fn is_empty(&self) -> bool {
        self.words.is_empty() && self.redirections.is_empty()
    }
}

/// A word without its quotes.
#[derive(Clone, Debug, Default)]
pub(super) struct Word {
    /// What the program gets, if there is no doubt, pattern or home directory.
    pub(super) text: String,
    /// The byte of `text` before which the first quote was.
    pub(super) first_quote: Option<usize>,
    /// The byte of `text` that is the first of a pattern.
    pub(super) first_pattern: Option<usize>,
    /// Its first character, a `~`, stands for the home directory.
    pub(super) is_home: bool,
    /// It has braces outside of quotes.
    has_braces: bool,
    /// The commands of the substitution that is all of this word.
    pub(super) substitution: Option<Range<usize>>,
}

impl Word {
    fn quote(&mut self) {
        self.first_quote.get_or_insert(self.text.len());
    }

    /// Nothing of it has been read yet.
    fn is_new(&self) -> bool {
        self.text.is_empty() && self.first_quote.is_none()
    }

    /// Whether a shell takes it for an assignment where a program's name is expected.
    fn is_assignment(&self) -> bool {
        let Some((name, _)) = self.text.split_once('=') else {
            return false;
        };
        let is_unquoted = self.first_quote.is_none_or(|quote| quote > name.len());
        is_unquoted && is_name(name.strip_suffix('+').unwrap_or(name))
    }
}

fn is_name(text: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.bytes().all(is_inner) && text.bytes().next().is_some_and(|first| !first.is_ascii_digit())
}

/// Input or output that goes elsewhere.
#[derive(Debug)]
pub(super) struct Redirection {
    /// The number before it; empty if there is none.
    pub(super) descriptor: String,
    pub(super) operator: Operator,
    pub(super) target: Word,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    /// `<`
    Read,
    /// `>`, `>>`, `>|`, `<>`
    Write,
    /// `>&`
    DuplicateOutput,
    /// `<&`
    DuplicateInput,
    /// `<<`, `<<-`, `<<<`
    Text,
}

/// Reading ended before the text did; the doubt is recorded.
struct Ended;

/// Takes a command apart that is `depth` levels inside of another.
pub(super) fn script(command: &str, depth: usize) -> Script {
    let chars: Vec<char> = command.chars().collect();
    let mut parser = Parser::new(&chars, depth, 0);
    if depth > MAX_DEPTH {
        parser.doubt(Reason::TooDeep);
    } else {
        // What was found until then is what there is.
        let _: Result<(), Ended> = parser.list(false);
    }
    parser.script
}

struct Parser<'a> {
    chars: &'a [char],
    at: usize,
    depth: usize,
    words: usize,
    pipelines: usize,
    /// Ends of here-documents that begin in the next line, and whether tabs before them are left out.
    here_documents: Vec<(String, bool)>,
    script: Script,
}

impl<'a> Parser<'a> {
    fn new(chars: &'a [char], depth: usize, pipelines: usize) -> Self {
        Self {
            chars,
            at: 0,
            depth,
            words: 0,
            pipelines,
            here_documents: Vec::new(),
            script: Script::default(),
        }
    }

    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn peek_at(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn doubt(&mut self, reason: Reason) {
        self.script.doubt.get_or_insert(reason);
    }

    fn end(&mut self, reason: Reason) -> Ended {
        self.doubt(reason);
        Ended
    }

    /// Commands one after another, up to the end, or to the `)` of a group or a substitution.
    fn list(&mut self, is_inner: bool) -> Result<(), Ended> {
        let mut current = Command::default();
        let mut pipeline = self.next_pipeline();
        // An operator was read that must have a command behind it.
        let mut is_owed = false;
        loop {
            self.blanks();
            let Some(c) = self.peek() else {
                let is_last = self.push(&mut current, pipeline);
                if is_inner {
                    return Err(self.end(Reason::Unfinished));
                }
                if is_owed && !is_last {
                    self.doubt(Reason::Syntax);
                }
                return Ok(());
            };
            match c {
                '\n' => {
                    self.at += 1;
                    if self.push(&mut current, pipeline) {
                        is_owed = false;
                        pipeline = self.next_pipeline();
                    }
                    self.here_documents()?;
                }
                ';' | '&' | '|' => {
                    let is_first_of_two = self.peek_at(1) == Some(c);
                    if !self.push(&mut current, pipeline) {
                        self.doubt(Reason::Syntax);
                    }
                    self.at += if is_first_of_two { 2 } else { 1 };
                    match (c, is_first_of_two) {
                        (';', true) => self.doubt(Reason::Control),
                        ('&', false) => self.background(pipeline),
                        _ => {}
                    }
                    is_owed = c == '|' || (c == '&' && is_first_of_two);
                    if c != '|' || is_first_of_two {
                        pipeline = self.next_pipeline();
                    }
                    // `&>` and `|&` are one operator to some shells and two to others.
                    let is_ambiguous =
                        !is_first_of_two && matches!((c, self.peek()), ('&', Some('>')) | ('|', Some('&')));
                    if is_ambiguous {
                        self.doubt(Reason::Syntax);
                        self.at += usize::from(c == '|');
                    }
                }
                '(' => self.bracket(&mut current)?,
                ')' => {
                    let is_last = self.push(&mut current, pipeline);
                    self.at += 1;
                    if is_inner {
                        if is_owed && !is_last {
                            self.doubt(Reason::Syntax);
                        }
                        return Ok(());
                    }
                    self.doubt(Reason::Syntax);
                    pipeline = self.next_pipeline();
                }
                '<' | '>' => self.redirection(&mut current, String::new())?,
                _ => self.next_word(&mut current, is_inner)?,
            }
        }
    }

    fn next_pipeline(&mut self) -> usize {
        self.pipelines += 1;
        self.pipelines
    }

    /// Spaces, comments, and ends of lines that a backslash hides.
    fn blanks(&mut self) {
        loop {
            match (self.peek(), self.peek_at(1)) {
                (Some(' ' | '\t'), _) => self.at += 1,
                (Some('\\'), Some('\n')) => {
                    self.doubt(Reason::Continuation);
                    self.at += 2;
                }
                (Some('#'), _) => {
                    let rest = self.chars.get(self.at..).unwrap_or_default();
                    self.at += rest.iter().position(|c| *c == '\n').unwrap_or(rest.len());
                }
                _ => return,
            }
        }
    }

    /// Keeps the command that was read, if there is one.
    fn push(&mut self, current: &mut Command, pipeline: usize) -> bool {
        if current.is_empty() {
            return false;
        }
        let mut command = std::mem::take(current);
        let assignments = command.words.iter().take_while(|word| word.is_assignment()).count();
        if assignments > 0 {
            self.doubt(Reason::Assignment);
            command.words.drain(..assignments);
        }
        if command.words.is_empty() {
            self.doubt(Reason::Empty);
        }
        command.pipeline = pipeline;
        command.level = self.depth;
        self.script.commands.push(command);
        true
    }

    fn background(&mut self, pipeline: usize) {
        let last = self.script.commands.iter_mut().rev();
        for command in last.take_while(|command| command.pipeline == pipeline) {
            command.is_background = true;
        }
    }

    /// `(`: of a function, or of a group.
    fn bracket(&mut self, current: &mut Command) -> Result<(), Ended> {
        self.at += 1;
        if current.is_empty() {
            self.doubt(Reason::Control);
            return self.inner_list();
        }
        self.blanks();
        let is_function = current.words.len() == 1 && current.redirections.is_empty() && self.peek() == Some(')');
        if !is_function {
            return Err(self.end(Reason::Syntax));
        }
        self.at += 1;
        self.doubt(Reason::Function);
        let name = std::mem::take(current).words.pop().unwrap_or_default();
        self.script.functions.push(name.text);
        Ok(())
    }

    /// Commands up to a `)`, one level deeper.
    fn inner_list(&mut self) -> Result<(), Ended> {
        if self.depth >= MAX_DEPTH {
            return Err(self.end(Reason::TooDeep));
        }
        self.depth += 1;
        let result = self.list(true);
        self.depth -= 1;
        result
    }

    /// A word of the current command, or a keyword, or the number of a redirection.
    fn next_word(&mut self, current: &mut Command, is_inner: bool) -> Result<(), Ended> {
        let word = self.word()?;
        let is_bare = word.first_quote.is_none();
        let is_number = is_bare && word.text.bytes().all(|byte| byte.is_ascii_digit());
        if is_number && matches!(self.peek(), Some('<' | '>')) {
            return self.redirection(current, word.text);
        }
        if is_bare && current.is_empty() {
            match word.text.as_str() {
                "if" | "then" | "else" | "elif" | "while" | "until" | "do" | "{" | "!" | "coproc" | "fi" | "done"
                | "esac" | "}" => {
                    self.doubt(Reason::Control);
                    return Ok(());
                }
                "function" => {
                    self.doubt(Reason::Function);
                    self.blanks();
                    let name = self.word()?;
                    self.script.functions.push(name.text);
                    return Ok(());
                }
                // Its unpaired brackets would be taken for the end of what it is in.
                "case" if is_inner => return Err(self.end(Reason::Control)),
                "for" | "case" | "select" | "[[" => self.doubt(Reason::Control),
                _ => {}
            }
        }
        current.words.push(word);
        Ok(())
    }

    fn redirection(&mut self, current: &mut Command, descriptor: String) -> Result<(), Ended> {
        let operators: [(&str, Operator); 10] = [
            ("<<<", Operator::Text),
            ("<<-", Operator::Text),
            ("<<", Operator::Text),
            ("<&", Operator::DuplicateInput),
            ("<>", Operator::Write),
            ("<", Operator::Read),
            (">>", Operator::Write),
            (">&", Operator::DuplicateOutput),
            (">|", Operator::Write),
            (">", Operator::Write),
        ];
        let rest = self.chars.get(self.at..).unwrap_or_default();
        let starts = |text: &str| text.chars().enumerate().all(|(index, c)| rest.get(index) == Some(&c));
        let Some((text, operator)) = operators.into_iter().find(|(text, _)| starts(text)) else {
            return Err(self.end(Reason::Syntax));
        };
        self.at += text.len();
        if text.len() == 1 && self.peek() == Some('(') {
            self.at += 1;
            let word = self.process_substitution()?;
            current.words.push(word);
            return Ok(());
        }
        self.blanks();
        let target = self.word()?;
        if target.is_new() {
            return Err(self.end(Reason::Syntax));
        }
        if operator == Operator::Text {
            self.doubt(Reason::HereDocument);
            if text != "<<<" {
                self.here_documents.push((target.text.clone(), text == "<<-"));
            }
        }
        current.redirections.push(Redirection {
            descriptor,
            operator,
            target,
        });
        Ok(())
    }

    /// Passes over the texts of here-documents; the line that names them has just ended.
    fn here_documents(&mut self) -> Result<(), Ended> {
        for (end, is_stripped) in std::mem::take(&mut self.here_documents) {
            loop {
                let rest = self.chars.get(self.at..).unwrap_or_default();
                if rest.is_empty() {
                    return Err(self.end(Reason::Unfinished));
                }
                let length = rest.iter().position(|c| *c == '\n').unwrap_or(rest.len());
                let line: String = rest.iter().take(length).collect();
                self.at += (length + 1).min(rest.len());
                let line = if is_stripped {
                    line.trim_start_matches('\t')
                } else {
                    &line
                };
                if line == end {
                    break;
                }
            }
        }
        Ok(())
    }
}

//! A page as text: paragraphs, lists, quotations, tables, and where links lead. What is struck out
//! stands in `[-` and `-]`, what is raised or lowered behind `^` or `_`, in parentheses if it has
//! several words: neither reads as if it stood there like the rest.

use super::numbers::Count;

/// Elements that stand apart, with a line between.
const PARAGRAPHS: [&str; 14] = [
    "blockquote",
    "dl",
    "figure",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "ol",
    "p",
    "pre",
    "ul",
];

/// Elements that begin a line of their own.
const LINES: [&str; 15] = [
    "address",
    "article",
    "aside",
    "caption",
    "center",
    "dd",
    "div",
    "dt",
    "figcaption",
    "footer",
    "header",
    "li",
    "section",
    "table",
    "tr",
];

/// Marks of quotation that are written; deeper ones look alike.
const QUOTES_MAX: usize = 20;

/// Whether an element stands in lines of its own.
pub(super) fn is_block(name: &str) -> bool {
    LINES.contains(&name) || PARAGRAPHS.contains(&name)
}

/// Text on its way out.
#[derive(Default)]
pub(super) struct Lines {
    out: String,
    line: String,
    /// White space is owed before the next word.
    space: bool,
    /// An empty line is owed before the next one, within so many quotations.
    apart: Option<usize>,
    quotes: usize,
    verbatim: usize,
    /// Open lists; of numbered ones the next number.
    lists: Vec<Option<Count>>,
    /// How many elements that strike out are open.
    struck: usize,
    /// What is struck out has begun in this line.
    striking: bool,
    /// What is raised or lowered: its sign, and where its text begins once there is some.
    shifted: Vec<(char, Option<usize>)>,
    /// Open links: where each leads, and the text that was there before it.
    links: Vec<(String, usize)>,
}

impl Lines {
    /// Words, their white space collapsed unless they are to stay as they are.
    pub(super) fn text(&mut self, text: &str) {
        if self.verbatim > 0 {
            let mut first = true;
            for line in text.split('\n') {
                if !first {
                    self.new_line();
                }
                first = false;
                if !line.trim().is_empty() {
                    self.begin();
                }
                self.line.push_str(line.trim_end_matches('\r'));
            }
            return;
        }
        for word in text.split_inclusive(|c: char| c.is_ascii_whitespace()) {
            let bare = word.trim_end_matches(|c: char| c.is_ascii_whitespace());
            if !bare.is_empty() {
                if self.space && !self.line.is_empty() {
                    self.line.push(' ');
                }
                self.begin();
                self.line.push_str(bare);
                self.space = false;
            }
            self.space |= bare.len() < word.len();
        }
    }

    /// Writes the signs that are owed before a word.
    fn begin(&mut self) {
        if self.struck > 0 && !self.striking {
            self.line.push_str("[-");
            self.striking = true;
        }
        for (sign, at) in &mut self.shifted {
            if at.is_none() {
                self.line.push(*sign);
                *at = Some(self.out.len() + self.line.len());
            }
        }
    }

    /// What is struck out ends, at least in this line.
    fn end_striking(&mut self) {
        if std::mem::take(&mut self.striking) {
            self.line.push_str("-]");
        }
    }

    /// What is raised or lowered ends.
    fn end_shifted(&mut self) {
        let at = self.shifted.pop().and_then(|(_, at)| at);
        let Some(at) = at.and_then(|at| at.checked_sub(self.out.len())) else {
            return;
        };
        let said = self.line.get(at..).unwrap_or_default();
        if said.contains(char::is_whitespace) {
            self.line.insert(at, '(');
            self.line.push(')');
        }
    }

    /// An element begins; a link leads somewhere.
    pub(super) fn start(&mut self, name: &str, link: Option<String>) {
        self.part(name);
        match name {
            "br" => self.new_line(),
            "hr" => {
                self.line.push_str("----");
                self.part(name);
            }
            "blockquote" => self.quotes += 1,
            "pre" => self.verbatim += 1,
            "ul" => self.lists.push(None),
            "ol" => self.lists.push(Some(Count::default())),
            "del" | "s" | "strike" => self.struck += 1,
            "sup" => self.shifted.push(('^', None)),
            "sub" => self.shifted.push(('_', None)),
            "li" => {
                let depth = self.lists.len().saturating_sub(1).min(QUOTES_MAX);
                self.line.push_str(&"  ".repeat(depth));
                match self.lists.last_mut() {
                    Some(Some(count)) => self.line.push_str(&format!("{}. ", count.take())),
                    _ => self.line.push_str("- "),
                }
                self.space = false;
            }
            "td" | "th" if !self.line.is_empty() => self.line.push_str("  "),
            "a" => {
                let at = self.out.len() + self.line.len();
                self.links.push((link.unwrap_or_default(), at));
            }
            _ => {}
        }
    }

    /// What follows stands in a line of its own.
    pub(super) fn next_line(&mut self) {
        self.part("div");
    }

    /// The list that has just begun counts so.
    pub(super) fn count(&mut self, count: Count) {
        if let Some(Some(open)) = self.lists.last_mut() {
            *open = count;
        }
    }

    /// The next number of the list.
    pub(super) fn count_from(&mut self, number: i32) {
        if let Some(Some(open)) = self.lists.last_mut() {
            open.next = number;
        }
    }

    /// An element ends.
    pub(super) fn end(&mut self, name: &str) {
        match name {
            "a" => {
                let Some((url, at)) = self.links.pop() else {
                    return;
                };
                let bare = url.trim_start_matches("mailto:");
                let said = at.checked_sub(self.out.len());
                let said = said.and_then(|at| self.line.get(at..)).unwrap_or_default();
                let said = said.trim();
                // Hosts may be written without the slash behind them.
                if !url.is_empty() && said != bare && Some(said) != bare.strip_suffix('/') {
                    self.text(&format!(" <{bare}>"));
                }
                return;
            }
            "ul" | "ol" => drop(self.lists.pop()),
            "del" | "s" | "strike" => {
                self.struck = self.struck.saturating_sub(1);
                if self.struck == 0 {
                    self.end_striking();
                }
            }
            "sup" | "sub" => self.end_shifted(),
            _ => {}
        }
        self.part(name);
        match name {
            "blockquote" => {
                self.quotes = self.quotes.saturating_sub(1);
                self.apart = self.apart.map(|within| within.min(self.quotes));
            }
            "pre" => self.verbatim = self.verbatim.saturating_sub(1),
            _ => {}
        }
    }

    /// Keeps an element apart from what stands before it.
    fn part(&mut self, name: &str) {
        let apart = PARAGRAPHS.contains(&name) && (self.lists.is_empty() || name == "blockquote");
        if is_block(name) {
            self.space = false;
            if !self.line.trim().is_empty() {
                self.new_line();
            } else {
                self.line.clear();
            }
        }
        if apart {
            self.apart = Some(self.apart.unwrap_or(usize::MAX).min(self.quotes));
        }
    }

    fn new_line(&mut self) {
        self.line.truncate(self.line.trim_end().len());
        self.end_striking();
        let line = std::mem::take(&mut self.line);
        let line = line.trim_end();
        self.space = false;
        let marks = |quotes: usize| ">".repeat(quotes.min(QUOTES_MAX));
        if let Some(within) = self.apart.take().filter(|_| !self.out.is_empty()) {
            self.out.push_str(&marks(within));
            self.out.push('\n');
        }
        let marks = marks(self.quotes);
        self.out.push_str(&marks);
        if !marks.is_empty() && !line.is_empty() {
            self.out.push(' ');
        }
        self.out.push_str(line);
        self.out.push('\n');
    }

    /// All of it.
    pub(super) fn finish(mut self) -> String {
        if !self.line.trim().is_empty() {
            self.new_line();
        }
        self.out
    }
}

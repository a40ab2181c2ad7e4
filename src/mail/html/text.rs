//! A page as text: paragraphs, lists, quotations, tables, and where links lead.

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
    lists: Vec<Option<i32>>,
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
                self.line.push_str(bare);
                self.space = false;
            }
            self.space |= bare.len() < word.len();
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
            "ol" => self.lists.push(Some(1)),
            "li" => {
                let depth = self.lists.len().saturating_sub(1).min(QUOTES_MAX);
                self.line.push_str(&"  ".repeat(depth));
                match self.lists.last_mut() {
                    Some(Some(number)) => {
                        self.line.push_str(&format!("{number}. "));
                        *number = number.saturating_add(1);
                    }
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

    /// The list that has just begun counts from here on.
    pub(super) fn count_from(&mut self, number: i32) {
        if let Some(Some(next)) = self.lists.last_mut() {
            *next = number;
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
                if !url.is_empty() && said.trim() != bare {
                    self.text(&format!(" <{bare}>"));
                }
                return;
            }
            "ul" | "ol" => drop(self.lists.pop()),
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
        if apart || LINES.contains(&name) || PARAGRAPHS.contains(&name) {
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

//! A page, written from its beginning to its end. Texts are escaped here and nowhere else.

use std::fmt::Write as _;

pub(super) struct Html(String);

/// What a column holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Short, kept in one line.
    Plain,
    Number,
    /// Of any length.
    Text,
    /// A task's id, which leads to the task.
    Task,
}

impl Kind {
    fn class(self) -> &'static str {
        match self {
            Self::Plain | Self::Task => "plain",
            Self::Number => "number",
            Self::Text => "text",
        }
    }
}

impl Html {
    pub(super) fn new(style: &str, refresh: Option<u64>) -> Self {
        let refresh = refresh.map_or_else(String::new, |seconds| {
            format!("<meta http-equiv=\"refresh\" content=\"{seconds}\">\n")
        });
        Self(format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
             content=\"width=device-width, initial-scale=1\">\n{refresh}<title>Taskyard</title>\n<style>{style}</style>\n\
             </head>\n<body>\n"
        ))
    }

    pub(super) fn title(&mut self, title: &str) {
        self.element("h1", "", title);
    }

    pub(super) fn heading(&mut self, heading: &str) {
        self.element("h2", "", heading);
    }

    pub(super) fn line(&mut self, class: &str, line: &str) {
        self.element("p", class, line);
    }

    /// Each address with what it is called. Addresses are the page's own.
    pub(super) fn links(&mut self, heading: &str, links: &[(&str, &str)]) {
        if !heading.is_empty() {
            self.heading(heading);
        }
        self.0 += "<p>";
        for (at, (address, name)) in links.iter().enumerate() {
            if at > 0 {
                self.0 += " · ";
            }
            self.0 += "<a href=\"";
            self.text(address);
            self.0 += "\">";
            self.text(name);
            self.0 += "</a>";
        }
        self.0 += "</p>\n";
    }

    pub(super) fn table(
        &mut self,
        columns: &[(&str, Kind)],
        rows: impl IntoIterator<Item = Vec<String>>,
    ) {
        self.0 += "<div class=\"scroll\"><table>\n<tr>";
        for (name, kind) in columns {
            self.element("th", kind.class(), name);
        }
        self.0 += "</tr>\n";
        for row in rows {
            self.0 += "<tr>";
            for ((_, kind), cell) in columns.iter().zip(row) {
                if *kind == Kind::Task {
                    self.task(&cell);
                } else {
                    self.element("td", kind.class(), &cell);
                }
            }
            self.0 += "</tr>\n";
        }
        self.0 += "</table></div>\n";
    }

    pub(super) fn finish(mut self) -> String {
        self.0 += "</body>\n</html>\n";
        self.0
    }

    fn task(&mut self, id: &str) {
        self.0 += "<td class=\"plain\"><a href=\"/api/v1/tasks/";
        self.text(id);
        self.0 += "\"><code>";
        self.text(id);
        self.0 += "</code></a></td>";
    }

    fn element(&mut self, name: &str, class: &str, text: &str) {
        let class = if class.is_empty() {
            String::new()
        } else {
            format!(" class=\"{class}\"")
        };
        let _ = write!(self.0, "<{name}{class}>");
        self.text(text);
        let _ = write!(self.0, "</{name}>");
        if name != "td" && name != "th" {
            self.0.push('\n');
        }
    }

    /// As text and as the value of an attribute. Control characters, which a page may not hold, are shown as such.
    fn text(&mut self, text: &str) {
        for letter in text.chars() {
            match letter {
                '&' => self.0 += "&amp;",
                '<' => self.0 += "&lt;",
                '>' => self.0 += "&gt;",
                '"' => self.0 += "&quot;",
                '\'' => self.0 += "&#39;",
                '\n' | '\t' => self.0.push(' '),
                letter if letter.is_control() => self.0.push('\u{fffd}'),
                // They would turn the rest of the line around.
                '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => self.0.push('\u{fffd}'),
                letter => self.0.push(letter),
            }
        }
    }
}

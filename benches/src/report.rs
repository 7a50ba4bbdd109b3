//! The report: the page that a run writes, or the sections of a page that stands.

use crate::machine;

pub(crate) struct Report {
    machine: String,
    day: String,
    sections: Vec<Section>,
}

struct Section {
    title: String,
    /// What stands below the title.
    text: String,
}

impl Report {
    pub(crate) fn new() -> Self {
        Self {
            machine: machine::describe(),
            day: machine::day(),
            sections: Vec::new(),
        }
    }

    pub(crate) fn heading(&mut self, title: &str, text: &str) {
        eprintln!("{title}");
        self.sections.push(Section {
            title: title.to_owned(),
            text: format!("{text} Measured on {}.\n", self.day),
        });
    }

    pub(crate) fn table(&mut self, head: &[&str], rows: &[Vec<String>]) {
        let line = |cells: Vec<&str>| format!("| {} |\n", cells.join(" | "));
        let mut table = format!("\n{}{}", line(head.to_vec()), line(vec!["---"; head.len()]));
        for row in rows {
            table.push_str(&line(row.iter().map(String::as_str).collect()));
        }
        self.append(&table);
    }

    /// Adds Markdown as it is.
    pub(crate) fn append(&mut self, markdown: &str) {
        if let Some(section) = self.sections.last_mut() {
            section.text.push_str(markdown);
        }
    }

    /// A page of its own.
    pub(crate) fn text(&self) -> String {
        let mut text = format!(
            "# Benchmarks\n\nWritten by `cargo xtask bench`, peers in the same run. Read the ratios: the \
             figures are this machine's. A ratio has the spread of its runs behind it, the outermost on each \
             side left out; where 1 lies within it, it is a tie. What is work of the processor alone has its \
             instructions beside its time, counted by valgrind: they are the same in every run.\n\n{}\n",
            self.machine
        );
        for section in &self.sections {
            text.push_str(&section.whole(""));
        }
        text
    }

    /// A page that stands, with these sections in the place of those that have their titles; a new one comes
    /// behind the one that was measured before it, or at the end.
    pub(crate) fn put_into(&self, page: &str) -> String {
        let mut parts = page.split("\n## ");
        let intro = parts.next().unwrap_or_default();
        // Where it was another machine than the page's, the section says so, as others may have done before.
        let is_its_own = intro.lines().any(|line| line == self.machine);
        let machine = if is_its_own {
            String::new()
        } else {
            format!("\n{}\n", self.machine)
        };
        let mut parts: Vec<String> = parts.map(|part| format!("\n## {part}")).collect();
        let mut at = parts.len();
        for section in &self.sections {
            let whole = section.whole(&machine);
            let title = format!("\n## {}\n", section.title);
            if let Some(index) = parts.iter().position(|part| part.starts_with(&title)) {
                parts[index] = whole;
                at = index + 1;
            } else {
                parts.insert(at, whole);
                at += 1;
            }
        }
        format!("{intro}{}", parts.concat())
    }
}

impl Section {
    fn whole(&self, machine: &str) -> String {
        format!("\n## {}\n\n{}{machine}", self.title, self.text)
    }
}

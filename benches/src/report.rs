//! The report: the page that a run writes.

use crate::machine;

pub(crate) struct Report {
    text: String,
}

impl Report {
    pub(crate) fn new() -> Self {
        Self {
            text: format!(
                "# Benchmarks\n\nWritten by `cargo xtask bench` in one run, peers included. Read the \
                 ratios: the figures are this machine's. A ratio has the spread of its runs behind it, \
                 the outermost on each side left out; where 1 lies within it, it is a tie. What is work \
                 of the processor alone has its instructions beside its time, counted by valgrind: they \
                 are the same in every run.\n\n{}\n",
                machine::describe()
            ),
        }
    }

    pub(crate) fn heading(&mut self, title: &str, text: &str) {
        eprintln!("{title}");
        self.text.push_str(&format!("\n## {title}\n\n{text}\n"));
    }

    pub(crate) fn table(&mut self, head: &[&str], rows: &[Vec<String>]) {
        let line = |cells: Vec<&str>| format!("| {} |\n", cells.join(" | "));
        self.text.push('\n');
        self.text.push_str(&line(head.to_vec()));
        self.text.push_str(&line(vec!["---"; head.len()]));
        for row in rows {
            self.text
                .push_str(&line(row.iter().map(String::as_str).collect()));
        }
    }

    /// Adds Markdown as it is.
    pub(crate) fn append(&mut self, markdown: &str) {
        self.text.push_str(markdown);
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

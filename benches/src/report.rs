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
                 ratios: the figures are this machine's.\n\n{}\n",
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

    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

//! The machine that a figure was measured on, and what a process on it used.

use std::fs;
use std::process::Command;

use anyhow::Result;

/// The machine, in a line.
pub(crate) fn describe() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown processor", |rest| {
            rest.trim_start_matches([' ', '\t', ':'])
        });
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = output("uname", &["-sr"]);
    let rustc = output("rustc", &["--version"]);
    format!("{model}, {cores} cores · {kernel} · {rustc}")
}

/// The day, as in 2026-11-29.
pub(crate) fn day() -> String {
    output("date", &["-u", "+%F"])
}

fn output(program: &str, arguments: &[&str]) -> String {
    Command::new(program)
        .args(arguments)
        .output()
        .ok()
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .map_or_else(
            || format!("{program} not found"),
            |text| text.trim().to_owned(),
        )
}

/// Processor seconds, user and system, that these processes and their descendants have used.
pub(crate) fn cpu_seconds(pids: &[u32]) -> Result<f64> {
    let mut ticks = 0.0;
    for process in tree(pids)? {
        // proc(5): utime, stime and, of children that have ended, cutime and cstime are the 14th
        // to 17th field; the state, the first after the name, is the third.
        ticks += process.fields.iter().skip(11).take(4).sum::<f64>();
    }
    Ok(ticks / 100.0)
}

/// Resident memory of these processes and their descendants, in bytes.
pub(crate) fn resident(pids: &[u32]) -> Result<u64> {
    // proc(5): rss is the 24th field, in pages.
    Ok(tree(pids)?
        .iter()
        .map(|process| {
            process
                .fields
                .get(21)
                .map_or(0, |pages| *pages as u64 * 4096)
        })
        .sum())
}

struct Process {
    id: u32,
    /// The fields of `/proc/PID/stat` after the name; what is no number is 0.
    fields: Vec<f64>,
}

fn tree(roots: &[u32]) -> Result<Vec<Process>> {
    let mut all = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(id) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // It may have ended since.
        let Ok(stat) = fs::read_to_string(format!("/proc/{id}/stat")) else {
            continue;
        };
        let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let fields = rest
            .split_whitespace()
            .map(|field| field.parse().unwrap_or(0.0))
            .collect();
        all.push(Process { id, fields });
    }
    let mut wanted = roots.to_vec();
    loop {
        let before = wanted.len();
        for process in &all {
            let parent = process.fields.get(1).map_or(0, |parent| *parent as u32);
            if wanted.contains(&parent) && !wanted.contains(&process.id) {
                wanted.push(process.id);
            }
        }
        if wanted.len() == before {
            break;
        }
    }
    all.retain(|process| wanted.contains(&process.id));
    anyhow::ensure!(!all.is_empty(), "the process has ended");
    Ok(all)
}

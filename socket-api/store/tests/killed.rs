//! A process that writes to a store is killed, again and again: what it was told was stored is
//! there, and no part of anything else. Meanwhile nobody else gets in.
//!
#![allow(clippy::print_stdout)]
//! Without the usual harness, since this program is also the one that is killed.

use std::env;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use jackfield_store::{Batch, ErrorKind, FileStore, Records, Store as _};

/// How many keys are written over and over, all of them by each batch.
const KEYS: u8 = 5;
/// How many bytes a value has: enough that the log is written anew every dozen batches.
const VALUE: usize = 2000;
/// How often it is killed.
const ROUNDS: u64 = 12;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    if let Some(path) = env::args_os()
        .nth(1)
        .filter(|path| Path::new(path).is_absolute())
    {
        return write(Path::new(&path)).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let mut stored = 0;
    for round in 0..ROUNDS {
        let mut child = Command::new(env::current_exe().unwrap())
            .arg(&path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut next = || {
            lines
                .next()
                .map(|line| line.unwrap().parse::<u64>().unwrap())
        };
        let mut told = 0;
        for _ in 0..=round * 7 {
            told = next().unwrap();
        }
        let error = FileStore::open(&path).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InUse);

        child.kill().unwrap();
        child.wait().unwrap();
        // What it said before it was killed.
        while let Some(number) = next() {
            told = number;
        }
        let mut store = FileStore::open(&path).await.unwrap();
        let number = check(&store.load().await.unwrap());
        store.close().await;
        assert!(told <= number && number <= told + 1, "{told}, {number}");
        assert!(number > stored, "each round writes more");
        stored = number;
    }
    println!("killed {ROUNDS} times, {stored} batches stored");
}

/// Writes batch after batch, and tells the number of each that is stored.
async fn write(path: &Path) {
    let mut store = FileStore::open(path).await.unwrap();
    let mut number = check(&store.load().await.unwrap());
    loop {
        number += 1;
        let mut batch = Batch::new();
        for key in 0..KEYS {
            batch.put([key], value(number));
        }
        store.commit(batch).await.unwrap();
        println!("{number}");
        std::io::stdout().flush().unwrap();
    }
}

/// The number of the batch that was stored last, after which all records must look.
fn check(records: &Records) -> u64 {
    let Some(first) = records.values().next() else {
        return 0;
    };
    let number = u64::from_be_bytes(first[..8].try_into().unwrap());
    assert_eq!(records.len(), KEYS.into());
    for found in records.values() {
        assert_eq!(found, &value(number));
    }
    number
}

fn value(number: u64) -> Vec<u8> {
    number.to_be_bytes().repeat(VALUE / 8)
}

//! `jackfield completions` and `jackfield man`: what shells and `man` want to know of the commands.

use std::fs;
use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;

use crate::args::Args;
use crate::failure::{Failure, Step};
use crate::output::Output;

pub(crate) async fn completions(shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "jackfield", &mut script);
    Output::new().as_it_is(&script).await
}

/// The page of `jackfield`, or all of them into a directory, which is made where it is missing.
pub(crate) async fn pages(directory: Option<&Path>) -> Result<(), Failure> {
    let mut command = Args::command();
    let Some(directory) = directory else {
        let mut page = Vec::new();
        let rendered = Man::new(command).render(&mut page);
        rendered.step("writing the page")?;
        return Output::new().as_it_is(&page).await;
    };
    command.build();
    let write = || {
        fs::create_dir_all(directory)?;
        clap_mangen::generate_to(command, directory)
    };
    write().step(format!("writing to {}", directory.display()))
}

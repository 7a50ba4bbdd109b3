//! `jackfield`, the program: what a developer reaches for when something doesn't connect.
//!
//! Every command runs on the system's own sockets or, with `--relay`, through a relay. What goes
//! wrong is told with the step at which it did, its causes, and an exit code of its own sort.
#![warn(
    clippy::print_stderr,
    reason = "what a peer said may be in it: see the module `output`"
)]

mod args;
mod backend;
mod coap;
mod failure;
mod imap;
mod irc;
mod leave;
mod listen;
mod mail;
mod manual;
mod mqtt;
mod nc;
mod output;
mod pump;
mod secret;
mod secure;
mod smtp;
mod starttls;
mod udp;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Args, Command};
use crate::failure::Failure;
use crate::leave::Leave;

fn main() -> ExitCode {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return Failure::new("starting", error).report(),
    };
    let result = runtime.block_on(leave::run(async |leave| Box::pin(run(args, leave)).await));
    // A read of standard input may be under way, and can't be interrupted.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

async fn run(args: Args, leave: Leave) -> Result<(), Failure> {
    let backend = match &args.command {
        Command::Nc(nc) => &nc.backend,
        Command::Listen(listen) => &listen.backend,
        Command::Irc(irc) => &irc.backend,
        Command::Mqtt(mqtt) => mqtt.backend(),
        Command::Coap(coap) => coap.backend(),
        Command::Imap(imap) => imap.backend(),
        Command::Smtp(smtp) => smtp.backend(),
        Command::Completions { shell } => {
            return leave.unless_asked(manual::completions(*shell)).await;
        }
        Command::Man { directory } => {
            return leave
                .unless_asked(manual::pages(directory.as_deref()))
                .await;
        }
    };
    let backend = leave.unless_asked(backend::open(backend)).await?;
    let result = match &args.command {
        Command::Nc(nc) => nc::run(nc, &backend.network, &leave).await,
        Command::Listen(listen) => listen::run(listen, &backend.network, &leave).await,
        Command::Irc(irc) => irc::run(irc, &backend.network, &leave).await,
        Command::Mqtt(mqtt) => mqtt::run(mqtt, &backend.network, &leave).await,
        Command::Coap(coap) => coap::run(coap, &backend.network, &leave).await,
        Command::Imap(imap) => imap::run(imap, &backend.network, &leave).await,
        Command::Smtp(smtp) => smtp::run(smtp, &backend.network, &leave).await,
        // They need no network.
        Command::Completions { .. } | Command::Man { .. } => Ok(()),
    };
    backend.close().await;
    result
}

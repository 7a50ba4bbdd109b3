//! `jackfield imap search`: the UIDs of messages, a line each.

use jackfield_imap::client::Client;
use jackfield_socket::{Error, ErrorKind};

use super::args::SearchArgs;
use super::{Asked, Stopped, criteria, examine};
use crate::failure::Failure;
use crate::output::Output;

pub(super) async fn run(args: &SearchArgs, client: &Client) -> Result<(), Stopped> {
    let query = criteria::parse(&args.criteria).map_err(|text| {
        let error = Error::new(ErrorKind::InvalidInput, text);
        Failure::new("reading the criteria", error)
    })?;
    let mailbox = examine(&args.mailbox, client).await?.name;
    let found = client.search(query).await;
    let found = found.asked(|| format!("searching {mailbox}"))?;
    let mut lines = String::new();
    for uid in found {
        lines.push_str(&uid.to_string());
        lines.push('\n');
    }
    Output::new().as_it_is(lines.as_bytes()).await?;
    Ok(())
}

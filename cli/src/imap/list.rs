//! `jackfield imap list`: the mailboxes, a line each.

use jackfield_imap::client::Client;
use jackfield_imap::codec::{
    Attribute, ListQuery, Listed, MailboxStatus, SpecialMailbox, SpecialUse, StatusItem,
    special_mailboxes,
};
use jackfield_socket::{Error, ErrorKind};

use super::args::ListArgs;
use super::{Asked, Stopped};
use crate::failure::Failure;
use crate::output::{Output, tell};

/// What mailboxes may be for, as the server says it, as their names say it, and as it is printed.
const USES: [(Attribute, SpecialUse, &str); 8] = [
    (Attribute::All, SpecialUse::All, "all"),
    (Attribute::Archive, SpecialUse::Archive, "archive"),
    (Attribute::Drafts, SpecialUse::Drafts, "drafts"),
    (Attribute::Flagged, SpecialUse::Flagged, "flagged"),
    (Attribute::Important, SpecialUse::Important, "important"),
    (Attribute::Junk, SpecialUse::Junk, "junk"),
    (Attribute::Sent, SpecialUse::Sent, "sent"),
    (Attribute::Trash, SpecialUse::Trash, "trash"),
];

pub(super) async fn run(args: &ListArgs, client: &Client) -> Result<(), Stopped> {
    if args.address.mailbox().is_some() {
        let text = "behind the host nothing follows: a pattern is an argument of its own";
        let error = Error::new(ErrorKind::InvalidInput, text);
        return Err(Failure::new("listing mailboxes", error).into());
    }
    let items = [StatusItem::Messages, StatusItem::Unseen];
    let mut query = ListQuery::matching(&*args.pattern);
    query.subscribed = args.subscribed;
    query.returns.special_use = true;
    query.returns.status = items.to_vec();
    let listed = client.list(query).await;
    let (mailboxes, states) = listed.asked(|| "listing mailboxes".into())?;
    // Where the server doesn't say what they are for, their names may.
    let special = special_mailboxes(&mailboxes);
    let mut output = Output::new();
    for mailbox in &mailboxes {
        let told = states.iter().find(|state| state.name == mailbox.name);
        let asked;
        let state = match told {
            Some(state) => Some(state),
            // Not every server tells it with the list.
            None if is_mailbox(mailbox) => {
                asked = client.mailbox_status(mailbox.name.clone(), items).await;
                match &asked {
                    Ok(state) => Some(state),
                    Err(error) if super::is_lost(error) => {
                        return asked
                            .map(drop)
                            .asked(|| format!("counting {}", mailbox.name));
                    }
                    Err(error) => {
                        tell(format_args!(
                            "jackfield: counting {}: {error}",
                            mailbox.name
                        ));
                        None
                    }
                }
            }
            None => None,
        };
        let guess = special
            .iter()
            .find(|it| it.is_guess && it.mailbox == *mailbox);
        output.line(&line(mailbox, state, guess)).await?;
    }
    Ok(())
}

fn is_mailbox(mailbox: &Listed) -> bool {
    !mailbox.is(&Attribute::NoSelect) && !mailbox.is(&Attribute::NonExistent)
}

/// A tab in a name would make two columns of it.
fn line(mailbox: &Listed, state: Option<&MailboxStatus>, guess: Option<&SpecialMailbox>) -> String {
    let count = |count: Option<u32>| count.map_or_else(|| "-".to_owned(), |it| it.to_string());
    let used = USES.iter().filter(|(attribute, ..)| mailbox.is(attribute));
    let mut used: Vec<String> = used.map(|(.., name)| (*name).to_owned()).collect();
    let guessed = USES
        .iter()
        .filter(|(_, special, _)| guess.is_some_and(|it| it.special_use == *special));
    used.extend(guessed.map(|(.., name)| format!("{name}?")));
    let used = if !is_mailbox(mailbox) {
        "no mailbox".to_owned()
    } else if used.is_empty() {
        "-".to_owned()
    } else {
        used.join(",")
    };
    let name = mailbox.name.to_string().replace('\t', "\\t");
    let messages = count(state.and_then(|state| state.messages));
    let unseen = count(state.and_then(|state| state.unseen));
    format!("{name}\t{messages}\t{unseen}\t{used}")
}

//! `jackfield imap fetch`: messages, or parts of them, into files or to standard output, as they come.

use std::fs::File;
use std::io::Write;

use jackfield_imap::RequestError;
use jackfield_imap::client::{Body, Client};
use jackfield_imap::codec::{Messages, Query, Section};
use jackfield_socket::{Error, ErrorKind};
use tokio::io::AsyncReadExt;

use super::args::FetchArgs;
use super::file::{NewFile, wrong};
use super::{Asked, Stopped, examine};
use crate::failure::{Failure, Step};
use crate::output::Output;

/// How much is written at a time.
const PIECE: usize = 16 * 1024;

pub(super) async fn run(args: &FetchArgs, client: &Client) -> Result<(), Stopped> {
    let section = args.section();
    let mailbox = examine(&args.mailbox, client).await?.name;
    let uids = match (args.uids.ranges(), args.uids.count(), &args.directory) {
        (1, 1, _) => args.uids.iter().collect(),
        (.., Some(_)) => {
            let query = Query::new().among(Messages::Uids(args.uids.clone()));
            let found = client.search(query).await;
            found.asked(|| format!("searching {mailbox}"))?
        }
        _ => {
            let text = "several messages need --directory, where each gets a file";
            let error = Error::new(ErrorKind::InvalidInput, text);
            return Err(Failure::new(format!("fetching {}", args.uids), error).into());
        }
    };
    if let Some(directory) = &args.directory {
        let made = std::fs::create_dir_all(directory);
        made.map_err(|error| wrong(directory, &error))
            .step("making the directory")?;
    }
    let mut uids = uids.into_iter();
    let read = async |uid: Option<u32>| match uid {
        Some(uid) => {
            let read = client.read(uid, section.clone()).await;
            let read = read.asked(|| format!("fetching message {uid} of {mailbox}"));
            read.map(|body| Some((uid, body)))
        }
        None => Ok(None),
    };
    let mut next = read(uids.next()).await?;
    while let Some((uid, body)) = next {
        // The next one is asked for already, so that nothing waits for its way.
        let (written, read) = tokio::join!(write(args, uid, body), read(uids.next()));
        written?;
        next = read?;
    }
    Ok(())
}

async fn write(args: &FetchArgs, uid: u32, body: Body) -> Result<(), Stopped> {
    let step = || format!("fetching message {uid}");
    if let Some(directory) = &args.directory {
        let name = args.file_name(uid);
        let mut file = NewFile::create(
            directory.join(&name),
            directory.join(format!(".{name}.part")),
        )
        .step(step())?;
        each_piece(body, &step, async |piece| file.write(piece).step(step())).await?;
        return Ok(file.finish().step(step())?);
    }
    if let Some(path) = &args.output {
        let file = File::create(path).map_err(|error| wrong(path, &error));
        let mut file = file.step(step())?;
        let write = async |piece: &[u8]| {
            let written = file.write_all(piece);
            written.map_err(|error| wrong(path, &error)).step(step())
        };
        return each_piece(body, &step, write).await;
    }
    let mut output = Output::new();
    each_piece(body, &step, async |piece| output.payload(piece).await).await?;
    Ok(output.end_payload().await?)
}

/// Gives a text to whoever takes it, a piece at a time.
pub(super) async fn each_piece(
    mut body: Body,
    step: &impl Fn() -> String,
    mut take: impl AsyncFnMut(&[u8]) -> Result<(), Failure>,
) -> Result<(), Stopped> {
    let mut piece = vec![0; PIECE];
    loop {
        let count = body.read(&mut piece).await;
        let count = count.map_err(|error| {
            let request = error
                .get_ref()
                .and_then(|it| it.downcast_ref::<RequestError>());
            match request {
                Some(error) => Stopped::Request {
                    step: step(),
                    error: error.clone(),
                },
                None => Failure::new(step(), error).into(),
            }
        })?;
        if count == 0 {
            return Ok(());
        }
        take(&piece[..count]).await?;
    }
}

impl FetchArgs {
    fn section(&self) -> Section {
        match &self.part {
            Some(part) => part.clone(),
            None if self.header => Section::header(),
            None => Section::all(),
        }
    }

    /// Nothing of it comes from the server.
    fn file_name(&self, uid: u32) -> String {
        match &self.part {
            Some(part) => format!("{uid}.{part}.part"),
            None if self.header => format!("{uid}.header.eml"),
            None => format!("{uid}.eml"),
        }
    }
}

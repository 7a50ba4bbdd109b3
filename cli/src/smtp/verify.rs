//! `jackfield smtp verify`: whether one is let in, and what the server can do.

use jackfield_smtp::client::{Client, Status};
use jackfield_smtp::codec::{Capability, Limit};
use jackfield_socket::Error;

use super::args::VerifyArgs;
use super::{Stopped, refused};
use crate::failure::Failure;
use crate::output::Output;

pub(super) async fn run(args: &VerifyArgs, client: &Client) -> Result<(), Stopped> {
    let asked = |step: &str| {
        let step = step.to_owned();
        move |error| Stopped::Request { step, error }
    };
    client
        .noop()
        .await
        .map_err(asked("asking for a sign of life"))?;
    let mut output = Output::new();
    if let Status::Ready(server) = client.status() {
        if let Some(greeting) = &server.greeting {
            output.line(&format!("greeting\t{greeting}")).await?;
        }
        output
            .line(&format!("login\t{}", server.login.unwrap_or("none")))
            .await?;
        for capability in server.capabilities.iter() {
            output
                .line(&format!("can\t{}", described(capability)))
                .await?;
        }
    }
    let mut wrong = None;
    for text in &args.vrfy {
        let step = format!("verifying {}", text.as_str());
        let reply = client.verify(text.clone()).await;
        let reply = reply.map_err(asked(&step))?;
        output
            .line(&format!("vrfy\t{}\t{reply}", text.as_str()))
            .await?;
        if !reply.is_positive() {
            let error = Error::new(refused(&reply), format!("the server said {reply}"));
            wrong = Some(Failure::new(step, error));
        }
    }
    wrong.map_or(Ok(()), |failure| Err(failure.into()))
}

/// As the server has it, or would.
fn described(capability: &Capability) -> String {
    let with = |name: &str, value: Option<String>| match value {
        Some(value) => format!("{name} {value}"),
        None => name.to_owned(),
    };
    match capability {
        Capability::Pipelining => "PIPELINING".into(),
        Capability::Size(size) => with("SIZE", size.map(|it| it.to_string())),
        Capability::EightBitMime => "8BITMIME".into(),
        Capability::SmtpUtf8 => "SMTPUTF8".into(),
        Capability::Chunking => "CHUNKING".into(),
        Capability::BinaryMime => "BINARYMIME".into(),
        Capability::Dsn => "DSN".into(),
        Capability::EnhancedStatusCodes => "ENHANCEDSTATUSCODES".into(),
        Capability::StartTls => "STARTTLS".into(),
        Capability::Auth(mechanisms) => with("AUTH", Some(mechanisms.join(" "))),
        Capability::RequireTls => "REQUIRETLS".into(),
        Capability::DeliverBy(least) => with("DELIVERBY", least.map(|it| it.to_string())),
        Capability::FutureRelease {
            max_interval,
            max_datetime,
        } => format!("FUTURERELEASE {max_interval} {max_datetime}"),
        Capability::MtPriority(policy) => with("MT-PRIORITY", policy.clone()),
        Capability::Limits(limits) => {
            let limits: Vec<String> = limits.iter().map(limit).collect();
            with("LIMITS", Some(limits.join(" ")))
        }
        Capability::Verify => "VRFY".into(),
        Capability::Help => "HELP".into(),
        Capability::Etrn => "ETRN".into(),
        Capability::Unknown(line) => line.clone(),
        other => format!("{other:?}"),
    }
}

fn limit(limit: &Limit) -> String {
    match limit {
        Limit::Mails(count) => format!("MAILMAX={count}"),
        Limit::Recipients(count) => format!("RCPTMAX={count}"),
        Limit::RecipientDomains(count) => format!("RCPTDOMAINMAX={count}"),
        Limit::Unknown(text) => text.clone(),
        other => format!("{other:?}"),
    }
}

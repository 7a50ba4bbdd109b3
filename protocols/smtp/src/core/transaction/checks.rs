//! What is checked before a message is begun: whether this server can do what is asked for.

use super::{Source, Transaction};
use crate::codec::{BodyKind, Capabilities, Capability, Content, Framing, Limit, MailParameters};
use crate::core::{Chunking, Config, Protocol, Security};
use crate::error::RequestError;

impl Transaction {
    /// Makes ready for a server that can do this.
    ///
    /// # Errors
    /// What the server can't do, or won't take.
    pub(in crate::core) fn begin(
        &mut self,
        config: &Config,
        can: &Capabilities,
    ) -> Result<(), RequestError> {
        self.parameters = self.parameters_for(config, can)?;
        for limit in can.limits() {
            let (count, limit) = match limit {
                Limit::Recipients(limit) => (self.envelope.recipients.len(), *limit),
                Limit::RecipientDomains(limit) => (self.domains(), *limit),
                _ => continue,
            };
            if count as u64 > limit {
                return Err(RequestError::TooManyRecipients { limit });
            }
        }
        self.framing = match config.chunking {
            _ if self.parameters.body == Some(BodyKind::BinaryMime) => Framing::Binary,
            Chunking::WhereOffered if can.has(&Capability::Chunking) => Framing::Chunks,
            _ => Framing::Dots,
        };
        self.content = Content::new(self.framing);
        if !self.envelope.keep_bcc {
            self.content = self.content.clone().without_bcc();
        }
        self.is_each = config.protocol == Protocol::Lmtp;
        Ok(())
    }

    fn parameters_for(
        &self,
        config: &Config,
        can: &Capabilities,
    ) -> Result<MailParameters, RequestError> {
        let needs = |needed: bool, offered: bool, name| {
            if needed && !offered {
                return Err(RequestError::Unsupported(name));
            }
            Ok(())
        };
        let offers = |is: fn(&Capability) -> bool| can.iter().any(is);
        let envelope = &self.envelope;
        let mut wants = envelope.parameters.clone();
        let recipients = || envelope.recipients.iter();
        let is_ascii = envelope.from.as_str().is_ascii()
            && recipients().all(|recipient| recipient.mailbox.is_ascii());
        wants.smtp_utf8 |= !is_ascii;
        needs(wants.smtp_utf8, can.has(&Capability::SmtpUtf8), "SMTPUTF8")?;
        let is_told = recipients().any(|recipient| {
            recipient.parameters.notify.is_some() || recipient.parameters.original.is_some()
        });
        let is_told = is_told || wants.ret.is_some() || wants.envelope_id.is_some();
        needs(is_told, can.has(&Capability::Dsn), "DSN")?;
        let tls = can.has(&Capability::RequireTls) && config.security != Security::Plaintext;
        needs(wants.require_tls, tls, "REQUIRETLS")?;
        let by = offers(|it| matches!(it, Capability::DeliverBy(_)));
        needs(wants.deliver_by.is_some(), by, "DELIVERBY")?;
        let future = offers(|it| matches!(it, Capability::FutureRelease { .. }));
        needs(wants.hold.is_some(), future, "FUTURERELEASE")?;
        let priorities = offers(|it| matches!(it, Capability::MtPriority(_)));
        needs(wants.priority.is_some(), priorities, "MT-PRIORITY")?;

        let eight_bit = can.has(&Capability::EightBitMime);
        wants.body = match wants.body {
            Some(BodyKind::BinaryMime) => {
                needs(true, can.has(&Capability::BinaryMime), "BINARYMIME")?;
                needs(true, can.has(&Capability::Chunking), "CHUNKING")?;
                wants.body
            }
            Some(BodyKind::EightBitMime) => {
                needs(true, eight_bit, "8BITMIME")?;
                wants.body
            }
            // What a server without the extension takes everything for.
            Some(BodyKind::SevenBit) => wants.body.filter(|_| eight_bit),
            None => (eight_bit && self.may_be_eight_bit()).then_some(BodyKind::EightBitMime),
        };
        let size = match &self.source {
            Source::Whole { survey, .. } if wants.body == Some(BodyKind::BinaryMime) => {
                Some(survey.raw_size())
            }
            Source::Whole { survey, .. } => Some(survey.size()),
            Source::Streamed { size, .. } => size.or(wants.size),
        };
        if let (Some(size), Some(limit)) = (size, can.size())
            && size > limit
        {
            return Err(RequestError::TooLarge { limit });
        }
        wants.size = size.filter(|_| can.has_size());
        Ok(wants)
    }

    fn may_be_eight_bit(&self) -> bool {
        match &self.source {
            Source::Whole { survey, .. } => survey.is_eight_bit(),
            Source::Streamed { .. } => true,
        }
    }

    /// How many domains there are among the recipients. One that is not ASCII has no capitals (RFC 5890,
    /// section 2.3.2.1).
    fn domains(&self) -> usize {
        let recipients = self.envelope.recipients.iter();
        let mut domains: Vec<String> = recipients
            .map(|recipient| recipient.mailbox.domain().to_ascii_lowercase())
            .collect();
        domains.sort_unstable();
        domains.dedup();
        domains.len()
    }
}

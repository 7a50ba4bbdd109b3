//! What becomes of a message, from what was said to it.

use super::{Stage, Transaction};
use crate::codec::Reply;
use crate::core::{Delivery, Outcome, Response, Step};
use crate::error::{Refusal, RequestError};

impl Transaction {
    /// What became of it, when it is done.
    pub(in crate::core) fn outcome(self) -> Result<Response, RequestError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let recipients = self.deliveries();
        let mut all = recipients.recipients.iter();
        if all.any(|(_, it)| matches!(it, Delivery::Accepted(_))) {
            return Ok(Response::Sent(recipients));
        }
        let of_message = self.finals.into_iter().find(|reply| !reply.is_positive());
        let of_message = of_message.filter(|_| self.accepted > 0);
        let refused = self
            .refused
            .or(of_message.map(|reply| (Step::Message, reply)));
        let refused = refused.or_else(|| {
            let (_, reply) = recipients.refused().next()?;
            Some((Step::Recipient, reply.clone()))
        });
        let Some((step, reply)) = refused else {
            return Err(RequestError::ConnectionLost);
        };
        Err(RequestError::Refused(Box::new(Refusal {
            step,
            reply,
            recipients,
        })))
    }

    /// What became of it, where the connection is gone before it was done; with what the server said
    /// in the place of the next reply, if it took leave.
    pub(in crate::core) fn outcome_without(
        mut self,
        farewell: Option<&Reply>,
        otherwise: RequestError,
    ) -> Result<Response, RequestError> {
        if self.failed.is_some() {
            return self.outcome();
        }
        if let Some(farewell) = farewell {
            match self.stage {
                // It is not taken, or with LMTP not for the next recipient.
                Stage::Sent => self.finals.push(farewell.clone()),
                Stage::Envelope(0 | 1) => self.refuse(Step::Mail, farewell),
                Stage::Envelope(_) => self.refuse(Step::Recipient, farewell),
                _ => self.refuse(Step::Data, farewell),
            }
        }
        if self.stage == Stage::Sent {
            let recipients = self.deliveries();
            let mut all = recipients.recipients.iter();
            if all.any(|(_, it)| matches!(it, Delivery::Unknown)) {
                return Err(RequestError::OutcomeUnknown(Box::new(recipients)));
            }
            return self.outcome();
        }
        if self.refused.is_some() || self.stage == Stage::Nothing {
            return self.outcome();
        }
        Err(otherwise)
    }

    fn refuse(&mut self, step: Step, reply: &Reply) {
        self.refused.get_or_insert_with(|| (step, reply.clone()));
    }

    /// What became of it for each recipient, as far as it is known.
    fn deliveries(&self) -> Outcome {
        let mail_refused = matches!(self.refused, Some((Step::Mail, _)));
        let mut answered = 0;
        let mut delivery = |reply: &Option<Reply>| match reply {
            _ if mail_refused => Delivery::NotAsked,
            None if self.stage == Stage::Sent => Delivery::Unknown,
            None => Delivery::NotAsked,
            Some(reply) if !reply.is_positive() => Delivery::Refused(reply.clone()),
            Some(_) => {
                let said = self.finals.get(answered);
                // Otherwise one reply is for all.
                answered += usize::from(self.is_each);
                match (said, &self.refused) {
                    (Some(said), _) if said.is_positive() => Delivery::Accepted(said.clone()),
                    (Some(said), _) | (None, Some((_, said))) => Delivery::Refused(said.clone()),
                    (None, None) => Delivery::Unknown,
                }
            }
        };
        let recipients = self.envelope.recipients.iter();
        Outcome {
            recipients: recipients
                .zip(&self.replies)
                .map(|(recipient, reply)| (recipient.mailbox.clone(), delivery(reply)))
                .collect(),
        }
    }
}

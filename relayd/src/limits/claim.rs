//! Claims: a session or a stream, of which it may have to be asked whether all relays have one left.

use std::sync::Arc;

use futures_util::{StreamExt as _, stream};

use super::{
    Account, Accounts, Asked, Full, Leases, LimitReached, NotTaken, Share, Slot, Usage, What, Whose,
};

/// How often a further lease is asked for, for one slot.
const MAX_ASKED: usize = 8;

/// How many accounts' leases are renewed at a time.
const AT_A_TIME: usize = 16;

/// A slot, or the way to it.
#[derive(Debug)]
pub(crate) enum Claim {
    Taken(Slot),
    /// A lease has to be asked for.
    Asks(Usage, What),
}

impl Claim {
    /// The slot.
    ///
    /// # Errors
    /// Where there is none left over all relays, or nobody can tell.
    ///
    /// # Cancel safety
    /// Dropping the future takes nothing.
    pub(crate) async fn slot(self) -> Result<Slot, LimitReached> {
        match self {
            Self::Taken(slot) => Ok(slot),
            Self::Asks(usage, what) => usage.take_asking(what).await,
        }
    }
}

impl Accounts {
    /// Renews what is leased; or gives back what isn't in use, at the end.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the other leases as they are, and they end with their time.
    pub(crate) async fn settle(&self, last: bool) {
        let settle = |account: Arc<Account>| async move { account.renew(last).await };
        stream::iter(self.shared().into_iter().map(settle))
            .buffer_unordered(AT_A_TIME)
            .collect::<()>()
            .await;
    }
}

impl Usage {
    pub(crate) fn session(&self) -> Result<Claim, LimitReached> {
        self.claim(What::Session)
    }

    pub(crate) fn stream(&self) -> Result<Claim, LimitReached> {
        self.claim(What::Stream)
    }

    /// A slot, if this relay knows that there is one.
    fn claim(&self, what: What) -> Result<Claim, LimitReached> {
        match self.take(what, Leases::Count) {
            Ok(slot) => Ok(Claim::Taken(slot)),
            Err(NotTaken::Limit(reached)) => Err(reached),
            Err(NotTaken::Lease(_)) => Ok(Claim::Asks(self.clone(), what)),
        }
    }

    /// Takes one, and asks for further leases as long as that helps.
    async fn take_asking(&self, what: What) -> Result<Slot, LimitReached> {
        let mut leases = Leases::Count;
        for _ in 0..MAX_ASKED {
            let index = match self.take(what, leases) {
                Ok(slot) => return Ok(slot),
                Err(NotTaken::Limit(reached)) => return Err(reached),
                Err(NotTaken::Lease(index)) => index,
            };
            let Share { quota, account, .. } = &self.shares[index];
            let (Some(lease), Some(limit)) = (&account.lease, quota.of(what)) else {
                break;
            };
            match lease.ask(what, limit, &account.held[what as usize]).await {
                Ok(Asked::Leased) => {}
                Ok(Asked::Forgotten) => leases = Leases::Forgotten,
                Err(Full::Taken) => return Err(self.reached(index, what)),
                Err(Full::Unknown) => {
                    return Err(LimitReached {
                        whose: Whose::Fleet,
                        ..self.reached(index, what)
                    });
                }
            }
        }
        // Others were faster every time.
        Err(LimitReached {
            whose: Whose::Fleet,
            ..self.reached(0, what)
        })
    }
}

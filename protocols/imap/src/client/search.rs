//! How a [`Client`] finds messages: searched, sorted, and in conversations.

use super::action::Answer;
use super::handle::Client;
use crate::codec::{
    Command, Esearch, InvalidValue, Messages, Query, Response, SearchReturn, SequenceSet,
    SortOrder, Thread, Threading,
};
use crate::error::RequestError;

/// How many messages a search may find.
const MAX_FOUND: u64 = 1 << 20;

impl Client {
    /// The UIDs of the messages that match, in the server's order: at most a million. Where the query
    /// names more messages than [`max_set`](super::ClientConfig::max_set) allows in one command, it
    /// becomes several, and the UIDs are in their own order.
    ///
    /// ```no_run
    /// # use jackfield_imap::client::Client;
    /// # use jackfield_imap::codec::Query;
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let new = client.search(Query::new().unseen().subject("grüße")).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RequestError::TooLarge`], with more; [`RequestError::Invalid`], where too many messages are
    /// named below [`Query::except`] or [`Query::any`], where several commands would not find the same;
    /// [`RequestError::Unsupported`], where it is searched by what an extension has that the server has not.
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn search(&self, query: Query) -> Result<Vec<u32>, RequestError> {
        let queries = query.split(self.max_set).ok_or(InvalidValue::TooLong)?;
        let is_split = queries.len() > 1;
        let mut found = Vec::new();
        for query in queries {
            self.search_into(query, &mut found).await?;
        }
        if is_split {
            // A message may have been named twice.
            found.sort_unstable();
            found.dedup();
        }
        Ok(found)
    }

    /// With one command, or more where the server looks at so many messages at a time.
    async fn search_into(&self, query: Query, found: &mut Vec<u32>) -> Result<(), RequestError> {
        let mut within = Messages::Uids(SequenceSet::everything());
        let mut among = query.clone();
        loop {
            let search = Command::Search {
                query: among,
                uids: true,
                returns: vec![SearchReturn::All],
            };
            let answer = self.request(search).await?;
            let rest = answer.rest(&within)?;
            collect(answer, found)?;
            let Some(rest) = rest else {
                return Ok(());
            };
            among = query.clone().among(rest.clone());
            within = rest;
        }
    }

    /// What is asked for of the messages that match, which may be less than all of them: how many
    /// there are, or a page of them. Numbers are UIDs.
    ///
    /// ```no_run
    /// # use jackfield_imap::client::Client;
    /// # use jackfield_imap::codec::{Messages, Query, SearchReturn, Window};
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let unread = client.search_for(Query::new().unseen(), [SearchReturn::Count]).await?;
    /// println!("{} unread", unread.count.unwrap_or_default());
    /// let newest = Window::of(1, 50).expect("places").from_the_end();
    /// let page = client.search_for(Query::new(), [SearchReturn::Partial(newest)]).await?;
    /// let page = page.partial.and_then(|partial| partial.numbers);
    /// if let Some(uids) = page.filter(|uids| uids.count() <= 50) {
    ///     println!("{:?}", client.fetch(Messages::Uids(uids), []).await?.all().await?);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RequestError::Unsupported`], without ESEARCH (RFC 4731), without PARTIAL (RFC 9394) or
    /// CONTEXT=SEARCH (RFC 5267) for a page, or without SEARCHRES (RFC 5182) for
    /// [`Save`](SearchReturn::Save); [`RequestError::Invalid`], where the query names more messages than
    /// [`max_set`](super::ClientConfig::max_set) allows.
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn search_for(
        &self,
        query: Query,
        returns: impl IntoIterator<Item = SearchReturn>,
    ) -> Result<Esearch, RequestError> {
        let search = Command::Search {
            query: self.fitting(query)?,
            uids: true,
            returns: returns.into_iter().collect(),
        };
        self.told(search).await
    }

    /// The UIDs of the messages that match, as the server sorts them (RFC 5256): at most a million.
    ///
    /// ```no_run
    /// # use jackfield_imap::client::Client;
    /// # use jackfield_imap::codec::{Query, SortBy, SortOrder};
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let newest_first = SortOrder::by(SortBy::Date).reversed();
    /// let unread = client.sort(newest_first, Query::new().unseen()).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RequestError::Unsupported`], without SORT, or without SORT=DISPLAY (RFC 5957) for names;
    /// [`RequestError::Invalid`], as [`search_for`](Self::search_for).
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn sort(
        &self,
        by: impl Into<SortOrder>,
        query: Query,
    ) -> Result<Vec<u32>, RequestError> {
        let sort = Command::Sort {
            by: by.into(),
            query: self.fitting(query)?,
            uids: true,
            // A server is free in how it writes a set, and so all of them are told one by one.
            returns: Vec::new(),
        };
        let answer = self.request(sort).await?;
        let mut found = Vec::new();
        whole(&answer)?;
        collect(answer, &mut found)?;
        Ok(found)
    }

    /// What is asked for of the messages that match and are sorted (ESORT, RFC 5267). Numbers are
    /// UIDs.
    ///
    /// # Errors
    /// [`RequestError::Unsupported`], without ESORT, or without PARTIAL (RFC 9394) or CONTEXT=SORT for
    /// a page; [`RequestError::Invalid`], as [`search_for`](Self::search_for).
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn sort_for(
        &self,
        by: impl Into<SortOrder>,
        query: Query,
        returns: impl IntoIterator<Item = SearchReturn>,
    ) -> Result<Esearch, RequestError> {
        let sort = Command::Sort {
            by: by.into(),
            query: self.fitting(query)?,
            uids: true,
            returns: returns.into_iter().collect(),
        };
        self.told(sort).await
    }

    /// The messages that match, by their UIDs, as conversations in the server's order (RFC 5256).
    ///
    /// ```no_run
    /// # use jackfield_imap::client::Client;
    /// # use jackfield_imap::codec::{Query, Threading};
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// for conversation in client.threads(Threading::References, Query::new()).await? {
    ///     println!("{:?}", conversation.messages());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RequestError::Unsupported`], without THREAD by what was asked for;
    /// [`RequestError::TooLarge`], where one is nested deeper than
    /// [`Limits::max_depth`](crate::codec::Limits::max_depth); [`RequestError::Invalid`], as
    /// [`search_for`](Self::search_for).
    ///
    /// # Cancel safety
    /// As the [type](Self) says.
    pub async fn threads(&self, by: Threading, query: Query) -> Result<Vec<Thread>, RequestError> {
        let uids = true;
        let mut found = Vec::new();
        let query = self.fitting(query)?;
        let thread = Command::Thread { by, query, uids };
        let answer = self.request(thread).await?;
        whole(&answer)?;
        for part in answer.parts {
            match part {
                Response::Thread(threads) => found.extend(threads),
                Response::Unknown { .. } => return Err(RequestError::TooLarge),
                _ => {}
            }
        }
        Ok(found)
    }

    /// What can't become several commands, since what is told is of all messages together.
    fn fitting(&self, query: Query) -> Result<Query, InvalidValue> {
        let fits = query.fits(self.max_set);
        fits.then_some(query).ok_or(InvalidValue::TooLong)
    }

    /// What is told of what is found.
    async fn told(&self, command: Command) -> Result<Esearch, RequestError> {
        let mut told = Esearch::default();
        let answer = self.request(command).await?;
        whole(&answer)?;
        for part in answer.parts {
            match part {
                Response::Esearch(esearch) => told = esearch,
                Response::Unknown { .. } => return Err(RequestError::TooLarge),
                _ => {}
            }
        }
        Ok(told)
    }
}

/// What a server has not looked at because of its MESSAGELIMIT (RFC 9738) can't be asked for with a second
/// command, where what is told is of all messages.
fn whole(answer: &Answer) -> Result<(), RequestError> {
    match answer.rest(&Messages::Uids(SequenceSet::everything()))? {
        None => Ok(()),
        Some(_) => Err(RequestError::Incomplete),
    }
}

/// All that is found, one by one.
fn collect(answer: Answer, found: &mut Vec<u32>) -> Result<(), RequestError> {
    for part in answer.parts {
        match part {
            Response::Search { numbers, .. } | Response::Sort { numbers, .. } => {
                if (found.len() + numbers.len()) as u64 > MAX_FOUND {
                    return Err(RequestError::TooLarge);
                }
                found.extend(numbers);
            }
            Response::Esearch(esearch) => {
                // A few bytes can stand for billions.
                let is_too_many = |all: &SequenceSet| all.count() > MAX_FOUND;
                if esearch.all.as_ref().is_some_and(is_too_many) {
                    return Err(RequestError::TooLarge);
                }
                found.extend(esearch.numbers());
            }
            Response::Unknown { .. } => return Err(RequestError::TooLarge),
            _ => {}
        }
    }
    Ok(())
}

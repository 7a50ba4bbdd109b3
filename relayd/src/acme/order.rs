//! An order: from the account to a certificate (RFC 8555, section 7.4).

use std::error;
use std::time::Duration;

use instant_acme::{
    Account, AuthorizationStatus, ChallengeType, Error, Identifier, NewAccount, NewOrder, Order,
    OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use tracing::{info, warn};

use super::challenge::Challenges;
use super::folder::Folder;
use super::http::Client;
use super::{AcmeConfig, External};
use crate::tls::Current;

/// What an authority says that has forgotten an account.
const NO_ACCOUNT: &str = "urn:ietf:params:acme:error:accountDoesNotExist";
/// How the authority is asked whether it has looked, and has signed: each within two minutes.
const ASKING: RetryPolicy = RetryPolicy::new().timeout(Duration::from_mins(2));

/// Why there is no certificate, in the words of whoever knows.
pub(super) type Failed = Box<dyn error::Error + Send + Sync>;

/// Has a certificate issued, and keeps it.
///
/// # Errors
/// Where the authority can't be reached, or doesn't issue one; the text has its own words.
///
/// # Cancel safety
/// Dropping the future gives the order up, and shows no challenge any more.
pub(super) async fn issue(config: &AcmeConfig, challenges: &Challenges) -> Result<Current, Failed> {
    let folder = Folder::make(config)?;
    let names: Vec<_> = (config.domains.iter().cloned().map(Identifier::Dns)).collect();
    let account = account(config, &folder).await?;
    let order = match account.new_order(&NewOrder::new(&names)).await {
        Err(Error::Api(problem)) if problem.r#type.as_deref() == Some(NO_ACCOUNT) => {
            warn!(
                account = account.id(),
                "the authority has forgotten the account"
            );
            folder.forget_account()?;
            let account = self::account(config, &folder).await?;
            account.new_order(&NewOrder::new(&names)).await
        }
        order => order,
    };
    let mut order = order?;
    let shown = Shown(challenges);
    authorize(&mut order, &shown).await?;
    drop(shown);

    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(config.domains.clone())?;
    params.distinguished_name = DistinguishedName::new();
    let request = params.serialize_request(&key)?;
    order.finalize_csr(request.der()).await?;
    let chain = order.poll_certificate(&ASKING).await?;
    let key = key.serialize_pem();
    let issued = Current::issued(&chain, &key, &config.domains)?;
    // It is good without that, until the process ends.
    if let Err(error) = folder.keep_certificate(&chain, &key) {
        warn!(%error, "can't keep the new certificate");
    }
    Ok(issued)
}

/// The account that was kept, or a new one.
async fn account(config: &AcmeConfig, folder: &Folder) -> Result<Account, Failed> {
    let builder = Account::builder_with_http(Box::new(Client::new(config)));
    if let Some(kept) = folder.account()? {
        let credentials = serde_json::from_str(&kept)
            // The library's complaint might show the key.
            .map_err(|_| "account.json in tls.acme.folder is no account: remove it")?;
        let account = builder.from_credentials(credentials).await?;
        // A certificate is worth more than mail.
        if let Err(error) = tell_email(&account, config, folder).await {
            warn!(%error, "can't tell the authority the account's other address");
        }
        return Ok(account);
    }
    let mail = contact(config);
    let mail: Vec<_> = mail.iter().map(String::as_str).collect();
    let new = NewAccount {
        contact: &mail,
        terms_of_service_agreed: true,
        only_return_existing: false,
    };
    let directory = config.directory.clone();
    let external = config.external.as_ref().map(External::key);
    let made = builder.create(&new, directory, external.as_ref()).await?;
    let (account, credentials) = made;
    let kept = serde_json::to_string(&credentials)?;
    folder.keep_account(&kept)?;
    folder.keep_email(config.email.as_deref())?;
    info!(account = account.id(), "made an account");
    Ok(account)
}

/// Has the authority know the address of the configuration, and no other.
async fn tell_email(account: &Account, config: &AcmeConfig, folder: &Folder) -> Result<(), Failed> {
    if folder.email()? == config.email {
        return Ok(());
    }
    let mail = contact(config);
    let mail: Vec<_> = mail.iter().map(String::as_str).collect();
    account.update_contacts(&mail).await?;
    folder.keep_email(config.email.as_deref())?;
    info!(
        account = account.id(),
        "told the authority the account's other address"
    );
    Ok(())
}

/// Where the authority writes about the account (RFC 8555, section 7.3).
fn contact(config: &AcmeConfig) -> Option<String> {
    let email = config.email.as_ref()?;
    Some(format!("mailto:{email}"))
}

/// Has the authority look at each domain that it hasn't seen lately.
async fn authorize(order: &mut Order, shown: &Shown<'_>) -> Result<(), Failed> {
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        match authorization.status {
            AuthorizationStatus::Valid => continue,
            AuthorizationStatus::Pending => {}
            other => return Err(format!("an authorization is {other:?} already").into()),
        }
        let domain = authorization.identifier().to_string();
        let mut challenge = (authorization.challenge(ChallengeType::TlsAlpn01))
            .ok_or_else(|| format!("the authority offers no tls-alpn-01 for {domain}"))?;
        let digest = challenge.key_authorization().digest();
        shown.0.show(&domain, digest.as_ref())?;
        challenge.set_ready().await?;
    }
    match order.poll_ready(&ASKING).await {
        Ok(OrderStatus::Ready) => Ok(()),
        Ok(_) => Err(refusal(order).await.into()),
        Err(error) => Err(error.into()),
    }
}

/// Why the authority doesn't issue: what it says of the first domain at which something is wrong.
async fn refusal(order: &mut Order) -> String {
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        if authorization.refresh().await.is_err() {
            break;
        }
        let domain = authorization.identifier().to_string();
        let mut challenges = authorization.challenges.iter();
        if let Some(problem) = challenges.find_map(|challenge| challenge.error.as_ref()) {
            return format!("{domain}: {problem}");
        }
    }
    "the authority doesn't say why".into()
}

/// The challenges, as long as their order goes on.
struct Shown<'a>(&'a Challenges);

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        self.0.clear();
    }
}

//! sendmail 8.17: the server with DELIVERBY, and with a login by SCRAM-SHA-256.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use crate::certs::Certificate;
use crate::delivery;
use crate::process::{self, Process};
use crate::unpacked::{self, Folder};

/// The name that it was unpacked by.
pub const NAME: &str = "sendmail";
/// Its own users, and those that mail is for.
const USERS: [(&str, u32); 4] = [
    ("smmta", 2001),
    ("smmsp", 2002),
    ("grace", 2003),
    ("alan", 2004),
];
/// The realm of its logins: nobody has to name it.
const REALM: &str = "jackfield.test";
/// Delivers a message whole, or not at all.
const DELIVER: &str = "#!/bin/sh
set -e
cd \"${0%/*}\"
file=$(mktemp -p new)
cat >\"$file\"
mv \"$file\" \"mail/$1/\"
";
const START: Duration = Duration::from_secs(30);

/// A running sendmail. It lets in `ada` with the password `correct horse`, by PLAIN only over TLS; it knows
/// `grace@example.com` and `alan@example.com`, takes messages of up to a million bytes, and passes none on.
#[derive(Debug)]
pub struct Sendmail {
    process: Process,
    plain: SocketAddr,
    folder: Folder,
}

impl Sendmail {
    /// Starts a server that shows this certificate after STARTTLS.
    ///
    /// # Errors
    /// When it isn't unpacked or doesn't get ready; the text shows what it wrote, which is little: it writes
    /// to the system's log.
    pub async fn start(certificate: &Certificate) -> io::Result<Self> {
        process::with_retries(|| Self::start_once(certificate)).await
    }

    async fn start_once(certificate: &Certificate) -> io::Result<Self> {
        let folder = Folder::new(NAME)?;
        let (at, inside) = (folder.path(), folder.inside());
        let [plain] = process::free_addresses()?;
        unpacked::write_users(NAME, &USERS)?;
        folder.write_certificate(certificate)?;
        fs::write(at.join("deliver"), DELIVER)?;
        let mode =
            |name: &str, mode| fs::set_permissions(at.join(name), PermissionsExt::from_mode(mode));
        mode("deliver", 0o755)?;
        // Whoever delivers is no owner of anything.
        for (name, of) in [("queue", 0o700), ("new", 0o777), ("mail", 0o755)] {
            fs::create_dir(at.join(name))?;
            mode(name, of)?;
        }
        for name in ["mail/grace", "mail/alan"] {
            fs::create_dir(at.join(name))?;
            mode(name, 0o777)?;
        }
        write_logins(&folder)?;
        fs::write(at.join("conf.mc"), configuration(&folder, plain))?;
        let mut compile = unpacked::command(NAME, "/usr/bin/m4")?;
        compile.arg("-D_CF_DIR_=/usr/share/sendmail/cf/");
        compile.arg("/usr/share/sendmail/cf/m4/cf.m4");
        compile.arg(format!("{inside}/conf.mc"));
        fs::write(at.join("conf.cf"), process::output_of(compile)?)?;
        let mut command = unpacked::command(NAME, "/usr/libexec/sendmail/sendmail")?;
        command.args(["-bD", "-C", &format!("{inside}/conf.cf")]);
        let process = Process::start(command)?;
        process.wait_for_port(plain, START).await?;
        Ok(Self {
            process,
            plain,
            folder,
        })
    }

    /// Where it listens, and offers STARTTLS.
    pub fn plain(&self) -> SocketAddr {
        self.plain
    }

    /// As [`Postfix::messages`](crate::postfix::Postfix::messages), for grace.
    ///
    /// # Errors
    /// When they don't arrive; the text shows what it wrote.
    pub async fn messages(&self, count: usize) -> io::Result<Vec<Vec<u8>>> {
        let folder = self.folder.path().join("mail/grace");
        delivery::arrived(&folder, count, || self.process.output()).await
    }
}

/// Writes who may log in. Where its SASL looks for that can't be said elsewhere, and is the same for all that
/// run.
fn write_logins(folder: &Folder) -> io::Result<()> {
    let root = unpacked::root(NAME)?;
    let logins = root.join("etc/logins");
    if logins.is_file() {
        return Ok(());
    }
    let mut command = unpacked::command(NAME, "/bin/sh")?;
    let file = format!("{}/logins", folder.inside());
    command.args([
        "-c",
        r#"printf 'correct horse' | saslpasswd2 -p -c -f "$0" -u "$1" ada"#,
    ]);
    command.args([&file, REALM]);
    process::output_of(command)?;
    fs::create_dir_all(root.join("etc/sasl2"))?;
    fs::write(
        root.join("etc/sasl2/Sendmail.conf"),
        "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nsasldb_path: /etc/logins\n\
         mech_list: PLAIN SCRAM-SHA-256\n",
    )?;
    fs::rename(folder.path().join("logins"), logins)
}

/// What its configuration is compiled from.
fn configuration(folder: &Folder, plain: SocketAddr) -> String {
    let inside = folder.inside();
    format!(
        "OSTYPE(`linux')
define(`confDOMAIN_NAME', `mail.jackfield.test')
define(`confDELIVERY_MODE', `i')
define(`confDELIVER_BY_MIN', `1')
define(`confMAX_MESSAGE_SIZE', `1000000')
define(`confTO_IDENT', `0')
define(`confQUEUE_LA', `1000')
define(`confREFUSE_LA', `1000')
define(`confDELAY_LA', `1000')
define(`QUEUE_DIR', `{inside}/queue')
define(`STATUS_FILE', `{inside}/statistics')
define(`confPID_FILE', `{inside}/pid')
define(`ALIAS_FILE', `')
define(`confCACERT', `{inside}/cert.pem')
define(`confCACERT_PATH', `{inside}')
define(`confSERVER_CERT', `{inside}/cert.pem')
define(`confSERVER_KEY', `{inside}/key.pem')
define(`confTLS_SRV_OPTIONS', `V')
define(`confDONT_BLAME_SENDMAIL', `TrustStickyBit')
define(`confAUTH_MECHANISMS', `SCRAM-SHA-256 PLAIN')
define(`confAUTH_OPTIONS', `A p')
define(`confAUTH_REALM', `{REALM}')
define(`_DEF_LOCAL_MAILER_FLAGS', `')
define(`LOCAL_MAILER_FLAGS', `lsnw')
define(`LOCAL_MAILER_PATH', `{inside}/deliver')
define(`LOCAL_MAILER_ARGS', `deliver $u')
FEATURE(`no_default_msa')
FEATURE(`accept_unresolvable_domains')
FEATURE(`accept_unqualified_senders')
FEATURE(`nocanonify')
LOCAL_DOMAIN(`example.com')
DAEMON_OPTIONS(`Name=MTA, Family=inet, Addr={ip}, Port={port}')
MAILER(`local')
MAILER(`smtp')
",
        ip = plain.ip(),
        port = plain.port(),
    )
}

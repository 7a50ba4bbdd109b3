//! Exim, of two Debian suites: everything that SMTP has but REQUIRETLS, with a login after STARTTLS; the newer
//! one says how much it takes (LIMITS).

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use crate::certs::Certificate;
use crate::delivery;
use crate::process::{self, Process};
use crate::unpacked::{self, Folder};

/// Its user.
const USER: u32 = 2001;
const START: Duration = Duration::from_secs(30);

/// Which Exim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// 4.96.
    Stable,
    /// 4.100 or later.
    Sid,
}

impl Release {
    /// The name that it was unpacked by.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stable => "exim",
            Self::Sid => "exim-sid",
        }
    }
}

/// A running Exim. It lets in `ada` with the password `correct horse`, but only over TLS; it knows
/// `grace@example.com` and `alan@example.com`, takes messages of up to a million bytes, and passes none on.
#[derive(Debug)]
pub struct Exim {
    _process: Process,
    plain: SocketAddr,
    folder: Folder,
}

impl Exim {
    /// Starts a server that shows this certificate after STARTTLS.
    ///
    /// # Errors
    /// When it isn't unpacked or doesn't get ready; the text shows what it wrote.
    pub async fn start(release: Release, certificate: &Certificate) -> io::Result<Self> {
        process::with_retries(|| Self::start_once(release, certificate)).await
    }

    async fn start_once(release: Release, certificate: &Certificate) -> io::Result<Self> {
        let name = release.name();
        let folder = Folder::new(name)?;
        let (at, inside) = (folder.path(), folder.inside());
        let [plain] = process::free_addresses()?;
        unpacked::write_users(name, &[("Debian-exim", USER)])?;
        folder.write_certificate(certificate)?;
        for name in ["spool", "log", "mail"] {
            fs::create_dir(at.join(name))?;
        }
        let newer = match release {
            Release::Stable => "",
            Release::Sid => "limits_advertise_hosts = *\n",
        };
        fs::write(
            at.join("conf"),
            format!(
                r"primary_hostname = mail.jackfield.test
spool_directory = {inside}/spool
log_file_path = {inside}/log/%s
pid_file_path = {inside}/pid
keep_environment =
local_interfaces = {ip}
host_lookup =
acl_smtp_rcpt = rcpt
acl_smtp_vrfy = accept
deliver_drop_privilege
smtp_accept_queue_per_connection = 0
chunking_advertise_hosts = *
smtputf8_advertise_hosts = *
dsn_advertise_hosts = *
pipelining_connect_advertise_hosts = *
prdr_enable
message_size_limit = 1000000
tls_advertise_hosts = *
tls_certificate = {inside}/cert.pem
tls_privatekey = {inside}/key.pem
{newer}begin acl
rcpt:
  accept domains = example.com
         local_parts = grace : alan
  deny message = Nobody of this name
begin routers
kept:
  driver = accept
  local_parts = grace
  transport = box
others:
  driver = redirect
  data = :blackhole:
begin transports
box:
  driver = appendfile
  directory = {inside}/mail
  maildir_format
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_advertise_condition = ${{if def:tls_in_cipher}}
  server_condition = ${{if and{{{{eq{{$auth2}}{{ada}}}}{{eq{{$auth3}}{{correct horse}}}}}}}}
  server_set_id = $auth2
",
                ip = plain.ip(),
            ),
        )?;
        unpacked::give_to(at, USER)?;
        let mut command = unpacked::command_as(name, USER, "/usr/sbin/exim4")?;
        command.args(["-C", &format!("{inside}/conf"), "-bdf", "-oX"]);
        command.arg(format!("{}.{}", plain.ip(), plain.port()));
        let process = Process::start(command)?;
        process.wait_for_port(plain, START).await?;
        Ok(Self {
            _process: process,
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
        let folder = self.folder.path().join("mail/new");
        let log = self.folder.path().join("log");
        delivery::arrived(&folder, count, || read_all(&log)).await
    }
}

fn read_all(folder: &Path) -> String {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    let texts = files.filter_map(|file| fs::read_to_string(file.path()).ok());
    texts.collect()
}

//! nginx as a proxy, with whatever configuration.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use crate::certs::Certificate;
use crate::process::Process;
use crate::unpacked::{self, Folder};

/// The name that it was unpacked by.
pub const NAME: &str = "nginx";
/// Where a configuration names its certificate, and that one's key.
pub const CERTIFICATE: [&str; 2] = ["/etc/nginx/relay.pem", "/etc/nginx/relay.key"];
const START: Duration = Duration::from_secs(30);

/// A running nginx.
#[derive(Debug)]
pub struct Nginx {
    _process: Process,
    _folder: Folder,
}

impl Nginx {
    /// Starts one with what stands in a file of `conf.d`, whose [`CERTIFICATE`] is this one, and waits until it
    /// listens at this address.
    ///
    /// # Errors
    /// When it isn't unpacked or doesn't get ready; the text shows what it wrote.
    pub async fn start(
        config: &str,
        certificate: &Certificate,
        listens: SocketAddr,
    ) -> io::Result<Self> {
        let folder = Folder::new(NAME)?;
        let inside = folder.inside();
        folder.write_certificate(certificate)?;
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {inside}/{kind};\n"))
            .concat();
        let [pem, key] = CERTIFICATE;
        let config = config
            .replace(pem, &format!("{inside}/cert.pem"))
            .replace(key, &format!("{inside}/key.pem"));
        let config = format!(
            "daemon off; pid {inside}/pid; error_log stderr;\nevents {{ }}\n\
             http {{ access_log off;\n{temporary}\n{config}\n}}\n"
        );
        fs::write(folder.path().join("conf"), config)?;
        folder.give_away()?;
        let mut command = unpacked::command_as_nobody(NAME, "/usr/sbin/nginx")?;
        command.arg("-c").arg(format!("{inside}/conf"));
        command.args(["-e", "stderr"]);
        let process = Process::start(command)?;
        process.wait_for_port(listens, START).await?;
        Ok(Self {
            _process: process,
            _folder: folder,
        })
    }
}

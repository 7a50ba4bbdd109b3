//! nginx, with files over HTTPS.

use std::fs;
use std::time::Duration;

use anyhow::Result;
use jackfield_testing::certs::Certificate;
use jackfield_testing::process::{Process, free_addresses};
use jackfield_testing::unpacked::{self, Folder};

/// The name that it was unpacked by.
const NAME: &str = "nginx";
const START: Duration = Duration::from_secs(20);

/// A running server.
pub(super) struct Nginx {
    _process: Process,
    /// The port at which it takes any cipher suite.
    pub(super) any: u16,
    /// The port at which it takes AES-GCM alone.
    pub(super) aes: u16,
    _folder: Folder,
}

impl Nginx {
    /// Starts it with this certificate, and a file of each of these sizes that is named after it.
    pub(super) async fn start(certificate: &Certificate, sizes: &[usize]) -> Result<Self> {
        let folder = Folder::new(NAME)?;
        let inside = folder.inside();
        certificate.write_to(folder.path(), "server")?;
        for size in sizes {
            fs::write(folder.path().join(size.to_string()), vec![7; *size])?;
        }
        let [any, aes] = free_addresses()?;
        let server = |port: u16, more: &str| {
            format!(
                "server {{ listen 127.0.0.1:{port} ssl http2; listen [::1]:{port} ssl http2; root {inside};\n\
                 ssl_certificate {inside}/server.pem; ssl_certificate_key {inside}/server.key; {more} }}\n"
            )
        };
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {inside}/{kind};\n"))
            .concat();
        let config = format!(
            "daemon off; pid {inside}/pid; error_log {inside}/errors;\n\
             events {{ }}\n\
             http {{ access_log off; sendfile on; keepalive_requests 100000; {temporary} {} {} }}\n",
            server(any.port(), "ssl_protocols TLSv1.2 TLSv1.3;"),
            server(
                aes.port(),
                "ssl_protocols TLSv1.3; \
                 ssl_conf_command Ciphersuites TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256;"
            ),
        );
        fs::write(folder.path().join("conf"), config)?;
        folder.give_away()?;
        let mut command = unpacked::command_as_nobody(NAME, "/usr/sbin/nginx")?;
        command.arg("-c").arg(format!("{inside}/conf"));
        command.arg("-e").arg(format!("{inside}/errors"));
        let process = Process::start(command)?;
        process.wait_for_port(any, START).await?;
        process.wait_for_port(aes, START).await?;
        Ok(Self {
            _process: process,
            any: any.port(),
            aes: aes.port(),
            _folder: folder,
        })
    }
}

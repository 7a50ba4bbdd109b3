//! The embedded mail server with clients that others wrote: Python's imaplib and smtplib.

use std::net::SocketAddr;
use std::time::Duration;

use jackfield_mail_server::{Config, Store, serve_imap, serve_submission};
use jackfield_native::{Native, NativeListener};
use jackfield_socket::{ListenOptions, TcpListen as _, TcpListener as _};
use jackfield_testing::runtimes::python;

const SOURCE: &str = include_str!("../python/mail_clients.py");

async fn listen() -> (SocketAddr, NativeListener) {
    let at = SocketAddr::from(([127, 0, 0, 1], 0));
    let listener = Native.listen(at, &ListenOptions::default()).await;
    let listener = listener.expect("a free port");
    (listener.local_addr().expect("its address"), listener)
}

#[tokio::test]
async fn pythons_own_clients_find_what_they_look_for() {
    let store = Store::new(Config::default());
    for (user, password) in [("ada", "lovelace"), ("grace", "hopper")] {
        store.add_user(user, password).expect("a user");
    }
    let (imap, listener) = listen().await;
    tokio::spawn(serve_imap(listener, store.clone()));
    let (submission, listener) = listen().await;
    tokio::spawn(serve_submission(listener, store));

    let mut command = tokio::process::Command::from(python(SOURCE).expect("Python"));
    command.args([imap, submission].map(|it| it.port().to_string()));
    let output = command.kill_on_drop(true).output();
    let output = tokio::time::timeout(Duration::from_mins(1), output).await;
    let output = output.expect("it takes not so long").expect("it starts");
    let (said, errors) = (output.stdout, output.stderr);
    assert_eq!(
        String::from_utf8_lossy(&said),
        "done\n",
        "{}",
        String::from_utf8_lossy(&errors)
    );
}

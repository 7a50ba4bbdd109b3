//! A network of its own, for what loopback can't do or must not: multicast on both families, and
//! servers that listen everywhere.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::process::Command;

/// The address of the interface inside.
pub const V4: Ipv4Addr = Ipv4Addr::new(10, 71, 0, 1);
/// The same, of IPv6.
pub const V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x71, 0, 0, 0, 0, 0, 1);

/// The interface that has them.
pub const INTERFACE: &str = "v0";

const INSIDE: &str = "JACKFIELD_TEST_NAMESPACE";

/// Whether this test is inside. Outside, it is run once more, inside: in a Linux network namespace
/// with loopback and a pair of virtual interfaces, which nothing leaves.
///
/// ```no_run
/// # use jackfield_testing::namespace;
/// #[test]
/// fn a_group_is_heard() {
///     if !namespace::enter("a_group_is_heard") {
///         return;
///     }
///     // … join and send at namespace::V4 …
/// }
/// ```
///
/// Where the system allows no such thing, the test is passed over, unless `CI` is set.
///
/// # Panics
/// When the test inside fails.
pub fn enter(test: &str) -> bool {
    if is_inside() {
        return true;
    }
    let unshare = |arguments: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--net"]).args(arguments);
        command
    };
    // An interface's own address is looked for among others' for a second or two (DAD), and what
    // comes of it is a change of the network, at which Chromium drops what it loads.
    let set_up = format!(
        "echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad; \
         ip link set lo up && ip link add {INTERFACE} type veth peer name v1 \
         && ip link set v1 up && ip link set {INTERFACE} up \
         && ip addr add {V4}/24 dev {INTERFACE} && ip -6 addr add {V6}/64 dev {INTERFACE} nodad \
         && ip route add 224.0.0.0/4 dev {INTERFACE}"
    );
    let tried = unshare(&["sh", "-c", &set_up]).output();
    if !tried.is_ok_and(|output| output.status.success()) {
        assert!(
            std::env::var_os("CI").is_none(),
            "network namespaces and virtual interfaces are needed here"
        );
        eprintln!("SKIPPED: this system allows no network namespace with interfaces");
        return false;
    }
    let program = std::env::current_exe().expect("this test's path");
    let output = unshare(&["sh", "-c", &format!("{set_up} && exec \"$0\" \"$@\"")])
        .arg(program)
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .expect("unshare runs");
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    false
}

/// Whether this process is inside, where the test that is run once more shall not do again what it has done
/// outside.
pub fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

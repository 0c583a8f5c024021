//! Voice over a real network of the system's own, on which UDP is blocked and passes again. Needs root and `ip` (iproute2):
//! `scripts/test` runs it where network namespaces can be made.
#![cfg(target_os = "linux")]

mod common;

use std::{
    fs::File,
    os::fd::AsFd,
    process::{self, Command},
    thread,
    time::Duration,
};

use common::{BACK_WITHIN, CHANNEL, Talker, assert_over_and_back, path, save_tone};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use voxhall_testkit::process::ServerProcess;

/// Of the two ends of the cable, in a network that documentation has for itself (RFC 5737).
const SERVER: &str = "192.0.2.1";
const CLIENT: &str = "192.0.2.2";
const BEFORE: Duration = Duration::from_secs(6);
const BLOCKED: Duration = Duration::from_secs(10);
/// Who has not come back to UDP in time has left before.
const STAY_S: u32 = (BEFORE.as_secs() + BLOCKED.as_secs() + BACK_WITHIN.as_secs()) as u32;

fn ip(args: &str) {
    let done = Command::new("ip").args(args.split_whitespace()).output();
    let done = done.expect("ip runs");
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "ip {args}: {said}");
}

/// A machine of its own, as far as networks go.
struct Machine(String);

impl Machine {
    fn new(role: &str) -> Self {
        let machine = Self(format!("voxhall-{role}-{}", process::id()));
        ip(&format!("netns add {}", machine.0));
        machine.ip("link set lo up");
        // Else who has an open connection is given its packets before any rule is asked.
        let udp = machine.run(|| std::fs::write("/proc/sys/net/ipv4/udp_early_demux", "0"));
        udp.expect("root may set this");
        // What is sent here is looked at before it is taken: a rule about it has to come before that of local addresses.
        machine.ip("rule add pref 100 lookup local");
        machine.ip("rule del pref 0");
        machine
    }

    fn ip(&self, args: &str) {
        ip(&format!("-n {} {args}", self.0));
    }

    /// Does something there; processes that it starts stay there.
    fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let there = scope.spawn(|| {
                let network = File::open(format!("/run/netns/{}", self.0)).unwrap();
                let network_of = Some(LinkNameSpaceType::Network);
                move_into_link_name_space(network.as_fd(), network_of).unwrap();
                work()
            });
            there.join().unwrap()
        })
    }

    /// What comes over the cable as UDP is dropped without a word.
    fn block_udp(&self, blocked: bool) {
        let change = if blocked { "add" } else { "del" };
        self.ip(&format!(
            "rule {change} pref 10 iif cable ipproto udp blackhole"
        ));
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.0]).status();
    }
}

fn connect(one: &Machine, other: &Machine) {
    one.ip(&format!(
        "link add cable type veth peer name cable netns {}",
        other.0
    ));
    for (machine, address) in [(one, SERVER), (other, CLIENT)] {
        machine.ip(&format!("addr add {address}/24 dev cable"));
        machine.ip("link set cable up");
    }
}

#[test]
#[ignore = "needs root"]
fn where_a_firewall_drops_udp_voice_goes_over_the_web_socket_and_comes_back() {
    let (home, away) = (Machine::new("server"), Machine::new("client"));
    connect(&home, &away);
    let server = home.run(|| ServerProcess::start().unwrap());
    let files = tempfile::tempdir().unwrap();
    let tone = files.path().join("tone.wav");
    save_tone(&tone);
    let args = ["--play", path(&tone), "--repeat", "--open"];
    let link = server.invite().replace("127.0.0.1", SERVER);
    let near = home.run(|| Talker::join(server.invite(), "near", CHANNEL, STAY_S, &args));
    let far = away.run(|| Talker::join(&link, "far", CHANNEL, STAY_S, &args));

    thread::sleep(BEFORE);
    for machine in [&home, &away] {
        machine.block_udp(true);
    }
    thread::sleep(BLOCKED);
    for machine in [&home, &away] {
        machine.block_udp(false);
    }
    let [near, far] = Talker::finish_together([near, far]);
    assert_over_and_back(&near, &far);
}

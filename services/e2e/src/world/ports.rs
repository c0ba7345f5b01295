//! Addresses for the servers under test.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    ops::Range,
    sync::{Mutex, PoisonError},
};

/// Below every usual `ip_local_port_range` (Linux: 32,768 to 60,999), and below the ports of the browser tests.
const PORTS: Range<u16> = 10_000..20_000;

/// An address nobody listens on, and that is this process's alone among the tests that run now, for as long as the process lives.
///
/// A port that the kernel chooses may be chosen again as soon as it is not bound: before the service that it is for is up, or while
/// that one is killed and started anew. So these are of a range that the kernel does not choose from, and each is held by a UDP socket
/// of its number, which TCP takes no notice of and which goes with the process however that ends.
///
/// # Errors
/// When there is none.
pub fn free_address() -> io::Result<String> {
    static HELD: Mutex<Vec<UdpSocket>> = Mutex::new(Vec::new());
    // Tests that run at once are processes of their own, and begin to look at different places.
    let first = std::process::id();
    let ports = PORTS
        .clone()
        .cycle()
        .skip(first as usize % PORTS.len())
        .take(PORTS.len());
    for port in ports {
        let address = (Ipv4Addr::LOCALHOST, port);
        let Ok(held) = UdpSocket::bind(address) else { continue };
        if TcpListener::bind(address).is_ok() {
            HELD.lock().unwrap_or_else(PoisonError::into_inner).push(held);
            return Ok(SocketAddr::from(address).to_string());
        }
    }
    Err(io::Error::other(format!("every port of {PORTS:?} is taken")))
}

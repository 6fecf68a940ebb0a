use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::time::Duration;

use super::*;
use crate::server::{ServerSocket, bind};

const COUNT: u16 = 3;

fn sockets() -> Vec<ServerSocket> {
    let sockets = bind("127.0.0.1:0".parse().unwrap(), COUNT.into()).unwrap();
    for socket in &sockets {
        socket.socket.set_nonblocking(false).unwrap();
        socket.socket.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    }
    sockets
}

/// Which of `sockets` gets a packet that a new peer sends.
fn receiver(sockets: &[ServerSocket], packet: &[u8]) -> usize {
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    peer.send_to(packet, sockets[0].local_addr().unwrap()).unwrap();
    let mut buffer = [0; 100];
    let got = |socket: &ServerSocket| socket.socket.recv(&mut buffer).is_ok_and(|len| buffer[..len] == *packet);
    sockets.iter().map(got).collect::<Vec<_>>().iter().position(|got| *got).expect("somebody gets it")
}

fn short(id: &[u8]) -> Vec<u8> {
    [&[0x41], id, &[0; 20]].concat()
}

fn long(id: &[u8]) -> Vec<u8> {
    [&[0xc1, 0, 0, 0, 1, id.len() as u8], id, &[0; 30]].concat()
}

#[test]
fn packets_of_a_connection_reach_the_socket_that_named_it_from_wherever() {
    let sockets = sockets();
    for index in 0..COUNT {
        let mut ids = SteeredIds::new(7, index, COUNT);
        for _ in 0..3 {
            let id = ids.generate_cid();
            assert!(ids.validate(&id).is_ok() && id.len() == CID_LEN as usize);
            assert_eq!(receiver(&sockets, &short(&id)), usize::from(index));
            assert_eq!(receiver(&sockets, &long(&id)), usize::from(index));
        }
    }
}

#[test]
fn first_packets_go_to_the_socket_of_the_cpu_they_come_in_on() {
    let sockets = sockets();
    let cpus = crate::cpus::allowed_cpus();
    for cpu in cpus {
        let first = std::thread::scope(|scope| {
            let sender = scope.spawn(|| {
                crate::cpus::pin(cpu);
                receiver(&sockets, &long(&[9; 20]))
            });
            sender.join().unwrap()
        });
        assert_eq!(first, cpu % usize::from(COUNT));
    }
}

#[test]
fn packets_too_short_to_be_any_harm_nobody() {
    let sockets = sockets();
    for packet in [&[0x41][..], &[0xc1], &[0xc1, 0, 0, 0, 1, 8], &[0xc1, 0, 0, 0, 1, 8, 1]] {
        receiver(&sockets, packet);
    }
}

#[test]
fn socket_that_shares_no_port_cannot_be_steered() {
    let alone = UdpSocket::bind("127.0.0.1:0").unwrap();
    assert!(steer(alone.as_fd(), COUNT).is_err());
}

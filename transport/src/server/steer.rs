//! Which of the sockets that share a port gets a packet.
//!
//! A connection must stay with the thread that began it. The ids that our connections are addressed by say which thread
//! that is, so the kernel finds it whatever address the peer has by now. A connection's first packet carries an id of the
//! peer's own making: it goes to the thread that is pinned to the CPU the packet came in on, which for a mount on the same
//! host is the CPU of the thread that sent it. A request is then worked on where its answer is waited for.
//!
//! The kernel may hand over packets of one sender as one. They are steered by the first of them, so a peer that has
//! several connections must give each its own socket.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use quinn_proto::{ConnectionId, ConnectionIdGenerator, HashedConnectionIdGenerator, InvalidCid};

/// Length of our connection ids. Peers that follow RFC 9000 begin with ids of other lengths, or with random ones of this.
const CID_LEN: u32 = 8;

/// Makes connection ids that lead to one of `count` sockets, and can be recognised as ours.
pub(super) struct SteeredIds {
    ids: HashedConnectionIdGenerator,
    index: u16,
    count: u16,
}

impl SteeredIds {
    pub(super) fn new(key: u64, index: u16, count: u16) -> Self {
        Self { ids: HashedConnectionIdGenerator::from_key(key), index, count }
    }
}

impl ConnectionIdGenerator for SteeredIds {
    /// Takes `count` attempts on average, each a hash of eight bytes.
    fn generate_cid(&mut self) -> ConnectionId {
        loop {
            let id = self.ids.generate_cid();
            if leads_to(&id, self.count) == self.index {
                return id;
            }
        }
    }

    fn validate(&self, id: &ConnectionId) -> Result<(), InvalidCid> {
        self.ids.validate(id)
    }

    fn cid_len(&self) -> usize {
        self.ids.cid_len()
    }

    fn cid_lifetime(&self) -> Option<std::time::Duration> {
        self.ids.cid_lifetime()
    }
}

/// The socket that an id leads to, as [`program`] finds it.
fn leads_to(id: &[u8], count: u16) -> u16 {
    u16::from_be_bytes(*id.first_chunk().expect("our ids are longer")) % count
}

/// Has the kernel steer packets among the `count` sockets that are bound to the port of `socket`, in the order in which
/// they were bound.
pub(super) fn steer(socket: BorrowedFd<'_>, count: u16) -> io::Result<()> {
    let mut filter = program(count);
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: SO_ATTACH_REUSEPORT_CBPF reads one `sock_fprog` and the instructions it points to, which live until the
    // call returns; the length is that of the structure.
    let outcome = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_REUSEPORT_CBPF,
            (&raw const program).cast(),
            size_of_val(&program) as libc::socklen_t,
        )
    };
    if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The program, in the kernel's classic BPF. What is too short for it goes to the first socket, which drops it.
fn program(count: u16) -> [libc::sock_filter; 13] {
    use libc::{BPF_ABS, BPF_ALU, BPF_B, BPF_H, BPF_JEQ, BPF_JMP, BPF_JSET, BPF_K, BPF_LD, BPF_MOD, BPF_RET, BPF_W};
    const BPF_RET_A: u32 = BPF_RET | 0x10;
    /// Bit of the first byte that says that the header is a long one (RFC 9000, 17.2).
    const LONG: u32 = 0x80;
    /// Places in the packet: in a short header the id follows the first byte, in a long one the version and its length.
    const SHORT_ID: u32 = 1;
    const LONG_ID_LEN: u32 = 5;
    const LONG_ID: u32 = 6;
    const CPU: u32 = (libc::SKF_AD_OFF + libc::SKF_AD_CPU) as u32;
    let count = u32::from(count);
    let step = |code: u32, k: u32| libc::sock_filter { code: code as u16, jt: 0, jf: 0, k };
    let jump =
        |code: u32, k: u32, jt: u8, jf: u8| libc::sock_filter { code: (BPF_JMP | code | BPF_K) as u16, jt, jf, k };
    [
        step(BPF_LD | BPF_B | BPF_ABS, 0),
        jump(BPF_JSET, LONG, 3, 0),
        step(BPF_LD | BPF_H | BPF_ABS, SHORT_ID),
        step(BPF_ALU | BPF_MOD | BPF_K, count),
        step(BPF_RET_A, 0),
        step(BPF_LD | BPF_B | BPF_ABS, LONG_ID_LEN),
        jump(BPF_JEQ, CID_LEN, 0, 3),
        step(BPF_LD | BPF_H | BPF_ABS, LONG_ID),
        step(BPF_ALU | BPF_MOD | BPF_K, count),
        step(BPF_RET_A, 0),
        step(BPF_LD | BPF_W | BPF_ABS, CPU),
        step(BPF_ALU | BPF_MOD | BPF_K, count),
        step(BPF_RET_A, 0),
    ]
}

#[cfg(test)]
mod tests;

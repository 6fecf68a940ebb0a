//! What both ends ask of the kernel for their UDP sockets.

use std::io;
use std::os::fd::AsFd;

use rustix::net::sockopt;

/// Receive buffer of each socket, in bytes: a thousand mounts that greet at once while the thread works, or the answers
/// to all calls that a mount's thread may have under way. The kernel takes memory for what lies in it, up to twice this.
const RECEIVE_BUFFER: usize = 4 << 20;

/// Gives the socket its receive buffer: past the system's bound where this process may, else as far as that goes. What
/// does not fit is lost, and a lost greeting costs its mount a third of a second.
pub(crate) fn enlarge_buffer(socket: impl AsFd) -> io::Result<()> {
    if sockopt::set_socket_recv_buffer_size_force(&socket, RECEIVE_BUFFER).is_ok() {
        return Ok(());
    }
    sockopt::set_socket_recv_buffer_size(&socket, RECEIVE_BUFFER)?;
    // The kernel tells twice what it grants: its own bookkeeping lies in there too.
    let granted = sockopt::socket_recv_buffer_size(&socket)? / 2;
    if granted < RECEIVE_BUFFER {
        tracing::debug!(granted, wished = RECEIVE_BUFFER, "small receive buffer: sysctl net.core.rmem_max bounds it");
    }
    Ok(())
}

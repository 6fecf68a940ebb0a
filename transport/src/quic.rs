//! QUIC settings of both ends.

use std::time::Duration;

use proto::limits::{HELLO_MAX, MESSAGE_MAX};
use quinn::{Connection, IdleTimeout, MtuDiscoveryConfig, TransportConfig, VarInt};

/// Calls that a trusted peer may have open at once on a connection.
const CALLS_IN_FLIGHT_MAX: u32 = 128;
/// Requests and answers of up to so many bytes are short: the server reads and gives them whenever they come, and long ones in
/// their turn. A file's content that is kept with its attributes is short.
pub(crate) const SHORT_MAX: usize = 16 << 10;
/// Long calls that a peer makes at once on a connection, and that the server has turns for.
pub(crate) const LONG_CALLS_MAX: usize = 8;
/// Request bytes that a trusted peer may have sent on one stream and the server not read.
const UNREAD_OF_CALL_MAX: u32 = 64 << 10;
/// As above, on all streams of a connection. Where a peer begins more long calls at once than [`LONG_CALLS_MAX`], those that wait
/// may take the room of those that are read, until their time is over.
const UNREAD_MAX: u32 = 2 * LONG_CALLS_MAX as u32 * UNREAD_OF_CALL_MAX;
/// Bytes of answers that a peer did not acknowledge.
const UNACKNOWLEDGED_MAX: u64 = 1 << 20;
/// Bytes of answers that a peer may have received and not read.
const ANSWERS_MAX: u32 = 8 * MESSAGE_MAX as u32;
/// Events (server to client) at once that the client has not taken in.
const EVENTS_IN_FLIGHT_MAX: u32 = 16;
/// Handshake bytes kept while those before them are missing.
const HANDSHAKE_MAX: usize = 16 << 10;
/// With what the server ends a call that had no turn, or lost it: it may be made again.
pub(crate) const CROWDED: VarInt = VarInt::from_u32(2);
/// With what the side that makes calls closes a connection when there is nothing to come back for.
pub(crate) const FINISHED: VarInt = VarInt::from_u32(1);
/// A connection that is silent for so long is gone.
const IDLE_MAX: Duration = Duration::from_secs(30);
/// A client sends a sign of life so often. Idle mounts cost a packet in ten seconds.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// Round trip that both ends assume before they measured one: a lost first packet is sent again after three times this. The
/// usual third of a second would make a mount wait for a whole one; on a longer path the packet is sent twice for nothing.
const ROUND_TRIP: Duration = Duration::from_millis(100);
/// Largest packet that path MTU discovery tries. With 9,000 and more, bulk transfers stalled on loopback: batches of
/// ten segments exceed the 64 KiB that one send takes.
const MTU_MAX: u16 = 6500;

/// Parameters of the side that makes calls.
pub(crate) fn calling() -> TransportConfig {
    let mut config = common();
    config
        .max_concurrent_bidi_streams(VarInt::from_u32(EVENTS_IN_FLIGHT_MAX))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .receive_window(VarInt::from_u32(ANSWERS_MAX))
        .keep_alive_interval(Some(KEEP_ALIVE));
    config
}

/// Parameters of the side that answers, towards a peer that may be anybody: one call, of a greeting's length.
/// [`trust`] lifts that.
pub(crate) fn answering() -> TransportConfig {
    let mut config = common();
    config
        .max_concurrent_bidi_streams(VarInt::from_u32(1))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .receive_window(VarInt::from_u32(HELLO_MAX as u32))
        .stream_receive_window(VarInt::from_u32(UNREAD_OF_CALL_MAX))
        .send_window(UNACKNOWLEDGED_MAX)
        .crypto_buffer_size(HANDSHAKE_MAX);
    config
}

/// Grants a peer that proved who it is what a peer may have at the most.
pub(crate) fn trust(connection: &Connection) {
    connection.set_receive_window(VarInt::from_u32(UNREAD_MAX));
    connection.set_max_concurrent_bi_streams(VarInt::from_u32(CALLS_IN_FLIGHT_MAX));
}

fn common() -> TransportConfig {
    let mut mtu = MtuDiscoveryConfig::default();
    mtu.upper_bound(MTU_MAX);
    let mut config = TransportConfig::default();
    config
        .mtu_discovery_config(Some(mtu))
        .initial_rtt(ROUND_TRIP)
        .stream_receive_window(VarInt::from_u32(MESSAGE_MAX as u32))
        .send_window(8 * MESSAGE_MAX as u64)
        .datagram_receive_buffer_size(None)
        .max_idle_timeout(Some(IdleTimeout::try_from(IDLE_MAX).expect("30 s fit a QUIC timeout")));
    config
}

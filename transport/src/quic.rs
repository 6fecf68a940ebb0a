//! QUIC settings that both ends share.

use std::sync::Arc;
use std::time::Duration;

use proto::limits::MESSAGE_MAX;
use quinn::{IdleTimeout, MtuDiscoveryConfig, TransportConfig, VarInt};

/// Calls that a connection may have open at once. Worst case of memory: this many messages of [`MESSAGE_MAX`] bytes.
pub(crate) const CALLS_IN_FLIGHT_MAX: u32 = 256;
/// Events (server to client) unread at once.
const EVENTS_IN_FLIGHT_MAX: u32 = 16;
/// A connection that is silent for so long is gone.
const IDLE_MAX: Duration = Duration::from_secs(30);
/// A client sends a sign of life so often. Idle mounts cost a packet in ten seconds.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// Largest packet that path MTU discovery tries. With 9,000 and more, bulk transfers stalled on loopback: batches of
/// ten segments exceed the 64 KiB that one send takes.
const MTU_MAX: u16 = 6500;

/// Transport parameters of the side that makes calls (`keep_alive`) or answers them.
pub(crate) fn transport_config(keep_alive: bool) -> Arc<TransportConfig> {
    let mut mtu = MtuDiscoveryConfig::default();
    mtu.upper_bound(MTU_MAX);
    let mut config = TransportConfig::default();
    config
        .mtu_discovery_config(Some(mtu))
        .max_concurrent_bidi_streams(VarInt::from_u32(CALLS_IN_FLIGHT_MAX))
        .max_concurrent_uni_streams(VarInt::from_u32(EVENTS_IN_FLIGHT_MAX))
        .stream_receive_window(VarInt::from_u32(MESSAGE_MAX as u32))
        .receive_window(VarInt::from_u32(8 * MESSAGE_MAX as u32))
        .send_window(8 * MESSAGE_MAX as u64)
        .datagram_receive_buffer_size(None)
        .max_idle_timeout(Some(IdleTimeout::try_from(IDLE_MAX).expect("30 s fit a QUIC timeout")))
        .keep_alive_interval(keep_alive.then_some(KEEP_ALIVE));
    Arc::new(config)
}

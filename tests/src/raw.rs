//! A peer that uses QUIC as it likes: streams that never end, answers that are never read.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use proto::{ALPN, Greeting, Hello, codec};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, Endpoint, RecvStream, SendStream, TransportConfig};
use transport::tls::{Trust, client_config};

use crate::Cluster;

/// One connection, with no manners of its own.
pub struct RawPeer {
    connection: Connection,
    /// Holds the socket.
    _endpoint: Endpoint,
}

impl RawPeer {
    /// Connects with these settings.
    pub async fn connect(cluster: &Cluster, config: TransportConfig) -> Self {
        let server: SocketAddr = cluster.meta_addr().parse().expect("the cluster has a numeric address");
        let mut tls = client_config(&Trust::FirstUse(Arc::default()));
        tls.alpn_protocols = vec![ALPN.to_vec()];
        let crypto = QuicClientConfig::try_from(tls).expect("the transport speaks TLS 1.3");
        let mut client = ClientConfig::new(Arc::new(crypto));
        client.transport_config(Arc::new(config));
        let mut endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).expect("loopback has sockets");
        endpoint.set_default_client_config(client);
        let connecting = endpoint.connect(server, "localhost").expect("a name and an address");
        let connection = connecting.await.expect("the metadata server is there");
        Self { connection, _endpoint: endpoint }
    }

    /// Greets, and is let in.
    pub async fn greet(&self, hello: &Hello) -> Greeting {
        let (mut send, mut receive) = self.begin().await.expect("one stream is everybody's");
        send.write_all(&codec::encode(hello)).await.expect("the server reads greetings");
        send.finish().expect("the stream is open");
        let answer = receive.read_to_end(1 << 20).await.expect("a greeting is answered");
        codec::decode(&answer).expect("a greeting")
    }

    /// The next stream, when the server allows one more; `None` where the connection is gone.
    pub async fn begin(&self) -> Option<(SendStream, RecvStream)> {
        self.connection.open_bi().await.ok()
    }

    /// Whether the server gave the connection up.
    pub fn is_closed(&self) -> bool {
        self.connection.close_reason().is_some()
    }
}

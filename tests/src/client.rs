//! A client that speaks the wire protocol by hand: what a hostile mount could do.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use proto::{
    Caller, Greeting, Hello, InodeId, Name, OperationId, Refused, Reply, ReplyFrame, Request, RequestFrame, SessionId,
    SessionKey, Welcome, codec,
};
use transport::client::{Connection, Dialer};
use transport::tls::Trust;

use crate::Cluster;

/// One connection with its session, if the server gave one.
pub struct WireClient {
    connection: Connection,
    _dialer: Dialer,
    next_operation: u64,
    /// What the server said in welcome.
    pub welcome: Option<Welcome>,
}

impl WireClient {
    /// Connects without a word.
    pub async fn connect(cluster: &Cluster) -> Self {
        Self::connect_to(cluster.meta_addr()).await
    }

    async fn connect_to(addr: &str) -> Self {
        let addr = addr.parse().expect("the cluster has a numeric address");
        let dialer = Dialer::new(addr, &Trust::FirstUse(std::sync::Arc::default())).expect("loopback has sockets");
        let connection = dialer.connect(addr).await.expect("the metadata server is there");
        // Takes in what it is told, as a mount does, or the server takes it for dead.
        let listening = connection.clone();
        tokio::spawn(async move { while listening.next_event().await.is_ok() {} });
        Self { connection, _dialer: dialer, next_operation: 1, welcome: None }
    }

    /// Connects and greets with `token`.
    pub async fn greet(cluster: &Cluster, token: &str) -> (Self, Greeting) {
        Self::greet_again(cluster, token, None).await
    }

    /// Connects and greets with `token`, claiming a session.
    pub async fn greet_again(
        cluster: &Cluster,
        token: &str,
        resume: Option<(SessionId, SessionKey)>,
    ) -> (Self, Greeting) {
        crate::secrets::note(token);
        let mut client = Self::connect(cluster).await;
        let hello = Hello { resume, ..Self::hello(token) };
        let greeting = client.say(&hello).await.expect("a greeting is answered");
        (client, greeting)
    }

    /// A greeting as an honest mount says it, each in another place.
    pub fn hello(token: &str) -> Hello {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        Hello::new(token, "by hand", &format!("test {}", COUNT.fetch_add(1, Ordering::Relaxed)))
    }

    /// Greets in these words; `None` where the server does not answer with a greeting.
    pub async fn say(&mut self, hello: &Hello) -> Option<Greeting> {
        let reply = self.raw(&codec::encode(hello)).await?;
        let greeting: Greeting = codec::decode(&reply).ok()?;
        if let Greeting::Welcome(welcome) = &greeting {
            self.welcome = Some((**welcome).clone());
        }
        Some(greeting)
    }

    /// Opens a session that is expected to open.
    pub async fn open(cluster: &Cluster, token: &str) -> Self {
        let (client, greeting) = Self::greet(cluster, token).await;
        assert!(client.welcome.is_some(), "{greeting:?}");
        client
    }

    /// Opens a session of the server at `addr`, for a thread that has no cluster.
    pub async fn open_at(addr: &str, token: &str) -> Self {
        let mut client = Self::connect_to(addr).await;
        let greeting = client.say(&Self::hello(token)).await;
        assert!(client.welcome.is_some(), "{greeting:?}");
        client
    }

    /// Sends bytes, returns bytes.
    pub async fn raw(&self, request: &[u8]) -> Option<bytes::Bytes> {
        self.connection.call(request, Duration::from_secs(20)).await.ok()
    }

    /// Sends a request as root of the host.
    pub async fn ask(&mut self, request: Request) -> Result<Reply, Refused> {
        self.ask_as(Caller { groups: Some(Vec::new()), ..Caller::ROOT }, request).await
    }

    /// Sends a request as somebody.
    pub async fn ask_as(&mut self, caller: Caller, request: Request) -> Result<Reply, Refused> {
        let operation = request.is_mutation().then(|| {
            self.next_operation += 1;
            OperationId(self.next_operation - 1)
        });
        self.ask_frame(&RequestFrame { operation, caller, request }).await
    }

    /// Sends a frame as it is. A server that hung up has ended the session.
    pub async fn ask_frame(&self, frame: &RequestFrame) -> Result<Reply, Refused> {
        match self.raw(&codec::encode(frame)).await {
            Some(reply) => codec::decode::<ReplyFrame>(&reply).expect("a reply").result,
            None if self.connection.is_closed() => Err(Refused::SessionEnded),
            None => panic!("a request is not answered"),
        }
    }

    /// The id under a name.
    pub async fn lookup(&mut self, parent: InodeId, name: &str) -> Result<InodeId, Refused> {
        let name = Name::new(name.as_bytes()).expect("a name");
        match self.ask(Request::Lookup { parent, name }).await? {
            Reply::Entry(attr) => Ok(attr.ino),
            other => panic!("no entry: {other:?}"),
        }
    }
}

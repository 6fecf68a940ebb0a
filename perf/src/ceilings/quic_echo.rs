//! QUIC over loopback without a file system: calls that are answered with what they bring, on the transport of mounts and
//! metadata servers, with a thread pinned to each CPU on both sides.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::runtime::{Builder, Runtime};
use tokio::task::{LocalSet, spawn_local};
use transport::CallError;
use transport::client::{Connection, Dialer};
use transport::cpus::{allowed_cpus, pin};
use transport::server::{self, Call, Holder, Listener, ServerSocket};
use transport::tls::{Identity, Trust};

use crate::crew::Crew;
use crate::job::Job;
use crate::report::Kind;
use crate::subject::Subject;
use crate::tally::{Tally, Until};
use crate::unit::Unit;
use crate::work::{Field, Figure, Found, Work};
use crate::worker::Duty;

/// Bytes of a small request and of its answer.
const SMALL: usize = 100;
/// Bytes of a large answer.
const LARGE: usize = 1 << 20;
/// A call that takes longer has failed.
const DEADLINE: Duration = Duration::from_secs(10);
/// Connections that a server takes: handshakes follow each other faster than closed ones are forgotten.
const CONNECTIONS_MAX: usize = 100_000;

/// The phases, in order: id, words, unit.
const PHASES: [(&str, &str, Unit); 4] = [
    ("call", "QUIC call, 1 under way", Unit::Operations),
    ("calls", "QUIC call, 8 under way", Unit::Operations),
    ("bulk", "QUIC answers of 1 MiB, 4 under way", Unit::Bytes),
    ("handshake", "QUIC connection and first call, 8 under way", Unit::Operations),
];

/// See the module.
struct QuicEcho;

pub(super) fn all() -> Vec<Box<dyn Work>> {
    vec![Box::new(QuicEcho)]
}

impl Work for QuicEcho {
    fn figures(&self) -> Vec<Figure> {
        PHASES.iter().map(|(id, words, unit)| Figure::new(format!("quic.{id}"), *words, *unit)).collect()
    }

    fn runs_on(&self, subject: &Subject) -> bool {
        subject.record.kind == Kind::Machine
    }

    fn measure(&mut self, field: &Field<'_>) -> Result<Vec<Found>> {
        let job = Job::Echo(Echo { seconds: field.seconds });
        let mut crew = Crew::start(field.site, vec![(job, field.folder(0))])?;
        let found = PHASES.iter().map(|(_, _, unit)| field.phase(&mut crew, *unit)).collect::<Result<Vec<_>>>()?;
        crew.clean()?;
        Ok(found)
    }
}

/// Each phase in a worker that is server and client.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Echo {
    seconds: f64,
}

impl Echo {
    pub(crate) fn in_folder(self, folder: &Path) -> Echoing {
        Echoing { job: self, folder: folder.to_owned(), server: None }
    }
}

pub(crate) struct Echoing {
    job: Echo,
    folder: PathBuf,
    server: Option<(SocketAddr, Trust)>,
}

impl Duty for Echoing {
    /// Starts the server's threads; they end with the process.
    fn prepare(&mut self) -> Result<()> {
        let identity = Arc::new(Identity::load_or_create(&self.folder.join("cert"), &self.folder.join("key"))?);
        let cpus = allowed_cpus();
        let sockets = server::bind((Ipv4Addr::LOCALHOST, 0).into(), cpus.len())?;
        let addr = sockets[0].local_addr().context("the address that was bound")?;
        self.server = Some((addr, Trust::Pinned(identity.fingerprint())));
        for (socket, cpu) in sockets.into_iter().zip(cpus) {
            let identity = Arc::clone(&identity);
            let serve = move || {
                pin(cpu);
                // The clients tell that nobody answers.
                if let Err(error) = serve(socket, &identity) {
                    eprintln!("flexfs: echo server: {error:#}");
                }
            };
            std::thread::Builder::new().name("echo".to_owned()).spawn(serve).context("starting a thread")?;
        }
        Ok(())
    }

    fn phase(&mut self, number: usize, tally: &mut Tally) -> Result<()> {
        let (addr, trust) = self.server.clone().context("the server was started")?;
        let cpus = allowed_cpus();
        let clients = if number == 0 { 1 } else { cpus.len() };
        let at_once = match number {
            0 => 1,
            2 => 4_usize.div_ceil(clients),
            _ => 8_usize.div_ceil(clients),
        };
        let client = Client { addr, trust, seconds: self.job.seconds, connected: Barrier::new(clients) };
        std::thread::scope(|scope| {
            let threads: Vec<_> = cpus[..clients]
                .iter()
                .map(|cpu| {
                    let client = &client;
                    scope.spawn(move || {
                        pin(*cpu);
                        client.work(number, at_once)
                    })
                })
                .collect();
            for thread in threads {
                tally.join(&thread.join().map_err(|_| anyhow!("a thread panicked"))??);
            }
            Ok(())
        })
    }
}

fn runtime() -> Result<Runtime> {
    Builder::new_current_thread().enable_all().build().context("starting the runtime")
}

fn serve(socket: ServerSocket, identity: &Identity) -> Result<()> {
    LocalSet::new().block_on(&runtime()?, async {
        let listener = Listener::new(socket, identity, CONNECTIONS_MAX)?;
        while let Some(arrival) = listener.accept().await {
            spawn_local(async move {
                let Ok(mut peer) = arrival.establish().await else { return };
                peer.admit(Holder { account: 0, token: 0 });
                while let Ok(call) = peer.accept().await {
                    spawn_local(answer(call));
                }
            });
        }
        Ok(())
    })
}

/// A request of one byte asks for a large answer, any other for itself.
async fn answer(mut call: Call) {
    if let Ok(request) = call.request(SMALL).await {
        let reply = if request.len() == 1 { Bytes::from_static(&[0; LARGE]) } else { request };
        // The peer may be gone.
        let _ = call.reply(reply).await;
    }
}

/// Orders of the client threads.
struct Client {
    addr: SocketAddr,
    trust: Trust,
    seconds: f64,
    /// Nobody begins before all are connected.
    connected: Barrier,
}

impl Client {
    fn work(&self, phase: usize, at_once: usize) -> Result<Tally> {
        LocalSet::new().block_on(&runtime()?, async {
            let connected = self.connect().await;
            self.connected.wait();
            let (dialer, connection) = connected?;
            let (start, until) = (Instant::now(), Until::seconds(self.seconds));
            let lanes = (0..at_once).map(|_| self.lane(phase, until, &dialer, &connection));
            let mut whole = Tally::default();
            for tally in futures_util::future::try_join_all(lanes).await? {
                whole.join(&tally);
            }
            whole.seconds = start.elapsed().as_secs_f64();
            Ok(whole)
        })
    }

    async fn connect(&self) -> Result<(Dialer, Connection)> {
        let dialer = Dialer::new(self.addr, &self.trust)?;
        let connection = dialer.connect(self.addr).await?;
        Ok((dialer, connection))
    }

    /// One call after the other.
    async fn lane(&self, phase: usize, until: Until, dialer: &Dialer, connection: &Connection) -> Result<Tally> {
        let mut tally = Tally::default();
        while until.is_ahead() {
            let start = Instant::now();
            tally.bytes += match phase {
                2 => call(connection, &[0]).await?,
                3 => {
                    let connection = dialer.connect(self.addr).await?;
                    let len = call(&connection, &[0; SMALL]).await?;
                    connection.close("done");
                    len
                }
                _ => call(connection, &[0; SMALL]).await?,
            };
            tally.latency.record(start.elapsed());
            tally.operations += 1;
        }
        Ok(tally)
    }
}

async fn call(connection: &Connection, request: &[u8]) -> Result<u64> {
    let answer = connection.call(request, DEADLINE).await.map_err(|error: CallError| anyhow!("echo: {error}"))?;
    Ok(answer.len() as u64)
}

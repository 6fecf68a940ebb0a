//! A storm of sessions: a cluster of mounts that all connect at once, as after a power failure.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use auth::VolumeToken;
use auth::creds::MountCreds;
use proto::{Greeting, Hello, Redacted, VERSION_MAX, VERSION_MIN, codec};
use serde::{Deserialize, Serialize};
use tokio::runtime::{Builder, Runtime};
use tokio::task::{JoinSet, LocalSet};
use transport::client::{Connection, Dialer};
use transport::tls::Trust;

use crate::admin::Admin;
use crate::crew::Crew;
use crate::job::Job;
use crate::report::{Kind, Rule};
use crate::subject::Subject;
use crate::tally::Tally;
use crate::unit::Unit;
use crate::work::{Field, Figure, Found, Size, Work};
use crate::worker::Duty;

/// Sessions of a full storm. A server takes 1,024 of one token.
const SESSIONS: u32 = 1000;
/// Time for a storm.
const SECONDS_MAX: f64 = 60.0;
/// A greeting that takes longer has failed.
const DEADLINE: Duration = Duration::from_secs(30);

/// See the module.
struct Sessions {
    count: u32,
}

pub(crate) fn all(size: Size) -> Vec<Box<dyn Work>> {
    let count = if size == Size::Quick { SESSIONS / 4 } else { SESSIONS };
    vec![Box::new(Sessions { count })]
}

impl Work for Sessions {
    fn figures(&self) -> Vec<Figure> {
        let words = format!("{} sessions opened at once", self.count);
        let figure = Figure::new(format!("sessions.open.{}", self.count), words, Unit::Operations);
        vec![figure.bounded(Rule::Slowest, [("quic.handshake", Kind::Machine)])]
    }

    fn runs_on(&self, subject: &Subject) -> bool {
        subject.system().is_some()
    }

    fn measure(&mut self, field: &Field<'_>) -> Result<Vec<Found>> {
        let up = field.subject.system().context("sessions need a system of this run")?;
        let storm = Storm { data: up.data(), count: self.count };
        let mut crew = Crew::start(field.site, vec![(Job::Sessions(storm), field.local.join(&field.name))])?;
        let found = field.phase_within(&mut crew, Unit::Operations, SECONDS_MAX)?;
        // Not measured: the token goes, and the sessions with it.
        crew.phase(SECONDS_MAX)?;
        crew.clean()?;
        Ok(vec![found])
    }
}

/// Phase 0 opens sessions, phase 1 ends them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Storm {
    /// Data folder of the system.
    data: PathBuf,
    count: u32,
}

impl Storm {
    pub(crate) fn at_work(self) -> Storming {
        Storming { job: self, ready: None }
    }
}

pub(crate) struct Storming {
    job: Storm,
    ready: Option<Ready>,
}

struct Ready {
    runtime: Runtime,
    admin: Admin,
    creds: MountCreds,
    server: Server,
}

/// Where to connect.
#[derive(Clone)]
struct Server {
    addr: SocketAddr,
    trust: Trust,
}

impl Duty for Storming {
    fn prepare(&mut self) -> Result<()> {
        let runtime = Builder::new_current_thread().enable_all().build().context("starting the runtime")?;
        let admin = Admin::of(&self.job.data)?;
        let (creds, server) = runtime.block_on(async {
            let creds = admin.create_token().await?;
            let target = admin.target(&creds.token).await?;
            let fingerprint = target.meta_fingerprint.context("the metadata server is registered")?;
            let addr = target.meta_addr.parse().context("`up` has a numeric address")?;
            anyhow::Ok((creds, Server { addr, trust: Trust::Pinned(fingerprint.parse()?) }))
        })?;
        self.ready = Some(Ready { runtime, admin, creds, server });
        Ok(())
    }

    fn phase(&mut self, number: usize, tally: &mut Tally) -> Result<()> {
        let ready = self.ready.as_ref().context("the storm was prepared")?;
        if number == 1 {
            tally.operations = self.job.count.into();
            return ready.runtime.block_on(ready.admin.delete_token(&ready.creds.token));
        }
        let threads = std::thread::available_parallelism().map_or(1, usize::from) as u32;
        let (server, token) = (&ready.server, &ready.creds.token);
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..threads)
                .map(|thread| self.job.count / threads + u32::from(thread < self.job.count % threads))
                .map(|count| scope.spawn(move || open(server, token, count)))
                .collect();
            for thread in threads {
                tally.join(&thread.join().map_err(|_| anyhow!("a thread panicked"))??);
            }
            Ok(())
        })
    }
}

/// Opens `count` sessions at once and keeps them until all are open.
fn open(server: &Server, token: &VolumeToken, count: u32) -> Result<Tally> {
    let runtime = Builder::new_current_thread().enable_all().build().context("starting the runtime")?;
    LocalSet::new().block_on(&runtime, async {
        let dialer = Rc::new(Dialer::new(server.addr, &server.trust)?);
        let mut opening = JoinSet::new();
        for _ in 0..count {
            let (dialer, addr, token) = (Rc::clone(&dialer), server.addr, token.clone());
            opening.spawn_local(async move {
                let start = Instant::now();
                greet(&dialer, addr, &token).await.map(|connection| (connection, start.elapsed()))
            });
        }
        let (mut tally, mut open) = (Tally::default(), Vec::new());
        while let Some(opened) = opening.join_next().await {
            let (connection, duration) = opened.context("a session's task")??;
            tally.latency.record(duration);
            tally.operations += 1;
            open.push(connection);
        }
        open.iter().for_each(|connection| connection.close("the storm is over"));
        Ok(tally)
    })
}

async fn greet(dialer: &Dialer, addr: SocketAddr, token: &VolumeToken) -> Result<Connection> {
    let connection = dialer.connect(addr).await?;
    let hello = Hello {
        version_min: VERSION_MIN,
        version_max: VERSION_MAX,
        token: Redacted(token.expose().to_owned()),
        flags: 0,
        client: concat!("flexfs bench ", env!("CARGO_PKG_VERSION")).to_owned(),
        place: "session storm".to_owned(),
        resume: None,
    };
    let answer =
        connection.call(&codec::encode(&hello), DEADLINE).await.map_err(|error| anyhow!("greeting: {error}"))?;
    match codec::decode(&answer)? {
        Greeting::Welcome(_) => Ok(connection),
        Greeting::Sorry(refusal, reason) => bail!("a session was refused ({refusal:?}): {reason}"),
    }
}

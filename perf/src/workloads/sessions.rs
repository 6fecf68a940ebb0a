//! A storm of sessions: a cluster of mounts that all connect at once, as after a power failure, and what the server does
//! for them once they are there.

mod lane;

use std::path::PathBuf;

use anyhow::{Context as _, Result, anyhow};
use auth::creds::MountCreds;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use proto::{InodeId, Name, NewNode, Reply, Request};
use serde::{Deserialize, Serialize};
use tokio::runtime::{Builder, Runtime};
use transport::cpus::allowed_cpus;
use transport::tls::Trust;

use self::lane::{ASK_EVERY, Lane, Pace};

use crate::admin::Admin;
use crate::crew::Crew;
use crate::job::Job;
use crate::report::{Kind, Rule};
use crate::session::{Server, Session, name};
use crate::subject::Subject;
use crate::tally::Tally;
use crate::unit::Unit;
use crate::work::{Field, Figure, Found, Size, Work};
use crate::worker::Duty;

/// Sessions of a full storm. A server takes 1,024 of one token.
const SESSIONS: u32 = 1000;
/// Time for a storm.
const SECONDS_MAX: f64 = 60.0;
/// Requests under way while files are made and removed.
const AT_ONCE: usize = 64;

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
        let Self { count } = self;
        let open =
            Figure::new(format!("sessions.open.{count}"), format!("{count} sessions opened at once"), Unit::Operations);
        let last = Figure::new(
            format!("sessions.last.{count}"),
            format!("{count} sessions opened at once, until the slowest is"),
            Unit::Seconds,
        );
        let read = Figure::new(
            format!("sessions.read.{count}"),
            format!("{count} open sessions, look up, 1 under way each"),
            Unit::Operations,
        );
        let calm = Figure::new(
            format!("sessions.calm.{count}"),
            format!("{count} open sessions, look up every {} ms each, 99 % within", ASK_EVERY.as_millis()),
            Unit::Seconds,
        );
        vec![
            open.bounded(Rule::Slowest, [("quic.handshake", Kind::Machine)]),
            last,
            read.bounded(Rule::Slowest, [("quic.calls", Kind::Machine), ("engine.lookups", Kind::Machine)]),
            calm,
        ]
    }

    fn runs_on(&self, subject: &Subject) -> bool {
        subject.system().is_some()
    }

    fn measure(&mut self, field: &Field<'_>) -> Result<Vec<Found>> {
        let up = field.subject.system().context("sessions need a system of this run")?;
        let storm = Storm { data: up.data(), count: self.count, folder: field.name.clone(), seconds: field.seconds };
        let mut crew = Crew::start(field.site, vec![(Job::Sessions(storm), field.local.join(&field.name))])?;
        let open = field.phase_within(&mut crew, Unit::Operations, SECONDS_MAX)?;
        let read = field.phase(&mut crew, Unit::Operations)?;
        let calm = field.phase_within(&mut crew, Unit::Operations, calm_seconds(field.seconds))?;
        // Not measured: the token goes, and the sessions with it.
        crew.phase(SECONDS_MAX)?;
        crew.clean()?;
        let (last, calm) = (open.quantile(1.0)?, calm.quantile(0.99)?);
        Ok(vec![open, last, read, calm])
    }
}

/// Phase 0 opens sessions, phase 1 has them all read as fast as they can, phase 2 as mounts that have other things to do,
/// phase 3 ends them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Storm {
    /// Data folder of the system.
    data: PathBuf,
    count: u32,
    /// Name of the folder that is read.
    folder: String,
    seconds: f64,
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
    /// Folder with a file for each session.
    folder: InodeId,
    lanes: Vec<Lane>,
}

impl Duty for Storming {
    fn prepare(&mut self) -> Result<()> {
        let Storm { data, count, folder, .. } = &self.job;
        let runtime = runtime()?;
        let admin = Admin::of(data)?;
        let (creds, server, folder) = runtime.block_on(async {
            let creds = admin.create_token().await?;
            let target = admin.target(&creds.token).await?;
            let fingerprint = target.meta_fingerprint.context("the metadata server is registered")?;
            let addr = target.meta_addr.parse().context("`up` has a numeric address")?;
            let server = Server { addr, trust: Trust::Pinned(fingerprint.parse()?) };
            let session = Session::open(&server, &creds.token, "session storm").await?;
            let folder = furnish(&session, folder, *count).await?;
            session.close();
            anyhow::Ok((creds, server, folder))
        })?;
        let cpus = allowed_cpus();
        let threads = cpus.len() as u32;
        let numbers = |thread: u32| thread * count / threads..(thread + 1) * count / threads;
        let lanes = (0..threads).zip(cpus).map(|(thread, cpu)| Lane::new(numbers(thread), cpu, &server));
        let lanes = lanes.collect::<Result<_>>()?;
        self.ready = Some(Ready { runtime, admin, creds, server, folder, lanes });
        Ok(())
    }

    fn phase(&mut self, number: usize, tally: &mut Tally) -> Result<()> {
        let ready = self.ready.as_mut().context("the storm was prepared")?;
        let Ready { runtime, admin, creds, server, folder, lanes } = ready;
        let (seconds, folder, server) = (self.job.seconds, *folder, &*server);
        if number == 3 {
            lanes.iter_mut().for_each(Lane::close);
            tally.operations = self.job.count.into();
            return runtime.block_on(async {
                let session = Session::open(server, &creds.token, "session storm").await?;
                clear(&session, &self.job.folder, folder, self.job.count).await?;
                session.close();
                admin.delete_token(&creds.token).await
            });
        }
        std::thread::scope(|scope| {
            let threads: Vec<_> = lanes
                .iter_mut()
                .map(|lane| {
                    scope.spawn(|| match number {
                        0 => lane.open(server, &creds.token),
                        1 => lane.read(folder, seconds, Pace::Fast),
                        _ => lane.read(folder, calm_seconds(seconds), Pace::Calm),
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

/// Time of the calm phase: each session has its turn several times.
fn calm_seconds(seconds: f64) -> f64 {
    seconds.max(5.0 * ASK_EVERY.as_secs_f64())
}

fn runtime() -> Result<Runtime> {
    Builder::new_current_thread().enable_all().build().context("starting the runtime")
}

/// Makes the folder with a file for each session.
async fn furnish(session: &Session, folder: &str, files: u32) -> Result<InodeId> {
    let node = NewNode::Directory { perm: 0o755 };
    let made = session.ask(Request::Make { parent: session.root, name: name(folder)?, node }).await?;
    let Reply::Entry(folder) = made else { return Err(anyhow!("a folder was expected: {made:?}")) };
    let make = async |number| {
        let node = NewNode::Node { mode: REGULAR_FILE | 0o644, rdev: 0 };
        session.ask(Request::Make { parent: folder.ino, name: file(number)?, node }).await.map(drop)
    };
    stream::iter(0..files).map(make).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
    Ok(folder.ino)
}

/// Takes away what [`furnish`] made.
async fn clear(session: &Session, folder: &str, ino: InodeId, files: u32) -> Result<()> {
    let remove = async |number| session.ask(Request::Unlink { parent: ino, name: file(number)? }).await.map(drop);
    stream::iter(0..files).map(remove).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
    session.ask(Request::RemoveDir { parent: session.root, name: name(folder)? }).await.map(drop)
}

/// Name of the file that session `number` reads.
fn file(number: u32) -> Result<Name> {
    name(&format!("file-{number}"))
}

/// `S_IFREG` of inode(7).
const REGULAR_FILE: u32 = 0o100_000;

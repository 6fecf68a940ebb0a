//! Validation of tokens: what a greeting costs a metadata server where the answer is known, and where the admin server has
//! to be asked.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context as _, Result, anyhow};
use auth::creds::MetaCreds;
use auth::{Authenticator, AuthenticatorSettings, AuthorityError, TokenAuthority, VolumeToken};
use proto::feed::Change;
use proto::rest::{TokenGrant, ValidateRequest};
use proto::{BlockStoreSettings, Redacted, VolumeSettings};
use serde::{Deserialize, Serialize};
use tokio::runtime::{Builder, Runtime};
use transport::cpus::{allowed_cpus, pin};
use transport::rest::HttpsClient;
use transport::tls::{Fingerprint, Trust};
use uuid::Uuid;

use crate::admin::Admin;
use crate::crew::Crew;
use crate::direct::{BLOCK_SIZE, volume_id};
use crate::job::Job;
use crate::subject::Subject;
use crate::tally::{Tally, Until};
use crate::unit::Unit;
use crate::work::{Field, Figure, Found, Work};
use crate::worker::Duty;

/// Tokens that are known: those of a cluster of mounts.
const TOKENS: usize = 1024;
/// Validations between two looks at the clock.
const BURST: usize = 1024;

/// See the module.
struct Validation;

pub(crate) fn all() -> Vec<Box<dyn Work>> {
    vec![Box::new(Validation)]
}

impl Work for Validation {
    /// Nothing of the machine bounds them: the cached ones are a hash and a look-up, the others go through the admin server.
    fn figures(&self) -> Vec<Figure> {
        vec![
            Figure::new("auth.cached", "known tokens validated, 1 thread", Unit::Operations),
            Figure::new("auth.cached.all", "known tokens validated, a thread for each CPU", Unit::Operations),
            Figure::new("auth.cold", "token validated by the admin server, median", Unit::Seconds),
            Figure::new("auth.cold.p99", "token validated by the admin server, 99 of 100", Unit::Seconds),
        ]
    }

    fn runs_on(&self, subject: &Subject) -> bool {
        subject.system().is_some()
    }

    fn measure(&mut self, field: &Field<'_>) -> Result<Vec<Found>> {
        let up = field.subject.system().context("validations need a system of this run")?;
        let job = Validations { data: up.data(), seconds: field.seconds };
        let mut crew = Crew::start(field.site, vec![(Job::Validate(job), field.local.join(&field.name))])?;
        let one = field.phase(&mut crew, Unit::Operations)?;
        let all = field.phase(&mut crew, Unit::Operations)?;
        let cold = field.phase(&mut crew, Unit::Seconds)?;
        crew.clean()?;
        Ok(vec![one, all, cold.quantile(0.5)?, cold.quantile(0.99)?])
    }
}

/// Phase 0 asks the cache by one thread, phase 1 by a thread for each CPU, phase 2 the admin server.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Validations {
    /// Data folder of the system.
    data: PathBuf,
    seconds: f64,
}

impl Validations {
    pub(crate) fn at_work(self) -> Validating {
        Validating { job: self, ready: None }
    }
}

pub(crate) struct Validating {
    job: Validations,
    ready: Option<Ready>,
}

struct Ready {
    runtime: Runtime,
    cached: Authenticator<Everybody>,
    tokens: Vec<VolumeToken>,
    cold: Authenticator<AdminServer>,
    /// A token of the system, and its id.
    known: (VolumeToken, Uuid),
}

/// Longer than any measurement.
const SETTINGS: AuthenticatorSettings = AuthenticatorSettings {
    positive_ttl: std::time::Duration::from_secs(3600),
    negative_ttl: std::time::Duration::from_secs(3600),
    grace: std::time::Duration::from_secs(3600),
    entries_max: 65_536,
};
const KEY: auth::MarkKey = [7; 32];

impl Duty for Validating {
    fn prepare(&mut self) -> Result<()> {
        let runtime = Builder::new_current_thread().enable_all().build().context("starting the runtime")?;
        let cached = Authenticator::new(Everybody, SETTINGS, &KEY);
        let tokens: Vec<VolumeToken> = (0..TOKENS).map(|_| VolumeToken::generate()).collect();
        let admin = Admin::of(&self.job.data)?;
        let cold = Authenticator::new(AdminServer::of(&self.job)?, SETTINGS, &KEY);
        let known = runtime.block_on(async {
            for token in &tokens {
                cached.authenticate(token, Instant::now()).await.map_err(|error| anyhow!("{error}"))?;
            }
            let token = admin.create_token().await?.token;
            let grant = cold.authenticate(&token, Instant::now()).await.map_err(|error| anyhow!("{error}"))?;
            anyhow::Ok((token, grant.token_id))
        })?;
        self.ready = Some(Ready { runtime, cached, tokens, cold, known });
        Ok(())
    }

    fn phase(&mut self, number: usize, tally: &mut Tally) -> Result<()> {
        let ready = self.ready.as_ref().context("the validations were prepared")?;
        if number == 2 {
            return ready.runtime.block_on(cold(ready, self.job.seconds, tally));
        }
        let cpus = allowed_cpus();
        let threads = if number == 0 { 1 } else { cpus.len() };
        std::thread::scope(|scope| {
            let threads: Vec<_> = cpus[..threads]
                .iter()
                .map(|cpu| {
                    scope.spawn(|| {
                        pin(*cpu);
                        cached(ready, self.job.seconds)
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

/// As a serving thread does it, but for the rest of a greeting.
fn cached(ready: &Ready, seconds: f64) -> Result<Tally> {
    let runtime = Builder::new_current_thread().build().context("starting the runtime")?;
    runtime.block_on(async {
        let (mut tally, start, until) = (Tally::default(), Instant::now(), Until::seconds(seconds));
        while until.is_ahead() {
            for token in ready.tokens.iter().cycle().take(BURST) {
                let found = ready.cached.authenticate(token, Instant::now()).await;
                std::hint::black_box(found).map_err(|error| anyhow!("{error}"))?;
            }
            tally.operations += BURST as u64;
        }
        tally.seconds = start.elapsed().as_secs_f64();
        Ok(tally)
    })
}

/// One after the other, each forgotten before it is asked about.
async fn cold(ready: &Ready, seconds: f64, tally: &mut Tally) -> Result<()> {
    let ((token, id), start, until) = (&ready.known, Instant::now(), Until::seconds(seconds));
    while until.is_ahead() {
        ready.cold.heed(&Change::TokenChanged(*id));
        let begin = Instant::now();
        ready.cold.authenticate(token, begin).await.map_err(|error| anyhow!("{error}"))?;
        tally.latency.record(begin.elapsed());
        tally.operations += 1;
    }
    tally.seconds = start.elapsed().as_secs_f64();
    Ok(())
}

/// Knows every token.
struct Everybody;

impl TokenAuthority for Everybody {
    async fn validate(&self, _: &VolumeToken) -> Result<TokenGrant, AuthorityError> {
        let block_store = BlockStoreSettings::local("/", "bench");
        let volume = VolumeSettings::new(volume_id(), "bench", BLOCK_SIZE, block_store);
        Ok(TokenGrant::whole(Uuid::new_v4(), volume))
    }
}

/// The admin server of a system, as its metadata server asks it.
struct AdminServer {
    client: HttpsClient,
    creds: MetaCreds,
}

impl AdminServer {
    fn of(job: &Validations) -> Result<Self> {
        let creds = MetaCreds::load(&job.data.join("creds/meta"))?;
        let pinned: Option<Fingerprint> = creds.admin_fingerprint.as_deref().map(str::parse).transpose()?;
        let trust = Trust::Pinned(pinned.context("`up` pins its own certificate")?);
        Ok(Self { client: HttpsClient::new(&creds.admin_addr, Some(&trust))?, creds })
    }
}

impl TokenAuthority for AdminServer {
    async fn validate(&self, token: &VolumeToken) -> Result<TokenGrant, AuthorityError> {
        let failed = |reason: String| AuthorityError::Unavailable(reason);
        let question = ValidateRequest { token: Redacted(token.expose().to_owned()) };
        let path = "/v1/volume-tokens/validate";
        let asked = self.client.request("POST", path, &[], self.creds.token.expose(), Some(&question)).await;
        let answer = asked.map_err(|error| failed(error.to_string()))?;
        match answer.status {
            200 => answer.json().map_err(|error| failed(error.to_string())),
            404 => Err(AuthorityError::Rejected),
            status => Err(failed(format!("status {status}"))),
        }
    }
}

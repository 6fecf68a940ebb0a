//! SQLite transactions: an insert and an update each, on disk before the next one begins.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use crate::crew::Crew;
use crate::job::Job;
use crate::report::Kind;
use crate::seed::Seed;
use crate::subject::Subject;
use crate::tally::{Tally, Until};
use crate::unit::Unit;
use crate::work::{Field, Figure, Found, Work};
use crate::worker::Duty;

/// Rows that are there before.
const ROWS: u64 = 1000;
/// Bytes of a row's text.
const ROW_LEN: usize = 100;

/// See the module.
struct Sqlite {
    journal: Journal,
}

/// How SQLite makes transactions atomic.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum Journal {
    /// A journal file that is made and removed for each transaction: SQLite's default.
    Rollback,
    /// A log, with a shared memory file beside it.
    Wal,
}

pub(crate) fn all() -> Vec<Box<dyn Work>> {
    [Journal::Rollback, Journal::Wal].map(|journal| Box::new(Sqlite { journal }) as Box<dyn Work>).into()
}

impl Work for Sqlite {
    fn figures(&self) -> Vec<Figure> {
        let (id, words) = match self.journal {
            Journal::Rollback => ("sqlite.rollback", "transactions, rollback journal, synchronous=FULL"),
            Journal::Wal => ("sqlite.wal", "transactions, write-ahead log, synchronous=FULL"),
        };
        vec![Figure::new(id, words, Unit::Operations).bounded_by(Kind::Disk)]
    }

    /// Not on the null server, which reads nothing but zeroes.
    fn runs_on(&self, subject: &Subject) -> bool {
        matches!(subject.record.kind, Kind::Measured | Kind::Disk | Kind::Memory)
    }

    fn measure(&mut self, field: &Field<'_>) -> Result<Vec<Found>> {
        let transactions = Transactions { journal: self.journal, seconds: field.seconds, seed: field.seed.raw() };
        let mut crew = Crew::start(field.site, vec![(Job::Sqlite(transactions), field.folder(0))])?;
        let found = field.phase(&mut crew, Unit::Operations)?;
        crew.clean()?;
        Ok(vec![found])
    }
}

/// What the process does.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Transactions {
    journal: Journal,
    seconds: f64,
    seed: u64,
}

impl Transactions {
    pub(crate) fn in_folder(self, folder: &Path) -> Transacting {
        Transacting { path: folder.join("database"), seed: Seed::new(self.seed), job: self, database: None }
    }
}

pub(crate) struct Transacting {
    job: Transactions,
    path: PathBuf,
    seed: Seed,
    database: Option<Connection>,
}

impl Duty for Transacting {
    fn prepare(&mut self) -> Result<()> {
        let database = self.open().with_context(|| format!("database {}", self.path.display()))?;
        self.database = Some(database);
        Ok(())
    }

    fn phase(&mut self, _: usize, tally: &mut Tally) -> Result<()> {
        let database = self.database.as_mut().context("the database was opened")?;
        let until = Until::seconds(self.job.seconds);
        while until.is_ahead() {
            let (row, text) = (self.seed.below(ROWS), text(&mut self.seed));
            tally.time(|| transact(database, row, &text)).context("transaction")?;
        }
        Ok(())
    }
}

impl Transacting {
    fn open(&mut self) -> rusqlite::Result<Connection> {
        let mut database = Connection::open(&self.path)?;
        let mode = match self.job.journal {
            Journal::Rollback => "DELETE",
            Journal::Wal => "WAL",
        };
        database.pragma_update(None, "journal_mode", mode)?;
        database.pragma_update(None, "synchronous", "FULL")?;
        let transaction = database.transaction()?;
        transaction.execute("CREATE TABLE row (id INTEGER PRIMARY KEY, text TEXT NOT NULL)", [])?;
        for row in 0..ROWS {
            let text = text(&mut self.seed);
            transaction.execute("INSERT INTO row (id, text) VALUES (?1, ?2)", params![row as i64, text])?;
        }
        transaction.commit()?;
        Ok(database)
    }
}

fn transact(database: &mut Connection, row: u64, text: &str) -> rusqlite::Result<()> {
    let transaction = database.transaction()?;
    transaction.execute("INSERT INTO row (text) VALUES (?1)", params![text])?;
    transaction.execute("UPDATE row SET text = ?2 WHERE id = ?1", params![row as i64, text])?;
    transaction.commit()
}

fn text(seed: &mut Seed) -> String {
    (0..ROW_LEN).map(|_| char::from(b'a' + seed.below(26) as u8)).collect()
}

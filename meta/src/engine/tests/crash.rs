//! The engine on a real database, whose process ends and starts again at random points.

use proptest::prelude::*;
use proto::{Caller, Claim, InodeId, Reply, Request, VolumeId};
use tempfile::TempDir;
use uuid::Uuid;

use super::random::{Pair, Step, steps};
use super::world::User;
use crate::store::{FjallDatabase, FjallKv};

fn open(dir: &TempDir) -> FjallKv {
    let database = FjallDatabase::open(dir.path(), 4 << 20).unwrap();
    database.volume(VolumeId(Uuid::from_u128(1))).unwrap()
}

/// Every session claims what it held open, as mounts do after a restart.
fn claim(pair: &Pair<FjallKv>) {
    for (index, session) in pair.sessions.iter().enumerate() {
        let mine = pair.model.opens.iter().filter(|((holder, _), _)| *holder == index);
        let claims: Vec<_> =
            mine.map(|((_, ino), (count, write))| Claim { ino: InodeId(*ino), count: *count, write: *write }).collect();
        let user: User<'_, FjallKv> = pair.world.user(session, Caller::ROOT);
        let Ok(Reply::Claimed { gone }) = user.ask(Request::Reclaim { claims }) else { panic!("not claimed") };
        for ino in gone {
            // A file that was moved out of the session's scope cannot be named any more.
            assert!(user.stat(ino).is_err(), "{ino} could have been claimed");
        }
    }
}

fn restart(pair: Pair<FjallKv>, dir: &TempDir, persist: bool) -> Pair<FjallKv> {
    let sequence = pair.world.volume.sequence();
    if persist {
        assert_eq!(pair.world.volume.persist().unwrap(), sequence);
    }
    let pair = pair.reopen(|| open(dir));
    assert_eq!(pair.world.volume.sequence().0, sequence.0 + 1, "the start is a commit of its own");
    claim(&pair);
    pair
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn restarts_change_nothing(lives in prop::collection::vec((steps(60), any::<bool>()), 1..4)) {
        let dir = TempDir::new().unwrap();
        let mut pair = Pair::new(open(&dir));
        for (steps, persist) in lives {
            for step in steps {
                pair.step(without_moves_out(step));
            }
            pair = restart(pair, &dir, persist);
            pair.compare();
        }
    }
}

/// Renames by the whole-volume session could move an open file out of the scoped session's reach, which then cannot
/// claim it: the model would have to know that such opens are lost.
fn without_moves_out((what, who, a, b, c, d): Step) -> Step {
    if (9..=11).contains(&(what % 24)) { (21, who, a, b, c, d) } else { (what, who, a, b, c, d) }
}

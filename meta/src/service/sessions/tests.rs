use std::sync::atomic::AtomicBool;

use auth::{AuthenticatorSettings, AuthorityError, TokenAuthority};
use proto::{BlockStoreSettings, Caller, VolumeId, VolumeSettings};

use super::*;

struct Nobody;

impl TokenAuthority for Nobody {
    async fn validate(&self, _: &VolumeToken) -> Result<TokenGrant, AuthorityError> {
        Err(AuthorityError::Rejected)
    }
}

fn grant(flags: &str, as_user: &str) -> Arc<TokenGrant> {
    let volume = VolumeSettings::new(VolumeId(Uuid::nil()), "v", 1 << 20, BlockStoreSettings::local("/b", "b"));
    let (flags, as_user) = (flags.to_owned(), as_user.to_owned());
    Arc::new(TokenGrant { flags, as_user, ..TokenGrant::whole(Uuid::nil(), volume) })
}

fn session(grant: &Arc<TokenGrant>, requested: &str) -> Session {
    let second = Duration::from_secs(1);
    let settings = AuthenticatorSettings { positive_ttl: second, negative_ttl: second, grace: second, entries_max: 1 };
    let token = VolumeToken::generate();
    let holder = Holder {
        mark: auth::Authenticator::new(Nobody, settings, &[0; 32]).mark(&token),
        token,
        bounds: Bounds::of(grant).unwrap(),
        grant: Arc::clone(grant),
        requested: MountFlags::parse(requested).unwrap(),
        place: String::new(),
    };
    Session::new(SessionId(Uuid::nil()), InodeId::ROOT, holder, Instant::now())
}

/// Whom root of the mounting host counts as.
fn root_is(session: &Session) -> (u32, u32) {
    let context = session.context();
    let caller = context.identity.of(&Caller::ROOT);
    (caller.uid, caller.gid)
}

#[test]
fn identity_follows_each_answer_and_the_mount_hears_what_it_has_to_know() {
    let session = session(&grant("", ""), "");
    assert_eq!(root_is(&session), (0, 0));
    for (flags, as_user, adopted, root) in [
        ("rootSquash", "", Adopted::WithFlags, (65_534, 65_534)),
        ("rootSquash", "0", Adopted::WithFlags, (65_534, 65_534)),
        ("", "0:5", Adopted::WithFlags, (0, 5)),
        ("", "1000:100", Adopted::Quietly, (1000, 100)),
        ("", "1000:100", Adopted::Quietly, (1000, 100)),
        ("ro", "", Adopted::WithFlags, (0, 0)),
        ("ro", "7", Adopted::WithFlags, (7, 7)),
        ("", "", Adopted::WithFlags, (0, 0)),
    ] {
        assert_eq!(session.adopt(&grant(flags, as_user)), adopted, "{flags:?} {as_user:?}");
        assert_eq!(root_is(&session), root, "{flags:?} {as_user:?}");
        assert_eq!(session.has_fixed_identity(), !as_user.is_empty());
    }
}

#[test]
fn mount_that_asks_for_squashing_itself_keeps_it() {
    let session = session(&grant("rootSquash", ""), "rootSquash");
    session.adopt(&grant("", ""));
    assert_eq!(root_is(&session), (65_534, 65_534));
    session.adopt(&grant("", "0"));
    assert_eq!(root_is(&session), (65_534, 65_534));
}

#[test]
fn user_that_this_server_does_not_understand_ends_the_session() {
    let session = session(&grant("", "1000"), "");
    for as_user in ["ann", "1000:1000:x", "4294967296"] {
        assert!(matches!(session.adopt(&grant("", as_user)), Adopted::Never(_)), "{as_user}");
        assert_eq!(root_is(&session), (1000, 1000));
    }
}

#[test]
fn between_two_policies_root_is_root_at_no_moment() {
    let (squashing, fixed) = (grant("rootSquash", ""), grant("", "1000"));
    let session = session(&squashing, "");
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let looking = scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                assert_ne!(root_is(&session).0, 0);
            }
        });
        for _ in 0..20_000 {
            session.adopt(&fixed);
            session.adopt(&squashing);
        }
        is_over.store(true, Ordering::Relaxed);
        looking.join().unwrap();
    });
}

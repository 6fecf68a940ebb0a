//! Messages that are none: random bytes, cut, continued, with lengths that lie.

use bytes::Bytes;
use proto::limits::MESSAGE_MAX;
use proto::{Caller, InodeId, Name, OperationId, Refused, ReplyFrame, Request, RequestFrame, codec};
use tests::WireClient;

use super::stage::{Hands, Stage, commit_of};
use super::table::{aimed_at, kinds, read_only};

/// The server's word on bytes; `None` where it drops the call.
async fn word(client: &WireClient, bytes: &[u8]) -> Option<Result<(), Refused>> {
    let answer = client.raw(bytes).await?;
    Some(codec::decode::<ReplyFrame>(&answer).expect("a reply").result.map(drop))
}

fn encoded(request: Request) -> Vec<u8> {
    let operation = request.is_mutation().then_some(OperationId(1 << 40));
    codec::encode(&RequestFrame { operation, caller: Caller::ROOT, request })
}

/// A request of each kind, with all there is in its message.
fn of_every_kind(stage: &Stage) -> Vec<(&'static str, Vec<u8>)> {
    let things = &stage.things;
    let aimed = |kind: &&'static str| {
        let requests = aimed_at(kind, things.mine, things.team);
        let all = requests.into_iter().chain(read_only(kind, things).into_iter().map(|attack| attack.request));
        let found: Vec<_> = all.map(|request| (*kind, encoded(request))).collect();
        assert!(!found.is_empty() || ["Sync", "StatFs"].contains(kind), "{kind}");
        found
    };
    let mut all: Vec<_> = kinds().iter().flat_map(aimed).collect();
    all.push(("Sync", encoded(Request::Sync)));
    all.push(("StatFs", encoded(Request::StatFs)));
    all
}

#[tokio::test]
async fn every_kind_of_request_that_is_cut_or_continued_is_malformed() {
    let mut stage = Stage::set().await;
    let before = stage.picture().await;
    for (kind, whole) in of_every_kind(&stage) {
        for len in [0, 1, whole.len() / 2, whole.len() - 1] {
            assert_eq!(word(&stage.scoped, &whole[..len]).await, Some(Err(Refused::Malformed)), "{kind} cut to {len}");
        }
        for more in [&[0_u8][..], &[0xff; 9], &whole] {
            let longer = [&whole, more].concat();
            assert_eq!(word(&stage.scoped, &longer).await, Some(Err(Refused::Malformed)), "{kind} continued");
        }
    }
    assert_eq!(stage.picture().await, before);
}

#[tokio::test]
async fn names_that_are_none_are_malformed_in_every_request_that_takes_one() {
    let mut stage = Stage::set().await;
    let before = stage.picture().await;
    let marker = "Q%";
    let mut with_names = 0;
    let (ino, inside) = (stage.things.team, stage.things.team);
    for request in kinds().iter().flat_map(|kind| aimed_at(kind, ino, inside)) {
        // The names of the table's requests, replaced by one that is found again in the bytes.
        let text = format!("{request:?}");
        let Some(request) = renamed(request, marker) else { continue };
        with_names += 1;
        let whole = encoded(request);
        let place =
            whole.windows(3).position(|bytes| bytes == [2, marker.as_bytes()[0], marker.as_bytes()[1]]).unwrap();
        for forged in [&b""[..], b".", b"..", b"a/b", b"/", b"a\0", b"../other", &[b'x'; 256]] {
            let len = forged.len();
            // Lengths are varints: one byte below 128, else two.
            let prefix = if len < 128 { vec![len as u8] } else { vec![(len & 0x7f) as u8 | 0x80, (len >> 7) as u8] };
            let bytes = [&whole[..place], &prefix, forged, &whole[place + 3..]].concat();
            let refused = Some(Err(Refused::Malformed));
            assert_eq!(word(&stage.scoped, &bytes).await, refused, "{text}: {forged:?}");
        }
    }
    assert!(with_names >= 8, "{with_names} requests with names");
    assert_eq!(stage.picture().await, before);
}

/// The request with another name; `None` where it has none.
fn renamed(mut request: Request, text: &str) -> Option<Request> {
    let new = Name::new(text.as_bytes()).unwrap();
    match &mut request {
        Request::Lookup { name, .. }
        | Request::Create { name, .. }
        | Request::Make { name, .. }
        | Request::Link { name, .. }
        | Request::Unlink { name, .. }
        | Request::RemoveDir { name, .. }
        | Request::Rename { name, .. } => *name = new,
        _ => return None,
    }
    Some(request)
}

#[tokio::test]
async fn lengths_that_lie_and_numbers_without_end_are_malformed_and_cost_nothing() {
    let stage = Stage::set().await;
    let before = stage.memory();
    // No operation, user 0 in group 0 with groups: a list that says it has 2^63 of them.
    let endless = [0xff; 9];
    let lists: [Vec<u8>; 5] = [
        [&[0, 0, 0, 1][..], &endless, &[0x7f]].concat(),
        [&[0, 0, 0, 1][..], &[0xff, 0xff, 0xff, 0xff, 0x0f]].concat(),
        // Release and Reclaim with 4 billion entries, and grants given back without end.
        [&[0, 0, 0, 0, place("Release")][..], &[0xff, 0xff, 0xff, 0xff, 0x0f]].concat(),
        [&[0, 0, 0, 0, place("Reclaim")][..], &[0xff, 0xff, 0xff, 0xff, 0x0f]].concat(),
        [&[1, 1, 0, 0, 0, place("GrantObjects"), 1][..], &[0xff, 0xff, 0xff, 0xff, 0x0f]].concat(),
    ];
    for bytes in lists {
        for _ in 0..20 {
            assert_eq!(word(&stage.scoped, &bytes).await, Some(Err(Refused::Malformed)), "{bytes:x?}");
        }
    }
    for unknown in [kinds().len() as u8, 0x7f] {
        let bytes = [0, 0, 0, 0, unknown, 0, 0];
        assert_eq!(word(&stage.scoped, &bytes).await, Some(Err(Refused::Malformed)), "kind {unknown}");
    }
    assert!(stage.memory() < before + (64 << 20), "{before} to {} bytes", stage.memory());
}

fn place(kind: &str) -> u8 {
    kinds().iter().position(|known| *known == kind).unwrap() as u8
}

#[tokio::test]
async fn full_lists_are_refused_where_they_are_beyond_their_bounds() {
    let mut stage = Stage::set().await;
    let mine = stage.things.mine;
    let before = stage.memory();
    let groups = Some(vec![1; 1025]);
    let answer = stage.scoped.ask_as(Caller { groups, ..Caller::ROOT }, Request::GetAttr { ino: mine }).await;
    assert_eq!(answer, Err(Refused::Error(proto::Errno::EINVAL)));
    let object = stage.scoped.grant(1).await;
    for request in [
        Request::Release { closes: vec![proto::Close { ino: mine, count: 1, atime: None }; 4097] },
        Request::Reclaim { claims: vec![proto::Claim { ino: mine, count: 1, write: true }; 4097] },
        Request::GrantObjects { count: 4097, given_back: Vec::new() },
        Request::GrantObjects { count: u32::MAX, given_back: Vec::new() },
        Request::GrantObjects { count: 1, given_back: vec![object; 4097] },
        Request::GetLayout { ino: mine, first: proto::BlockIndex(0), count: u32::MAX },
        commit_of(mine, &[object; 1025]),
    ] {
        assert_eq!(stage.scoped.ask(request).await, Err(Refused::Malformed));
    }
    // The longest message, all of it a value; one byte more is dropped unread.
    let value = Bytes::from(vec![b'x'; MESSAGE_MAX - 100]);
    let request = Request::SetXattr { ino: mine, name: "user.a".into(), value, mode: proto::XattrMode::Any };
    assert_eq!(stage.scoped.ask(request).await, Err(Refused::Error(proto::Errno::E2BIG)));
    assert_eq!(word(&stage.scoped, &vec![0; MESSAGE_MAX]).await, Some(Err(Refused::Malformed)));
    assert_eq!(word(&stage.scoped, &vec![0; MESSAGE_MAX + 1]).await, None);
    assert!(stage.memory() < before + (64 << 20), "{before} to {} bytes", stage.memory());
    stage.scoped.done(Request::GetAttr { ino: mine }).await;
}

#[tokio::test]
async fn random_bytes_and_requests_with_random_bits_harm_nobody() {
    let mut stage = Stage::set().await;
    let before = stage.picture().await;
    let mut random = Random(0x5eed_0123_4567_89ab);
    let seeds: Vec<Vec<u8>> = of_every_kind(&stage).into_iter().map(|(_, bytes)| bytes).collect();
    // From a read-only session, so that whatever a mutation happens to mean, nothing may change.
    let token = stage.cluster.create_token(&stage.volume, "/", "ro");
    let reader = WireClient::open(&stage.cluster, &token).await;
    for round in 0..3000 {
        let mut bytes = seeds[random.below(seeds.len())].clone();
        match round % 3 {
            0 => bytes = (0..random.below(200)).map(|_| random.below(256) as u8).collect(),
            1 => {
                let place = random.below(bytes.len());
                bytes[place] ^= 1 << random.below(8);
            }
            _ => {
                let place = random.below(bytes.len());
                bytes[place] = random.below(256) as u8;
            }
        }
        assert!(word(&reader, &bytes).await.is_some(), "every message is answered: {bytes:x?}");
    }
    assert_eq!(stage.picture().await, before);
    stage.honest.done(Request::GetAttr { ino: InodeId::ROOT }).await;
}

/// Numbers that are the same in each run (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

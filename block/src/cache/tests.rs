use super::*;

fn key(number: u64) -> FrameKey {
    FrameKey { object: ObjectId(number), offset: number * 7 }
}

fn frame(len: usize) -> Bytes {
    vec![0; len].into()
}

#[test]
fn ceiling_holds_after_every_insert() {
    let cache = FrameCache::new(100_000);
    for number in 0..1000 {
        cache.insert(key(number), frame(number as usize * 37 % 9000));
        assert!(cache.memory_used() <= 100_000);
    }
    assert!(cache.memory_used() > 80_000, "the memory is put to use");
}

#[test]
fn large_cache_holds_its_ceiling_over_all_shards() {
    let memory_max = 64 << 20;
    let cache = FrameCache::new(memory_max);
    for number in 0..700 {
        cache.insert(key(number), frame(128 << 10));
        assert!(cache.memory_used() <= memory_max);
    }
    assert!(cache.memory_used() > memory_max * 9 / 10);
}

#[test]
fn frame_used_again_outlives_those_read_once() {
    let cache = FrameCache::new(10 * (1000 + ENTRY_OVERHEAD));
    for number in 0..10 {
        cache.insert(key(number), frame(1000));
    }
    assert!(cache.find(key(0)).is_some());
    for number in 10..15 {
        cache.insert(key(number), frame(1000));
    }
    assert!(cache.find(key(0)).is_some());
    assert!(cache.find(key(1)).is_none());
}

#[test]
fn frame_larger_than_the_cache_is_not_kept() {
    let cache = FrameCache::new(1000);
    cache.insert(key(1), frame(2000));
    assert!(cache.find(key(1)).is_none());
    assert_eq!(cache.memory_used(), 0);
}

#[test]
fn abandoned_claim_is_free_again_and_a_fulfilled_one_stays() {
    let cache = FrameCache::new(1 << 20);
    let (_sender, claim) = watch::channel(());
    let (_other_sender, other) = watch::channel(());
    assert!(matches!(cache.find_or_claim(key(1), &claim), Found::Claimed));
    assert!(matches!(cache.find_or_claim(key(1), &other), Found::Loading(_)));
    cache.abandon(key(1), &other);
    assert!(matches!(cache.find_or_claim(key(1), &other), Found::Loading(_)), "only the claimer gives it up");
    cache.abandon(key(1), &claim);
    assert!(matches!(cache.find_or_claim(key(1), &other), Found::Claimed));
    cache.insert(key(1), frame(10));
    cache.abandon(key(1), &other);
    assert!(matches!(cache.find_or_claim(key(1), &claim), Found::Ready(_)));
}

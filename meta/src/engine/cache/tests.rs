use super::*;

#[test]
fn reader_that_read_before_a_write_does_not_fill() {
    let cache: Cache<u64, &str> = Cache::new(1 << 20);
    let Err(ticket) = cache.find(7) else { panic!("empty cache has 7") };
    cache.put(7, "new", 10);
    cache.remove(7);
    cache.fill(7, "old", 10, ticket);
    assert!(cache.find(7).is_err());
}

#[test]
fn reader_fills_when_nobody_wrote() {
    let cache: Cache<u64, &str> = Cache::new(1 << 20);
    let Err(ticket) = cache.find(7) else { panic!("empty cache has 7") };
    cache.fill(7, "value", 10, ticket);
    assert_eq!(cache.find(7).ok(), Some("value"));
}

#[test]
fn weight_stays_within_its_bound() {
    let weight_max = 64 * 1000;
    let cache: Cache<u64, u64> = Cache::new(weight_max);
    for key in 0..100_000 {
        cache.put(key, key, 100);
        assert!(key % 1000 != 0 || cache.weight() <= weight_max + SHARDS * 100);
    }
    assert!(cache.weight() > weight_max / 4, "the cache forgets too early");
}

#[test]
fn what_is_used_outlives_what_is_not() {
    let cache: Cache<u64, u64> = Cache::new(64 * 2000);
    cache.put(1_000_000, 1, 100);
    for key in 0..10_000 {
        cache.put(key, key, 100);
        assert!(cache.find(1_000_000).is_ok(), "dropped after {key} others");
    }
    assert!(cache.find(0).is_err());
}

#[test]
fn replacing_a_value_counts_its_weight_once() {
    let cache: Cache<u64, u64> = Cache::new(64 * 2000);
    for _ in 0..10_000 {
        cache.put(5, 5, 100);
    }
    assert_eq!(cache.weight(), 100);
}

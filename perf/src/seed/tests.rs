use super::*;

#[test]
fn same_seed_same_bytes_and_parts_differ() {
    let bytes = |mut seed: Seed| {
        let mut buffer = [0; 21];
        seed.fill(&mut buffer);
        buffer
    };
    assert_eq!(bytes(Seed::new(7)), bytes(Seed::new(7)));
    assert_ne!(bytes(Seed::new(7)), bytes(Seed::new(8)));
    assert_ne!(bytes(Seed::new(7).part(0)), bytes(Seed::new(7).part(1)));
}

#[test]
fn numbers_below_a_bound_reach_all_of_them() {
    let mut seed = Seed::new(1);
    let mut seen = [0_u32; 10];
    for _ in 0..1000 {
        seen[seed.below(10) as usize] += 1;
    }
    assert!(seen.iter().all(|count| (50..200).contains(count)), "{seen:?}");
}

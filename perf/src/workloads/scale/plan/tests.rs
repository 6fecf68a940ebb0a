use super::*;

#[test]
fn plan_has_as_many_inodes_as_asked_for() {
    for inodes in [1000, 12_345, 1_000_000] {
        let dirs = Plan::of(inodes).dirs();
        assert_eq!(dirs.iter().sum::<u64>() + dirs.len() as u64, inodes, "{inodes}");
        assert_eq!(dirs[0], inodes / 10);
    }
}

#[test]
fn picks_are_files_of_the_plan() {
    let plan = Plan::of(12_345);
    let files = plan.dirs();
    let dirs: Dirs = (0..files.len() as u64).map(|number| InodeId(number * 10_000)).collect();
    let mut picks = Picks::new(plan, dirs, Seed::new(1));
    for _ in 0..1000 {
        let pick = picks.next().expect("names are short");
        let dir = (pick.dir.0 / 10_000) as usize;
        let number = pick.ino.0 - pick.dir.0 - 1;
        assert!(number < files[dir]);
        assert_eq!(pick.name, Plan::file_name(number).expect("names are short"));
    }
}

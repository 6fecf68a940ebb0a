use super::*;

#[test]
fn groups_line_is_found_among_the_others() {
    let status = "Name:\tGroups: 9\nUid:\t1\t1\t1\t1\nGroups:\t4 24 1000 \nNStgid:\t7\n";
    assert_eq!(parse(status), [4, 24, 1000]);
    assert!(parse("Groups:\t \n").is_empty());
    assert!(parse("Name:\tx\n").is_empty());
}

#[test]
fn own_groups_are_those_of_the_system_call() {
    let expected: Vec<u32> =
        rustix::process::getgroups().unwrap().into_iter().map(rustix::process::Gid::as_raw).collect();
    assert_eq!(groups_of(std::process::id()), expected);
}

#[test]
fn process_of_another_namespace_has_no_groups_here() {
    assert!(groups_of(0).is_empty());
}

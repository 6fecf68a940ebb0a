use super::*;

#[test]
fn tree_follows_from_the_seed_and_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (folder.path().join("one"), folder.path().join("other"));
    make(&one, 40, Seed::new(3)).unwrap();
    make(&other, 40, Seed::new(3)).unwrap();
    assert_eq!(counted(&one).unwrap(), 40);
    run(Command::new("diff").arg("-r").arg(&one).arg(&other)).unwrap();
    search(&one).unwrap();
}

#[test]
fn failing_program_is_told_with_what_it_said() {
    let error = run(Command::new("tar").args(["-xf", "/nonexistent/archive"])).unwrap_err().to_string();
    assert!(error.starts_with("tar failed (") && error.contains("/nonexistent/archive"), "{error}");
    let error = format!("{:#}", run(&mut Command::new("/nonexistent/program")).unwrap_err());
    assert!(error.starts_with("program /nonexistent/program: "), "{error}");
}

#[test]
fn empty_tree_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    assert!(counted(folder.path()).unwrap_err().to_string().contains("no file in it"));
}

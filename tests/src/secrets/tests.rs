use super::*;

#[test]
fn token_that_was_used_is_found_wherever_it_shows() {
    let token = uuid::Uuid::new_v4().to_string();
    none_in("nothing", &token);
    note_arguments(&["--token".to_owned(), token.clone()]);
    let folder = tempfile::tempdir().expect("a folder for the test");
    none_below(folder.path());
    fs::write(folder.path().join("creds"), &token).expect("the folder is ours");
    none_below(folder.path());
    fs::write(folder.path().join("log"), format!("a line\nwith {token}\n")).expect("the folder is ours");
    let told = std::panic::catch_unwind(|| none_below(folder.path())).expect_err("it is found");
    let told = told.downcast_ref::<String>().expect("a message");
    assert!(told.contains("log: with <TOKEN>") && !told.contains(&token), "{told}");
    note("not-a-token");
    none_in("words", "not-a-token");
}

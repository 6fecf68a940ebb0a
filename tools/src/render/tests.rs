use super::*;

fn row(cells: &[&str]) -> Vec<String> {
    cells.iter().map(|cell| (*cell).to_owned()).collect()
}

#[test]
fn columns_line_up_without_borders() {
    let text = table(&["id", "name"], &[row(&["1", "data"]), row(&["22", ""])]);
    assert_eq!(text, "ID  NAME\n1   data\n22\n");
}

#[test]
fn empty_table_is_its_header() {
    assert_eq!(table(&["id", "name"], &[]), "ID  NAME\n");
}

#[test]
fn values_of_a_list_line_up() {
    let pairs = [("id".to_owned(), "1".to_owned()), ("block size".to_owned(), "4 MiB".to_owned())];
    assert_eq!(list(&pairs), "id:          1\nblock size:  4 MiB\n");
}

#[test]
fn control_characters_never_reach_the_terminal() {
    let text = table(&["notes"], &[row(&["a\u{1b}[2Jb\nc"])]);
    assert!(!text.contains('\u{1b}'));
    assert_eq!(text.lines().count(), 2);
}

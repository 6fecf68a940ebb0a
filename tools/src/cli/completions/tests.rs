use std::process::Command as Process;

use super::*;

/// What bash offers behind `words`, the last of which is being typed.
fn offered(words: &[&str]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("script");
    std::fs::write(&file, script(Shell::Bash)).unwrap();
    let [.., previous, current] = words else { panic!("a program and a word") };
    let line = format!(
        "source {file} && COMP_WORDS=({all}) && COMP_CWORD={last} && \
         _{program} {program} '{current}' {previous}; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        file = file.display(),
        all = words.iter().map(|word| format!("'{word}' ")).collect::<String>(),
        last = words.len() - 1,
        program = words[0],
    );
    let output = Process::new("bash").args(["--norc", "-c", &line]).output().expect("bash is there");
    assert!(output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_every_name() {
    assert_eq!(offered(&["flexfs", "conf"]), ["configure"]);
    assert_eq!(offered(&["flexfs", "mount", "sta"]), ["start"]);
    assert_eq!(offered(&["mount.flexfs", "sta"]), ["start"]);
    assert_eq!(offered(&["mount.flexfs", "start", "--noE"]), ["--noExec"]);
    assert_eq!(offered(&["meta.flexfs", "lic"]), ["license"]);
    assert_eq!(offered(&["admin.flexfs", "init", "sys"]), ["systemd"]);
    assert_eq!(offered(&["configure.flexfs", "create", "volume-t"]), ["volume-token"]);
}

#[test]
fn zsh_reads_all_names_from_the_first_line_and_registers_them_at_the_end() {
    let script = script(Shell::Zsh);
    assert!(script.starts_with("#compdef flexfs mount.flexfs meta.flexfs admin.flexfs configure.flexfs\n"));
    assert_eq!(script.matches("#compdef").count(), 1);
    assert_eq!(script.matches("$funcstack[1]").count(), 1);
    for name in ["flexfs", "mount.flexfs", "meta.flexfs", "admin.flexfs", "configure.flexfs"] {
        assert_eq!(script.matches(&format!("\n_{name}() {{\n")).count(), 1, "{name}");
        assert!(script.contains(&format!("\ncompdef _{name} {name}\n")), "{name}");
    }
}

#[test]
fn other_shells_get_every_name() {
    let script = script(Shell::Fish);
    for name in ["flexfs", "mount.flexfs", "meta.flexfs", "admin.flexfs", "configure.flexfs"] {
        assert!(script.contains(&format!("complete -c {name} ")), "{name}");
    }
}

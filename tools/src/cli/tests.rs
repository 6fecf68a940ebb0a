use super::*;
use crate::dispatch;

#[test]
fn command_line_is_consistent() {
    Cli::command().debug_assert();
}

fn parse(line: &str) -> Result<Cli, clap::Error> {
    super::parse(&dispatch::read(line.split(' ').map(Into::into).collect()).unwrap())
}

#[test]
fn lines_of_the_manual_are_understood() {
    for line in [
        "admin.flexfs init creds --token 01234567-89ab-cdef-0123-456789abcdef --force",
        "admin.flexfs start --bindAddr 127.0.0.1:8443 --dbFolder /d --sslCert /c --sslKey /k --credsFile /f -v",
        "admin.flexfs start --bindAddr 127.0.0.1:8080 --noSSL",
        "admin.flexfs init systemd --now --startFlags --noSSL --force",
        "meta.flexfs init creds --adminAddr a:443 --token t --blockUser u --blockPass p --force",
        "meta.flexfs start --bindAddr 0.0.0.0:443 --dbFolder /d --sync --dbMemCapacity 40%",
        "meta.flexfs --credsFile /c --dbFolder /d start --sync",
        "meta.flexfs verify --dbFolder /d",
        "configure.flexfs init creds --adminAddr a:443 --adminFingerprint 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        "configure.flexfs create volume --name data --metaStoreID 01234567-89ab-cdef-0123-456789abcdef --blockStoreID 01234567-89ab-cdef-0123-456789abcdef --blockSize 4MiB --retention -1 --flags ro,noExec",
        "configure.flexfs create block-store --apiCode local --address /data/blocks --bucket b",
        "configure.flexfs show region aws us-east-1",
        "configure.flexfs list volume-token --volumeID data --json",
        "configure.flexfs --credsFile /c --json list volume",
        "configure.flexfs update account 01234567-89ab-cdef-0123-456789abcdef --token t",
        "configure.flexfs delete volume-token t --force",
        "mount.flexfs init creds data --adminAddr a:443 --token t",
        "mount.flexfs init fstab data /mnt/data --credsFile /c --mountOptions ro,noExec --now --force",
        "mount.flexfs deinit fstab data /mnt/data",
        "mount.flexfs start data /mnt/data --credsFile /c --ro --noExec --noSUID --noATime --rootSquash --nonEmpty --attrValid 60 --entryValid 1 --memCapacity 10% -f --verbose",
        "mount.flexfs data /mnt/data -o ro,credsFile=/c",
        "mount.flexfs version",
        "meta.flexfs license",
        "mount.flexfs start data /mnt/data --umask 0027 --noMaxPages --maxBops 8 --memCapacity 64 --xAttr --threads 2 --runtime tokio-uring",
        "mount.flexfs data /mnt/data -o umask=0027,noMaxPages,maxBops=8,memCapacity=64,xAttr,threads=2,transport=classic,runtime=tokio-uring",
        "mount.flexfs init creds data --adminAddr a:80 --noAdminSSL",
        "flexfs up /mnt/data --dataFolder /d --foreground --runtime tokio",
        "flexfs install --prefix /usr/local",
        "flexfs completions zsh",
    ] {
        if let Err(error) = parse(line) {
            panic!("{line}: {error}");
        }
    }
}

#[test]
fn wrong_words_are_refused() {
    for line in [
        "flexfs unmount",
        "mount.flexfs start data",
        "mount.flexfs start data /mnt/data --runtime smol",
        "configure.flexfs create planet",
        "meta.flexfs start --bindAddr nowhere",
    ] {
        assert!(parse(line).is_err(), "{line}");
    }
}

#[test]
fn help_and_complaints_name_the_program_that_was_called() {
    for (line, usage) in [
        ("mount.flexfs start --help", "Usage: mount.flexfs start [OPTIONS] <NAME> <MOUNT_POINT>"),
        ("flexfs mount start --help", "Usage: flexfs mount start [OPTIONS] <NAME> <MOUNT_POINT>"),
        ("configure.flexfs list", "Usage: configure.flexfs list [OPTIONS] <COMMAND>"),
        ("admin.flexfs --version", "admin.flexfs 0."),
    ] {
        let said = parse(line).unwrap_err().render().to_string();
        assert!(said.contains(usage), "{line}: {said}");
    }
}

#[test]
fn every_program_is_consistent_on_its_own() {
    dispatch::PROGRAMS.iter().for_each(|program| on_its_own(program).debug_assert());
}

#[test]
fn token_never_shows_in_debug_of_the_command_line() {
    let cli =
        parse("mount.flexfs init creds data --adminAddr a:1 --token 01234567-89ab-cdef-0123-456789abcdef").unwrap();
    assert!(!format!("{cli:?}").contains("01234567"));
}

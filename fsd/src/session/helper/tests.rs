use std::io::IoSlice;
use std::os::fd::AsFd;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

use super::*;

#[test]
fn flags_become_words_of_the_helper() {
    let table = [
        ("", "default_permissions,max_read=1048576,nosuid,nodev"),
        ("ro", "default_permissions,max_read=1048576,nosuid,nodev,ro,noatime"),
        ("noExec,noSUID", "default_permissions,max_read=1048576,nosuid,nodev,noexec"),
    ];
    for (list, expected) in table {
        let options = options("data", "flexfs", MountFlags::parse(list).unwrap(), Permissions::KernelFirst);
        assert_eq!(options, format!("fsname=data,subtype=flexfs,{expected}"), "{list}");
    }
    let options = options("data", "flexfs", MountFlags::default(), Permissions::ServerAlone);
    assert_eq!(options, "fsname=data,subtype=flexfs,max_read=1048576,nosuid,nodev");
}

#[test]
fn name_of_the_volume_cannot_add_an_option() {
    let options = options("a,allow_other\\", "flexfs", MountFlags::default(), Permissions::KernelFirst);
    assert!(options.starts_with("fsname=a\\,allow_other\\\\,"));
}

#[test]
fn device_is_taken_from_the_socket() {
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
    assert!(receive(&ours).unwrap_err().contains("sent no device"));
    let file = std::fs::File::open("/dev/null").unwrap();
    let files = [file.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    assert!(ancillary.push(SendAncillaryMessage::ScmRights(&files)));
    sendmsg(&theirs, &[IoSlice::new(&[0])], &mut ancillary, SendFlags::empty()).unwrap();
    let received = receive(&ours).unwrap();
    assert_eq!(rustix::fs::fstat(&received).unwrap().st_rdev, rustix::fs::fstat(&file).unwrap().st_rdev);
}

#[test]
fn complaint_is_the_first_line() {
    let run = |script: &str| run(Command::new("sh").args(["-c", script])).unwrap_err();
    assert_eq!(run("echo >&2; echo ' helper: no ' >&2; echo more >&2; exit 1"), "helper: no");
    assert!(run("exit 3").contains("without a word"));
}

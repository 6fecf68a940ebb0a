use super::*;

#[test]
fn kernel_enforces_exactly_the_flags_and_never_devices() {
    let table = [
        ("", KernelFlags::NODEV),
        ("ro", KernelFlags::NODEV | KernelFlags::RDONLY | KernelFlags::NOATIME),
        ("noExec", KernelFlags::NODEV | KernelFlags::NOEXEC),
        ("noSUID", KernelFlags::NODEV | KernelFlags::NOSUID),
        ("noATime", KernelFlags::NODEV | KernelFlags::NOATIME),
    ];
    for (list, expected) in table {
        assert_eq!(kernel_flags(MountFlags::parse(list).unwrap()), expected, "{list}");
    }
}

use auth::MountFlags;

use super::*;

#[test]
fn name_that_one_user_found_is_for_others_only_where_somebody_judges_them() {
    let second = Duration::from_secs(1);
    for (permissions, fixed_identity, expected) in [
        (Permissions::KernelFirst, false, second),
        (Permissions::KernelFirst, true, second),
        (Permissions::ServerAlone, true, second),
        (Permissions::ServerAlone, false, Duration::ZERO),
    ] {
        let flags = Arc::new(LiveFlags::new(MountFlags::default()));
        flags.take_up(MountFlags::default(), fixed_identity, 1);
        let (attr_valid, entry_valid) = (second, second);
        let presentation = Presentation { root: InodeId(1), attr_valid, entry_valid, permissions, flags };
        let attr = Attr::new(InodeId(9), FileKind::Regular, 0o644, proto::Timespec::default());
        let entry = presentation.entry(&attr);
        let shown = Duration::new(entry.entry_valid, entry.entry_valid_nsec);
        assert_eq!((shown, entry.attr_valid), (expected, 1), "{permissions:?}, fixed: {fixed_identity}");
    }
}

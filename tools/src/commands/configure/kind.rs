//! Kinds of objects: what the admin server calls them, and what a list shows of each.

/// One kind.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Kind {
    /// For people.
    pub(super) name: &'static str,
    /// In the admin server's paths.
    pub(super) table: &'static str,
    /// Fields that identify an object, as it has them itself.
    pub(super) key: &'static [&'static str],
    /// Fields in a list, in this order.
    pub(super) columns: &'static [&'static str],
    /// What it means that a field is not set, where that is worth a word.
    pub(super) unset: &'static [(&'static str, &'static str)],
}

pub(super) const ACCOUNT: Kind = Kind {
    name: "account",
    table: "accounts",
    key: &["id"],
    columns: &["id", "name", "role", "email", "created_at"],
    unset: &[],
};

pub(super) const BLOCK_API: Kind =
    Kind { name: "block API", table: "block-apis", key: &["code"], columns: &["code", "name"], unset: &[] };

pub(super) const PROVIDER: Kind =
    Kind { name: "provider", table: "providers", key: &["code"], columns: &["code", "name"], unset: &[] };

pub(super) const REGION: Kind = Kind {
    name: "region",
    table: "regions",
    key: &["provider_code", "code"],
    columns: &["provider_code", "code", "name"],
    unset: &[],
};

pub(super) const BLOCK_STORE: Kind = Kind {
    name: "block store",
    table: "block-stores",
    key: &["id"],
    columns: &["id", "provider_code", "region_code", "api_code", "address", "bucket", "prefix"],
    unset: &[],
};

pub(super) const META_STORE: Kind = Kind {
    name: "meta store",
    table: "meta-stores",
    key: &["id"],
    columns: &["id", "provider_code", "region_code", "address", "version", "fingerprint"],
    unset: &[],
};

pub(super) const VOLUME: Kind = Kind {
    name: "volume",
    table: "volumes",
    key: &["id"],
    columns: &[
        "id",
        "name",
        "block_size",
        "retention",
        "flags",
        "as_user",
        "bytes_used",
        "inodes_used",
        "sessions",
        "retired_at",
    ],
    unset: &[("flags", "none"), ("as_user", "as tokens say")],
};

pub(super) const VOLUME_TOKEN: Kind = Kind {
    name: "volume token",
    table: "volume-tokens",
    key: &["id"],
    columns: &[
        "id",
        "volume_id",
        "token",
        "mount_path",
        "flags",
        "expires_at",
        "max_mounts",
        "allowed_networks",
        "as_user",
        "mounts",
        "last_used_at",
        "notes",
        "created_at",
    ],
    unset: &[
        ("flags", "none"),
        ("expires_at", "never"),
        ("max_mounts", "no bound"),
        ("allowed_networks", "any"),
        ("as_user", "whom the mount names"),
    ],
};

pub(super) const AUDIT: Kind = Kind {
    name: "line of the audit log",
    table: "audit",
    key: &["seq"],
    columns: &["seq", "time", "action", "actor_name", "from", "object", "name", "detail"],
    unset: &[],
};

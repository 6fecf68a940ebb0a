use super::*;

#[test]
fn address_that_others_reach_needs_a_word() {
    let flags = |addr: &str, metrics_public| MetricsFlags {
        metrics_addr: Some(addr.parse().expect("an address")),
        metrics_public,
    };
    let line = flags("0.0.0.0:0", false).bind().expect_err("it is refused").to_string();
    assert!(line.contains("0.0.0.0:0") && line.contains("--metricsPublic"), "{line}");
    for taken in [flags("127.0.0.1:0", false), flags("[::1]:0", false), flags("0.0.0.0:0", true)] {
        taken.bind().expect("a free port");
    }
}

use super::*;

#[test]
fn invented_methods_and_routes_without_end_take_bounded_room() {
    let metrics = AdminMetrics::default();
    for number in 0..1000 {
        let method = Method::from_bytes(format!("M{number}").as_bytes()).expect("a token");
        metrics.record(&method, "/v1/a", StatusCode::METHOD_NOT_ALLOWED, Duration::ZERO);
        metrics.record(&Method::GET, &format!("/v1/{number}"), StatusCode::OK, Duration::ZERO);
    }
    let requests = metrics.0.lock().expect("nothing panicked");
    assert_eq!(requests.routes.len(), ROUTES_MAX);
    assert_eq!(requests.routes[0], "OTHER /v1/a");
    assert_eq!(requests.answers.each_ref().map(Counter::get), [0, 1000, 0, 1000, 0]);
}

use super::*;

#[test]
fn every_queue_is_served_and_by_its_own_cpu_where_a_thread_is_there() {
    assert_eq!(share_queues(2, &[0, 1]), [vec![0], vec![1]]);
    assert_eq!(share_queues(2, &[1, 0]), [vec![1], vec![0]]);
    assert_eq!(share_queues(4, &[1]), [vec![0, 1, 2, 3]]);
    assert_eq!(share_queues(4, &[2, 3]), [vec![0, 2], vec![1, 3]]);
    assert_eq!(share_queues(1, &[0, 1]), [vec![0], vec![]]);
}

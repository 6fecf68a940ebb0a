use std::time::Duration;

use super::*;

#[test]
fn ids_ascend_from_one() {
    let window = Arc::new(OperationWindow::default());
    let tickets: Vec<Ticket> = (0..3).filter_map(|_| window.try_ticket()).collect();
    assert_eq!(tickets.iter().map(|ticket| ticket.id().0).collect::<Vec<_>>(), [1, 2, 3]);
}

#[test]
fn oldest_unanswered_operation_holds_the_window() {
    let window = Arc::new(OperationWindow::default());
    let oldest = window.try_ticket().unwrap();
    for _ in 1..OPERATIONS_IN_FLIGHT_MAX {
        drop(window.try_ticket().unwrap());
    }
    assert!(window.try_ticket().is_none(), "answers of the newer ones do not help");
    drop(oldest);
    assert_eq!(window.try_ticket().unwrap().id().0, OPERATIONS_IN_FLIGHT_MAX + 1);
}

#[tokio::test]
async fn waiting_operation_goes_on_when_the_window_moves() {
    let window = Arc::new(OperationWindow::default());
    let held: Vec<Ticket> = (0..OPERATIONS_IN_FLIGHT_MAX).filter_map(|_| window.try_ticket()).collect();
    let waiting = tokio::spawn({
        let window = Arc::clone(&window);
        async move { window.ticket().await.id().0 }
    });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    drop(held);
    let id = tokio::time::timeout(Duration::from_secs(10), waiting).await.unwrap().unwrap();
    assert_eq!(id, OPERATIONS_IN_FLIGHT_MAX + 1);
}

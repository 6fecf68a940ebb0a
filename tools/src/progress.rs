//! A sign of life for whoever waits at a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Shown on stderr after a second, on terminals only; gone when dropped.
pub(crate) struct Waiting {
    stop: Option<std::sync::mpsc::Sender<()>>,
    shower: Option<std::thread::JoinHandle<()>>,
}

impl Waiting {
    /// Says `what` once it takes longer than a second.
    pub(crate) fn show(what: String) -> Self {
        let (stop, stopped) = std::sync::mpsc::channel();
        let shower = std::thread::spawn(move || {
            if stopped.recv_timeout(SHOWN_AFTER) != Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                return;
            }
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_elapsed(SHOWN_AFTER);
            bar.set_style(ProgressStyle::with_template("{spinner} {msg} ({elapsed})").expect("the template is valid"));
            bar.set_message(what);
            bar.enable_steady_tick(Duration::from_millis(120));
            // Ends when the sender is dropped.
            let _ = stopped.recv();
            bar.finish_and_clear();
        });
        Self { stop: Some(stop), shower: Some(shower) }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(shower) = self.shower.take() {
            // It prints nothing that could fail the command.
            let _ = shower.join();
        }
    }
}

/// Who waits for less is not disturbed.
const SHOWN_AFTER: Duration = Duration::from_secs(1);

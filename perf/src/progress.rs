//! Where a run is, for whoever waits at a terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar on stderr; nothing where that is no terminal. Gone when dropped.
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    pub(crate) fn begin() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        bar.set_style(ProgressStyle::with_template("{spinner} {msg} ({elapsed})").expect("the template is valid"));
        bar.enable_steady_tick(std::time::Duration::from_millis(250));
        Self { bar }
    }

    /// From here on there are `turns` to take.
    pub(crate) fn expect(&self, turns: u64) {
        const TEMPLATE: &str = "{bar:24} {pos}/{len} {elapsed} (about {eta} to go)  {wide_msg}";
        self.bar.set_length(turns);
        self.bar.set_style(ProgressStyle::with_template(TEMPLATE).expect("the template is valid"));
    }

    /// One more turn is taken.
    pub(crate) fn turn(&self, round: u32, title: &str, subject: &str) {
        let round = if round == 0 { "warm-up".to_owned() } else { format!("round {round}") };
        self.bar.set_message(format!("{round}: {title}, on {subject}"));
        self.bar.inc(1);
    }

    pub(crate) fn say(&self, what: &'static str) {
        self.bar.set_message(what);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

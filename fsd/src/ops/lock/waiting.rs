//! `WaitingRoom`: how many operations may wait for locks of others, so that those which end their waiting come through.
//!
//! A request that waits keeps its place among those that the kernel hands over, and a question to the server its stream.

use std::cell::Cell;
use std::rc::Rc;

/// Questions that wait at the server at once, for each thread: a connection takes 128 calls of all kinds.
const ASKING_MAX: usize = 64;

/// Room for waiting requests that share their places with others.
#[derive(Debug)]
pub(crate) struct WaitingRoom {
    waiting: Cell<usize>,
    waiting_max: usize,
    asking: Rc<Asking>,
}

/// Questions of a thread that wait at the server.
#[derive(Debug, Default)]
pub(crate) struct Asking(Cell<usize>);

/// A waiting request's place; dropping it gives it up.
#[derive(Debug)]
pub(super) struct Seat<'a>(&'a Cell<usize>);

impl WaitingRoom {
    /// Room for `waiting_max` requests of a thread that has these questions.
    pub(crate) fn new(waiting_max: usize, asking: Rc<Asking>) -> Self {
        Self { waiting: Cell::new(0), waiting_max, asking }
    }

    /// A place to wait, if there is one left.
    pub(super) fn enter(&self) -> Option<Seat<'_>> {
        Seat::take(&self.waiting, self.waiting_max)
    }

    /// The right to let the server keep a question, if there is one left.
    pub(super) fn ask(&self) -> Option<Seat<'_>> {
        Seat::take(&self.asking.0, ASKING_MAX)
    }
}

impl<'a> Seat<'a> {
    fn take(taken: &'a Cell<usize>, max: usize) -> Option<Self> {
        (taken.get() < max).then(|| {
            taken.set(taken.get() + 1);
            Self(taken)
        })
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

//! Who has how many turns, and who is next.
//!
//! An account may have as many as are left free, and a token of it as many as are free beyond what its account has. So one
//! greedy token gets a third of all, a greedy account half of them, two such accounts three quarters, and whoever comes then
//! finds some free. Who waits is served in order within a token, tokens of an account in turn, accounts in turn.

use std::collections::{HashMap, VecDeque};

use tokio::sync::oneshot;

/// For whom a connection works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Id of the account.
    pub account: u128,
    /// Id of its token.
    pub token: u128,
}

/// Turns, given to waiters as `T`.
#[derive(Debug)]
pub(super) struct Books<T> {
    free: usize,
    /// Those that have turns, or wait.
    accounts: HashMap<u128, Account<T>>,
    /// Those that wait, in the order in which they are looked at.
    waiting: VecDeque<u128>,
}

#[derive(Debug)]
struct Account<T> {
    has: usize,
    tokens: HashMap<u128, Token<T>>,
    /// Those that wait, in the order in which they are looked at.
    waiting: VecDeque<u128>,
}

#[derive(Debug)]
struct Token<T> {
    has: usize,
    waiters: VecDeque<oneshot::Sender<T>>,
}

impl<T> Default for Account<T> {
    fn default() -> Self {
        Self { has: 0, tokens: HashMap::new(), waiting: VecDeque::new() }
    }
}

impl<T> Default for Token<T> {
    fn default() -> Self {
        Self { has: 0, waiters: VecDeque::new() }
    }
}

impl<T> Books<T> {
    pub(super) fn new(turns: usize) -> Self {
        Self { free: turns, accounts: HashMap::new(), waiting: VecDeque::new() }
    }

    /// Takes a turn, if there is one for the holder and nobody of its token waits.
    pub(super) fn take(&mut self, holder: Holder) -> bool {
        let account = self.accounts.entry(holder.account).or_default();
        let token = account.tokens.entry(holder.token).or_default();
        let may_have = token.waiters.is_empty() && token.has < self.free.saturating_sub(account.has);
        if may_have {
            token.has += 1;
            account.has += 1;
            self.free -= 1;
        }
        self.forget_idle(holder);
        may_have
    }

    /// Takes a turn, or a place to wait for it.
    pub(super) fn ask(&mut self, holder: Holder) -> Option<oneshot::Receiver<T>> {
        if self.take(holder) {
            return None;
        }
        let account = self.accounts.entry(holder.account).or_default();
        let token = account.tokens.entry(holder.token).or_default();
        if account.waiting.is_empty() {
            self.waiting.push_back(holder.account);
        }
        if token.waiters.is_empty() {
            account.waiting.push_back(holder.token);
        }
        let (waiter, waiting) = oneshot::channel();
        // Those who stopped waiting did so in the order in which they began, or soon will.
        while token.waiters.front().is_some_and(oneshot::Sender::is_closed) {
            token.waiters.pop_front();
        }
        token.waiters.push_back(waiter);
        Some(waiting)
    }

    /// Gives back a turn that the holder has.
    pub(super) fn take_back(&mut self, holder: Holder) {
        self.free += 1;
        if let Some(account) = self.accounts.get_mut(&holder.account) {
            account.has -= 1;
            if let Some(token) = account.tokens.get_mut(&holder.token) {
                token.has -= 1;
            }
        }
        self.forget_idle(holder);
    }

    /// Whether somebody waits who may have a turn as soon as `holder` gives one back.
    pub(super) fn would_help(&self, holder: Holder) -> bool {
        self.waiting.iter().any(|key| {
            let Some(account) = self.accounts.get(key) else { return false };
            let less = usize::from(*key == holder.account);
            let room = (self.free + 1).saturating_sub(account.has - less);
            account.waiting.iter().any(|token| {
                let less = usize::from(less == 1 && *token == holder.token);
                account.tokens.get(token).is_some_and(|token| token.has - less < room && token.has_waiters())
            })
        })
    }

    /// The next that waits and may have a turn now, which it has from here on. Passes over those only that have turns, or
    /// wait no more.
    pub(super) fn next(&mut self) -> Option<(Holder, oneshot::Sender<T>)> {
        for _ in 0..self.waiting.len() {
            if self.free == 0 {
                return None;
            }
            let key = self.waiting.pop_front()?;
            let Some(account) = self.accounts.get_mut(&key) else { continue };
            let next = account.next(self.free);
            if !account.waiting.is_empty() {
                self.waiting.push_back(key);
            }
            if account.tokens.is_empty() {
                self.accounts.remove(&key);
            }
            if let Some((token, waiter)) = next {
                self.free -= 1;
                return Some((Holder { account: key, token }, waiter));
            }
        }
        None
    }

    fn forget_idle(&mut self, holder: Holder) {
        let Some(account) = self.accounts.get_mut(&holder.account) else { return };
        if account.tokens.get(&holder.token).is_some_and(|token| token.has == 0 && token.waiters.is_empty()) {
            account.tokens.remove(&holder.token);
        }
        if account.tokens.is_empty() {
            self.accounts.remove(&holder.account);
        }
    }
}

impl<T> Account<T> {
    fn next(&mut self, free: usize) -> Option<(u128, oneshot::Sender<T>)> {
        let room = free.saturating_sub(self.has);
        if room == 0 {
            return None;
        }
        for _ in 0..self.waiting.len() {
            let key = self.waiting.pop_front()?;
            let Some(token) = self.tokens.get_mut(&key) else { continue };
            let waiter = if token.has < room { token.next_waiter() } else { None };
            if !token.waiters.is_empty() {
                self.waiting.push_back(key);
            }
            if let Some(waiter) = waiter {
                token.has += 1;
                self.has += 1;
                return Some((key, waiter));
            }
            if token.has == 0 && token.waiters.is_empty() {
                self.tokens.remove(&key);
            }
        }
        None
    }
}

impl<T> Token<T> {
    /// The first that still waits; those before it are let go.
    fn next_waiter(&mut self) -> Option<oneshot::Sender<T>> {
        while let Some(waiter) = self.waiters.pop_front() {
            if !waiter.is_closed() {
                return Some(waiter);
            }
        }
        None
    }

    fn has_waiters(&self) -> bool {
        self.waiters.iter().any(|waiter| !waiter.is_closed())
    }
}

#[cfg(test)]
impl<T> Books<T> {
    /// Whether so many turns are free and nothing is left of anybody.
    pub(super) fn are_clean(&self, turns: usize) -> bool {
        self.free == turns && self.accounts.is_empty() && self.waiting.is_empty()
    }
}

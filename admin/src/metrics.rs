//! What the server counts about itself, for whoever scrapes it: routes, never paths, which may hold a token.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::{Method, StatusCode};
use metrics::{Counter, Durations, Sheet, Source};

/// Pairs of method and route that are counted by themselves. There are fewer; what is beyond is counted as one.
const ROUTES_MAX: usize = 256;
/// Classes of statuses, in order.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// The numbers of an admin server. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct AdminMetrics(Arc<Mutex<Requests>>);

#[derive(Debug, Default)]
struct Requests {
    /// Methods with their routes, and how long each took: two lists of one length.
    routes: Vec<String>,
    times: Vec<Durations>,
    answers: [Counter; CLASSES.len()],
}

impl AdminMetrics {
    /// Counts a request.
    pub(crate) fn record(&self, method: &Method, route: &str, status: StatusCode, took: Duration) {
        let mut requests = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Requests { routes, times, answers } = &mut *requests;
        let name = format!("{} {route}", known(method));
        let place = routes.iter().position(|known| *known == name).unwrap_or_else(|| {
            if routes.len() < ROUTES_MAX {
                routes.push(name);
                times.push(Durations::default());
            }
            routes.len() - 1
        });
        times[place].record(took);
        if let Some(class) = answers.get(usize::from(status.as_u16() / 100).saturating_sub(1)) {
            class.add(1);
        }
    }
}

/// The method, if it is one that has routes: anybody may invent others.
fn known(method: &Method) -> &str {
    match *method {
        Method::GET | Method::POST | Method::PUT | Method::PATCH | Method::DELETE => method.as_str(),
        _ => "OTHER",
    }
}

impl Source for AdminMetrics {
    fn show(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        sheet.info("flexfs_admin_info", "The admin server", &[("version", env!("CARGO_PKG_VERSION"))])?;
        let requests = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let routes: Vec<&str> = requests.routes.iter().map(String::as_str).collect();
        let times = std::iter::once(requests.times.as_slice());
        let help = "From a request's head to its answer";
        sheet.durations("flexfs_admin_request_duration_seconds", help, "route", &routes, times)?;
        let answers =
            CLASSES.iter().zip(&requests.answers).map(|(class, count)| (vec![("class", *class)], count.get()));
        sheet.counters("flexfs_admin_answers", "Answers by class of their status", &answers.collect::<Vec<_>>())
    }
}

#[cfg(test)]
mod tests;

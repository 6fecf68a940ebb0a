//! `Sheet`: what a scrape writes, line by line.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use crate::cell::{Durations, Sum};

/// Something that has numbers to show.
pub trait Source: fmt::Debug + Send + Sync + 'static {
    /// Writes them all. Called for each scrape, on the scraper's thread.
    ///
    /// # Errors
    /// The sheet takes no more.
    fn show(&self, sheet: &mut Sheet<'_>) -> fmt::Result;
}

/// Where a source writes.
pub struct Sheet<'a>(DescriptorEncoder<'a>);

impl Sheet<'_> {
    /// What is running, as labels of the number 1.
    ///
    /// # Errors
    /// The sheet takes no more.
    pub fn info(&mut self, name: &str, help: &str, labels: &[(&str, &str)]) -> fmt::Result {
        self.gauges(name, help, &[(labels.to_vec(), 1)])
    }

    /// A number that goes up and down.
    ///
    /// # Errors
    /// The sheet takes no more.
    pub fn gauge(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.gauges(name, help, &[(Vec::new(), value)])
    }

    /// A number that goes up and down, for each of several labels.
    ///
    /// # Errors
    /// The sheet takes no more.
    pub fn gauges(&mut self, name: &str, help: &str, values: &[(Vec<(&str, &str)>, u64)]) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        values.iter().try_for_each(|(labels, value)| {
            labelled(&mut metric, labels, |metric| metric.encode_gauge(&i64::try_from(*value).unwrap_or(i64::MAX)))
        })
    }

    /// A number that only grows. `_total` is put behind its name.
    ///
    /// # Errors
    /// The sheet takes no more.
    pub fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.counters(name, help, &[(Vec::new(), value)])
    }

    /// A number that only grows, for each of several labels. `_total` is put behind its name.
    ///
    /// # Errors
    /// The sheet takes no more.
    pub fn counters(&mut self, name: &str, help: &str, values: &[(Vec<(&str, &str)>, u64)]) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        values.iter().try_for_each(|(labels, value)| {
            labelled(&mut metric, labels, |metric| metric.encode_counter::<NoLabelSet, _, f64>(value, None))
        })
    }

    /// How long things of each of `kinds` took, by the tables of several threads: an entry for each kind, in order. Kinds
    /// that did not occur are left out.
    ///
    /// # Errors
    /// The sheet takes no more.
    pub fn durations<'d>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        kinds: &[&str],
        threads: impl Iterator<Item = &'d [Durations]> + Clone,
    ) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (number, kind) in kinds.iter().enumerate() {
            let mut sum = Sum::default();
            threads.clone().filter_map(|thread| thread.get(number)).for_each(|durations| sum.add(durations));
            if sum.count() > 0 {
                labelled(&mut metric, &[(label, *kind)], |metric| {
                    metric.encode_histogram::<NoLabelSet>(sum.seconds(), sum.count(), &sum.buckets(), None)
                })?;
            }
        }
        Ok(())
    }
}

fn labelled(
    metric: &mut MetricEncoder<'_>,
    labels: &[(&str, &str)],
    write: impl FnOnce(&mut MetricEncoder<'_>) -> fmt::Result,
) -> fmt::Result {
    if labels.is_empty() { write(metric) } else { write(&mut metric.encode_family(&labels)?) }
}

/// Everything that a process has to show.
#[derive(Debug)]
pub struct Exposition(Registry);

impl Exposition {
    /// Shows all `sources`.
    #[must_use]
    pub fn of(sources: impl IntoIterator<Item = Box<dyn Source>>) -> Self {
        let mut registry = Registry::default();
        for source in sources {
            registry.register_collector(Box::new(Collected(source)));
        }
        Self(registry)
    }

    /// What a scraper reads now: OpenMetrics text ([`CONTENT_TYPE`]).
    ///
    /// # Errors
    /// A source did not write what it has.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut written = String::new();
        text::encode(&mut written, &self.0)?;
        Ok(written)
    }
}

/// Of the text, for HTTP.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Debug)]
struct Collected(Box<dyn Source>);

impl Collector for Collected {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.0.show(&mut Sheet(encoder))
    }
}

#[cfg(test)]
mod tests;

//! The series of one family: found by label text, bounded, forgotten when idle.

use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use super::labels::SeriesLabels;

struct Entry<T> {
    series: Rc<T>,
    /// When a sweep first saw it unheld; cleared by every lookup.
    idle_since: Option<Duration>,
}

pub(super) struct Family<T> {
    entries: HashMap<SeriesLabels, Entry<T>>,
    overflow: Option<Rc<T>>,
}

impl<T> Family<T> {
    pub(super) fn new() -> Self {
        Self { entries: HashMap::new(), overflow: None }
    }

    /// The series with these labels, made if there is room, else the overflow series.
    pub(super) fn resolve(
        &mut self,
        labels: &SeriesLabels,
        limit: usize,
        make: impl FnOnce(SeriesLabels) -> T,
    ) -> Rc<T> {
        if let Some(entry) = self.entries.get_mut(labels) {
            entry.idle_since = None;
            return Rc::clone(&entry.series);
        }
        if self.entries.len() >= limit {
            let overflow = self.overflow.get_or_insert_with(|| Rc::new(make(SeriesLabels::overflow())));
            return Rc::clone(overflow);
        }
        let series = Rc::new(make(labels.clone()));
        self.entries.insert(labels.clone(), Entry { series: Rc::clone(&series), idle_since: None });
        series
    }

    pub(super) fn sweep(&mut self, now: Duration, idle: Duration) {
        self.entries.retain(|_, entry| {
            if Rc::strong_count(&entry.series) > 1 {
                entry.idle_since = None;
                return true;
            }
            let since = *entry.idle_since.get_or_insert(now);
            now.saturating_sub(since) < idle
        });
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len() + usize::from(self.overflow.is_some())
    }

    pub(super) fn each(&self, mut visit: impl FnMut(&T)) {
        for entry in self.entries.values() {
            visit(&entry.series);
        }
        if let Some(series) = &self.overflow {
            visit(series);
        }
    }

    /// Visits the series with their labels, in no order.
    pub(super) fn each_labelled(&self, mut visit: impl FnMut(&SeriesLabels, &T)) {
        for (labels, entry) in &self.entries {
            visit(labels, &entry.series);
        }
        if let Some(series) = &self.overflow {
            visit(&SeriesLabels::overflow(), series);
        }
    }

    /// The series with their labels, in label order, so that two scrapes of the same state are equal byte for byte.
    pub(super) fn snapshot(&self) -> Vec<(SeriesLabels, Rc<T>)> {
        let mut all: Vec<_> =
            self.entries.iter().map(|(labels, entry)| (labels.clone(), Rc::clone(&entry.series))).collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all.extend(self.overflow.iter().map(|series| (SeriesLabels::overflow(), Rc::clone(series))));
        all
    }
}

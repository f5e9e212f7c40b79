//! A page of metrics.

/// One scrape.
pub(crate) struct Page(pub(crate) String);

impl Page {
    /// The sum of the series of this name that have these labels; 0 without any.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let fits = |series: &str| {
            let labelled = |(label, value): &(&str, &str)| {
                let text = format!("{label}=\"{value}\"");
                series.contains(&format!("{{{text}")) || series.contains(&format!(",{text}"))
            };
            series.split('{').next() == Some(name) && labels.iter().all(labelled)
        };
        let series = self.0.lines().filter_map(|line| line.rsplit_once(' '));
        let values = series.filter(|(series, _)| fits(series));
        values.map(|(_, value)| value.parse::<f64>().expect("a number")).sum()
    }

    /// The greatest time, in seconds, since the API server has shown of a kind that it is known.
    pub(crate) fn age(&self) -> f64 {
        let ages = self.0.lines().filter(|line| line.starts_with("ravelin_watch_age_seconds{"));
        let values = ages.filter_map(|line| line.rsplit_once(' '));
        values.map(|(_, value)| value.parse().expect("a number")).fold(0.0, f64::max)
    }
}

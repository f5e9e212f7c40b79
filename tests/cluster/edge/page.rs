//! A page of metrics.

/// What an API server has without a CustomResourceDefinition, of what is followed.
const OWN_KINDS: [&str; 6] =
    ["EndpointSlice", "Ingress", "IngressClass", "Node", "Secret", "Service"];

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

    /// The greatest time, in seconds, since the API server has shown of a kind that it is known. Of Kubernetes' own
    /// kinds: for one that a server does not know it is asked every 30 s, each kind at a time of its own.
    pub(crate) fn age(&self) -> f64 {
        let age_of = |kind: &str| {
            let series = format!("ravelin_watch_age_seconds{{kind=\"{kind}\"}} ");
            let value = self.0.lines().find_map(|line| line.strip_prefix(&*series));
            value.map_or(f64::INFINITY, |value| value.parse().expect("a number"))
        };
        OWN_KINDS.map(age_of).into_iter().fold(0.0, f64::max)
    }
}

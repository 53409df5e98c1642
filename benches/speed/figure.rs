//! A figure with its limit, and how it came about.

/// How a figure is judged.
#[derive(Clone, Copy)]
pub enum Limit {
    AtLeast(f64),
    AtMost(f64),
    /// For comparison alone.
    None,
}

/// What was measured, in every round.
pub struct Figure {
    pub name: &'static str,
    pub unit: &'static str,
    pub rounds: Vec<f64>,
    pub limit: Limit,
}

impl Figure {
    pub fn new(name: &'static str, unit: &'static str, rounds: Vec<f64>, limit: Limit) -> Figure {
        Figure { name, unit, rounds, limit }
    }

    /// One line: median, least, most, limit, verdict.
    pub fn print(&self) {
        let middle = median(&self.rounds);
        let least = self.rounds.iter().copied().fold(f64::INFINITY, f64::min);
        let most = self.rounds.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let (limit, verdict) = match self.limit {
            Limit::AtLeast(bound) => (format!("at least {bound}"), if middle >= bound { "met" } else { "MISSED" }),
            Limit::AtMost(bound) => (format!("at most {bound}"), if middle <= bound { "met" } else { "MISSED" }),
            Limit::None => ("none".to_owned(), ""),
        };
        println!(
            "{:<58} median {middle:>9.3} min {least:>9.3} max {most:>9.3} {:<6} limit {limit:<14} {verdict}",
            self.name, self.unit
        );
    }
}

/// The middle one.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() % 2 {
        _ if sorted.is_empty() => f64::NAN,
        0 => f64::midpoint(sorted[middle - 1], sorted[middle]),
        _ => sorted[middle],
    }
}

//! Figures and how they are told: a JSON line each for programs, a table for people.

use std::{io::Write as _, time::Duration};

use serde::Serialize;
use serde_json::{Map, Value};

/// One measured number.
#[derive(Debug, Clone, Serialize)]
pub struct Figure {
    /// Stable name, in lower case with underscores.
    pub figure: String,
    pub value: f64,
    /// Unit of `value`, such as `ms`, `KiB`, `turns/s`.
    pub unit: &'static str,
    /// The value to stay at or below, or to reach where [`Self::is_floor`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<f64>,
    /// Whether more is better.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_floor: bool,
    /// Under which conditions it was measured.
    #[serde(flatten)]
    pub conditions: Map<String, Value>,
}

impl Figure {
    /// A number with its unit and nothing else yet.
    pub fn new(figure: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self {
            figure: figure.into(),
            value: (value * 1_000.0).round() / 1_000.0,
            unit,
            budget: None,
            is_floor: false,
            conditions: Map::new(),
        }
    }

    /// The value may be at most this.
    pub fn at_most(mut self, budget: f64) -> Self {
        self.budget = Some(budget);
        self
    }

    /// The value should be at least this.
    pub fn at_least(mut self, budget: f64) -> Self {
        self.is_floor = true;
        self.at_most(budget)
    }

    /// Adds a condition.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.conditions.insert(name.to_owned(), value.into());
        self
    }

    fn verdict(&self) -> String {
        let Some(budget) = self.budget else {
            return String::new();
        };
        let (sign, is_met) = match self.is_floor {
            true => ("≥", self.value >= budget),
            false => ("≤", self.value <= budget),
        };
        let word = if is_met { "met" } else { "MISSED" };
        format!("{sign} {budget} {word}")
    }
}

/// Tells figures as they come.
#[derive(Debug, Default)]
pub struct Report {
    figures: Vec<Figure>,
}

impl Report {
    /// Writes the figure's JSON line to standard output and keeps it for the table.
    ///
    /// # Errors
    /// When standard output is closed.
    pub fn add(&mut self, figure: Figure) -> anyhow::Result<()> {
        let mut stdout = std::io::stdout().lock();
        writeln!(stdout, "{}", serde_json::to_string(&figure)?)?;
        stdout.flush()?;
        self.figures.push(figure);
        Ok(())
    }

    /// The table of all figures so far, for a terminal.
    pub fn table(&self) -> String {
        let width =
            |column: fn(&Figure) -> String| self.figures.iter().map(|figure| column(figure).chars().count()).max();
        let names = width(|figure| figure.figure.clone()).unwrap_or(0);
        let values = width(value).unwrap_or(0);
        let verdicts = width(Figure::verdict).unwrap_or(0);
        let line = |figure: &Figure| {
            let conditions: Vec<String> = figure.conditions.iter().map(condition).collect();
            let (name, value, verdict) = (&figure.figure, value(figure), figure.verdict());
            let line = format!(
                "{name:names$}  {value:>values$}  {verdict:verdicts$}  {}",
                conditions.join(", ")
            );
            format!("{}\n", line.trim_end())
        };
        self.figures.iter().map(line).collect()
    }
}

fn value(figure: &Figure) -> String {
    format!("{} {}", figure.value, figure.unit)
}

fn condition((name, value): (&String, &Value)) -> String {
    match value {
        Value::String(text) => format!("{name}: {text}"),
        other => format!("{name}: {other}"),
    }
}

/// A progress line for whoever waits. Failing to write it does not matter.
pub fn tell(text: &str) {
    writeln!(std::io::stderr(), "bench: {text}").ok();
}

/// Durations to take quantiles of.
#[derive(Debug, Clone, Default)]
pub struct Samples(Vec<Duration>);

impl Samples {
    /// All durations, in any order.
    pub fn new(mut durations: Vec<Duration>) -> Self {
        durations.sort_unstable();
        Self(durations)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The smallest duration that at least this share (0 to 1) of the samples does not exceed, in milliseconds; 0 without samples.
    pub fn quantile_ms(&self, share: f64) -> f64 {
        let rank = (share * self.0.len() as f64).ceil() as usize;
        let found = self.0.get(rank.saturating_sub(1)).or(self.0.last());
        found.map_or(0.0, |duration| duration.as_secs_f64() * 1_000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_were_measured() {
        let samples = Samples::new((1..=200).rev().map(Duration::from_millis).collect());
        let quantiles = [0.0, 0.5, 0.99, 1.0].map(|share| samples.quantile_ms(share));
        assert_eq!(quantiles, [1.0, 100.0, 198.0, 200.0]);
        assert_eq!(Samples::default().quantile_ms(0.5), 0.0);
    }

    #[test]
    fn a_table_says_which_budgets_are_missed() {
        let figures = vec![
            Figure::new("statements", 13.0, "statements")
                .at_most(12.0)
                .with("turns", 50),
            Figure::new("turns_per_second", 301.25, "turns/s").at_least(300.0),
            Figure::new("size", 2.0, "MiB"),
        ];
        insta::assert_snapshot!(Report { figures }.table(), @r"
        statements         13 statements  ≤ 12 MISSED  turns: 50
        turns_per_second  301.25 turns/s  ≥ 300 met
        size                       2 MiB
        ");
    }
}

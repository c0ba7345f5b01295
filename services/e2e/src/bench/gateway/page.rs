//! The figures as tables of `docs/performance.md`, and the budgets.

use std::path::Path;

use anyhow::Context as _;

use super::{Measured, OURS, Phase, Results};

/// Added to a request, one at a time.
pub(super) const ADDED_P50_MS: f64 = 0.18;
/// Requests a second of one core, over 16 connections.
pub(super) const PER_SECOND: f64 = 10_000.0;
/// Processor time of 1,000 streams of 32 words.
pub(super) const STREAM_CPU_S: f64 = 0.9;
/// Added to the first word of a stream, 16 at once.
pub(super) const ADDED_FIRST_MS: f64 = 0.5;
/// What the leanest of the others holds at rest.
pub(super) const IDLE_MIB: f64 = 18.0;

/// The section between these lines is written by the benchmark.
const BEGIN: &str = "<!-- bench-gateway: written by `make bench-gateway BENCH=--write` -->\n";
const END: &str = "<!-- end of bench-gateway -->\n";

/// Puts a section in place of the one in the page, or at its end if there is none.
///
/// # Errors
/// When the page cannot be read or written.
pub fn rewrite(page: &Path, section: &str) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(page).with_context(|| format!("could not read {}", page.display()))?;
    std::fs::write(page, replaced(&text, section)).with_context(|| format!("could not write {}", page.display()))
}

fn replaced(text: &str, section: &str) -> String {
    let section = format!("{BEGIN}{section}{END}");
    match (text.find(BEGIN), text.find(END)) {
        (Some(begin), Some(end)) if begin < end => {
            format!("{}{section}{}", &text[..begin], &text[end + END.len()..])
        }
        (_, _) => format!("{text}\n{section}"),
    }
}

fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}"))
}

impl Results {
    /// The section of the page.
    ///
    /// * `rounds`, `seconds`: how it was measured.
    pub fn section(&self, rounds: usize, seconds: f64) -> String {
        let mut text = format!(
            "\n## The endpoints for SDKs, beside other gateways\n\nOne core for the gateway, the other for load and upstream, and for Tandem's \
             storage and PostgreSQL too, which have to have metered everything in the end; {rounds} rounds \
             of {seconds:.1} s for each gateway and phase, alternating in one run; figures are medians of the rounds, \"added\" is the time less that of \
             asking the upstream itself. The upstream answers requests at once, and streams {} words 2 ms apart after 20 ms. Tandem authenticates, \
             chooses the provider, meters, prices and records every exchange; budgets are for {}. `make bench-gateway` measures again.\n\n",
            super::upstream::TOKENS,
            self.judged()
        );
        text += &self.budgets();
        text += "\nRequests over 1, 16 and 64 connections (added times in ms; at 16 and 64 mostly the queue before the core):\n\n\
                 | gateway | p50 | p99 | /s | p50 | p99 | /s | p50 | p99 | /s |\n|---|---|---|---|---|---|---|---|---|---|\n";
        text += &self.rows(false, "whole_p50", "whole_p99");
        text += "\nStreams over 1, 16 and 64 connections (added ms to the first word):\n\n\
                 | gateway | p50 | p99 | /s | p50 | p99 | /s | p50 | p99 | /s |\n|---|---|---|---|---|---|---|---|---|---|\n";
        text += &self.rows(true, "first_p50", "first_p99");
        text += "\nWhat it costs:\n\n\
                 | gateway | CPU s per 1,000 requests, 1 / 16 / 64 | per 1,000 streams, 1 / 16 / 64 | storage and PostgreSQL per 1,000 requests \
                 | memory idle MiB | after | errors |\n|---|---|---|---|---|---|---|\n";
        for (name, measured) in self.gateways() {
            let cost = |is_stream: bool, what| {
                super::CONNECTIONS
                    .map(|connections| number(measured.get((is_stream, connections), what), 3))
                    .join(" / ")
            };
            text += &format!(
                "| {name} | {} | {} | {} | {} | {} | {} |\n",
                cost(false, "cpu_s_per_1000"),
                cost(true, "cpu_s_per_1000"),
                cost(false, "beside_s_per_1000"),
                number(measured.idle_mib, 0),
                number(measured.loaded_mib, 0),
                measured.errors
            );
        }
        text.push('\n');
        text
    }

    fn gateways(&self) -> impl Iterator<Item = &(String, Measured)> {
        self.peers.iter().filter(|(name, _)| name != "direct")
    }

    fn rows(&self, is_stream: bool, p50: &'static str, p99: &'static str) -> String {
        let mut text = String::new();
        for (name, measured) in &self.peers {
            let cells = super::CONNECTIONS.map(|connections| {
                let phase: Phase = (is_stream, connections);
                let time = |what| match name.as_str() {
                    "direct" => measured.get(phase, what),
                    _ => self.added(measured, phase, what),
                };
                let rate = number(measured.get(phase, "per_second"), 0);
                format!("{} | {} | {rate}", number(time(p50), 2), number(time(p99), 2))
            });
            let name = match name.as_str() {
                "direct" => "the upstream itself (whole time)",
                name => name,
            };
            text += &format!("| {name} | {} |\n", cells.join(" | "));
        }
        text
    }

    /// The budgets are for authentication, breaker and metering; recording is beside them, and so are those they were made by.
    fn budgets(&self) -> String {
        let named = |name: &str| {
            self.peers
                .iter()
                .find(|(peer, _)| peer == name)
                .map(|(_, measured)| measured)
        };
        let Some(recording) = named(OURS) else {
            return String::new();
        };
        let ours = named(self.judged()).unwrap_or(recording);
        type Figure<'a> = &'a dyn Fn(&Measured) -> Option<f64>;
        let rows: [(&str, Figure<'_>, &str, f64, bool); 5] = [
            (
                "added to a request, one at a time, p50",
                &|measured| self.added(measured, (false, 1), "whole_p50"),
                "ms",
                ADDED_P50_MS,
                false,
            ),
            (
                "requests a second of one core, 16 connections",
                &|measured| measured.get((false, 16), "per_second"),
                "/s",
                PER_SECOND,
                true,
            ),
            (
                "CPU of 1,000 streams of 32 words, 16 at once",
                &|measured| measured.get((true, 16), "cpu_s_per_1000"),
                "s",
                STREAM_CPU_S,
                false,
            ),
            (
                "added to the first word of a stream, 16 at once, p50",
                &|measured| self.added(measured, (true, 16), "first_p50"),
                "ms",
                ADDED_FIRST_MS,
                false,
            ),
            (
                "memory of the gateway at rest",
                &|measured| measured.idle_mib,
                "MiB",
                IDLE_MIB,
                false,
            ),
        ];
        let mut text =
            "| what | figure | recording too | crabllm | nginx | budget |\n|---|---|---|---|---|---|\n".to_owned();
        for (what, figure, unit, budget, is_floor) in rows {
            let value = figure(ours);
            let is_met = value.is_some_and(|value| if is_floor { value >= budget } else { value <= budget });
            let sign = if is_floor { "≥" } else { "≤" };
            let missed = if is_met { "" } else { ", **missed**" };
            let digits = if is_floor { 0 } else { 2 };
            let other = |peer: Option<&Measured>| number(peer.and_then(figure), digits);
            text += &format!(
                "| {what} | {} {unit} | {} | {} | {} | {sign} {budget} {unit}{missed} |\n",
                number(value, digits),
                other(Some(recording)),
                other(named("crabllm")),
                other(named("nginx")),
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_section_between_the_marks_is_replaced() {
        let first = replaced("# Page\n", "old\n");
        assert_eq!(first, format!("# Page\n\n{BEGIN}old\n{END}"));
        let again = replaced(&format!("{first}## After\n"), "new\n");
        assert_eq!(again, format!("# Page\n\n{BEGIN}new\n{END}## After\n"));
    }
}

//! The ratios as a picture: a group of bars for each workload, on a logarithmic scale from "as good" to the
//! right. Plain SVG, so that it shows wherever a README does.

use std::fmt::Write;

use crate::ratio::{Ratio, Spread};

const WIDTH: f64 = 820.0;
/// Where the bars begin.
const LEFT: f64 = 270.0;
const RIGHT: f64 = 70.0;
const TOP: f64 = 64.0;
const BAR: f64 = 11.0;
const GAP: f64 = 12.0;
/// What is drawn of a ratio: its name, its colour and where it is.
type Series = (&'static str, &'static str, fn(&Ratio) -> Spread);
/// All that is drawn.
const SERIES: [Series; 3] = [
    ("workflows per second", "#2b6cb0", |ratio| ratio.rate),
    ("median latency", "#dd6b20", |ratio| ratio.p50),
    ("CPU per workflow", "#2f855a", |ratio| ratio.cpu),
];

/// A picture of these ratios.
pub fn svg(title: &str, ratios: &[&Ratio]) -> String {
    let scale = Scale::of(ratios);
    let group = BAR * SERIES.len() as f64 + GAP;
    let height = TOP + group * ratios.len() as f64 + 28.0;
    let mut out = String::new();
    let _ = write!(
        out,
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" font-family="sans-serif" font-size="12" fill="#1a202c">
<rect width="100%" height="100%" fill="#ffffff"/>
<text x="16" y="22" font-size="15" font-weight="bold">{}</text>
"##,
        escaped(title)
    );
    legend(&mut out);
    axis(&mut out, &scale, height);
    for (index, ratio) in ratios.iter().enumerate() {
        bars(&mut out, &scale, ratio, TOP + group * index as f64);
    }
    out.push_str("</svg>\n");
    out
}

fn legend(out: &mut String) {
    for (index, (name, colour, _)) in SERIES.iter().enumerate() {
        let x = LEFT + 175.0 * index as f64;
        let _ = writeln!(
            out,
            r#"<rect x="{x}" y="33" width="10" height="10" fill="{colour}"/><text x="{}" y="42">{name}</text>"#,
            x + 15.0
        );
    }
}

fn axis(out: &mut String, scale: &Scale, height: f64) {
    for mark in scale.marks() {
        let (x, bottom) = (scale.x(mark), height - 26.0);
        let colour = if mark == 1.0 { "#1a202c" } else { "#cbd5e0" };
        let _ = writeln!(
            out,
            r#"<line x1="{x:.1}" y1="{}" x2="{x:.1}" y2="{bottom}" stroke="{colour}"/><text x="{x:.1}" y="{}" text-anchor="middle">{mark}×</text>"#,
            TOP - 8.0,
            height - 10.0
        );
    }
}

fn bars(out: &mut String, scale: &Scale, ratio: &Ratio, top: f64) {
    let callers =
        if ratio.connections == 1 { "1 caller".to_owned() } else { format!("{} callers", ratio.connections) };
    let _ = writeln!(
        out,
        r##"<text x="{x}" y="{}" text-anchor="end" font-weight="bold">{}, {callers}</text><text x="{x}" y="{}" text-anchor="end" fill="#4a5568">beside {}</text>"##,
        top + 13.0,
        escaped(ratio.title),
        top + 28.0,
        escaped(ratio.theirs),
        x = LEFT - 12.0,
    );
    for (index, (_, colour, figure)) in SERIES.iter().enumerate() {
        let spread = figure(ratio);
        let (from, to) = (scale.x(1.0), scale.x(spread.median));
        let y = top + BAR * index as f64;
        let _ = writeln!(
            out,
            r##"<rect x="{:.1}" y="{y:.1}" width="{:.1}" height="{}" fill="{colour}"/><line x1="{:.1}" x2="{:.1}" y1="{m:.1}" y2="{m:.1}" stroke="#1a202c"/><text x="{:.1}" y="{:.1}" font-size="10">{}</text>"##,
            from.min(to),
            (to - from).abs().max(1.0),
            BAR - 1.5,
            scale.x(spread.min),
            scale.x(spread.max),
            scale.x(spread.max.max(1.0)) + 4.0,
            y + BAR - 2.5,
            times(spread.median),
            m = y + (BAR - 1.5) / 2.0,
        );
    }
}

/// A ratio with two digits that say something.
pub fn times(ratio: f64) -> String {
    match ratio {
        ratio if ratio >= 10.0 => format!("{ratio:.0}×"),
        ratio if ratio >= 1.0 => format!("{ratio:.1}×"),
        ratio => format!("{ratio:.2}×"),
    }
}

/// From ratios to places, by powers.
struct Scale {
    least: f64,
    most: f64,
}

impl Scale {
    fn of(ratios: &[&Ratio]) -> Scale {
        let spreads = ratios.iter().flat_map(|ratio| SERIES.iter().map(|(_, _, figure)| figure(ratio)));
        let (least, most) = spreads
            .fold((1.0_f64, 2.0_f64), |(least, most), spread| (least.min(spread.min), most.max(spread.max)));
        Scale { least: least.max(0.01), most }
    }

    fn x(&self, ratio: f64) -> f64 {
        let part = (ratio.clamp(self.least, self.most) / self.least).ln() / (self.most / self.least).ln();
        LEFT + part * (WIDTH - LEFT - RIGHT)
    }

    fn marks(&self) -> impl Iterator<Item = f64> {
        let marks = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0];
        marks.into_iter().filter(|mark| (self.least..=self.most).contains(mark))
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ratio::{ratios, tests::sample};

    #[test]
    fn every_ratio_has_its_bars_within_the_picture() {
        let samples = [sample("a", "Selvedge", 1, 800.0), sample("a", "Restate", 1, 100.0)];
        let found = ratios(&samples);
        let picture = svg("a < b", &found.iter().collect::<Vec<_>>());
        assert_eq!(picture.matches("8.0×</text>").count(), SERIES.len());
        assert!(picture.contains("a &lt; b") && picture.contains("Selvedge to Restate"));
        let scale = Scale::of(&found.iter().collect::<Vec<_>>());
        assert_eq!((scale.x(1.0), scale.x(8.0)), (LEFT, WIDTH - RIGHT));
    }

    #[test]
    fn ratios_are_rounded_by_their_size() {
        for (ratio, text) in [(0.126, "0.13×"), (1.04, "1.0×"), (9.96, "10.0×"), (12.6, "13×")] {
            assert_eq!(times(ratio), text);
        }
    }
}

//! A plot as an SVG image: lines over two logarithmic axes, readable on light and dark pages.
//!
//! ```text
//!   500 ┤             ╭── the label of the line, moved
//!   200 ┤        ╭────╯   if two would overlap
//!       └──┬──┬──┬──┬
//! ```

use std::fmt::Write;

/// A line with its label.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// The label at its end.
    pub name: &'static str,
    /// Its points, from left to right. Both coordinates are positive.
    pub points: Vec<(f64, f64)>,
}

/// The size of the image.
const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 460.0;

/// The position of the axes: left, right, top, bottom. The labels are to the right of them.
const LEFT: f64 = 64.0;
const RIGHT: f64 = 660.0;
const TOP: f64 = 48.0;
const BOTTOM: f64 = 400.0;

/// Minimum vertical distance between labels.
const LABEL_DISTANCE: f64 = 18.0;

/// The colours of the lines, on a light page and on a dark page.
const COLOURS: [(&str, &str); 10] = [
    ("#1f6fb4", "#6cb6ff"),
    ("#c8384c", "#ff8590"),
    ("#20894e", "#5fd08f"),
    ("#7f4bc4", "#c3a2ff"),
    ("#b36b00", "#f0a83c"),
    ("#0b7f8c", "#4fd0dd"),
    ("#a83a82", "#f08fd0"),
    ("#59616d", "#b4bcc8"),
    ("#687700", "#c3d04a"),
    ("#8b5a4a", "#d3a08e"),
];

/// Draws lines. The image contains a style for dark pages, so one image is enough.
pub(crate) fn svg(title: &str, across: &str, up: &str, lines: &[Line]) -> String {
    let scale = Scale::of(lines);
    let mut text = head(title);
    scale.write_grid(&mut text);
    write_titles(&mut text, title, across, up);
    let mut labels: Vec<(usize, f64)> = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        scale.write_line(&mut text, number, line);
        labels.extend(line.points.last().map(|(_, y)| (number, scale.y(*y))));
    }
    for (number, y) in separate(labels) {
        write_name(&mut text, number, lines[number].name, y);
    }
    text.push_str("</svg>\n");
    text
}

/// The start of the image: its styles and background.
fn head(title: &str) -> String {
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
         aria-label=\"{title}\">\n<style>\n{}",
        style("#ffffff", "#1f2328", "#59636e", "#d8dee4", |colours| colours.0)
    );
    let dark = style("#0d1117", "#f0f6fc", "#9aa4af", "#2b323b", |colours| colours.1);
    let _ = write!(text, "@media (prefers-color-scheme: dark) {{\n{dark}}}\n");
    text.push_str(
        "text { font: 13px system-ui, sans-serif; }\n.title { font-size: 15px; font-weight: 600; }\n\
         .line { fill: none; stroke-width: 2; }\n</style>\n\
         <rect class=\"page\" width=\"100%\" height=\"100%\" rx=\"6\"/>\n",
    );
    text
}

/// The colours of page, title, other text, grid and lines.
fn style(
    page: &str,
    title: &str,
    label: &str,
    grid: &str,
    line: fn(&(&'static str, &'static str)) -> &'static str,
) -> String {
    let mut text = format!(
        ".page {{ fill: {page}; }}\n.title {{ fill: {title}; }}\n.word {{ fill: {label}; }}\n\
         .grid {{ stroke: {grid}; }}\n"
    );
    for (number, colour) in COLOURS.iter().map(line).enumerate() {
        let _ = writeln!(text, ".of{number} {{ stroke: {colour}; }} .name{number} {{ fill: {colour}; }}");
    }
    text
}

/// The titles of the image and of the axes.
fn write_titles(text: &mut String, title: &str, across: &str, up: &str) {
    let (middle, below) = ((LEFT + RIGHT) / 2.0, BOTTOM + 42.0);
    let _ = write!(
        text,
        "<text class=\"title\" x=\"16\" y=\"26\">{title}</text>\n\
         <text class=\"word\" x=\"{middle}\" y=\"{below}\" text-anchor=\"middle\">{across}</text>\n\
         <text class=\"word\" text-anchor=\"middle\" transform=\"translate(18 {}) rotate(-90)\">{up}</text>\n",
        (TOP + BOTTOM) / 2.0
    );
}

/// The label at the end of a line.
fn write_name(text: &mut String, number: usize, name: &str, y: f64) {
    let class = number % COLOURS.len();
    let _ = writeln!(
        text,
        "<text class=\"name{class}\" x=\"{}\" y=\"{:.1}\">{name}</text>",
        RIGHT + 14.0,
        y + 4.0
    );
}

/// Moves labels down until none overlaps another, and up again if the last one would be outside the image.
fn separate(mut labels: Vec<(usize, f64)>) -> Vec<(usize, f64)> {
    labels.sort_by(|a, b| a.1.total_cmp(&b.1));
    let mut least = f64::MIN;
    for (_, y) in &mut labels {
        *y = y.max(least);
        least = *y + LABEL_DISTANCE;
    }
    let mut most = BOTTOM;
    for (_, y) in labels.iter_mut().rev() {
        *y = y.min(most);
        most = *y - LABEL_DISTANCE;
    }
    labels
}

/// The mapping of values to positions.
struct Scale {
    /// Minimum and maximum of the horizontal axis, as logarithms.
    across: (f64, f64),
    /// Minimum and maximum of the vertical axis, as logarithms.
    up: (f64, f64),
}

impl Scale {
    /// Axes that contain all lines, and start and end at 1, 2 or 5 times a power of ten.
    fn of(lines: &[Line]) -> Self {
        let points = || lines.iter().flat_map(|line| &line.points);
        let range = |values: Vec<f64>| {
            let least = values.iter().copied().fold(f64::MAX, f64::min);
            let most = values.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
            let from = steps().filter(|step| *step <= least).last().unwrap_or(least);
            let to = steps().find(|step| *step >= most && *step > from).unwrap_or(most);
            (from.log10(), to.log10())
        };
        Self {
            across: range(points().map(|point| point.0).collect()),
            up: range(points().map(|point| point.1).collect()),
        }
    }

    /// The horizontal position of a value.
    fn x(&self, value: f64) -> f64 {
        LEFT + (value.log10() - self.across.0) / (self.across.1 - self.across.0) * (RIGHT - LEFT)
    }

    /// The vertical position of a value.
    fn y(&self, value: f64) -> f64 {
        BOTTOM - (value.log10() - self.up.0) / (self.up.1 - self.up.0) * (BOTTOM - TOP)
    }

    /// The grid: powers of ten horizontally; 1, 2 and 5 times powers of ten vertically.
    fn write_grid(&self, text: &mut String) {
        let within = |value: &f64, (from, to): (f64, f64)| (from - 1e-9..=to + 1e-9).contains(&value.log10());
        for value in steps().filter(|value| within(value, self.up)) {
            let y = self.y(value);
            let _ = write!(
                text,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\n\
                 <text class=\"word\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{value}</text>\n",
                LEFT - 8.0,
                y + 4.0
            );
        }
        let powers = (0..9).map(|power| 10f64.powi(power));
        for value in powers.filter(|value| within(value, self.across)) {
            let x = self.x(value);
            let _ = write!(
                text,
                "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{BOTTOM}\"/>\n\
                 <text class=\"word\" x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n",
                BOTTOM + 20.0,
                crate::report::number(value, 0)
            );
        }
    }

    /// A line with a dot at each point. Every other line is dashed, for readers who cannot distinguish the
    /// colours.
    fn write_line(&self, text: &mut String, number: usize, line: &Line) {
        let class = number % COLOURS.len();
        let points: Vec<(f64, f64)> = line.points.iter().map(|(x, y)| (self.x(*x), self.y(*y))).collect();
        let path: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let broken = if number % 2 == 1 { " stroke-dasharray=\"7 4\"" } else { "" };
        let path = path.join(" ");
        let _ = writeln!(text, "<polyline class=\"line of{class}\"{broken} points=\"{path}\"/>");
        for (x, y) in points {
            let _ = writeln!(text, "<circle class=\"name{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\"/>");
        }
    }
}

/// 1, 2 and 5 times each power of ten, in ascending order.
fn steps() -> impl Iterator<Item = f64> {
    (-3..9).flat_map(|power: i32| {
        [1.0, 2.0, 5.0].map(|step| match power {
            // Division by an exact power of ten, so that 0.2 is correctly rounded.
            ..0 => step / 10f64.powi(-power),
            _ => step * 10f64.powi(power),
        })
    })
}

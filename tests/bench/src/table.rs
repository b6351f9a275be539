//! Figures and how they are printed.

/// The value below which `share` (0–1) of the samples lie; nothing without samples.
#[must_use]
pub fn percentile(samples: &[f64], share: f64) -> Option<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    let at = (share.clamp(0.0, 1.0) * last as f64).round() as usize;
    sorted.get(at).copied()
}

/// A table with a headline, printed with columns as wide as their widest cell.
pub struct Table {
    title: String,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// With its column names.
    #[must_use]
    pub fn new(title: &str, columns: &[&str]) -> Self {
        Self { title: title.to_owned(), rows: vec![columns.iter().map(|&c| c.to_owned()).collect()] }
    }

    /// One more row.
    pub fn row(&mut self, cells: &[&str]) {
        self.rows.push(cells.iter().map(|&c| c.to_owned()).collect());
    }

    /// A row of durations in milliseconds: name, median, p95, worst, count, goal.
    pub fn times(&mut self, name: &str, samples: &[f64], goal: &str) {
        let cell = |share| percentile(samples, share).map_or("–".to_owned(), |ms| format!("{ms:.0}"));
        let count = samples.len().to_string();
        self.row(&[name, &cell(0.5), &cell(0.95), &cell(1.0), &count, goal]);
    }

    /// The whole table as text.
    #[must_use]
    pub fn text(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or_default();
        let width = |column: usize| {
            self.rows.iter().filter_map(|row| row.get(column)).map(|c| c.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = format!("\n{}\n", self.title);
        for (number, row) in self.rows.iter().enumerate() {
            for (column, cell) in row.iter().enumerate() {
                let gap = " ".repeat(widths[column] - cell.chars().count());
                text += &if column == 0 { format!("  {cell}{gap}") } else { format!("  {gap}{cell}") };
            }
            text += "\n";
            if number == 0 {
                text += &format!("  {}\n", "-".repeat(widths.iter().sum::<usize>() + 2 * (columns.max(1) - 1)));
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_of_few_samples() {
        assert_eq!(percentile(&[], 0.5), None);
        assert_eq!(percentile(&[3.0, 1.0, 2.0], 0.5), Some(2.0));
        assert_eq!(percentile(&[3.0, 1.0, 2.0], 1.0), Some(3.0));
    }

    #[test]
    fn columns_line_up() {
        let mut table = Table::new("t", &["name", "ms"]);
        table.row(&["a long name", "5"]);
        let lines: Vec<usize> = table.text().lines().skip(2).map(|l| l.chars().count()).collect();
        assert!(lines.windows(2).all(|pair| pair[0] == pair[1]), "{lines:?}");
    }
}

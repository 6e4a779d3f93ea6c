//! The tables in ARCHITECTURE.md that are also rules: two columns between `<!-- name -->` and `<!-- /name -->`.

use anyhow::{Context, ensure};

/// One row: what the rule is about, and the list in its second column.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) subject: String,
    pub(crate) allowed: Vec<String>,
}

/// Reads the table `name`; its head and rule rows are skipped, backquotes are decoration.
pub(crate) fn table(document: &str, name: &str) -> anyhow::Result<Vec<Row>> {
    let (open, close) = (format!("<!-- {name} -->"), format!("<!-- /{name} -->"));
    let rest = document
        .split_once(&open)
        .with_context(|| format!("ARCHITECTURE.md has no {open}"))?
        .1;
    let body = rest
        .split_once(&close)
        .with_context(|| format!("ARCHITECTURE.md has no {close}"))?
        .0;
    let lines: Vec<&str> = body.lines().filter(|line| line.starts_with('|')).collect();
    ensure!(lines.len() > 2, "the table {name} in ARCHITECTURE.md is empty");
    lines[2..].iter().map(|line| row(line)).collect()
}

fn row(line: &str) -> anyhow::Result<Row> {
    let line = line.replace('`', "");
    let cells: Vec<&str> = line.trim().trim_matches('|').split('|').map(str::trim).collect();
    let (Some(subject), Some(list)) = (cells.first(), cells.get(1)) else {
        anyhow::bail!("not a row of two cells: {line}");
    };
    let allowed = list
        .split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect();
    Ok(Row {
        subject: (*subject).to_owned(),
        allowed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_between_their_markers() {
        let text = "x\n<!-- layers -->\n| crate | may |\n| --- | --- |\n| `a` | |\n| `b` | `a`, c |\n<!-- /layers -->\n| z | y |";
        let rows = table(text, "layers").unwrap();
        assert_eq!(rows.len(), 2);
        assert_eq!(
            rows[0],
            Row {
                subject: "a".into(),
                allowed: vec![]
            }
        );
        assert_eq!(rows[1].allowed, ["a", "c"]);
    }

    #[test]
    fn a_missing_table_is_an_error() {
        assert!(table("nothing", "layers").is_err());
    }
}

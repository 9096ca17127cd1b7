//! Rows as Arrow: the columns of a dataset are filled value by value and handed over as they are, by the C data interface.

mod column;
pub mod interface;
pub mod table;
mod write;

pub use column::{Column, Data};

/// Rows of one dataset, column by column. Immutable once a batch was run; whoever reads it shares it.
#[derive(Debug)]
pub struct Rows {
    pub columns: Vec<Column>,
    pub count: usize,
}

impl Rows {
    /// No rows of a table, with room for as many as the batch before had.
    pub fn new(table: &table::Table, before: Option<&Rows>) -> Rows {
        let columns = table.columns.iter().enumerate().map(|(at, (_, kind))| {
            let mut column = Column::new(kind);
            if let Some(before) = before {
                column.reserve_as(&before.columns[at]);
            }
            column
        });
        Rows { columns: columns.collect(), count: 0 }
    }

    /// Appends a whole event.
    pub fn event(&mut self, to: u32, event: &[u8]) {
        let to = &mut self.columns[to as usize];
        to.pad_to(self.count);
        to.text(event);
        self.count += 1;
    }

    /// Fills what rows left out at the end.
    pub fn finish(&mut self) {
        for column in &mut self.columns {
            column.pad_to(self.count);
        }
    }

    /// The number of a column that would have taken more than Arrow's offsets can tell.
    pub fn too_long(&self) -> Option<usize> {
        self.columns.iter().position(Column::is_too_long)
    }
}

//! One table of the accounts as text.

use super::style::{BOLD, DIM, Style};
use super::table::{Align, Cell, Table};
use super::terminal::neutralised;
use crate::Explanation;
use crate::attribute::Row;
use crate::wording::percent;
use buildscope_record::{Nanos, redacted};
use std::fmt::Display;

/// A table of [`Accounts`](crate::attribute::Accounts).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Account {
    /// By group of phases.
    Groups,
    /// By phase.
    Phases,
    /// By stage.
    Stages,
    /// By kind of instruction.
    Instructions,
    /// By line of the Dockerfile.
    Lines,
    /// By class of Docker Desktop's Builds view.
    Desktop,
}

/// One table of the accounts, with the wall time that its rows sum to. Credentials in names are left out.
pub fn account(explanation: &Explanation, account: Account, style: Style) -> String {
    let accounts = &explanation.accounts;
    let table = match account {
        Account::Groups => table("group", &accounts.groups, explanation.wall),
        Account::Phases => table("phase", &accounts.phases, explanation.wall),
        Account::Stages => table("stage", &accounts.stages, explanation.wall),
        Account::Instructions => table("instruction", &accounts.instructions, explanation.wall),
        Account::Lines => table("line", &accounts.lines, explanation.wall),
        Account::Desktop => table("class in Docker Desktop", &accounts.desktop, explanation.wall),
    };
    neutralised(&redacted(&table.render(style.width.clamp(40, 240), style.colours))).into_owned()
}

fn table<N: Display>(head: &str, rows: &[Row<N>], wall: Nanos) -> Table {
    let mut table = Table::new([Align::Flexible, Align::Right, Align::Right, Align::Right]);
    table.row([head, "wall", "", "work"].map(|head| Cell::from(head).colour(DIM)));
    for row in rows {
        let (name, share) = (row.name.to_string(), percent(row.wall, wall));
        table.row([name, row.wall.to_string(), share, row.work.to_string()].map(Cell::from));
    }
    table.row([Cell::from("total").colour(BOLD), Cell::from(wall.to_string()).colour(BOLD), "".into(), "".into()]);
    table
}

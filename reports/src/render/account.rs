//! One division of a build's time as text.

use super::style::{BOLD, DIM, Style};
use super::table::{Align, Cell, Table};
use super::terminal::neutralised;
use crate::Explanation;
use crate::attribute::Row;
use crate::wording::percent;
use buildscope_record::{Nanos, redacted};
use std::fmt::Display;

/// A table of [`Accounts`](crate::attribute::Accounts), or the commands.
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
    /// By command inside the steps.
    Commands,
    /// By class of Docker Desktop's Builds view.
    Desktop,
}

/// One division of the wall time, with the time that its rows sum to: that of the build, or for commands those of the steps. Credentials
/// in names are left out.
pub fn account(explanation: &Explanation, account: Account, style: Style) -> String {
    let style = Style { width: style.width.clamp(40, 240), ..style };
    let (accounts, wall) = (&explanation.accounts, explanation.wall);
    let text = match account {
        Account::Groups => table("group", &accounts.groups, wall, style),
        Account::Phases => table("phase", &accounts.phases, wall, style),
        Account::Stages => table("stage", &accounts.stages, wall, style),
        Account::Instructions => table("instruction", &accounts.instructions, wall, style),
        Account::Lines => table("line", &accounts.lines, wall, style),
        Account::Commands => super::inside::all(explanation, style),
        Account::Desktop => table("class in Docker Desktop", &accounts.desktop, wall, style),
    };
    neutralised(&redacted(&text)).into_owned()
}

fn table<N: Display>(head: &str, rows: &[Row<N>], wall: Nanos, style: Style) -> String {
    let mut table = Table::new([Align::Flexible, Align::Right, Align::Right, Align::Right]);
    table.row([head, "wall", "", "work"].map(|head| Cell::from(head).colour(DIM)));
    for row in rows {
        let (name, share) = (row.name.to_string(), percent(row.wall, wall));
        table.row([name, row.wall.to_string(), share, row.work.to_string()].map(Cell::from));
    }
    table.row([Cell::from("total").colour(BOLD), Cell::from(wall.to_string()).colour(BOLD), "".into(), "".into()]);
    table.render(style.width, style.colours)
}

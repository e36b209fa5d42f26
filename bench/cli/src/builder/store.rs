//! `buildscope store`.

use super::layer_names;
use crate::{Failure, Root, output, shown, units, write_message, write_out};
use buildscope_record::ByteSize;
use buildscope_reports::render::table::{Align, Cell, Table};
use buildscope_storage::{
    Checked, DamagedBlob, DamagedUnpacked, DriverChoice, DriverName, PruneOptions, Store, StoreOptions, Usage,
    UsageKind,
};
use clap::{Args, Subcommand, ValueEnum};
use miette::miette;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Show the disk usage of the store, free space, or verify its blobs
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    work: StoreCommand,
    #[command(flatten)]
    root: Root,
}

const EXAMPLES: &str = "Examples:
  buildscope store du
  buildscope store prune --keep-bytes 10GB --keep-duration 7d
  buildscope store prune --filter type=cache-mount
  buildscope store check --repair";

#[derive(Debug, Subcommand)]
enum StoreCommand {
    /// Show disk usage, least recently used first, with the instruction and the image of each layer
    #[command(after_help = "Examples:\n  buildscope store du\n  buildscope store du --format json")]
    Du {
        /// Output format
        #[arg(long, value_enum, default_value_t)]
        format: ListFormat,
    },
    /// Remove data that no running build and no named image uses, least recently used first
    #[command(
        after_help = "Examples:\n  buildscope store prune --keep-bytes 10GB --keep-duration 7d\n  buildscope store prune --filter type=cache-mount"
    )]
    Prune {
        /// Stop when the store is at most this size (10GB, 500MiB)
        #[arg(long, value_name = "SIZE", value_parser = units::bytes)]
        keep_bytes: Option<ByteSize>,
        /// Keep data that was used within this time (90s, 12h, 7d)
        #[arg(long, value_name = "TIME", value_parser = units::duration)]
        keep_duration: Option<Duration>,
        /// Remove only this type of data: type=layer, type=blob, type=cache-mount or type=derived; may be repeated
        #[arg(long, value_name = "type=KIND", value_parser = kind)]
        filter: Vec<UsageKind>,
        /// Output format
        #[arg(long, value_enum, default_value_t)]
        format: ListFormat,
    },
    /// Compare every blob with its digest and every unpacked layer with its blob; exit code 1 if there is damage that was not repaired
    #[command(after_help = "Examples:\n  buildscope store check\n  buildscope store check --repair")]
    Check {
        /// Remove damaged blobs, data made from them, damaged unpacked layers, and results of steps that may have read these: the next
        /// build creates them again
        #[arg(long)]
        repair: bool,
        /// Output format
        #[arg(long, value_enum, default_value_t)]
        format: ListFormat,
    },
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum ListFormat {
    #[default]
    Text,
    Json,
}

/// Runs the subcommand.
pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    if matches!(arguments.work, StoreCommand::Check { .. } | StoreCommand::Prune { .. })
        && let Err(error) = buildscope_sandbox::isolate_process()
    {
        // The files of an ordinary user's store may belong to the ids of the user's namespace.
        write_message(&format!("warning: {error}: files of other owners are not checked or removed"));
    }
    // No step runs, so the driver without requirements is enough.
    let options = StoreOptions { driver: DriverChoice::Named(DriverName::Copy), ..StoreOptions::default() };
    let store = Store::open(&arguments.root.resolve()?, options).map_err(Failure::internal)?;
    let done = work(arguments.work, &store);
    for warning in store.take_warnings() {
        write_message(&format!("warning: {warning}"));
    }
    done
}

fn work(work: StoreCommand, store: &Store) -> Result<(), Failure> {
    let (items, format, title) = match work {
        StoreCommand::Check { repair, format } => return check(store, repair, format),
        StoreCommand::Du { format } => (store.usage().map_err(Failure::internal)?, format, "total"),
        StoreCommand::Prune { keep_bytes, keep_duration, filter, format } => {
            let keep = layer_names::of_images(store)?;
            let options = PruneOptions { keep_bytes, keep_duration, kinds: filter, keep };
            (store.prune(&options).map_err(Failure::internal)?, format, "removed")
        }
    };
    let names = layer_names::all(store)?;
    write_out(&if format == ListFormat::Json {
        json(&items, &names)
    } else {
        shown(&text(&items, &names, title)).into_owned()
    });
    Ok(())
}

/// Verifies every blob and every unpacked layer. Reports progress on standard error once a second.
fn check(store: &Store, repair: bool, format: ListFormat) -> Result<(), Failure> {
    let reported = Mutex::new(Instant::now());
    let passed = |read: ByteSize, total: ByteSize| {
        let mut reported = reported.lock();
        if reported.elapsed() >= Duration::from_secs(1) {
            write_message(&format!("checked {read} of {total}"));
            *reported = Instant::now();
        }
    };
    let checked = store.check(repair, &passed).map_err(Failure::internal)?;
    write_out(&if format == ListFormat::Json {
        found_json(&checked, repair)
    } else {
        shown(&found_text(&checked, repair)).into_owned()
    });
    if checked.damaged.is_empty() && checked.damaged_unpacked.is_empty() || repair {
        Ok(())
    } else {
        Err(Failure::Reported)
    }
}

fn found_text(checked: &Checked, repaired: bool) -> String {
    let mut text = String::new();
    for DamagedBlob { blob, found } in &checked.damaged {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "damaged: {blob} holds {found}{}", if repaired { ", removed" } else { "" });
    }
    for DamagedUnpacked { directory, layer, path, difference } in &checked.damaged_unpacked {
        let of = layer.map_or(String::new(), |layer| format!(" (unpacked {layer})"));
        let end = if repaired { ", removed" } else { "" };
        let _ = writeln!(text, "damaged: {directory}{of}: `{}`: {difference}{end}", path.display());
    }
    let counted = |number: u64, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
    let (blobs, bytes) = (counted(checked.blobs, "blob"), checked.bytes);
    let unpacked = match checked.unpacked {
        0 => String::new(),
        number => format!(" and {}", counted(number, "unpacked layer")),
    };
    let end = match (checked.damaged.len() + checked.damaged_unpacked.len(), repaired) {
        (0, _) => "no damage".to_owned(),
        (damaged, true) => format!("{damaged} damaged and removed: the next build creates them again if it needs them"),
        (damaged, false) => format!("{damaged} damaged: `buildscope store check --repair` removes what is damaged"),
    };
    let _ = writeln!(text, "{blobs} ({bytes}){unpacked} checked, {end}");
    if checked.forgotten > 0 {
        let results = counted(checked.forgotten as u64, "cached result");
        let _ = writeln!(text, "{results} removed: the steps may have read the damaged unpacked layer");
    }
    if !checked.unknown.is_empty() {
        let unknown = counted(checked.unknown.len() as u64, "unpacked layer");
        let end = if repaired { "removed: the next build unpacks again what it needs" } else { "not checked" };
        let _ = writeln!(text, "{unknown} of unknown origin {end}");
    }
    text
}

fn found_json(checked: &Checked, repaired: bool) -> String {
    let row = |DamagedBlob { blob, found }: &DamagedBlob| serde_json::json!({"blob": blob, "found": found, "repaired": repaired});
    let damaged: Vec<_> = checked.damaged.iter().map(row).collect();
    let row = |DamagedUnpacked { directory, layer, path, difference }: &DamagedUnpacked| {
        serde_json::json!({
            "directory": directory, "layer": layer, "path": path.display().to_string(), "difference": difference, "repaired": repaired,
        })
    };
    let damaged_unpacked: Vec<_> = checked.damaged_unpacked.iter().map(row).collect();
    let found = serde_json::json!({
        "blobs": checked.blobs, "bytes": checked.bytes.0, "damaged": damaged, "unpacked": checked.unpacked,
        "damaged_unpacked": damaged_unpacked, "unknown": checked.unknown, "forgotten": checked.forgotten,
    });
    format!("{found:#}\n")
}

fn text(items: &[Usage], names: &BTreeMap<String, String>, title: &str) -> String {
    use Align::{Flexible, Left, Right};
    let mut table = Table::new([Right, Left, Left, Left, Flexible]).flush();
    for item in items {
        let used = if item.in_use { "in use".to_owned() } else { ago(item.used) };
        let name = item.name.strip_prefix("sha256:").map_or(item.name.as_str(), |hex| &hex[..hex.len().min(12)]);
        let made_by = names.get(&item.name).cloned().unwrap_or_default();
        table.row([item.size.to_string(), item.kind.name().to_owned(), used, name.to_owned(), made_by].map(Cell::from));
    }
    let total = ByteSize(items.iter().map(|item| item.size.0).sum());
    table.row([total.to_string(), title.to_owned()].map(Cell::from));
    table.plain(output::style_of_result(None).width.max(100))
}

fn json(items: &[Usage], names: &BTreeMap<String, String>) -> String {
    let seconds = |time: SystemTime| time.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
    let row = |item: &Usage| {
        serde_json::json!({
            "type": item.kind.name(), "name": item.name, "made_by": names.get(&item.name), "bytes": item.size.0, "used": seconds(item.used), "in_use": item.in_use,
        })
    };
    let rows: Vec<_> = items.iter().map(row).collect();
    format!("{:#}\n", serde_json::Value::from(rows))
}

fn ago(then: SystemTime) -> String {
    let seconds = then.elapsed().map_or(0, |age| age.as_secs());
    match seconds {
        0..120 => format!("{seconds} s ago"),
        120..7_200 => format!("{} min ago", seconds / 60),
        7_200..172_800 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

fn kind(text: &str) -> Result<UsageKind, miette::Report> {
    let name = text.strip_prefix("type=").unwrap_or(text);
    let known = || UsageKind::ALL.map(UsageKind::name).join(", ");
    let found = UsageKind::ALL.into_iter().find(|kind| kind.name() == name);
    found.ok_or_else(|| miette!("unknown type `{name}`: use {}", known()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_names() {
        assert!(kind("type=x").is_err());
        assert_eq!(kind("type=cache-mount").unwrap(), UsageKind::CacheMount);
    }
}

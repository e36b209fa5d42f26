//! Sizes, limits and hosts of a service, as buildx writes them.

use std::collections::BTreeMap;

use yaml_serde::Value as Yaml;

use super::{load::texts, scalar};

/// Bytes with the largest binary unit, as docker shows sizes.
pub(super) fn shm_size(value: &Yaml) -> Result<Option<String>, String> {
    let text = scalar::text(value).unwrap_or_default();
    let bytes = bytes(&text).ok_or_else(|| format!("invalid size {text} for shm_size"))?;
    if bytes == 0 {
        return Ok(None);
    }
    let mut size = bytes as f64;
    let mut unit = 0;
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    while size >= 1024.0 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    // Four significant digits.
    let digits = 3 - (size.log10().floor() as i32).clamp(0, 3);
    let rounded = format!("{size:.*}", digits as usize);
    let short = if rounded.contains('.') { rounded.trim_end_matches('0').trim_end_matches('.') } else { &rounded };
    Ok(Some(format!("{short}{}", UNITS[unit])))
}

/// A size such as `64m`, `1.5 GB` or `1024`. Units are powers of 1024.
fn bytes(text: &str) -> Option<u64> {
    let text = text.trim().to_lowercase();
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let number: f64 = text[..end].parse().ok()?;
    let power = match text[end..].trim().trim_end_matches('b').trim_end_matches('i') {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        _ => return None,
    };
    Some((number * 1024_f64.powi(power)) as u64)
}

pub(super) fn ulimits(value: Option<&Yaml>) -> Result<Option<Vec<String>>, String> {
    let map = match value {
        None | Some(Yaml::Null) => return Ok(None),
        Some(Yaml::Mapping(map)) => map,
        Some(_) => return Err("ulimits must be a mapping".into()),
    };
    let mut ulimits = Vec::new();
    for (name, limit) in map {
        let name = scalar::text(name).unwrap_or_default();
        let number = |value: Option<&Yaml>| value.and_then(scalar::text).and_then(|text| text.parse::<i64>().ok());
        let (soft, hard) = match limit {
            Yaml::Mapping(limits) => {
                if let Some(key) = limits.keys().filter_map(scalar::text).find(|key| key != "soft" && key != "hard") {
                    return Err(format!("ulimits.{name}: additional properties '{key}' not allowed"));
                }
                (number(limits.get("soft")), number(limits.get("hard")))
            }
            single => (number(Some(single)), number(Some(single))),
        };
        let invalid = || format!("invalid ulimit {name}: write a number, or soft and hard");
        ulimits.push(format!("{name}={}:{}", soft.ok_or_else(invalid)?, hard.ok_or_else(invalid)?));
    }
    Ok(Some(ulimits))
}

/// `host=address`, `host:address`, or a map. Several addresses of a host are joined by commas.
pub(super) fn extra_hosts(value: Option<&Yaml>) -> Result<BTreeMap<String, String>, String> {
    let mut hosts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let plain = |address: &str| {
        let inner = address.strip_prefix('[').and_then(|address| address.strip_suffix(']'));
        inner.unwrap_or(address).to_owned()
    };
    match value {
        None | Some(Yaml::Null) => {}
        Some(Yaml::Mapping(map)) => {
            for (host, addresses) in map {
                let host = scalar::text(host).unwrap_or_default();
                hosts.entry(host).or_default().extend(texts(Some(addresses)).iter().map(|address| plain(address)));
            }
        }
        Some(other) => {
            for text in texts(Some(other)) {
                let (host, addresses) = text
                    .split_once('=')
                    .or_else(|| text.split_once(':'))
                    .ok_or_else(|| format!("invalid additional host, missing IP: {text}"))?;
                hosts.entry(host.to_owned()).or_default().extend(addresses.split(',').map(plain));
            }
        }
    }
    if let Some(host) = hosts.keys().find(|host| host.is_empty() || host.contains([':', '='])) {
        return Err(format!("bad host name '{host}'"));
    }
    Ok(hosts.into_iter().map(|(host, addresses)| (host, addresses.join(","))).collect())
}

//! Functions of networks: `cidrhost`, `cidrnetmask`, `cidrsubnet`, `cidrsubnets`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{
    Function,
    arguments::{integer, size, take, text},
    exact, several,
};
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    exact("cidrhost", 2, |a| {
        let [prefix, host] = take(a)?;
        let network = Network::parse(&text(prefix)?)?;
        network.host(integer(host)?).map(|address| Value::String(address.to_string()))
    }),
    exact("cidrnetmask", 1, |a| {
        let [prefix] = take(a)?;
        let network = Network::parse(&text(prefix)?)?;
        Ok(Value::String(network.address(network.mask()).to_string()))
    }),
    exact("cidrsubnet", 3, |a| {
        let [prefix, bits, number] = take(a)?;
        let network = Network::parse(&text(prefix)?)?;
        let (bits, number) = (size(bits)?, size(number)?);
        if bits > 32 {
            return Err("a prefix is extended by at most 32 bits".into());
        }
        let length = network.length + bits as u32;
        if length > network.width() {
            return Err(format!("/{length} is too long for an address of {} bits", network.width()));
        }
        if number >> bits != 0 {
            return Err(format!("{bits} bits do not hold the number {number}"));
        }
        let bits_of_number = shift(number as u128, network.width() - length);
        Ok(Value::String(Network { bits: network.bits | bits_of_number, length, ..network }.to_string()))
    }),
    several("cidrsubnets", 1, subnets),
];

/// An address prefix, such as `10.0.0.0/8`.
#[derive(Clone, Copy)]
struct Network {
    bits: u128,
    length: u32,
    six: bool,
}

fn shift(value: u128, by: u32) -> u128 {
    value.checked_shl(by).unwrap_or(0)
}

impl Network {
    fn parse(text: &str) -> Result<Network, String> {
        let failed = || format!("\"{text}\" is not a network, such as 10.0.0.0/8");
        let (address, length) = text.split_once('/').ok_or_else(failed)?;
        let address: IpAddr = address.parse().map_err(|_| failed())?;
        let length: u32 = length.parse().map_err(|_| failed())?;
        let (bits, six) = match address {
            IpAddr::V4(address) => (u128::from(u32::from(address)), false),
            IpAddr::V6(address) => (u128::from(address), true),
        };
        let network = Network { bits, length, six };
        if length > network.width() {
            return Err(failed());
        }
        Ok(Network { bits: bits & network.mask(), ..network })
    }

    fn width(&self) -> u32 {
        if self.six { 128 } else { 32 }
    }

    fn mask(&self) -> u128 {
        let all = if self.six { u128::MAX } else { u128::from(u32::MAX) };
        all & !(shift(1, self.width() - self.length).wrapping_sub(1))
    }

    fn address(&self, bits: u128) -> IpAddr {
        if self.six { IpAddr::V6(Ipv6Addr::from(bits)) } else { IpAddr::V4(Ipv4Addr::from(bits as u32)) }
    }

    /// The host of a number; negative numbers count from the end.
    fn host(&self, number: i64) -> Result<IpAddr, String> {
        let hosts = shift(1, self.width() - self.length);
        let magnitude = u128::from(number.unsigned_abs());
        // 0 hosts mean 2 to the power of 128.
        let fits = hosts == 0 || if number < 0 { magnitude <= hosts } else { magnitude < hosts };
        if !fits {
            return Err(format!("{self} has no host {number}"));
        }
        let offset = if number < 0 { hosts.wrapping_sub(magnitude) } else { magnitude };
        Ok(self.address(self.bits | (offset & !self.mask())))
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}/{}", self.address(self.bits), self.length)
    }
}

/// Consecutive networks inside of a prefix, longer by the given numbers of bits.
fn subnets(arguments: Vec<Value>) -> Result<Value, String> {
    let mut arguments = arguments.into_iter();
    let network = Network::parse(&text(arguments.next().ok_or("a prefix is required")?)?)?;
    let end = shift(1, network.width() - network.length);
    let mut used: u128 = 0;
    let mut networks = Vec::new();
    for bits in arguments {
        let bits = size(bits)?;
        if !(1..=32).contains(&bits) {
            return Err("a prefix is extended by 1 to 32 bits".into());
        }
        let length = network.length + bits as u32;
        if length > network.width() {
            return Err(format!("/{length} is too long for an address of {} bits", network.width()));
        }
        let step = shift(1, network.width() - length);
        let start = used.div_ceil(step) * step;
        let after = start.checked_add(step).filter(|after| end == 0 || *after <= end);
        used = after.ok_or_else(|| format!("{network} has no room for another /{length}"))?;
        networks.push(Network { bits: network.bits | start, length, ..network }.to_string());
    }
    Ok(Value::strings(networks))
}

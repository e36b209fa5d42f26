//! The port specifications of EXPOSE.

/// A parsed port specification.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ports {
    /// The first and the last port.
    pub range: (u16, u16),
    /// The protocol: `tcp`, `udp` or `sctp`.
    pub protocol: String,
    /// Whether the specification names an address or a port of the host, which EXPOSE ignores.
    pub has_host: bool,
    /// Whether the protocol is written with capital letters.
    pub odd_case: bool,
}

impl Ports {
    /// Parses `[[address:]host:]port[-port][/protocol]`.
    ///
    /// # Errors
    /// BuildKit's message for the invalid part.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let protocol = if protocol.is_empty() { "tcp" } else { protocol };
        let lower = protocol.to_lowercase();
        if !matches!(&*lower, "tcp" | "udp" | "sctp") {
            return Err(format!("invalid proto: {protocol}"));
        }
        let (host, port) = ports.rsplit_once(':').map_or((None, ports), |(host, port)| (Some(host), port));
        if port.is_empty() {
            return Err(format!("no port specified: {text}"));
        }
        let number = |digits: &str| {
            (!digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
                .then(|| digits.parse::<u16>().ok())
                .flatten()
                .ok_or_else(|| format!("invalid containerPort: {port}"))
        };
        let range = match port.split_once('-') {
            Some((first, last)) => (number(first)?, number(last)?),
            None => (number(port)?, number(port)?),
        };
        if range.1 < range.0 {
            return Err(format!("invalid range specified for port: {port}"));
        }
        Ok(Self { range, odd_case: lower != protocol, protocol: lower, has_host: host.is_some() })
    }

    /// Returns each port in the form of the image configuration, such as `80/tcp`.
    pub fn each(&self) -> impl Iterator<Item = String> + use<'_> {
        (self.range.0..=self.range.1).map(|port| format!("{port}/{}", self.protocol))
    }
}

#[cfg(test)]
mod tests {
    use super::Ports;

    #[test]
    fn ports_parse_to_ranges() {
        let ports = Ports::parse("7000-7002/UDP").unwrap();
        assert_eq!(ports.each().collect::<Vec<_>>(), ["7000/udp", "7001/udp", "7002/udp"]);
        assert!(ports.odd_case && Ports::parse("127.0.0.1:80:8080").unwrap().has_host);
    }

    #[test]
    fn malformed_ports_are_errors() {
        for text in ["80000000", "a", "80/x", "9-8", "", "-1"] {
            assert!(Ports::parse(text).is_err(), "{text}");
        }
    }
}

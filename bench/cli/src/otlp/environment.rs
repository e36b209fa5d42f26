//! The environment variables of OpenTelemetry that a build honours: where spans go, and the span that the build belongs
//! to.

use super::spans::Parent;
use opentelemetry::trace::{SpanId, TraceId, TraceState};
use std::str::FromStr;

impl Parent {
    /// From `TRACEPARENT` and `TRACESTATE`. An invalid value is ignored, as the specification asks for.
    pub(crate) fn from_environment() -> Option<Self> {
        let parent = Self::parse(&std::env::var("TRACEPARENT").ok()?)?;
        let state = std::env::var("TRACESTATE").ok().and_then(|text| TraceState::from_str(text.trim()).ok());
        Some(Self { state: state.unwrap_or_default(), ..parent })
    }

    /// Parses `00-<32 hex digits>-<16 hex digits>-<2 hex digits>`. Later versions may have more fields.
    fn parse(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.trim().split('-').collect();
        let [version, trace, span, flags, rest @ ..] = &parts[..] else { return None };
        let hex =
            |text: &str, length| text.len() == length && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let known = hex(version, 2) && *version != "ff" && (*version != "00" || rest.is_empty());
        if !known || !hex(trace, 32) || !hex(span, 16) || !hex(flags, 2) {
            return None;
        }
        let (trace, span) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
        let sampled = u8::from_str_radix(flags, 16).is_ok_and(|flags| flags & SAMPLED != 0);
        let parent = Self { trace, span, sampled, state: TraceState::default() };
        (trace != TraceId::INVALID && span != SpanId::INVALID).then_some(parent)
    }
}

/// The flag of a sampled trace (W3C Trace Context, 3.2.2.5.1).
const SAMPLED: u8 = 1;

/// Whether the environment asks for the spans of this build: `OTEL_TRACES_SAMPLER`. By default, a build that belongs to a trace is sent if that
/// trace is sampled, and any other build is sent. The samplers by ratio count as those that sample everything.
pub(crate) fn is_sampled(parent: Option<&Parent>) -> bool {
    let sampler = std::env::var("OTEL_TRACES_SAMPLER").unwrap_or_default();
    sampled_by(&sampler, parent)
}

fn sampled_by(sampler: &str, parent: Option<&Parent>) -> bool {
    match sampler {
        "always_on" | "traceidratio" => true,
        "always_off" => false,
        "parentbased_always_off" => parent.is_some_and(|parent| parent.sampled),
        _ => parent.is_none_or(|parent| parent.sampled),
    }
}

/// The address that `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` or `OTEL_EXPORTER_OTLP_ENDPOINT` names, unless other variables
/// turn sending off.
pub(crate) fn endpoint() -> Option<String> {
    endpoint_of(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
}

fn endpoint_of(variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    let is = |name: &str, value: &str| variable(name).is_some_and(|found| found.eq_ignore_ascii_case(value));
    if is("OTEL_SDK_DISABLED", "true") || is("OTEL_TRACES_EXPORTER", "none") {
        return None;
    }
    let whole = variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
    whole.or_else(|| {
        let base = variable("OTEL_EXPORTER_OTLP_ENDPOINT")?;
        Some(format!("{}/v1/traces", base.trim_end_matches('/')))
    })
}

/// Whether the environment asks for gRPC, which buildscope does not speak.
pub(crate) fn wants_grpc() -> bool {
    let protocol = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let protocol = protocol("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL").or_else(|| protocol("OTEL_EXPORTER_OTLP_PROTOCOL"));
    protocol.is_some_and(|protocol| protocol == "grpc")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_has_four_fields_of_lower_case_digits() {
        // The example of the specification (W3C Trace Context, 3.2.4).
        let parent = Parent::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap();
        assert_eq!(parent.trace.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(parent.span.to_string(), "00f067aa0ba902b7");
        assert!(Parent::parse("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what").is_some());
        for wrong in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        ] {
            assert_eq!(Parent::parse(wrong), None, "{wrong}");
        }
    }

    /// The names and the default are those of OpenTelemetry's specification ("SDK configuration", "ParentBased").
    #[test]
    fn a_trace_that_is_not_sampled_gets_no_spans() {
        let parent = |flags| Parent::parse(&format!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-{flags}"));
        for (sampler, flags, sent) in [
            ("", None, true),
            ("", Some("01"), true),
            ("", Some("00"), false),
            ("", Some("02"), false),
            ("", Some("03"), true),
            ("parentbased_always_on", Some("00"), false),
            ("always_on", Some("00"), true),
            ("always_off", Some("01"), false),
            ("parentbased_always_off", None, false),
            ("parentbased_always_off", Some("01"), true),
        ] {
            let parent = flags.map(|flags| parent(flags).unwrap());
            assert_eq!(sampled_by(sampler, parent.as_ref()), sent, "{sampler} {flags:?}");
        }
    }

    #[test]
    fn the_base_address_gets_the_path_of_traces() {
        let with = |pairs: &'static [(&str, &str)]| {
            endpoint_of(|name| pairs.iter().find(|pair| pair.0 == name).map(|pair| pair.1.to_owned()))
        };
        assert_eq!(with(&[]), None);
        assert_eq!(
            with(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/")]).unwrap(),
            "http://collector:4318/v1/traces"
        );
        assert_eq!(with(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://other/x")]).unwrap(), "http://other/x");
        assert_eq!(with(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a"), ("OTEL_SDK_DISABLED", "true")]), None);
        assert_eq!(with(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a"), ("OTEL_TRACES_EXPORTER", "none")]), None);
    }
}

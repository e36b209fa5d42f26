//! Splits a step's output into lines while it runs.

use std::os::fd::OwnedFd;
use std::time::Instant;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;

/// The longest line that is passed on in one piece, in bytes. It bounds the memory that a step's output takes.
pub const LONGEST_LINE: usize = 64 * 1024;

/// The stream to which a line was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A line of a step's output.
#[derive(Clone, Copy, Debug)]
pub struct LogLine<'a> {
    /// The stream to which it was written.
    pub stream: Stream,
    /// The time at which its first byte was read. A tool may print what it does now, and the line feed before what it does next.
    pub at: Instant,
    /// The line without its line feed; not necessarily UTF-8.
    pub text: &'a [u8],
    /// Whether the line ends here. A line beyond [`LONGEST_LINE`] comes in pieces; the last output of a step may lack its line feed.
    pub ended: bool,
}

/// A receiver of the lines of one step. The lines of one stream arrive in order. While a call runs, further output waits in the
/// pipe, so a slow sink slows the step and no output is lost.
pub trait LogSink: Send {
    /// Receives one line or a piece of a long line.
    fn line(&mut self, line: LogLine<'_>);
}

impl<F: FnMut(LogLine<'_>) + Send> LogSink for F {
    fn line(&mut self, line: LogLine<'_>) {
        self(line);
    }
}

/// Reads both streams to their ends.
pub(super) async fn pump(stdout: OwnedFd, stderr: OwnedFd, sink: &mut dyn LogSink) -> std::io::Result<()> {
    let mut out = Lines::new(Stream::Stdout, stdout)?;
    let mut err = Lines::new(Stream::Stderr, stderr)?;
    while !(out.ended && err.ended) {
        tokio::select! {
            read = out.read(), if !out.ended => { read?; out.hand_on(sink); }
            read = err.read(), if !err.ended => { read?; err.hand_on(sink); }
        }
    }
    Ok(())
}

struct Lines {
    stream: Stream,
    pipe: Receiver,
    /// The bytes that were read and not passed on yet.
    buffer: Vec<u8>,
    /// The length of the prefix of the buffer that has no line feed, and the time at which it began to be read.
    searched: usize,
    begun: Option<Instant>,
    ended: bool,
}

impl Lines {
    fn new(stream: Stream, pipe: OwnedFd) -> std::io::Result<Self> {
        let pipe = Receiver::from_owned_fd(pipe)?;
        Ok(Self { stream, pipe, buffer: Vec::new(), searched: 0, begun: None, ended: false })
    }

    /// Reads once. It is cancel safe: bytes are either in the buffer or still in the pipe.
    async fn read(&mut self) -> std::io::Result<()> {
        self.buffer.reserve(LONGEST_LINE);
        self.ended = self.pipe.read_buf(&mut self.buffer).await? == 0;
        Ok(())
    }

    fn hand_on(&mut self, sink: &mut dyn LogSink) {
        let now = Instant::now();
        let mut begun = self.begun.take();
        let mut line = |text: &[u8], ended: bool| {
            let at = begun.unwrap_or(now);
            begun = begun.filter(|_| !ended);
            sink.line(LogLine { stream: self.stream, at, text, ended });
        };
        let mut start = 0;
        while let Some(length) = memchr::memchr(b'\n', &self.buffer[start.max(self.searched)..]) {
            let end = start.max(self.searched) + length;
            pieces(&self.buffer[start..end], &mut line);
            start = end + 1;
        }
        // A line over the limit is passed on in pieces. A rest below the limit waits for its line feed.
        while self.buffer.len() - start > LONGEST_LINE {
            line(&self.buffer[start..start + LONGEST_LINE], false);
            start += LONGEST_LINE;
        }
        if self.ended && start < self.buffer.len() {
            line(&self.buffer[start..], false);
            start = self.buffer.len();
        }
        self.buffer.drain(..start);
        self.searched = self.buffer.len();
        // Some of the line was read before now only if no line has ended since.
        self.begun = (self.searched > 0).then(|| begun.unwrap_or(now));
    }
}

/// Passes on a complete line, in pieces if it is longer than [`LONGEST_LINE`].
fn pieces(text: &[u8], line: &mut impl FnMut(&[u8], bool)) {
    let mut rest = text;
    while rest.len() > LONGEST_LINE {
        line(&rest[..LONGEST_LINE], false);
        rest = &rest[LONGEST_LINE..];
    }
    line(rest, true);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    /// Writes these chunks and returns the lines that arrive, as (stream, text, ended).
    async fn collect(chunks: Vec<Vec<u8>>) -> Vec<(Stream, Vec<u8>, bool)> {
        let (out, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
        let (err, other) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
        drop(other);
        let writer = std::thread::spawn(move || {
            let mut write = std::fs::File::from(write);
            chunks.iter().for_each(|chunk| write.write_all(chunk).unwrap());
        });
        let mut lines = Vec::new();
        let mut sink = |line: LogLine<'_>| lines.push((line.stream, line.text.to_vec(), line.ended));
        pump(out, err, &mut sink).await.unwrap();
        writer.join().unwrap();
        lines
    }

    #[tokio::test]
    async fn chunks_are_joined_to_lines() {
        let chunks = ["one\ntw", "o\n\n", "thr", "ee"].map(|text| text.as_bytes().to_vec());
        let expected = [("one", true), ("two", true), ("", true), ("three", false)];
        let expected: Vec<_> = expected.map(|(text, ended)| (Stream::Stdout, text.as_bytes().to_vec(), ended)).into();
        assert_eq!(collect(chunks.into()).await, expected);
    }

    /// The time of a line that is written in two parts is that of the first one.
    #[tokio::test]
    async fn a_line_has_the_time_of_its_start() {
        let (out, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
        let (err, other) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
        drop(other);
        let mut lines = Lines::new(Stream::Stdout, out).unwrap();
        drop(err);
        let mut write = std::fs::File::from(write);
        let mut found: Vec<(Vec<u8>, Instant)> = Vec::new();
        let mut times = vec![Instant::now()];
        for part in ["one\ntw", "o", "\nthree\n"] {
            write.write_all(part.as_bytes()).unwrap();
            lines.read().await.unwrap();
            lines.hand_on(&mut |line: LogLine<'_>| found.push((line.text.to_vec(), line.at)));
            times.push(Instant::now());
        }
        let texts: Vec<_> = found.iter().map(|(text, _)| text.as_slice()).collect();
        assert_eq!(texts, [b"one".as_slice(), b"two", b"three"]);
        let during = |part: usize| times[part]..times[part + 1];
        assert!(during(0).contains(&found[0].1), "one");
        assert!(during(0).contains(&found[1].1), "two was begun with one");
        assert!(during(2).contains(&found[2].1), "three");
    }

    #[tokio::test]
    async fn long_lines_arrive_in_bounded_pieces() {
        let long = vec![b'x'; 3 * LONGEST_LINE + 5];
        let lines = collect(vec![long.clone(), b"\nshort\n".to_vec()]).await;
        assert!(lines.iter().all(|(_, text, _)| text.len() <= LONGEST_LINE));
        let first_end = lines.iter().position(|(_, _, ended)| *ended).unwrap();
        let joined: Vec<u8> = lines[..=first_end].iter().flat_map(|(_, text, _)| text.clone()).collect();
        assert_eq!(joined, long);
        assert_eq!(lines[first_end + 1..], [(Stream::Stdout, b"short".to_vec(), true)]);
    }
}

//! A web server on loopback with a few files.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

/// A running server; it ends with the test's process.
pub(crate) struct Web {
    address: SocketAddr,
}

impl Web {
    /// Serves these bodies at these paths, and nothing else.
    pub(crate) fn serving<const N: usize>(files: [(&str, Vec<u8>); N]) -> Self {
        let files: BTreeMap<String, Vec<u8>> = files.into_iter().map(|(path, body)| (path.to_owned(), body)).collect();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                // A disconnected client is not an error of the server.
                let _ = stream.and_then(|stream| answer(stream, &files));
            }
        });
        Self { address }
    }

    /// The URL of a path.
    pub(crate) fn address(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

fn answer(mut stream: TcpStream, files: &BTreeMap<String, Vec<u8>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut header = String::from("x");
    while !header.trim().is_empty() {
        header.clear();
        reader.read_line(&mut header)?;
    }
    let path = request.split(' ').nth(1).unwrap_or_default();
    let (status, body) = files.get(path).map_or(("404 Not Found", &[][..]), |body| ("200 OK", body));
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len())?;
    stream.write_all(body)
}

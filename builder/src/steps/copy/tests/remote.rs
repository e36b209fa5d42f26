//! ADD of remote sources.

use super::{Kit, add, tar};
use crate::plan::{Copy, CopyFrom};
use crate::steps::copy::CopyError;
use buildscope_record::Digest;
use std::io::Write;
use std::path::Path;

#[test]
fn a_wrong_checksum_is_an_error() {
    let mut kit = Kit::new();
    kit.write("f", "abc");
    let checked = |checksum: String| Copy { checksum: Some(checksum), ..add(&["f"], "/f") };
    kit.copy(&checked(Digest::of("abc").to_string()));
    assert!(matches!(kit.try_copy(&checked(Digest::of("abd").to_string())), Err(CopyError::Checksum { .. })));
}

/// Starts a server that sends these responses, in turn.
fn serve(answers: Vec<Vec<u8>>) -> String {
    use std::io::{BufRead, BufReader};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            BufReader::new(&stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty()).count();
            let head = format!(
                "HTTP/1.1 200 OK\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                answer.len()
            );
            stream.write_all(head.as_bytes()).unwrap();
            stream.write_all(&answer).unwrap();
        }
    });
    address
}

#[test]
fn a_download_has_mode_600_and_the_servers_time() {
    let mut kit = Kit::new();
    let archive = tar(&[("f", b'0', 0o640, "", "in")]);
    let host = serve(vec![b"hello".to_vec(), archive.clone(), archive, b"x".to_vec()]);
    let add = |path: &str, to: &str| Copy { from: CopyFrom::Empty, ..add(&[&format!("{host}{path}")], to) };
    kit.copy(&add("/a/hello.txt?x=1", "/web/")).copy(&add("/a.tar", "/plain"));
    kit.copy(&Copy { unpack: Some(true), ..add("/b.tar", "/unpacked") });
    let wrong = Copy { checksum: Some(Digest::of("y").to_string()), ..add("/x", "/x") };
    assert!(matches!(kit.try_copy(&wrong), Err(CopyError::Checksum { .. })));
    assert!(matches!(kit.try_copy(&add("/", "/dir/")), Err(CopyError::Nameless(_))));
    let lines = kit.lines();
    assert!(lines[0].starts_with("600 plain="), "{}", lines[0]);
    assert_eq!(lines[1..], ["755 unpacked/", "640 5:6 unpacked/f=in", "755 web/", "600 web/hello.txt=hello"]);
    let tree = kit.store.tree(&kit.layers).unwrap();
    assert_eq!(tree.lookup(Path::new("web/hello.txt")).unwrap().mtime.seconds, 784_111_777);
}

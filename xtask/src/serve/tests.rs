use super::*;

/// A site of two files, served on a free port until the tests end.
fn site(name: &str, isolated: bool) -> u16 {
    let root = std::env::temp_dir().join(format!("tareas-serve-{}-{name}", std::process::id()));
    std::fs::create_dir_all(root.join("sub")).unwrap();
    std::fs::write(root.join("index.html"), "<p>hola").unwrap();
    std::fs::write(root.join("sub/a b.wasm"), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]).unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || accept(listener, Arc::new(Site { root, isolated })));
    port
}

/// Sends raw bytes and returns the answer, head and body.
fn ask(port: u16, request: &str) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let body = answer.split_off(end + 4);
    (String::from_utf8(answer).unwrap(), body)
}

fn get(port: u16, path: &str, headers: &str) -> (String, Vec<u8>) {
    ask(port, &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n"))
}

#[test]
fn files_come_whole_and_in_parts() {
    let port = site("parts", false);
    let (head, body) = get(port, "/sub/a%20b.wasm?v=1", "");
    assert!(head.starts_with("HTTP/1.1 200 OK") && head.contains("application/wasm"), "{head}");
    assert!(!head.contains("Cross-Origin"), "{head}");
    assert_eq!(body, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);

    let (head, body) = get(port, "/sub/a%20b.wasm", "range: bytes=3-5\r\n");
    assert!(head.starts_with("HTTP/1.1 206") && head.contains("bytes 3-5/10"), "{head}");
    assert_eq!(body, [3, 4, 5]);

    let stale = get(port, "/sub/a%20b.wasm", "Range: bytes=3-\r\nIf-Range: \"old\"\r\n");
    assert!(stale.0.starts_with("HTTP/1.1 200") && stale.1.len() == 10, "{}", stale.0);

    let (head, _) = get(port, "/sub/a%20b.wasm", "Range: bytes=10-\r\n");
    assert!(head.starts_with("HTTP/1.1 416") && head.contains("bytes */10"), "{head}");
}

#[test]
fn a_known_file_is_not_sent_again() {
    let port = site("etag", true);
    let (head, body) = get(port, "/", "");
    assert_eq!(body, b"<p>hola");
    assert!(head.contains("Cross-Origin-Embedder-Policy: require-corp"), "{head}");
    let tag = head.lines().find_map(|line| line.strip_prefix("ETag: ")).unwrap();
    let (head, body) = get(port, "/", &format!("If-None-Match: {tag}\r\n"));
    assert!(head.starts_with("HTTP/1.1 304") && body.is_empty(), "{head}");
}

#[test]
fn one_connection_carries_several_requests() {
    let port = site("keep", false);
    let one = "GET / HTTP/1.1\r\n\r\n";
    let (_, rest) = ask(port, &one.repeat(2));
    assert!(rest.starts_with(b"<p>holaHTTP/1.1 200") && rest.ends_with(b"<p>hola"));
}

#[test]
fn what_is_not_served() {
    let port = site("refused", false);
    for (path, status) in [
        ("/absent", "404"),
        ("/../secret", "400"),
        ("/sub/%2e%2e/%2e%2e/secret", "400"),
        ("//etc/passwd", "400"),
        ("/bad%zz", "400"),
        ("/sub", "301"),
    ] {
        let (head, _) = get(port, path, "");
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{path}: {head}");
    }
    assert!(ask(port, "POST / HTTP/1.1\r\n\r\n").0.contains("405"));
    assert!(ask(port, "nonsense\r\n\r\n").0.contains("400"));
}

#[test]
fn ranges_are_read_as_the_rfc_says() {
    use http::{byte_range, Range};
    let part = |start, end| Range::Part { start, end };
    assert_eq!(byte_range("bytes=0-0", 10), part(0, 1));
    assert_eq!(byte_range("bytes=2-", 10), part(2, 10));
    assert_eq!(byte_range("bytes=-3", 10), part(7, 10));
    assert_eq!(byte_range("bytes=-30", 10), part(0, 10));
    assert_eq!(byte_range("bytes=4-99999999999999999", 10), part(4, 10));
    assert_eq!(byte_range("bytes=4-18446744073709551615", 10), part(4, 10));
    assert_eq!(byte_range("bytes=10-", 10), Range::Unsatisfiable);
    assert_eq!(byte_range("bytes=-0", 10), Range::Unsatisfiable);
    for whole in ["bytes=5-2", "bytes=a-b", "bytes=1-2,4-5", "lines=1-2", "bytes=", "bytes=-"] {
        assert_eq!(byte_range(whole, 10), Range::Whole, "{whole}");
    }
}

//! A static file server for localhost: the right MIME types, byte ranges, ETags, nothing more.

mod http;

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use crate::sh::{Failure, Result};
use http::{Asked, Request};

/// A folder to serve.
pub struct Site {
    pub root: PathBuf,
    /// Sends COOP and COEP: the page is cross-origin isolated and may share memory with threads.
    pub isolated: bool,
}

/// Serves until interrupted, on `port`, or on a free one where that is taken.
pub fn serve(site: Site, port: u16) -> Result {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .map_err(|error| Failure::new(format!("could not listen on localhost: {error}")))?;
    let address = listener
        .local_addr()
        .map_err(|error| Failure::new(format!("the listening socket has no address: {error}")))?;
    println!("\nserving {}", site.root.display());
    // localhost and not 127.0.0.1: both are secure contexts, this one reads better.
    println!("http://localhost:{}/    (Ctrl-C stops it)", address.port());
    accept(listener, Arc::new(site));
    Ok(())
}

fn accept(listener: TcpListener, site: Arc<Site>) {
    for stream in listener.incoming().filter_map(|stream| stream.ok()) {
        let site = site.clone();
        std::thread::spawn(move || {
            // A browser that goes away in the middle is no error of ours.
            let _ = converse(stream, &site);
        });
    }
}

/// Answers the requests of one connection until it closes or is silent for a while.
fn converse(stream: TcpStream, site: &Site) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.set_nodelay(true)?;
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    while let Some(asked) = http::read(&mut reader)? {
        match asked {
            Asked::For(request) => answer(&request, site, &mut writer)?,
            Asked::Badly(status) => {
                respond_empty(&mut writer, site, status, "")?;
                return Ok(());
            }
        }
    }
    Ok(())
}

fn answer(request: &Request, site: &Site, out: &mut TcpStream) -> std::io::Result<()> {
    let Some(mut path) = http::resolve(&site.root, &request.path) else {
        return respond_empty(out, site, "400 Bad Request", "");
    };
    if path.is_dir() {
        if !request.path.ends_with('/') {
            let location = format!("Location: {}/\r\n", request.path);
            return respond_empty(out, site, "301 Moved Permanently", &location);
        }
        path.push("index.html");
    }
    let (Ok(mut file), Ok(metadata)) = (File::open(&path), path.metadata()) else {
        return respond_empty(out, site, "404 Not Found", "");
    };
    let length = metadata.len();
    let age = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let tag = format!("\"{:x}-{length:x}\"", age.unwrap_or_default().as_nanos());
    if request.if_none_match.as_deref() == Some(tag.as_str()) {
        return respond_empty(out, site, "304 Not Modified", &format!("ETag: {tag}\r\n"));
    }
    let unchanged = request.if_range.as_deref().is_none_or(|known| known == tag);
    let range = request.range.as_deref().filter(|_| unchanged);
    let (status, start, size, extra) = match range.map(|text| http::byte_range(text, length)) {
        None | Some(http::Range::Whole) => ("200 OK", 0, length, String::new()),
        Some(http::Range::Part { start, end }) => (
            "206 Partial Content",
            start,
            end - start,
            format!("Content-Range: bytes {start}-{}/{length}\r\n", end - 1),
        ),
        Some(http::Range::Unsatisfiable) => {
            let extra = format!("Content-Range: bytes */{length}\r\n");
            return respond_empty(out, site, "416 Range Not Satisfiable", &extra);
        }
    };
    let extra = format!(
        "{extra}Content-Type: {}\r\nAccept-Ranges: bytes\r\nETag: {tag}\r\n",
        mime_type(&path)
    );
    respond_head(out, site, status, size, &extra)?;
    if !request.head_only {
        file.seek(SeekFrom::Start(start))?;
        std::io::copy(&mut file.take(size), out)?;
    }
    Ok(())
}

fn respond_empty(
    out: &mut TcpStream,
    site: &Site,
    status: &str,
    extra: &str,
) -> std::io::Result<()> {
    respond_head(out, site, status, 0, extra)
}

fn respond_head(
    out: &mut TcpStream,
    site: &Site,
    status: &str,
    length: u64,
    extra: &str,
) -> std::io::Result<()> {
    let isolation = if site.isolated {
        "Cross-Origin-Opener-Policy: same-origin\r\nCross-Origin-Embedder-Policy: require-corp\r\n"
    } else {
        ""
    };
    // no-cache: the browser keeps the file, but asks whether it is still the same.
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nCache-Control: no-cache\r\n{isolation}{extra}\r\n"
    );
    out.write_all(head.as_bytes())
}

fn mime_type(path: &Path) -> &'static str {
    match path.extension().and_then(|extension| extension.to_str()).unwrap_or("") {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "wasm" => "application/wasm",
        "txt" | "md" => "text/plain; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "wav" => "audio/wav",
        "mp4" => "video/mp4",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests;

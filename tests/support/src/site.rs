//! A small web server for test pages: files from folders and from memory, on 127.0.0.1.
//!
//! It speaks as much of HTTP/1.1 as a browser needs to load a page: `GET` and `HEAD`, one request
//! after another on a connection.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// The longest request head that is read, in bytes.
const MAX_HEAD: u64 = 64 * 1024;

/// A running server. Dropping it stops it.
#[derive(Debug)]
pub struct Site {
    address: SocketAddr,
    server: JoinHandle<()>,
}

/// What a site will serve.
#[derive(Debug, Default)]
#[must_use]
pub struct SiteBuilder {
    folders: Vec<PathBuf>,
    files: HashMap<String, File>,
    headers: String,
    port: u16,
}

/// A file in memory.
#[derive(Clone, Debug)]
struct File {
    content: Vec<u8>,
    /// The header that says how it is encoded, if it is.
    header: String,
}

impl File {
    fn plain(content: impl Into<Vec<u8>>) -> Self {
        Self {
            content: content.into(),
            header: String::new(),
        }
    }
}

impl Site {
    /// A site that serves nothing yet.
    pub fn builder() -> SiteBuilder {
        SiteBuilder::default()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:PORT/`
    pub fn url(&self) -> String {
        format!("{}/", self.origin())
    }

    /// `http://127.0.0.1:PORT`
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl SiteBuilder {
    /// Serves the files below this folder; where several have the same file, the first folder wins.
    pub fn dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folders.push(folder.into());
        self
    }

    /// Serves this at a path that begins with `/`, before any folder's file.
    pub fn file(mut self, path: &str, content: impl Into<Vec<u8>>) -> Self {
        self.files.insert(path.to_owned(), File::plain(content));
        self
    }

    /// Serves this at a path that begins with `/`, before any folder's file, as something that is encoded so: `br`,
    /// `gzip`.
    pub fn encoded(mut self, path: &str, encoding: &str, content: impl Into<Vec<u8>>) -> Self {
        let file = File {
            content: content.into(),
            header: format!("Content-Encoding: {encoding}\r\n"),
        };
        self.files.insert(path.to_owned(), file);
        self
    }

    /// Sends this header with every answer.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers = format!("{}{name}: {value}\r\n", self.headers);
        self
    }

    /// Listens at this port instead of a free one.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Starts the server.
    ///
    /// # Errors
    /// Where a folder is missing, or the port is taken.
    pub async fn start(self) -> Result<Site> {
        for folder in &self.folders {
            ensure!(folder.is_dir(), "{} is no folder", folder.display());
        }
        let listener = TcpListener::bind(("127.0.0.1", self.port))
            .await
            .with_context(|| format!("listening on 127.0.0.1:{}", self.port))?;
        let address = listener.local_addr()?;
        let content = Arc::new(self);
        let server = tokio::spawn(async move {
            // Dropped with the task, and the connections with it.
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let content = content.clone();
                connections.spawn(async move { content.serve(stream).await });
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Site { address, server })
    }

    async fn serve(&self, stream: TcpStream) -> Result<()> {
        let mut stream = BufReader::new(stream);
        loop {
            let mut head = (&mut stream).take(MAX_HEAD);
            let mut request = String::new();
            if head.read_line(&mut request).await? == 0 {
                return Ok(());
            }
            loop {
                let mut line = String::new();
                ensure!(head.read_line(&mut line).await? > 0, "the request was cut");
                if line.trim_end().is_empty() {
                    break;
                }
            }
            let mut words = request.split_whitespace();
            let method = words.next().unwrap_or_default();
            let target = words.next().unwrap_or_default();
            let path = target.split(['?', '#']).next().unwrap_or_default();
            let (status, kind, file) = match self.find(path).await {
                _ if method != "GET" && method != "HEAD" => {
                    ("405 Method Not Allowed", "text/plain", File::plain([]))
                }
                Some((kind, file)) => ("200 OK", kind, file),
                None => ("404 Not Found", "text/plain", File::plain(*b"not found\n")),
            };
            let body = file.content;
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\
                 Cache-Control: no-store\r\n{}{}\r\n",
                body.len(),
                file.header,
                self.headers,
            );
            stream.write_all(head.as_bytes()).await?;
            if method != "HEAD" {
                stream.write_all(&body).await?;
            }
            stream.flush().await?;
        }
    }

    async fn find(&self, path: &str) -> Option<(&'static str, File)> {
        let path = match path.strip_suffix('/') {
            Some(folder) => format!("{folder}/index.html"),
            None => path.to_owned(),
        };
        let kind = content_type(&path);
        if let Some(file) = self.files.get(&path) {
            return Some((kind, file.clone()));
        }
        let relative = Path::new(path.strip_prefix('/')?);
        if !relative
            .components()
            .all(|part| matches!(part, Component::Normal(_)))
        {
            return None;
        }
        for folder in &self.folders {
            if let Ok(content) = tokio::fs::read(folder.join(relative)).await {
                return Some((kind, File::plain(content)));
            }
        }
        None
    }
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "wasm" => "application/wasm",
        "png" => "image/png",
        "svg" => "image/svg+xml",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "txt" | "md" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn get(site: &Site, path: &str) -> String {
        let mut stream = TcpStream::connect(site.address()).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn files_come_with_their_type_and_nothing_outside_the_folder_comes() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("site");
        std::fs::create_dir(&inside).unwrap();
        std::fs::write(inside.join("index.html"), "<p>hello").unwrap();
        std::fs::write(folder.path().join("secret"), "secret").unwrap();
        let site = Site::builder()
            .dir(inside)
            .file("/config.json", "{}")
            .encoded("/small.txt", "br", "not text")
            .header("X-Test", "yes")
            .start()
            .await
            .unwrap();

        let index = get(&site, "/?query").await;
        assert!(index.starts_with("HTTP/1.1 200 OK\r\n"), "{index}");
        assert!(index.contains("Content-Type: text/html"), "{index}");
        assert!(index.contains("X-Test: yes\r\n"), "{index}");
        assert!(index.ends_with("<p>hello"), "{index}");
        let small = get(&site, "/small.txt").await;
        assert!(small.contains("\r\nContent-Encoding: br\r\n"), "{small}");
        assert!(!index.contains("Content-Encoding"), "{index}");
        let config = get(&site, "/config.json").await;
        assert!(config.contains("application/json"), "{config}");
        for outside in ["/../secret", "//secret", "/missing"] {
            assert!(get(&site, outside).await.contains("404"), "{outside}");
        }
    }
}

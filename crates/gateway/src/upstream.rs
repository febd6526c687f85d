//! A server that we did not start: `llt serve --upstream URL`.

use crate::GatewayError;
use http::uri::{InvalidUri, PathAndQuery, Uri};
use http::{HeaderValue, Request, header};
use llamatelemetry_api::{Address, Client};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;

/// An address that lets nobody in within this time is passed over.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);

/// A server that we did not start. It gets the same requests and leaves the same records as one of
/// ours; what only the owner of a process can know stays unknown.
#[derive(Debug)]
pub(crate) struct Upstream {
    client: Client,
    host: HeaderValue,
    /// What stands before every path; without the last slash.
    prefix: String,
}

impl Upstream {
    /// Finds the address of a URL, `http://HOST[:PORT][/PREFIX]`: the first that lets us in, else
    /// the first. Nothing is sent yet.
    pub(crate) async fn find(url: &str) -> Result<Self, GatewayError> {
        let wrong = |reason: &str| GatewayError::Upstream {
            url: url.to_owned(),
            reason: reason.to_owned(),
        };
        let uri: Uri = url
            .parse()
            .map_err(|error: InvalidUri| wrong(&error.to_string()))?;
        if uri.scheme_str() != Some("http") {
            return Err(wrong("only http:// is spoken to other servers"));
        }
        let authority = uri.authority().ok_or_else(|| wrong("it names no host"))?;
        if authority.as_str().contains('@') {
            // Without the URL itself: it would tell the secret.
            return Err(GatewayError::Upstream {
                url: authority.host().to_owned(),
                reason: "a name or a password in it is not used".to_owned(),
            });
        }
        let host = HeaderValue::from_str(authority.as_str());
        let host = host.map_err(|error| wrong(&error.to_string()))?;
        let name = authority.host().trim_matches(['[', ']']);
        let port = authority.port_u16().unwrap_or(80);
        let found = tokio::net::lookup_host((name, port))
            .await
            .map_err(|error| wrong(&error.to_string()))?;
        let address = reachable(found)
            .await
            .ok_or_else(|| wrong("its host has no address"))?;
        Ok(Self {
            client: Client::new(Address::Tcp(address), None),
            host,
            prefix: uri.path().trim_end_matches('/').to_owned(),
        })
    }

    /// What it goes by here: its host, and its port where it is not the usual one.
    pub(crate) fn name(&self) -> &str {
        self.host.to_str().unwrap_or("upstream")
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Makes a request's head one for this server.
    pub(crate) fn address<B>(&self, request: &mut Request<B>) {
        let headers = request.headers_mut();
        if headers.contains_key(header::HOST) {
            headers.insert(header::HOST, self.host.clone());
        }
        if !self.prefix.is_empty() {
            let path = request
                .uri()
                .path_and_query()
                .map_or("/", PathAndQuery::as_str);
            // Two paths make a path.
            if let Ok(joined) = format!("{}{path}", self.prefix).parse() {
                *request.uri_mut() = joined;
            }
        }
    }
}

/// The first address where somebody listens, else the first: whoever is not there yet may come.
async fn reachable(addresses: impl Iterator<Item = SocketAddr>) -> Option<SocketAddr> {
    let addresses: Vec<SocketAddr> = addresses.collect();
    let first = addresses.first().copied();
    // Where there is no choice, nobody is asked.
    for address in addresses.iter().filter(|_| addresses.len() > 1) {
        let connecting = tokio::time::timeout(CONNECT_LIMIT, TcpStream::connect(address));
        if let Ok(Ok(_)) = connecting.await {
            return Some(*address);
        }
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_url_is_an_address_a_host_and_a_prefix() {
        let upstream = Upstream::find("http://127.0.0.1:81/api/").await.unwrap();
        assert_eq!(upstream.client.address().to_string(), "http://127.0.0.1:81");
        let mut request = Request::new(());
        *request.uri_mut() = Uri::from_static("/v1/models?a=1");
        let headers = request.headers_mut();
        headers.insert(header::HOST, HeaderValue::from_static("here"));
        upstream.address(&mut request);
        assert_eq!(request.uri(), "/api/v1/models?a=1");
        assert_eq!(request.headers()[header::HOST], "127.0.0.1:81");
        let told = Upstream::find("http://me:secret@127.0.0.1").await;
        assert!(!told.unwrap_err().to_string().contains("secret"));
        for wrong in ["https://127.0.0.1", "127.0.0.1:80", "http://", "x y"] {
            assert!(Upstream::find(wrong).await.is_err(), "{wrong}");
        }
    }
}

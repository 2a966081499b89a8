//! MD5 of what is sent, which stores compare with what arrives: in a header of each piece, and of a small object as a whole.
//! It must not know what the bytes mean.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use http::request::Parts;
use md5::{Digest, Md5};
use opendal::Buffer;

/// The header that a store checks a body by (RFC 1864).
const CONTENT_MD5: &str = "content-md5";

/// Says in a request what its body has to be, where it puts one.
pub fn seal(request: &mut Parts, body: &Buffer) {
    if request.method != http::Method::PUT || body.is_empty() || request.headers.contains_key(CONTENT_MD5) {
        return;
    }
    let mut digest = Md5::new();
    body.clone().for_each(|bytes| digest.update(&bytes));
    if let Ok(value) = HeaderValue::from_str(&STANDARD.encode(digest.finalize())) {
        request.headers.insert(CONTENT_MD5, value);
    }
}

/// The checksum of an object that is sent at once; of larger ones stores keep none.
pub struct Small {
    digest: Md5,
    left: usize,
    is_over: bool,
}

impl Small {
    /// Of at most so many bytes.
    pub fn new(most: usize) -> Self {
        Self { digest: Md5::new(), left: most, is_over: false }
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.is_over |= bytes.len() > self.left;
        if !self.is_over {
            self.digest.update(bytes);
            self.left -= bytes.len();
        }
    }

    /// Whether the store's checksum is another one; a store that has none says nothing.
    pub fn differs(&self, stored: Option<&str>) -> bool {
        let stored = stored.filter(|stored| !stored.is_empty() && !self.is_over);
        stored.is_some_and(|stored| STANDARD.encode(self.digest.clone().finalize()) != stored)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_says_what_it_is() {
        for (method, body, expected) in [
            ("PUT", "The quick brown fox jumps over the lazy dog", Some("nhB9nTcrtoJr2B01QqQZ1g==")),
            ("PUT", "", None),
            ("POST", "x", None),
        ] {
            let request = http::Request::builder().method(method).body(()).expect("a request");
            let (mut parts, ()) = request.into_parts();
            seal(&mut parts, &Buffer::from(body));
            assert_eq!(parts.headers.get(CONTENT_MD5).map(|v| v.to_str().expect("text")), expected, "{method} {body}");
        }
    }

    #[test]
    fn only_small_objects_are_compared() {
        let mut small = Small::new(43);
        small.update(b"The quick brown fox jumps over ");
        small.update(b"the lazy dog");
        assert_eq!([None, Some(""), Some("nhB9nTcrtoJr2B01QqQZ1g==")].map(|stored| small.differs(stored)), [false; 3]);
        assert!(small.differs(Some("AAAA")));
        small.update(b".");
        assert!(!small.differs(Some("AAAA")));
    }
}

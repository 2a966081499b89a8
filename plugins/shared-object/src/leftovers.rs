//! Uploads that were begun and never ended: they cost money and nobody sees them. Listed and ended as S3 and the XML
//! interface of Google have it. It must not know whose they are.

use std::collections::HashSet;

use http::{Method, Request};
use opendal::{Buffer, HttpTransporter};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rivet_plugin_api::{Beginning, Cx, Result};

use crate::store::Shared;

/// What stays as it is in a query.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// What stays as it is in a path.
const PATH: &AsciiSet = &QUERY.remove(b'/');

/// Pages that are looked at, of a thousand uploads each.
const MAX_PAGES: usize = 1_000;

/// An upload that was begun.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct OpenUpload {
    /// Key in the bucket.
    key: String,
    /// What the store calls the upload.
    id: String,
}

/// Where a store whose uploads stay open until somebody ends them tells of those.
#[derive(Debug)]
pub struct OpenUploads {
    /// URL of the bucket, without a slash at its end.
    pub bucket_url: String,
    /// What all keys are below in the bucket, without a slash at its end; empty for the bucket itself.
    pub root: String,
}

/// Ends all uploads to keys that begin so; returns how many there were.
///
/// # Errors
/// The store's.
pub fn sweep(shared: &Shared, uploads: &OpenUploads, prefix: &str, cx: &Cx) -> Result<u64> {
    let conversation = shared.talks.conversation();
    let transport = HttpTransporter::new(conversation.clone());
    // A `*` means a segment in what is asked for alone: the root is a text.
    let root = if uploads.root.is_empty() { String::new() } else { format!("{}/", uploads.root) };
    let beginning = Beginning::new(prefix);
    let swept = async {
        let mut ended = HashSet::new();
        let encoded = utf8_percent_encode(&root, QUERY).chain(utf8_percent_encode(beginning.plain, QUERY));
        let query = format!("uploads=&prefix={}", encoded.collect::<String>());
        let mut from = String::new();
        for _ in 0..MAX_PAGES {
            let page = ask(uploads, &transport, Method::GET, "", &format!("{query}{from}")).await?;
            for upload in uploads_in(&page) {
                let is_ours = upload.key.strip_prefix(&root).is_some_and(|name| beginning.fits(name));
                if is_ours && !ended.contains(&upload) {
                    end(uploads, &transport, &upload).await?;
                    ended.insert(upload);
                }
            }
            match next_page(&page) {
                Some(next) if next != from => from = next,
                _ => return Ok(ended.len() as u64),
            }
        }
        tracing::warn!(
            "more uploads are open in {} than are looked at: let a rule of the bucket end them",
            shared.location
        );
        Ok(ended.len() as u64)
    };
    match shared.talks.wait(cx, &conversation, swept) {
        Ok(n_ended) => Ok(n_ended),
        // Whoever may not look, or has a store that cannot tell, is left with the rules of the bucket.
        Err(refused) if refused.is_denied() || refused.is_unsupported() || refused.is_absent() => {
            tracing::warn!(
                "unfinished uploads in {} cannot be looked for: let a rule of the bucket end them",
                shared.location
            );
            Ok(0)
        }
        Err(refused) => Err(shared.failed(refused, "end unfinished uploads")),
    }
}

async fn end(uploads: &OpenUploads, transport: &HttpTransporter, upload: &OpenUpload) -> opendal::Result<()> {
    let path = format!("/{}", utf8_percent_encode(&upload.key, PATH));
    let query = format!("uploadId={}", utf8_percent_encode(&upload.id, QUERY));
    ask(uploads, transport, Method::DELETE, &path, &query).await.map(drop)
}

async fn ask(
    uploads: &OpenUploads,
    transport: &HttpTransporter,
    method: Method,
    path: &str,
    query: &str,
) -> opendal::Result<String> {
    let unusable = |e: http::Error| opendal::Error::new(opendal::ErrorKind::ConfigInvalid, e.to_string());
    let url = format!("{}{path}?{query}", uploads.bucket_url);
    let request = Request::builder().method(method).uri(url).body(Buffer::new()).map_err(unusable)?;
    let response = transport.send(request).await?;
    let kind = match response.status().as_u16() {
        200..300 => return Ok(String::from_utf8_lossy(&response.body().to_bytes()).into_owned()),
        401 | 403 => opendal::ErrorKind::PermissionDenied,
        // Ended by somebody else meanwhile.
        404 if !path.is_empty() => return Ok(String::new()),
        404 => opendal::ErrorKind::NotFound,
        405 | 501 => opendal::ErrorKind::Unsupported,
        _ => opendal::ErrorKind::Unexpected,
    };
    Err(opendal::Error::new(kind, "unfinished uploads"))
}

fn field(part: &str, name: &str) -> Option<String> {
    let (_, rest) = part.split_once(&format!("<{name}>"))?;
    Some(unescaped(rest.split_once(&format!("</{name}>"))?.0))
}

/// What asks for the page after this one; none after the last.
fn next_page(xml: &str) -> Option<String> {
    if field(xml, "IsTruncated")? != "true" {
        return None;
    }
    let (key, id) = (field(xml, "NextKeyMarker")?, field(xml, "NextUploadIdMarker").unwrap_or_default());
    Some(format!(
        "&key-marker={}&upload-id-marker={}",
        utf8_percent_encode(&key, QUERY),
        utf8_percent_encode(&id, QUERY)
    ))
}

/// The uploads in a `ListMultipartUploadsResult`.
fn uploads_in(xml: &str) -> Vec<OpenUpload> {
    let parts = xml.split("<Upload>").skip(1);
    parts.filter_map(|part| Some(OpenUpload { key: field(part, "Key")?, id: field(part, "UploadId")? })).collect()
}

fn unescaped(text: &str) -> String {
    let pairs = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&#34;", "\""), ("&#39;", "'")];
    let plain = pairs.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
    plain.replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uploads_are_found_in_what_a_store_lists() {
        let xml = "<ListMultipartUploadsResult><Bucket>b</Bucket><Upload><Key>p/a&amp;b.parquet.rivet.staged</Key>\
                   <UploadId>1~x</UploadId><Initiator/></Upload><Upload><UploadId>2</UploadId><Key>c</Key></Upload>\
                   <Upload><Key>torn</Key></ListMultipartUploadsResult>";
        let upload = |key: &str, id: &str| OpenUpload { key: key.to_owned(), id: id.to_owned() };
        assert_eq!(uploads_in(xml), [upload("p/a&b.parquet.rivet.staged", "1~x"), upload("c", "2")]);
        assert_eq!(uploads_in(""), []);
    }

    #[test]
    fn a_page_says_where_the_next_one_begins() {
        let page = |truncated: &str, rest: &str| next_page(&format!("<IsTruncated>{truncated}</IsTruncated>{rest}"));
        let markers = "<NextKeyMarker>a/b&amp;c</NextKeyMarker><NextUploadIdMarker>1~+</NextUploadIdMarker>";
        assert_eq!(page("true", markers).as_deref(), Some("&key-marker=a%2Fb%26c&upload-id-marker=1~%2B"));
        assert_eq!((page("false", markers), page("true", ""), next_page("")), (None, None, None));
    }
}

//! Answers that are documents, not data: read to their end within a bound, so that one that breaks off is no success, nor one that
//! is an error with the status of a success. It must not know what was asked.

use std::io;

use futures_util::stream;
use http::{Response, StatusCode};
use opendal::raw::oio::ReadStream;
use opendal::{Buffer, Error, ErrorKind, HttpBody};

/// Longest document: the longest list of any store has some 8 MiB.
const MAX_BYTES: usize = 16 << 20;

/// An answer that is here as a whole. Where `is_change`, its body may be an error: it has the status then that it should have
/// come with.
///
/// # Errors
/// What is too long, or breaks off, which is temporary.
pub async fn whole(response: Response<HttpBody>, is_change: bool) -> opendal::Result<Response<HttpBody>> {
    let (mut parts, mut body) = response.into_parts();
    let mut pieces = Vec::new();
    let mut n_bytes = 0;
    loop {
        let piece = body.read().await.map_err(|_| broken(io::ErrorKind::UnexpectedEof, "the answer broke off"))?;
        if piece.is_empty() {
            break;
        }
        n_bytes += piece.len();
        if n_bytes > MAX_BYTES {
            return Err(broken(io::ErrorKind::InvalidData, "the answer does not end"));
        }
        pieces.push(piece);
    }
    let read: Buffer = pieces.into_iter().flatten().collect();
    if is_change && let Some(status) = status_in(&read.to_bytes()) {
        parts.status = status;
    }
    Ok(Response::from_parts(parts, HttpBody::new(stream::iter([Ok(read)]), Some(n_bytes as u64))))
}

fn broken(kind: io::ErrorKind, text: &str) -> Error {
    Error::new(ErrorKind::Unexpected, text).set_source(io::Error::new(kind, text)).set_temporary()
}

/// The status of an error that S3 finds out about after it has begun to answer: spaces keep the connection alive before.
fn status_in(body: &[u8]) -> Option<StatusCode> {
    let text = std::str::from_utf8(body.trim_ascii_start()).ok()?;
    let text = match text.strip_prefix("<?xml") {
        Some(rest) => rest.split_once("?>")?.1.trim_start(),
        None => text,
    };
    let code = text.strip_prefix("<Error>")?.split_once("<Code>")?.1.split_once("</Code>")?.0;
    Some(match code {
        "SlowDown" | "ServiceUnavailable" => StatusCode::SERVICE_UNAVAILABLE,
        "PreconditionFailed" => StatusCode::PRECONDITION_FAILED,
        "ConditionalRequestConflict" | "OperationAborted" => StatusCode::CONFLICT,
        "AccessDenied" => StatusCode::FORBIDDEN,
        "NoSuchUpload" | "NoSuchKey" | "NoSuchBucket" => StatusCode::NOT_FOUND,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pieces: Vec<opendal::Result<Buffer>>, size: Option<u64>, is_change: bool) -> opendal::Result<(u16, usize)> {
        let response = Response::new(HttpBody::new(stream::iter(pieces), size));
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let mut answer = whole(response, is_change).await?;
            Ok((answer.status().as_u16(), answer.body_mut().read_all().await?.len()))
        })
    }

    #[test]
    fn an_error_that_comes_as_a_success_is_an_error() {
        let of = |text: &str, is_change| {
            read(vec![Ok(Buffer::from(text.to_owned()))], None, is_change).expect("an answer").0
        };
        let error = |code: &str| format!("  \n<?xml version=\"1.0\"?>\n<Error><Code>{code}</Code></Error>");
        for (code, status) in [("SlowDown", 503), ("InternalError", 500), ("PreconditionFailed", 412), ("Other", 500)] {
            assert_eq!((of(&error(code), true), of(&error(code), false)), (status, 200), "{code}");
        }
        for text in ["", "<CopyObjectResult><ETag>x</ETag></CopyObjectResult>", "<Error>", "{\"Error\": 1}"] {
            assert_eq!(of(text, true), 200, "{text}");
        }
    }

    #[test]
    fn what_breaks_off_or_does_not_end_is_no_answer() {
        let piece = || Ok(Buffer::from("abc"));
        assert_eq!(read(vec![piece(), piece()], Some(6), false).expect("all of it"), (200, 6));
        assert!(read(vec![piece()], Some(6), false).expect_err("half of it").is_temporary());
        let many = (0..17).map(|_| Ok(Buffer::from(vec![0; 1 << 20]))).collect();
        assert!(read(many, None, false).is_err());
    }
}

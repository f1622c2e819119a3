//! How a connection ended, and what that means for the next: by the range of its close code, or by the
//! status of an upgrade that was refused.

use std::time::Duration;

use tokio::time::Instant;
use tokio_tungstenite::tungstenite::{
    Error,
    error::UrlError,
    http::{StatusCode, header},
    protocol::CloseFrame,
};

use super::message::Problem;

/// What to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Ending {
    /// Trying again as before is of no use.
    Stop(String),
    /// Try again after a growing pause.
    Later {
        /// Not before this.
        at_least: Duration,
        /// What happened.
        why: String,
    },
    /// Go on, on a new connection.
    AtOnce {
        /// What happened.
        why: String,
    },
    /// Go on at that time.
    At {
        /// The time.
        until: Instant,
        /// What happened.
        why: String,
    },
}

impl Ending {
    /// After the usual pause.
    pub fn later(why: impl ToString) -> Self {
        Self::Later { at_least: Duration::ZERO, why: why.to_string() }
    }
}

const WANTS_KEY: &str = "the node wants a key: --key or QUOTA_KEY";

/// The meaning of a close. `problem`: the last one that the node told of before it.
pub fn of_close(frame: Option<&CloseFrame>, problem: Option<&Problem>, has_key: bool) -> Ending {
    let code = frame.map_or(1006, |frame| u16::from(frame.code));
    let reason = frame.map_or("", |frame| frame.reason.as_str());
    let told = problem.map(ToString::to_string).unwrap_or_default();
    let why = match (told.as_str(), reason) {
        ("", "") => format!("closed with code {code}"),
        ("", reason) => format!("{reason} ({code})"),
        (told, _) => format!("{told} ({code})"),
    };
    match code {
        4008 if !has_key => Ending::Stop(WANTS_KEY.to_owned()),
        1009 | 4000..4100 => Ending::Stop(why),
        4200..4300 => Ending::AtOnce { why },
        _ => {
            let at_least = problem.and_then(|problem| problem.retry_after_ms).map_or(Duration::ZERO, Duration::from_millis);
            Ending::Later { at_least, why }
        }
    }
}

/// The meaning of an attempt that failed.
pub fn of_error(error: Error, has_key: bool) -> Ending {
    match error {
        Error::Http(response) => {
            let status = response.status();
            let body = response.body().as_deref().unwrap_or_default();
            let problem: Problem = serde_json::from_slice(body).unwrap_or_default();
            let told = problem.to_string();
            let why = if told.is_empty() { format!("answered {status}") } else { told };
            match status {
                StatusCode::UNAUTHORIZED if !has_key => Ending::Stop(WANTS_KEY.to_owned()),
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Ending::Stop(why),
                StatusCode::NOT_FOUND => Ending::Stop(format!("no node of quota-coordinator answers there: {why}")),
                _ => {
                    let header = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
                    let seconds = header.and_then(|text| text.parse().ok()).unwrap_or(0u64);
                    Ending::Later { at_least: Duration::from_secs(seconds.min(60)), why }
                }
            }
        }
        Error::Url(UrlError::TlsFeatureNotEnabled | UrlError::UnsupportedUrlScheme) | Error::HttpFormat(_) => {
            Ending::Stop(error.to_string())
        }
        Error::Io(error) => Ending::later(format!("not reachable: {error}")),
        error => Ending::later(error),
    }
}

#[cfg(test)]
mod tests {
    use tokio_tungstenite::tungstenite::http::Response;

    use super::*;

    fn close(code: u16, reason: &'static str) -> CloseFrame {
        CloseFrame { code: code.into(), reason: reason.into() }
    }

    #[test]
    fn the_range_of_a_code_decides() {
        let told = Problem { title: "Forbidden".into(), retry_after_ms: Some(1500), ..Problem::default() };
        let end = |code, problem| of_close(Some(&close(code, "word")), problem, true);
        assert_eq!(end(4003, Some(&told)), Ending::Stop("Forbidden (4003)".into()));
        assert_eq!(end(4042, None), Ending::Stop("word (4042)".into()));
        let later = |ms, why: &str| Ending::Later { at_least: Duration::from_millis(ms), why: why.into() };
        assert_eq!(end(4102, Some(&told)), later(1500, "Forbidden (4102)"));
        assert_eq!(end(1011, None), later(0, "word (1011)"));
        assert_eq!(end(4202, None), Ending::AtOnce { why: "word (4202)".into() });
        assert_eq!(of_close(None, None, true), later(0, "closed with code 1006"));
        assert_eq!(of_close(Some(&close(4008, "")), None, false), Ending::Stop(WANTS_KEY.into()));
    }

    #[test]
    fn a_refused_upgrade_says_whether_to_try_again() {
        let answer = |status: u16, body: &str| {
            let response = Response::builder().status(status).header("retry-after", "5").body(Some(body.as_bytes().to_vec()));
            of_error(Error::Http(response.unwrap()), true)
        };
        let body = r#"{"title":"Unauthorized","detail":"the key is not known"}"#;
        assert_eq!(answer(401, body), Ending::Stop("Unauthorized: the key is not known".into()));
        let later = Ending::Later { at_least: Duration::from_secs(5), why: "answered 503 Service Unavailable".into() };
        assert_eq!(answer(503, ""), later);
    }
}

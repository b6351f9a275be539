//! The administration API of TRTC: Tencent Cloud API 3.0 on `/`, signed with TC3-HMAC-SHA256.
//!
//! ```text
//! request ─▶ signature (whose key?) ─▶ limit ─▶ parameters ─▶ request ─┬▶ Rooms ───▶ audit log ─▶ answer
//!                                                                       └▶ records ──────────────▶
//! ```
//!
//! Answers are always HTTP 200 with exactly `Content-Type: application/json`: the official SDKs overlook an error in any
//! other.

pub mod fault;
pub mod limit;
pub mod parameters;
mod perform;
pub mod request;
pub mod signature;

use crate::admin_keys::{AdminKey, AdminKeys, is_secret_id};
use crate::audit::{Audit, Entry, OK, Plane};
use crate::records::RecordsReader;
use crate::request_id;
use crate::rooms::Rooms;
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, header};
use axum::response::Response;
use axum::routing::any;
use fault::Fault;
use limit::Limit;
use parameters::Parameters;
use parking_lot::Mutex;
use request::{Api, Request};
use serde_json::{Map, Value, json};
use signature::{Authorization, SignatureError};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

/// The only version that there is.
pub const VERSION: &str = "2019-07-22";

/// Largest body: ten user ids fill one kilobyte.
const BODY_LIMIT: usize = 64 * 1024;

/// What the API needs.
#[derive(Clone)]
pub struct Admin {
    /// Where acts are carried out.
    pub rooms: Arc<dyn Rooms>,
    /// Who may.
    pub keys: AdminKeys,
    /// What queries are answered from.
    pub records: RecordsReader,
    /// Where acts are written down.
    pub audit: Audit,
    /// How often.
    pub limit: Arc<Mutex<Limit>>,
    /// The application that is served.
    pub sdk_app_id: u64,
    /// Names of this server beside the Host header of a request.
    pub hosts: Arc<[String]>,
}

/// The route.
pub fn router(admin: Admin) -> Router {
    Router::new().route("/", any(serve)).with_state(admin)
}

/// What an answer holds beside its RequestId.
type Answer = Result<Map<String, Value>, Fault>;

async fn serve(State(admin): State<Admin>, request: axum::extract::Request) -> Response {
    let id = request_id();
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_LIMIT).await else { return reply(&id, Err(Fault::TooLarge)) };
    let for_audit = id.clone();
    // On a task of its own: an act that has begun is carried out and written down even where the client hangs up.
    let answer = tokio::spawn(async move { admin.answer(&parts, &body, for_audit).await }).await;
    reply(&id, answer.unwrap_or_else(|_| Err(Fault::Internal("it has panicked".to_owned()))))
}

fn reply(id: &str, answer: Answer) -> Response {
    let mut fields = answer.unwrap_or_else(|fault| {
        tracing::debug!(code = %fault.code(), "refused an administrator's request");
        Map::from_iter([("Error".to_owned(), json!({"Code": fault.code(), "Message": fault.to_string()}))])
    });
    fields.insert("RequestId".to_owned(), id.into());
    let mut response = Response::new(Body::from(json!({ "Response": fields }).to_string()));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn text<'a>(parts: &'a Parts, name: &str) -> Option<&'a str> {
    parts.headers.get(name)?.to_str().ok()
}

impl Admin {
    async fn answer(&self, parts: &Parts, body: &Bytes, request_id: String) -> Answer {
        let is_query = match parts.method {
            Method::GET => true,
            Method::POST => false,
            _ => return Err(Fault::Protocol("Only GET and POST are served.")),
        };
        let by = self.authenticate(parts, body)?.secret_id;
        if text(parts, "x-tc-version") != Some(VERSION) {
            return Err(Fault::Version);
        }
        let api = text(parts, "x-tc-action").and_then(Api::from_name).ok_or(Fault::Action)?;
        let limit = {
            let mut limit = self.limit.lock();
            if limit.take(&by, api, Instant::now()) { None } else { Some(limit.rate()) }
        };
        if let Some(rate) = limit {
            return Err(Fault::Limit(rate));
        }
        let parameters = if is_query {
            Parameters::from_query(parts.uri.query().unwrap_or_default())
        } else if is_json(parts) {
            Parameters::from_json(body)
        } else {
            Err(Fault::Protocol("A POST carries application/json."))
        };
        let request = parameters.and_then(|given| Request::read(api, given, self.sdk_app_id, now()));
        if !api.acts() {
            return self.perform(&request?, &by).await;
        }
        let mut entry = Entry {
            at: SystemTime::now().into(),
            request_id,
            by: by.clone(),
            api: Plane::Tc3,
            act: api.name().to_owned(),
            room: request.as_ref().ok().and_then(|request| Some(request.room()?.wire_name())),
            users: request.as_ref().map(|request| request.users().to_vec()).unwrap_or_default(),
            detail: request.as_ref().ok().and_then(Request::detail).map(str::to_owned),
            result: OK.to_owned(),
        };
        let answer = match request {
            Ok(request) => self.perform(&request, &by).await,
            Err(fault) => Err(fault),
        };
        if let Err(fault) = &answer {
            entry.result = fault.code().into_owned();
        }
        self.audit.write(entry).await;
        answer
    }

    /// Whose request this is.
    fn authenticate(&self, parts: &Parts, body: &Bytes) -> Result<AdminKey, Fault> {
        if parts.headers.contains_key("x-tc-token") {
            return Err(Fault::Token);
        }
        let header = text(parts, "authorization").ok_or(SignatureError::Unsigned)?;
        let authorization = Authorization::parse(header)?;
        if !is_secret_id(authorization.secret_id) {
            return Err(Fault::SecretId);
        }
        let key = self.keys.find(authorization.secret_id).map_err(|error| {
            tracing::error!(%error, "the keys of administrators cannot be read");
            Fault::Internal("its keys cannot be read".to_owned())
        })?;
        let key = key.ok_or(Fault::SecretIdUnknown)?;
        let request = signature::Request {
            method: parts.method.as_str(),
            query: parts.uri.query().unwrap_or_default(),
            headers: &parts.headers,
            body,
        };
        signature::verify(request, &authorization, &key.secret_key, &self.hosts, now())?;
        Ok(key)
    }
}

fn is_json(parts: &Parts) -> bool {
    let kind = text(parts, "content-type").unwrap_or_default();
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

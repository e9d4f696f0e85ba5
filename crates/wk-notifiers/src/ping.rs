//! A request without content that only says: I am alive.

use reqwest::Method;
use wk_model::{HumanDuration, Problem, Secret};

use crate::SendError;
use crate::http::Poster;

/// How long the other side may take.
const TIMEOUT: HumanDuration = HumanDuration::seconds(10);

/// Pings one URL.
#[derive(Clone, Debug)]
pub struct Ping(Poster);

impl Ping {
    /// Pings `url`. Checks what can be checked without reading secrets.
    ///
    /// # Errors
    /// What is wrong with the URL; the path is `url`.
    pub fn build(url: &Secret) -> Result<Ping, Vec<Problem>> {
        Poster::build(url, TIMEOUT).map(Ping)
    }

    /// Sends one, with a method such as `GET`.
    ///
    /// # Errors
    /// When it does not arrive, or is refused.
    pub async fn send(&self, method: &str) -> Result<(), SendError> {
        let method = method.parse().unwrap_or(Method::GET);
        let Ping(poster) = self;
        poster.request(method, Default::default(), Default::default(), Vec::new()).await?.accept()
    }
}

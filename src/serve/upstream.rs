//! STUB
use crate::dns::*;
use crate::world::*;
#[derive(Clone, Debug, Default)]
pub struct UpstreamOptions;
#[derive(Debug)]
pub struct Upstreams;
#[derive(Debug)]
pub struct Unanswered {
    pub ede: Ede,
}
impl Upstreams {
    pub fn new(_: UpstreamOptions, _: ()) -> Self {
        Self
    }
    pub async fn ask(&self, _: &Upstream, _: &Question) -> Result<Answer, Unanswered> {
        Err(Unanswered { ede: Ede::new(22, "stub") })
    }
    pub fn retain(&self, _: &[&UpstreamIdentity]) {}
    pub fn health(&self) -> Vec<(String, bool)> {
        vec![]
    }
}

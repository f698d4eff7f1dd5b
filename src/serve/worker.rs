//! The state of one worker: its packet cache, its client cache and its metrics recorder. Other threads do not
//! access it, so it needs no locks. The exception is the shared worker, which is protected by one lock as a
//! whole.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use super::clients::ClientCache;
use super::packet_cache::{LowerName, PacketCache};
use crate::dns::ReplyLayout;
use crate::observe::{Observer, WorkerRecorder};

/// The state of one worker.
#[derive(Debug)]
pub struct Worker {
    /// Its metrics recorder.
    pub recorder: WorkerRecorder,
    pub(super) packet_cache: PacketCache,
    pub(super) client_cache: ClientCache,
    /// Reusable buffer for query names.
    pub(super) lower_name: LowerName,
    /// Reusable buffer for the offsets of a reply.
    pub(super) layout: ReplyLayout,
}

/// A worker as shared by the tasks on its thread. It must not be borrowed across an await.
pub type LocalWorker = Rc<RefCell<Worker>>;

impl Worker {
    /// Creates a worker with a packet cache of at most `packet_cache_bytes` octets.
    pub fn new(observer: &Arc<Observer>, packet_cache_bytes: u64) -> Self {
        Self {
            recorder: observer.recorder(),
            packet_cache: PacketCache::new(packet_cache_bytes),
            client_cache: ClientCache::default(),
            lower_name: LowerName::default(),
            layout: ReplyLayout::default(),
        }
    }

    /// Reports the size of the packet cache to the metrics.
    pub(super) fn report_cache_size(&self) {
        let (replies, annotations, bytes) = self.packet_cache.size();
        self.recorder.set_packet_cache_size(replies, annotations, bytes);
    }
}

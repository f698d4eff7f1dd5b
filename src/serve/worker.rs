//! The state of one worker: its packet cache, its client cache and its metrics recorder. Other threads do not
//! access it, so it needs no locks. The exception is the shared worker, which is protected by one lock as a
//! whole.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use super::clients::ClientCache;
use super::packet_cache::{LowerName, PacketCache};
use crate::dns::Layout;
use crate::observe::{Observer, WorkerRecorder};

/// The state of one worker.
#[derive(Debug)]
pub struct Worker {
    /// Its metrics recorder.
    pub recorder: WorkerRecorder,
    pub(super) packets: PacketCache,
    pub(super) clients: ClientCache,
    /// Reusable buffer for query names.
    pub(super) name: LowerName,
    /// Reusable buffer for the offsets of a reply.
    pub(super) layout: Layout,
}

/// A worker as shared by the tasks on its thread. It must not be borrowed across an await.
pub type LocalWorker = Rc<RefCell<Worker>>;

impl Worker {
    /// Creates a worker with a packet cache of at most `packet_cache_bytes` octets.
    pub fn new(observer: &Arc<Observer>, packet_cache_bytes: u64) -> Self {
        Self {
            recorder: observer.recorder(),
            packets: PacketCache::new(packet_cache_bytes),
            clients: ClientCache::default(),
            name: LowerName::default(),
            layout: Layout::default(),
        }
    }

    /// Reports the size of the packet cache to the metrics.
    pub(super) fn report_cache_size(&self) {
        let (replies, annotations, bytes) = self.packets.size();
        self.recorder.set_packet_cache_size(replies, annotations, bytes);
    }
}

//! What one worker owns: its packet cache, the clients that it knows, what it observes. No other thread sees it, so
//! nothing in it is locked; only the common worker, of those who have no thread of their own, is handed around whole.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use super::clients::Clients;
use super::packet_cache::{LowerName, PacketCache};
use crate::dns::Layout;
use crate::observe::{Observer, Witness};

/// The belongings of one worker.
#[derive(Debug)]
pub struct Worker {
    /// What it observes.
    pub witness: Witness,
    pub(super) packets: PacketCache,
    pub(super) clients: Clients,
    /// Room for the name in question.
    pub(super) name: LowerName,
    /// Room for where the parts of a reply stand.
    pub(super) layout: Layout,
}

/// A worker as the tasks on its thread share it. Nobody holds it while waiting.
pub type Own = Rc<RefCell<Worker>>;

impl Worker {
    /// A worker that has seen nothing yet, with a packet cache of at most so many octets.
    pub fn new(observer: &Arc<Observer>, packet_cache_bytes: u64) -> Self {
        Self {
            witness: observer.witness(),
            packets: PacketCache::new(packet_cache_bytes),
            clients: Clients::default(),
            name: LowerName::default(),
            layout: Layout::default(),
        }
    }

    /// Tells how much it holds.
    pub(super) fn tell_size(&self) {
        let (answers, told, bytes) = self.packets.size();
        self.witness.packet_cache_holds(answers, told, bytes);
    }
}

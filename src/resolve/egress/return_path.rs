//! The return path: whether replies reach the sender.

use super::sender::{ReturnDestination, Sender, SenderKind, SourceAddresses};
use super::walk::Walk;
use crate::resolve::path::{DroppedAt, PathEnd, Reach, Reason};
use crate::world::{Endpoint, Index, RouteTable, Subnet, Vpc};

/// Replies do not reach the sender. Contains the route table that drops them, if one does.
#[derive(Debug)]
pub(super) struct NoReturnPath(Option<DroppedAt>);

impl Walk<'_> {
    /// Whether the return path needs no evaluation: the VPC is the sender's own, only `local` routes match
    /// its addresses, and no Gateway Load Balancer endpoint is on the path.
    pub(super) fn has_trivial_return_path(&self, vpc: Index<Vpc>) -> bool {
        self.sender.return_to == ReturnDestination::Vpc(vpc)
            && !self.network.vpcs[vpc].has_inner_routes
            && self.inspected.is_empty()
    }

    /// Ends the path unless replies reach the sender through a route table of the VPC that the packet has
    /// entered. An unknown path counts as reaching it. Returns whether they do.
    pub(super) fn require_return_path(
        &mut self,
        vpc: Index<Vpc>,
        subnet: Option<Index<Subnet>>,
        table: Option<Index<RouteTable>>,
    ) -> bool {
        let Some(table) = table.filter(|_| !self.has_trivial_return_path(vpc)) else { return true };
        self.require_replies(ReturnDestination::Vpc(vpc), |back| {
            back.at = Some((vpc, subnet));
            back.continue_by(table, subnet, Reason::NoRoute);
        })
    }

    /// Ends the path unless a reply, sent by `send`, reaches the sender. Returns whether it does.
    pub(super) fn require_replies(&mut self, home: ReturnDestination, send: impl Fn(&mut Self)) -> bool {
        match self.reply_returns(home, send) {
            Ok(is_symmetric) => {
                self.is_asymmetric |= !is_symmetric;
                true
            }
            Err(NoReturnPath(dropped_at)) => {
                self.path.dropped_at = dropped_at;
                self.end(Reach::Dead, Some(Reason::NoReturnRoute));
                false
            }
        }
    }

    /// Evaluates the path of a reply, sent by `send` to any of the addresses of the sender: whether it
    /// passes the same Gateway Load Balancer endpoints as the sender's traffic ("Avoiding asymmetric routing
    /// with AWS Network Firewall"). An unknown path counts as reaching the sender.
    fn reply_returns(&self, home: ReturnDestination, send: impl Fn(&mut Self)) -> Result<bool, NoReturnPath> {
        if self.is_reply {
            return Ok(true);
        }
        let is_v4 = self.to.is_ipv4();
        let mut sources = self.sender.source.samples.iter().filter(|address| address.is_ipv4() == is_v4);
        sources.try_fold(true, |all_symmetric, address| {
            let sender =
                Sender { kind: SenderKind::Client, source: SourceAddresses::at(self.to), return_to: home };
            let mut back = Walk::new(self.network, sender, *address, true);
            back.sticky_entries.clone_from(&self.sticky_entries);
            send(&mut back);
            let is_returned = match (back.path.reach, self.sender.return_to) {
                (Reach::Unknown, _) => true,
                // A NAT gateway on the return path replaces the address that the client sent to with its own.
                (Reach::Ok, _) if *back.sender.source.samples != [self.to] => false,
                (Reach::Ok, ReturnDestination::Vpc(home)) => back.at.is_some_and(|(vpc, _)| vpc == home),
                (Reach::Ok, ReturnDestination::Site(site)) => back.path.end == PathEnd::Site(site),
                _ => false,
            };
            let reason = back.path.reasons.first().copied();
            let is_symmetric = back.path.reach == Reach::Unknown
                || self.entered_by_gateway
                || back.entered_by_gateway
                || sorted(&self.inspected) == sorted(&back.inspected);
            if is_returned {
                Ok(all_symmetric && is_symmetric)
            } else {
                Err(NoReturnPath(back.last.map(|last| DroppedAt { reason, ..last })))
            }
        })
    }
}

/// The endpoints in a canonical order.
fn sorted(endpoints: &[Index<Endpoint>]) -> Vec<Index<Endpoint>> {
    let mut sorted = endpoints.to_vec();
    sorted.sort_unstable();
    sorted
}

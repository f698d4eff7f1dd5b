//! The way back: whether replies come to the sender.

use super::sender::{Home, Sender, SentBy, Source};
use super::walk::Walk;
use crate::resolve::path::{End, Lost, Reach, Reason};
use crate::world::{Endpoint, Index, RouteTable, Subnet, Vpc};

/// Replies do not come to the sender: the table that loses them, where a table does.
#[derive(Debug)]
pub(super) struct RepliesLost(Option<Lost>);

impl Walk<'_> {
    /// Whether a VPC is the sender's own, where nothing but `local` leads to its addresses, and nothing else led here.
    pub(super) fn is_simply_home(&self, vpc: Index<Vpc>) -> bool {
        self.sender.home == Home::Vpc(vpc)
            && !self.world.vpcs[vpc].has_inner_routes
            && self.inspected.is_empty()
    }

    /// Ends the way, unless replies find the sender again by a table of the VPC that the packet came to. What is not known
    /// counts as yes. Whether they do.
    pub(super) fn need_way_back(
        &mut self,
        vpc: Index<Vpc>,
        subnet: Option<Index<Subnet>>,
        table: Option<Index<RouteTable>>,
    ) -> bool {
        let Some(table) = table.filter(|_| !self.is_simply_home(vpc)) else { return true };
        self.need_replies(Home::Vpc(vpc), |back| {
            back.at = Some((vpc, subnet));
            back.go_on(table, subnet, Reason::NoRoute);
        })
    }

    /// Ends the way, unless a reply comes to the sender when it is sent so. Whether it does.
    pub(super) fn need_replies(&mut self, home: Home, send: impl Fn(&mut Self)) -> bool {
        match self.reply_returns(home, send) {
            Ok(passes_the_same) => {
                self.is_asymmetric |= !passes_the_same;
                true
            }
            Err(RepliesLost(lost)) => {
                self.path.lost = lost;
                self.end(Reach::Dead, Some(Reason::NoReturnRoute));
                false
            }
        }
    }

    /// Looks for a reply's way to the sender, whichever of its addresses it has, when it is sent so: whether it passes the
    /// Gateway Load Balancer endpoints that the sender's traffic passes, no fewer and no others ("Avoiding asymmetric
    /// routing with AWS Network Firewall"). What is not known counts as yes.
    fn reply_returns(&self, home: Home, send: impl Fn(&mut Self)) -> Result<bool, RepliesLost> {
        if self.is_reply {
            return Ok(true);
        }
        let is_v4 = self.to.is_ipv4();
        let mut own = self.sender.source.samples.iter().filter(|address| address.is_ipv4() == is_v4);
        own.try_fold(true, |all_same, address| {
            let sender = Sender { by: SentBy::Client, source: Source::at(self.to), home };
            let mut back = Walk::new(self.world, sender, *address, true);
            back.kept_entries.clone_from(&self.kept_entries);
            send(&mut back);
            let is_home = match (back.path.reach, self.sender.home) {
                (Reach::Unknown, _) => true,
                // A NAT gateway on the way back puts its own address in the place of the one that was asked.
                (Reach::Ok, _) if *back.sender.source.samples != [self.to] => false,
                (Reach::Ok, Home::Vpc(home)) => back.at.is_some_and(|(vpc, _)| vpc == home),
                (Reach::Ok, Home::Site(site)) => back.path.end == End::Site(site),
                _ => false,
            };
            let reason = back.path.reasons.first().copied();
            let passes_the_same = back.path.reach == Reach::Unknown
                || self.came_by_edge
                || back.came_by_edge
                || sorted(&self.inspected) == sorted(&back.inspected);
            if is_home {
                Ok(all_same && passes_the_same)
            } else {
                Err(RepliesLost(back.last.map(|last| Lost { reason, ..last })))
            }
        })
    }
}

/// Endpoints in an order of their own.
fn sorted(endpoints: &[Index<Endpoint>]) -> Vec<Index<Endpoint>> {
    let mut sorted = endpoints.to_vec();
    sorted.sort_unstable();
    sorted
}

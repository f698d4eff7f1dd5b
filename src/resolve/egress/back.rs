//! The way back: whether replies come to the sender.

use super::walk::{Home, Sender, SentBy, Source, Walk};
use crate::resolve::path::{End, Lost, Reach, Reason};
use crate::world::{Index, RouteTable, Subnet, Vpc};

/// Replies do not come to the sender: the table that loses them, where a table does.
#[derive(Debug)]
pub(super) struct RepliesLost(Option<Lost>);

impl Walk<'_> {
    /// Whether a VPC is the sender's own, and nothing but `local` leads to its addresses.
    pub(super) fn is_simply_home(&self, vpc: Index<Vpc>) -> bool {
        self.sender.home == Home::Vpc(vpc) && !self.world.vpcs[vpc].has_inner_routes
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
        let lost = self.reply_returns(home, send).err();
        if let Some(RepliesLost(lost)) = &lost {
            self.path.lost = *lost;
            self.end(Reach::Dead, Some(Reason::NoReturnRoute));
        }
        lost.is_none()
    }

    /// Whether a reply comes to the sender, whichever of its addresses it has, when it is sent so.
    fn reply_returns(&self, home: Home, send: impl Fn(&mut Self)) -> Result<(), RepliesLost> {
        if self.is_reply {
            return Ok(());
        }
        let is_v4 = self.to.is_ipv4();
        let mut own = self.sender.source.samples.iter().filter(|address| address.is_ipv4() == is_v4);
        own.try_for_each(|address| {
            let sender = Sender { by: SentBy::Client, source: Source::at(self.to), home };
            let mut back = Walk::new(self.world, sender, *address, true);
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
            if is_home { Ok(()) } else { Err(RepliesLost(back.last.map(|last| Lost { reason, ..last }))) }
        })
    }
}

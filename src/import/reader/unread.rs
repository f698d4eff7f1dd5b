//! What is not read: accounted for, each with the reason.

use super::{DocumentReader, keys};
use crate::import::document::{Document, Member};
use crate::import::inventory::ReadObject;
use crate::import::ledger::SourceLocation;
use crate::import::merge::is_empty_value;
use crate::import::objects::network::Vpc;
use crate::import::objects::{Object, OtherFields};

impl DocumentReader<'_> {
    /// Notes the fields of an object that nobody reads and that say something.
    pub(super) fn record_unread_fields(&mut self, spot: SourceLocation, kind: &str, other: &OtherFields, ignored: &[&str]) {
        for (field, value) in other {
            if !is_empty_value(value) && !ignored.contains(&field.as_str()) {
                self.ledger.note_unsupported(Some(spot), format!("the field `{field}` of `{kind}` is not read"));
            }
        }
    }

    /// Accounts for what changes no answer.
    pub(super) fn record_ignored(&mut self, file: usize, member: &Member<'_>) {
        let Some((kind, why)) = keys::ignored_key(&member.key) else { return };
        for item in member.value.items().unwrap_or_else(|| vec![member.value.clone()]) {
            let spot = SourceLocation { file, at: item.start };
            self.ledger.insert_item(kind, spot);
            self.ledger.mark_item_skipped(kind, spot, why);
        }
    }

    /// Accounts for a list that nobody knows.
    pub(super) fn record_unknown_member(&mut self, file: usize, member: &Member<'_>) {
        let key = &member.key;
        for item in member.value.items().unwrap_or_else(|| vec![member.value.clone()]) {
            let spot = SourceLocation { file, at: item.start };
            let why = format!("a document with the key `{key}` is not read");
            self.ledger.insert_item(key.clone(), spot);
            self.ledger.mark_item_unsupported(key.clone(), spot, why);
        }
    }

    /// Accounts for a document that is one object: an answer of its own, or what `--query` leaves of a list.
    pub(super) fn record_unknown_document<'k>(
        &mut self,
        document: &Document<'_>,
        keys: impl Iterator<Item = &'k str>,
    ) {
        const KIND: &str = "documents of other calls";
        const MAX_KEYS: usize = 4;
        let mut keys: Vec<String> = keys.map(|key| format!("`{key}`")).collect();
        if keys.len() > MAX_KEYS {
            keys.truncate(MAX_KEYS);
            keys.push("…".to_owned());
        }
        let word = if keys.len() == 1 { "key" } else { "keys" };
        let keys = keys.join(", ");
        let why = match document.is_in_list {
            true => {
                format!("an object of a list without its key, as `--query` leaves it, is not read ({keys})")
            }
            false => format!("a document with the {word} {keys} is not read"),
        };
        let spot = SourceLocation { file: document.file, at: document.at.start };
        self.ledger.insert_item(KIND, spot);
        self.ledger.mark_item_unsupported(KIND, spot, why);
    }

    /// Leaves VPCs out of which only such calls tell that do not say their prefixes, as `describe-vpc-classic-link`.
    pub fn skip_vpcs_without_cidr(&mut self) {
        let is_bare =
            |vpc: &ReadObject<Vpc>| vpc.cidr_block.is_none() && vpc.cidr_block_association_set.is_empty();
        for vpc in self.inventory.vpcs.extract_if(.., |vpc| is_bare(vpc)) {
            let id = &vpc.vpc_id;
            self.ledger.mark_skipped(Vpc::KIND, id, "no document tells its prefixes");
            self.ledger.note_missing(
                format!("the prefixes of VPC {id}"),
                format!("aws ec2 describe-vpcs --vpc-ids {id}"),
            );
        }
    }
}

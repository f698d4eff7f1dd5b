//! Recording of everything that is not read, with the reason.

use super::{DocumentReader, keys};
use crate::import::document::{Document, Member};
use crate::import::inventory::ReadObject;
use crate::import::ledger::SourceLocation;
use crate::import::merge::is_empty_value;
use crate::import::objects::network::Vpc;
use crate::import::objects::{Object, OtherFields};

impl DocumentReader<'_> {
    /// Reports the non-empty fields of an object that are not read.
    pub(super) fn record_unread_fields(
        &mut self,
        location: SourceLocation,
        kind: &str,
        other: &OtherFields,
        ignored: &[&str],
    ) {
        for (field, value) in other {
            if !is_empty_value(value) && !ignored.contains(&field.as_str()) {
                let message = format!("field `{field}` of `{kind}` is not supported");
                self.ledger.note_unsupported(Some(location), message);
            }
        }
    }

    /// Records objects that have no effect on answers.
    pub(super) fn record_ignored(&mut self, file: usize, member: &Member<'_>) {
        let Some((kind, why)) = keys::ignored_key(&member.key) else { return };
        for item in member.value.items().unwrap_or_else(|| vec![member.value.clone()]) {
            let location = SourceLocation { file, at: item.start };
            self.ledger.insert_item(kind, location);
            self.ledger.mark_item_skipped(kind, location, why);
        }
    }

    /// Records the elements of a list with an unknown key.
    pub(super) fn record_unknown_member(&mut self, file: usize, member: &Member<'_>) {
        let key = &member.key;
        for item in member.value.items().unwrap_or_else(|| vec![member.value.clone()]) {
            let location = SourceLocation { file, at: item.start };
            let why = format!("documents with the key `{key}` are not supported");
            self.ledger.insert_item(key.clone(), location);
            self.ledger.mark_item_unsupported(key.clone(), location, why);
        }
    }

    /// Records a document that consists of a single object: the output of an unknown command, or a list
    /// reduced by `--query`.
    pub(super) fn record_unknown_document<'k>(
        &mut self,
        document: &Document<'_>,
        keys: impl Iterator<Item = &'k str>,
    ) {
        const KIND: &str = "documents of other commands";
        const MAX_KEYS: usize = 4;
        let mut keys: Vec<String> = keys.map(|key| format!("`{key}`")).collect();
        if keys.len() > MAX_KEYS {
            keys.truncate(MAX_KEYS);
            keys.push("…".to_owned());
        }
        let word = if keys.len() == 1 { "key" } else { "keys" };
        let keys = keys.join(", ");
        let why = match document.is_in_list {
            true => format!("lists without a key, as printed with `--query`, are not supported ({keys})"),
            false => format!("documents with the {word} {keys} are not supported"),
        };
        let location = SourceLocation { file: document.file, at: document.at.start };
        self.ledger.insert_item(KIND, location);
        self.ledger.mark_item_unsupported(KIND, location, why);
    }

    /// Removes VPCs that occur only in the output of commands that omit their CIDR blocks, such as
    /// `describe-vpc-classic-link`.
    pub(crate) fn skip_vpcs_without_cidr(&mut self) {
        let has_no_cidr =
            |vpc: &ReadObject<Vpc>| vpc.cidr_block.is_none() && vpc.cidr_block_association_set.is_empty();
        for vpc in self.inventory.vpcs.extract_if(.., |vpc| has_no_cidr(vpc)) {
            let id = &vpc.vpc_id;
            self.ledger.mark_skipped(Vpc::KIND, id, "no document contains its CIDR blocks");
            self.ledger.note_missing(
                format!("CIDR blocks of VPC {id}"),
                format!("aws ec2 describe-vpcs --vpc-ids {id}"),
            );
        }
    }
}

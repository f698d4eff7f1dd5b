//! The script that makes the calls, against a stand-in of the AWS CLI.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use super::common::process::{stderr, stdout};
use super::imported;

/// Answers as the AWS CLI does. One call may not be made, another one is refused when it is made again, and a third one leaves
/// its pages to who asks.
const AWS: &str = r#"#!/bin/sh
echo "$*" >> "$CALLS"
case "$1 $2 $*" in
    "ec2 describe-vpcs "*--query*) printf 'vpc-a\tvpc-b\n' ;;
    "ec2 describe-vpcs "*)
        echo '{"Vpcs": [{"VpcId": "vpc-a", "CidrBlock": "10.0.0.0/16"}, {"VpcId": "vpc-b", "CidrBlock": "10.1.0.0/16"}]}' ;;
    "ec2 describe-vpc-endpoints "*--query*) printf 'com.amazonaws.eu-west-1.sqs@\tcom.amazonaws.us-east-1.s3@us-east-1\n' ;;
    "ec2 describe-nat-gateways "*) echo 'An error occurred (UnauthorizedOperation)' >&2; exit 254 ;;
    "ec2 describe-transit-gateway-route-tables "*--query*) echo 'An error occurred (RequestLimitExceeded)' >&2; exit 254 ;;
    "route53 list-hosted-zones-by-vpc "*--next-token*) echo '{"HostedZoneSummaries": [], "MaxItems": "100"}' ;;
    "route53 list-hosted-zones-by-vpc "*)
        printf '{\n    "HostedZoneSummaries": [],\n    "MaxItems": "100",\n    "NextToken": "more+/="\n}\n' ;;
    *--query*text*) ;;
    *--query*) echo '{"VpnConnections": []}' ;;
    *) echo '{"items": []}' ;;
esac
"#;

/// Runs the script in a folder that has such a stand-in.
fn export(dir: &Path, arguments: &[&str]) -> Output {
    let aws = dir.join("aws");
    fs::write(&aws, AWS).unwrap();
    fs::set_permissions(&aws, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", dir.display(), std::env::var("PATH").unwrap());
    let mut script = Command::new("sh");
    script.arg("tools/aws-export.sh").args(arguments);
    script.env("PATH", path).env("CALLS", dir.join("calls")).output().unwrap()
}

/// The script that makes the calls makes none that changes something.
#[test]
fn the_export_script_only_reads() {
    let output =
        Command::new("sh").args(["tools/aws-export.sh", "--dry-run", "eu-west-1", "DIR"]).output().unwrap();
    let calls = stdout(&output);
    assert!(output.status.success() && calls.lines().count() > 40, "{calls}{}", stderr(&output));
    for call in calls.lines() {
        let words: Vec<&str> = call.split(' ').collect();
        assert_eq!(words[0], "aws", "{call}");
        let reads = ["describe-", "get-", "list-", "search-"];
        assert!(reads.iter().any(|verb| words[2].starts_with(verb)), "{call}");
        assert!(call.contains("--region eu-west-1 --output json > DIR/"), "{call}");
    }
}

#[test]
fn a_call_that_may_not_be_made_loses_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("made for this");
    let arguments = ["--profile", "one with spaces", "eu-west-1", folder.to_str().unwrap()];
    let output = export(dir.path(), &arguments);
    let told = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("left out: aws ec2 describe-nat-gateways\n"), "{told}");
    assert!(
        told.contains("left out: aws ec2 describe-transit-gateway-route-tables, for what hangs on each"),
        "{told}"
    );
    assert!(told.ends_with("2 calls left out\n"), "{told}");
    let calls = fs::read_to_string(dir.path().join("calls")).unwrap();
    for call in [
        "describe-vpc-endpoint-services --service-names com.amazonaws.eu-west-1.sqs --region",
        "describe-vpc-endpoint-services --service-names com.amazonaws.us-east-1.s3 --service-regions us-east-1 --region",
        "list-hosted-zones-by-vpc --vpc-id vpc-b --vpc-region eu-west-1 --next-token more+/= --region",
    ] {
        assert!(calls.contains(call), "{call} is not in\n{calls}");
    }
    let imported = imported(&folder);
    assert_eq!(imported.report.read["Vpcs"].converted, 2);
    assert!(!folder.join("eu-west-1/describe-nat-gateways.json").exists());
}

#[test]
fn what_is_said_wrongly_makes_no_call() {
    let dir = tempfile::tempdir().unwrap();
    for arguments in
        [&["aws", "eu-west-1"][..], &["eu-west-1"], &["--profile"], &["--all", "eu-west-1", "aws"]]
    {
        assert_eq!(export(dir.path(), arguments).status.code(), Some(2), "{arguments:?}");
    }
    assert!(!dir.path().join("calls").exists());
}

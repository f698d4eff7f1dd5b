//! `tools/aws-export.sh` with a fake AWS CLI.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use super::common::process::{stderr, stdout};
use super::import_valid;

/// A fake AWS CLI. One command lacks permission, one fails only when it is repeated to list IDs, and one
/// returns a page with a token.
const FAKE_AWS_CLI: &str = r#"#!/bin/sh
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

/// Runs the script with the fake AWS CLI, which is written to `dir`.
fn run_script(dir: &Path, arguments: &[&str]) -> Output {
    let aws = dir.join("aws");
    fs::write(&aws, FAKE_AWS_CLI).unwrap();
    fs::set_permissions(&aws, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", dir.display(), std::env::var("PATH").unwrap());
    let mut script = Command::new("sh");
    script.arg("tools/aws-export.sh").args(arguments);
    script.env("PATH", path).env("CALLS", dir.join("calls")).output().unwrap()
}

#[test]
fn all_commands_are_read_only() {
    let output =
        Command::new("sh").args(["tools/aws-export.sh", "--dry-run", "eu-west-1", "DIR"]).output().unwrap();
    let calls = stdout(&output);
    assert!(output.status.success() && calls.lines().count() > 40, "{calls}{}", stderr(&output));
    for call in calls.lines() {
        let arguments: Vec<&str> = call.split(' ').collect();
        assert_eq!(arguments[0], "aws", "{call}");
        let read_verbs = ["describe-", "get-", "list-", "search-"];
        assert!(read_verbs.iter().any(|verb| arguments[2].starts_with(verb)), "{call}");
        assert!(call.contains("--region eu-west-1 --output json > DIR/"), "{call}");
    }
}

#[test]
fn failed_commands_are_skipped() {
    let dir = tempfile::tempdir().unwrap();
    let directory = dir.path().join("export directory");
    let arguments = ["--profile", "profile with spaces", "eu-west-1", directory.to_str().unwrap()];
    let output = run_script(dir.path(), &arguments);
    let errors = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    for message in [
        "skipped: aws ec2 describe-nat-gateways\n",
        "skipped: aws ec2 describe-transit-gateway-route-tables, and all commands that require its IDs\n",
    ] {
        assert!(errors.contains(message), "{errors}");
    }
    assert!(errors.ends_with("skipped 2 commands\n"), "{errors}");
    let calls = fs::read_to_string(dir.path().join("calls")).unwrap();
    for call in [
        "describe-vpc-endpoint-services --service-names com.amazonaws.eu-west-1.sqs --region",
        "describe-vpc-endpoint-services --service-names com.amazonaws.us-east-1.s3 --service-regions us-east-1 --region",
        "list-hosted-zones-by-vpc --vpc-id vpc-b --vpc-region eu-west-1 --next-token more+/= --region",
    ] {
        assert!(calls.contains(call), "{call} is not in\n{calls}");
    }
    let imported = import_valid(&directory);
    assert_eq!(imported.report.read["Vpcs"].converted, 2);
    assert!(!directory.join("eu-west-1/describe-nat-gateways.json").exists());
}

#[test]
fn invalid_arguments_run_no_command() {
    let dir = tempfile::tempdir().unwrap();
    for arguments in
        [&["aws", "eu-west-1"][..], &["eu-west-1"], &["--profile"], &["--all", "eu-west-1", "aws"]]
    {
        assert_eq!(run_script(dir.path(), arguments).status.code(), Some(2), "{arguments:?}");
    }
    assert!(!dir.path().join("calls").exists());
}

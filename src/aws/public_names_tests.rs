use super::*;
use crate::aws::Facts;
use crate::aws::service::PrivateNames;

fn names() -> &'static PublicNames {
    &Facts::built_in().public_names
}

fn service(host: &str) -> String {
    match names().find(host).unwrap_or_else(|| panic!("{host}")).endpoint_support {
        EndpointSupport::Service(s) => s,
        other => panic!("{host}: {other:?}"),
    }
}

#[test]
fn private_names_are_public_names() {
    let region = Region::parse("us-west-2").unwrap();
    for row in Facts::built_in().services.rows() {
        let PrivateNames::Known(known) = &row.private_names else {
            continue;
        };
        for name in known {
            let host = fill(name, &region).replace('*', "x");
            let found = names().find(&host).unwrap_or_else(|| panic!("{host}"));
            assert_eq!(found.template, name);
            assert_eq!(
                service(&host),
                fill(&row.template, found.region.as_ref().unwrap_or(&GLOBAL_SERVICES_REGION))
            );
        }
    }
}

#[test]
fn a_global_host_can_use_the_endpoint_service_of_the_vpcs_region() {
    let tokyo = Region::parse("ap-northeast-1").unwrap();
    let from_tokyo =
        |host: &str| names().find(host).unwrap_or_else(|| panic!("{host}")).endpoint_services_from(&tokyo);
    assert_eq!(
        from_tokyo("sts.amazonaws.com"),
        ["com.amazonaws.us-east-1.sts", "com.amazonaws.ap-northeast-1.sts"]
    );
    assert_eq!(from_tokyo("sts.us-west-2.amazonaws.com"), ["com.amazonaws.us-west-2.sts"]);
    assert_eq!(
        from_tokyo("kms-fips.us-west-2.amazonaws.com"),
        ["com.amazonaws.us-west-2.kms-fips", "com.amazonaws.us-west-2.kms"]
    );
    assert!(from_tokyo("d1.cloudfront.net").is_empty());
}

#[test]
fn hosts_are_found() {
    for (host, expected) in [
        ("ec2.ap-northeast-1.amazonaws.com", "com.amazonaws.ap-northeast-1.ec2"),
        ("sns.us-west-2.amazonaws.com", "com.amazonaws.us-west-2.sns"),
        ("sqs.us-west-2.amazonaws.com", "com.amazonaws.us-west-2.sqs"),
        ("us-west-2.queue.amazonaws.com", "com.amazonaws.us-west-2.sqs"),
        ("queue.amazonaws.com", "com.amazonaws.us-east-1.sqs"),
        ("sts.amazonaws.com", "com.amazonaws.us-east-1.sts"),
        ("iam.amazonaws.com", "com.amazonaws.iam"),
        ("s3.eu-west-1.amazonaws.com", "com.amazonaws.eu-west-1.s3"),
        ("b.s3.eu-west-1.amazonaws.com", "com.amazonaws.eu-west-1.s3"),
        ("b.s3.amazonaws.com", "com.amazonaws.us-east-1.s3"),
        ("s3-eu-west-1.amazonaws.com", "com.amazonaws.eu-west-1.s3"),
        ("s3-control.dualstack.eu-west-1.amazonaws.com", "com.amazonaws.eu-west-1.s3"),
        ("cognito-idp.eu-west-1.amazonaws.com", "com.amazonaws.eu-west-1.cognito-idp"),
        ("1.dkr.ecr.eu-west-1.amazonaws.com", "com.amazonaws.eu-west-1.ecr.dkr"),
        ("api.ecr.eu-west-1.amazonaws.com", "com.amazonaws.eu-west-1.ecr.api"),
        ("x.execute-api.eu-west-1.amazonaws.com", "com.amazonaws.eu-west-1.execute-api"),
        ("dynamodb.eu-west-1.amazonaws.com", "com.amazonaws.eu-west-1.dynamodb"),
        ("1.ddb.eu-west-1.amazonaws.com", "com.amazonaws.eu-west-1.dynamodb"),
        ("account.us-east-1.amazonaws.com", "com.amazonaws.us-east-1.account"),
        ("sqs.eu-west-1.api.aws", "com.amazonaws.eu-west-1.sqs"),
    ] {
        assert_eq!(service(host), expected, "{host}");
    }
    for host in ["x.auth.eu-west-1.amazoncognito.com", "d1.cloudfront.net", "x.lambda-url.eu-west-1.on.aws"] {
        assert_eq!(names().find(host).unwrap().endpoint_support, EndpointSupport::None);
    }
    for host in [
        "ec2.zz-nowhere-1.amazonaws.com",
        "dkr.ecr.eu-west-1.amazonaws.com",
        "execute-api.eu-west-1.amazonaws.com",
        "foo.ec2.eu-west-1.amazonaws.com",
        "cloudfront.net",
        "amazonaws.com",
        "ec2.{region}.amazonaws.com.evil.example",
        "example.org",
        "",
    ] {
        assert!(names().find(host).is_none(), "{host}");
    }
}

#[test]
fn columns_are_parsed() {
    let s3 = names().find("s3.us-west-2.amazonaws.com").unwrap();
    assert_eq!((s3.service_range, s3.ttl, s3.ipv6), ("S3", 5, false));
    assert_eq!(s3.region.unwrap().as_str(), "us-west-2");
    let dual = names().find("s3.dualstack.us-west-2.amazonaws.com").unwrap();
    assert!(dual.ipv6);
    let api = names().find("ec2.us-west-2.api.aws").unwrap();
    assert_eq!((api.service_range, api.ttl, api.ipv6), ("AMAZON", 60, true));
    assert!(names().find("iam.amazonaws.com").unwrap().region.is_none());
    let fixed = names().find("account.us-east-1.amazonaws.com").unwrap();
    assert_eq!(fixed.region.unwrap().as_str(), "us-east-1");
}

#[test]
fn endpoint_services_are_in_the_service_table() {
    use crate::aws::service::EndpointKind;
    let facts = Facts::built_in();
    for row in &names().rows {
        if row.endpoint_service == "none" || row.endpoint_service == "?" {
            continue;
        }
        let name = fill(&row.endpoint_service, &GLOBAL_SERVICES_REGION);
        let found = [EndpointKind::Interface, EndpointKind::Gateway]
            .iter()
            .any(|k| facts.services.find(&name, *k, &GLOBAL_SERVICES_REGION).is_some());
        assert!(found, "{} -> {name}", row.template);
    }
}

#[test]
fn addresses_are_stable_and_within_the_prefixes() {
    // Changing these values would change the address of every host from one release to the next.
    assert_eq!(stable_hash([]), 0xcbf2_9ce4_8422_2325);
    assert_eq!(stable_hash(*b"foobar"), 0x8594_4171_f739_67e8);
    let nets: Vec<IpNet> =
        ["192.0.2.0/30", "198.51.100.0/24", "2001:db8::/32"].iter().map(|n| n.parse().unwrap()).collect();
    let mut seen = std::collections::BTreeSet::new();
    for i in 0..500 {
        let host = format!("h{i}.example");
        let a = stable_address(&host, &nets).unwrap();
        assert_eq!(stable_address(&host, &nets), Some(a));
        let net = nets.iter().find(|n| n.contains(&a)).unwrap();
        assert_ne!(a, net.network());
        assert_ne!(a, net.broadcast());
        seen.insert(a);
    }
    assert!(seen.len() > 200);
    let one = |n: &str| stable_address("h", &[n.parse().unwrap()]).unwrap();
    assert_eq!(one("192.0.2.7/32").to_string(), "192.0.2.7");
    assert_eq!(one("2001:db8::7/128").to_string(), "2001:db8::7");
    one("192.0.2.6/31");
    one("::/0");
    one("0.0.0.0/0");
    assert_eq!(stable_address("h", &[]), None);
}

#[test]
fn every_host_is_at_or_below_one_of_few_domains() {
    let names = &Facts::built_in().public_names;
    let domains: Vec<&str> = names.domains().collect();
    assert!(domains.contains(&"amazonaws.com") && domains.contains(&"cloudfront.net"), "{domains:?}");
    assert!(domains.len() < 300 && !domains.contains(&""), "{}", domains.len());
    let tokyo = Region::parse("ap-northeast-1").unwrap();
    let hosts: Vec<String> = names.hosts(&tokyo).collect();
    assert!(hosts.contains(&"sqs.ap-northeast-1.amazonaws.com".to_owned()));
    assert!(hosts.contains(&"iam.amazonaws.com".to_owned()));
    for host in hosts {
        let is_below = |domain: &&str| host == **domain || host.ends_with(&format!(".{domain}"));
        assert!(domains.iter().any(is_below), "{host}");
        assert!(!host.contains('{') && names.find(&host.replace('*', "x")).is_some(), "{host}");
    }
}

use super::*;
use crate::aws::Facts;

fn table() -> &'static ServiceTable {
    &Facts::built_in().services
}

fn tokyo() -> Region {
    Region::parse("ap-northeast-1").unwrap()
}

fn interface(name: &str) -> Service<'static> {
    table().find(name, EndpointKind::Interface, &tokyo()).unwrap_or_else(|| panic!("{name}"))
}

fn services_of(host: &str) -> Vec<String> {
    table().covering_host(host).iter().map(|s| s.name()).collect()
}

#[test]
fn private_names_are_not_derived_from_the_service_name() {
    let names = |s: &str| interface(s).private_names().unwrap();
    assert_eq!(
        names("com.amazonaws.ap-northeast-1.ec2"),
        ["ec2.ap-northeast-1.amazonaws.com", "ec2.ap-northeast-1.api.aws"]
    );
    assert_eq!(names("com.amazonaws.eu-west-1.ecs-agent"), ["ecs-a.eu-west-1.amazonaws.com"]);
    assert_eq!(names("com.amazonaws.eu-west-1.eks-auth"), ["eks-auth.eu-west-1.api.aws"]);
    assert_eq!(names("com.amazonaws.us-east-1.monitoring").len(), 4);
    assert_eq!(names("com.amazonaws.us-east-2.monitoring"), ["monitoring.us-east-2.amazonaws.com"]);
    let s3 = names("com.amazonaws.ap-northeast-1.s3");
    assert_eq!(s3.len(), 6);
    for n in ["s3", "s3-control", "s3-accesspoint"] {
        let apex = format!("{n}.ap-northeast-1.amazonaws.com");
        assert!(s3.contains(&apex) && s3.contains(&format!("*.{apex}")));
    }
}

#[test]
fn not_offered_and_unknown_are_not_served() {
    for s in ["dynamodb", "dynamodb-fips", "dynamodb-streams", "iot.data"] {
        let s = interface(&format!("com.amazonaws.ap-northeast-1.{s}"));
        assert_eq!(s.row.private_names, PrivateNames::NotOffered);
        assert_eq!(s.private_names(), None);
    }
    for s in ["cognito-idp", "s3-fips", "acm"] {
        let s = interface(&format!("com.amazonaws.ap-northeast-1.{s}"));
        assert_eq!(s.row.private_names, PrivateNames::Unknown);
    }
    // The names are not confirmed for China.
    assert_eq!(interface("com.amazonaws.cn-north-1.sns").private_names(), None);
    for row in table().rows() {
        if row.source == "unconfirmed" {
            assert_eq!(row.private_names, PrivateNames::Unknown, "{}", row.template);
        }
    }
}

#[test]
fn find_uses_kind_and_region() {
    let find = |n: &str, k| table().find(n, k, &tokyo());
    let gateway = EndpointKind::Gateway;
    for s in ["s3", "dynamodb", "s3express"] {
        assert!(find(&format!("com.amazonaws.us-west-2.{s}"), gateway).is_some());
    }
    assert!(find("com.amazonaws.us-west-2.sns", gateway).is_none());
    assert!(find("com.amazonaws.us-west-2.nothing", EndpointKind::Interface).is_none());
    assert!(find("com.amazonaws.{region}.sns", EndpointKind::Interface).is_none());
    assert!(find("sns", EndpointKind::Interface).is_none());
    // AWS may open regions before the table is updated.
    let s = interface("com.amazonaws.zz-nowhere-1.sns");
    assert_eq!(s.name(), "com.amazonaws.zz-nowhere-1.sns");
    // For a global service, the region is that of the VPC.
    let s = interface("com.amazonaws.s3-global.accesspoint");
    assert_eq!(s.base_domain(), "accesspoint.s3-global.ap-northeast-1.vpce.amazonaws.com");
    assert_eq!(interface("com.amazonaws.us-east-1.monitoring").region.as_str(), "us-east-1");
    assert_eq!(
        interface("aws.sagemaker.us-west-2.notebook").private_names().unwrap(),
        ["*.notebook.us-west-2.sagemaker.aws"]
    );
}

#[test]
fn base_domains_and_ports_of_services() {
    let base = |s: &str| interface(s).base_domain();
    assert_eq!(base("com.amazonaws.us-east-1.ecr.dkr"), "dkr.ecr.us-east-1.vpce.amazonaws.com");
    assert_eq!(
        base("com.amazonaws.us-east-1.dynamodb-streams"),
        "streams.dynamodb.us-east-1.vpce.amazonaws.com"
    );
    // Derived by rule.
    assert_eq!(
        base("com.amazonaws.us-east-1.airflow.api-fips"),
        "api-fips.airflow.us-east-1.vpce.amazonaws.com"
    );
    assert_eq!(base("com.amazonaws.iam"), "iam.ap-northeast-1.vpce.amazonaws.com");
    assert_eq!(interface("com.amazonaws.us-east-1.sns").port(), 443);
    let smtp = interface("com.amazonaws.us-east-1.email-smtp");
    assert_eq!(smtp.port(), 587);
    assert_eq!(smtp.row.ports, [587, 25, 465, 2587]);
    assert!(table().rows().iter().all(|r| !r.ports.is_empty()));
}

#[test]
fn only_some_services_support_cross_region_access() {
    for supported in [
        "com.amazonaws.us-west-2.s3",
        "com.amazonaws.iam",
        "com.amazonaws.us-west-2.ecr.dkr",
        "com.amazonaws.vpce.us-west-2.vpce-svc-071afff70666e61e0",
    ] {
        assert!(supports_cross_region(supported), "{supported}");
    }
    for unsupported in
        ["com.amazonaws.us-west-2.sns", "com.amazonaws.us-west-2.ecs-agent", "com.amazonaws.cloudfront"]
    {
        assert!(!supports_cross_region(unsupported), "{unsupported}");
    }
    let region = |name: &str| region_in_service_name(name).map(|region| region.as_str().to_owned());
    assert_eq!(region("com.amazonaws.zz-nowhere-1.sns").as_deref(), Some("zz-nowhere-1"));
    assert_eq!(region("com.amazonaws.vpce.us-west-2.vpce-svc-1").as_deref(), Some("us-west-2"));
    assert_eq!(region("com.amazonaws.s3-global.accesspoint"), None);
}

#[test]
fn covering_host_finds_services_by_private_name() {
    let one = |host: &str, service: &str| assert_eq!(services_of(host), [service], "{host}");
    one("ec2.us-west-2.api.aws", "com.amazonaws.us-west-2.ec2");
    one("ecs-a.us-west-2.amazonaws.com", "com.amazonaws.us-west-2.ecs-agent");
    one("123456789012.dkr.ecr.eu-west-1.amazonaws.com", "com.amazonaws.eu-west-1.ecr.dkr");
    one("a.b.s3.eu-west-1.amazonaws.com", "com.amazonaws.eu-west-1.s3");
    one("s3.eu-west-1.amazonaws.com", "com.amazonaws.eu-west-1.s3");
    one("monitoring-fips.us-east-1.api.aws", "com.amazonaws.us-east-1.monitoring");
    one("monitoring.us-east-1.amazonaws.com", "com.amazonaws.us-east-1.monitoring");
    assert_eq!(
        table().covering_host("monitoring.us-east-1.amazonaws.com")[0].private_names().unwrap().len(),
        4
    );
    one("x.accesspoint.s3-global.amazonaws.com", "com.amazonaws.s3-global.accesspoint");
    for uncovered in [
        "dkr.ecr.eu-west-1.amazonaws.com",
        "foo.ec2.eu-west-1.amazonaws.com",
        "ec2.zz-nowhere-1.amazonaws.com",
        "dynamodb.eu-west-1.amazonaws.com",
        "eu-west-1.queue.amazonaws.com",
        "sts.amazonaws.com",
        "s3.dualstack.eu-west-1.amazonaws.com",
        "ec2.cn-north-1.amazonaws.com.cn",
        "example.org",
        "",
    ] {
        assert!(services_of(uncovered).is_empty(), "{uncovered}");
    }
}

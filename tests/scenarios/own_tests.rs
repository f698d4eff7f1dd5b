//! Tests of the runner: a check must be able to fail.

use std::path::Path;

use super::{Difference, rewritten, run_suite};

/// A suite with one query and its expected answer.
fn suite(expected: &str) -> String {
    format!(
        "# Suite\n\n## One\n\n```toml config\n[[public]]\nname = \"a.example\"\ntype = \"A\"\nvalues = \
         [\"192.0.2.1\"]\n```\n\nProse.\n\n```dig from=outside\na.example A\n{expected}\n```\n"
    )
}

fn run(text: &str) -> Result<Vec<Difference>, Vec<String>> {
    run_suite(Path::new("suite.md"), text)
}

#[test]
fn a_wrong_expectation_is_detected_and_can_be_updated() {
    let wrong = suite("; NXDOMAIN source=public");
    let differences = run(&wrong).unwrap();
    let [difference] = &differences[..] else { panic!("{} differences", differences.len()) };
    assert!(difference.message.contains("suite.md:14: One"), "{}", difference.message);
    assert!(difference.message.contains("expected ; NXDOMAIN source=public"), "{}", difference.message);
    assert!(difference.message.contains("found    ; NOERROR source=public"), "{}", difference.message);
    let right = rewritten(&wrong, &differences);
    assert!(right.contains("Prose.\n\n```dig from=outside\na.example A\n; NOERROR"), "{right}");
    assert!(run(&right).unwrap().is_empty());
}

#[test]
fn a_scenario_without_expectations_is_an_error() {
    for (text, error) in [
        ("# No scenario\n", "no scenario"),
        ("## One\n\nProse alone.\n", "no expectation"),
        ("## One\n\n```dig from=outside\n```\n", "has no queries"),
        ("## One\n\n```dig\na.example A\n```\n", "requires from"),
        ("## One\n\n```dgi from=outside\na.example A\n```\n", "unknown block `dgi from=outside`"),
        ("## One\n\n```dig from=outside form=1\na.example A\n```\n", "unknown option `form=1`"),
        ("## One\n\n```dig from=subnet-x\na.example A\n```\n", "`subnet-x` is not a location"),
        ("## One\n\n```report\n", "is not closed"),
        ("```report\n```\n\n## One\n", "is above the first heading"),
        (
            "## One\n\n```toml config\nvcp = 1\n```\n\n```dig from=outside\na.example A\n```\n",
            "the configuration is invalid",
        ),
    ] {
        let reported = run(text).err().unwrap_or_default().join("\n");
        assert!(reported.contains(error), "{text}\ngives {reported}");
    }
}

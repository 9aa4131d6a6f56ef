//! The report as JSON and as a page, for runs of every status.

mod program;
mod sample;

use roomcast_loadtest::report::{RunReport, Status, html};

#[test]
fn a_report_is_the_same_after_writing_and_reading_its_json() {
    for report in [sample::met(60), sample::broken(), sample::no_verdict()] {
        let json = report.to_json();
        assert_eq!(RunReport::from_json(&json).unwrap(), report);
        assert!(json.ends_with("}\n"));
    }
}

#[test]
fn a_report_of_a_later_layout_is_refused_and_unknown_fields_are_passed_over() {
    let mut json: serde_json::Value = serde_json::from_str(&sample::met(3).to_json()).unwrap();
    json["invented"] = "later".into();
    assert!(RunReport::from_json(&json.to_string()).is_ok());
    json["report"] = 99.into();
    let error = RunReport::from_json(&json.to_string())
        .unwrap_err()
        .to_string();
    assert!(error.contains("version 99"), "{error}");
}

#[test]
fn page_has_no_script_and_no_external_resource() {
    for report in [sample::met(60), sample::broken(), sample::no_verdict()] {
        let page = html(&report);
        for forbidden in [
            "<script",
            "src=",
            "href=",
            "url(",
            "@import",
            "javascript:",
            " onload",
        ] {
            assert!(!page.contains(forbidden), "{forbidden}");
        }
        assert!(page.contains("default-src 'none'"));
    }
}

#[test]
fn report_page_has_the_verdict_as_text_and_names_untested_guarantees() {
    let met = html(&sample::met(60));
    assert!(met.contains("Every service level was met, and every guarantee was kept."));
    assert!(met.contains("not tested"), "there were no resends");
    let broken = html(&sample::broken());
    assert!(broken.contains("A guarantee was violated"));
    assert!(broken.contains("not-delivered"));
    assert!(
        !broken.contains("Latency over time"),
        "a run with a violation has no latencies"
    );
    assert!(
        broken.contains("room r&lt;1&gt; at seq 41"),
        "the counterexample is shown, its room escaped"
    );
    let none = html(&sample::no_verdict());
    assert!(none.contains("one worker used 99 % of its core"));
    let mut missed = sample::met(60);
    missed.status = Status::Missed;
    missed.levels[0].seen = Some(400.0);
    assert!(html(&missed).contains("✕ missed"));
}

#[test]
fn every_chart_has_a_label_and_its_figures_in_a_table() {
    let page = html(&sample::met(60));
    let charts = page.matches("<svg").count();
    assert_eq!(
        charts, 5,
        "latency, histogram, messages, deliveries, connections"
    );
    assert_eq!(page.matches("role=\"img\" aria-label=\"").count(), charts);
    assert!(page.contains("Figures over time"));
    assert!(page.contains("<caption>Latencies of the whole run</caption>"));
}

#[test]
fn page_of_an_hour_merges_seconds_into_columns() {
    let page = html(&sample::met(3_600));
    assert!(page.len() < 1_000_000, "{} bytes", page.len());
    assert!(page.contains("The run over time, 15 s per row"));
}

#[test]
fn page_of_an_empty_run_is_complete() {
    let mut empty = sample::met(0);
    empty.latencies.clear();
    empty.levels.clear();
    assert!(html(&empty).ends_with("</html>\n"));
    for seconds in [1, 2] {
        let page = html(&sample::met(seconds));
        assert!(
            !page.contains("NaN") && !page.contains("inf"),
            "{seconds} s"
        );
    }
}

/// Writes the samples for manual review: `REPORT_PAGES=dir cargo test -p roomcast-loadtest --test report`.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "where to put pages for looking at, if anywhere"
)]
fn the_sample_pages_can_be_looked_at() {
    let Some(directory) = std::env::var_os("REPORT_PAGES") else {
        return;
    };
    let pages = [
        ("met", sample::met(60)),
        ("broken", sample::broken()),
        ("no-verdict", sample::no_verdict()),
        ("hour", sample::met(3_600)),
    ];
    for (name, report) in pages {
        let path = std::path::Path::new(&directory).join(format!("{name}.html"));
        std::fs::write(path, html(&report)).unwrap();
    }
}

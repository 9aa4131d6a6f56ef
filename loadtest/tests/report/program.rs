//! `loadtest compare` as a program: output and exit status.

use std::path::PathBuf;
use std::process::{Command, Output};

use roomcast_loadtest::report::{RunReport, Status};

use crate::sample;

fn compared(name: &str, before: &RunReport, after: &RunReport) -> Output {
    let written = |part: &str, report: &RunReport| -> PathBuf {
        let file = format!("roomcast-compare-{}-{name}-{part}.json", std::process::id());
        let path = std::env::temp_dir().join(file);
        std::fs::write(&path, report.to_json()).unwrap();
        path
    };
    let paths = [written("before", before), written("after", after)];
    let mut program = Command::new(env!("CARGO_BIN_EXE_loadtest"));
    let output = program.arg("compare").args(&paths).output().unwrap();
    for path in paths {
        std::fs::remove_file(path).unwrap();
    }
    output
}

#[test]
fn comparing_ends_with_0_when_no_worse_1_when_worse_and_3_when_it_cannot() {
    let before = sample::met(60);
    let mut slower = before.clone();
    for second in &mut slower.seconds {
        second.p50_ms = second.p50_ms.map(|ms| ms * 1.4);
    }
    let same = compared("same", &before, &before);
    assert_eq!(same.status.code(), Some(0), "{same:?}");
    let worse = compared("worse", &before, &slower);
    assert_eq!(worse.status.code(), Some(1), "{worse:?}");
    let text = String::from_utf8(worse.stdout).unwrap();
    assert!(text.contains("delivery p50: slower by 40 %"), "{text}");
    let better = compared("better", &slower, &before);
    assert_eq!(better.status.code(), Some(0), "{better:?}");
    let mut none = before.clone();
    none.status = Status::NoVerdict;
    let cannot = compared("cannot", &before, &none);
    assert_eq!(cannot.status.code(), Some(3), "{cannot:?}");
    assert!(
        String::from_utf8(cannot.stderr)
            .unwrap()
            .contains("no verdict")
    );
}

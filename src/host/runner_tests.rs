use super::*;
use std::sync::Mutex;

fn sh(script: &str) -> Cmd {
    Cmd::new(["sh", "-c", script]).limit(Duration::from_secs(5))
}

fn run(cmd: &Cmd) -> Result<Output, RunError> {
    SystemRunner::default().run(cmd)
}

#[test]
fn keeps_exit_code_and_both_outputs() {
    let output = run(&sh("echo out; echo err >&2; exit 3")).unwrap();
    assert_eq!(output, Output { exit: Exit::Code(3), stdout: b"out\n".to_vec(), stderr: b"err\n".to_vec() });
    assert_eq!(output.last_words(1), "err");
    assert!(matches!(run(&sh("kill -9 $$")).unwrap().exit, Exit::Signal(9)));
    assert!(matches!(run(&Cmd::new(["no-such-program-here"])), Err(RunError::NotFound(_))));
    assert!(matches!(run(&Cmd::new::<&str>([])), Err(RunError::NotFound(_))));
}

#[test]
fn environment_is_fixed_and_input_is_given() {
    let output = run(&Cmd::new(["env"]).env("ADDED", "x")).unwrap();
    let mut names: Vec<_> = String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
    names.sort();
    assert_eq!(names.len(), 3);
    assert_eq!((names[0].as_str(), names[1].as_str()), ("ADDED=x", "LC_ALL=C"));
    let big = vec![b'x'; 1 << 20];
    assert_eq!(run(&Cmd::new(["cat"]).stdin(big.clone())).unwrap().stdout, big);
    assert_eq!(run(&Cmd::new(["cat"])).unwrap().stdout, b"");
    assert!(run(&Cmd::new(["true"]).stdin(big)).unwrap().ok());
    assert_eq!(run(&Cmd::new(["cat"]).stdin("")).unwrap().stdout, b"");
}

#[test]
fn a_time_out_ends_the_whole_group() {
    let marker = tempfile::tempdir().unwrap();
    let pids = marker.path().join("pid");
    let script = format!("sleep 60 & echo $! > {}; sleep 60", pids.display());
    let start = Instant::now();
    let error = run(&sh(&script).limit(Duration::from_millis(300))).unwrap_err();
    assert!(matches!(error, RunError::Timeout(..)));
    assert!(start.elapsed() < Duration::from_secs(2));
    let grandchild: i32 = std::fs::read_to_string(pids).unwrap().trim().parse().unwrap();
    let dead = || !matches!(std::fs::read_to_string(format!("/proc/{grandchild}/stat")), Ok(s) if !s.contains(" Z "));
    let end = Instant::now() + Duration::from_secs(2);
    while !dead() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(dead());
}

#[test]
fn a_daemon_that_keeps_the_pipes_does_not_hold_us() {
    let start = Instant::now();
    let output = run(&sh("echo started; sleep 3 & exit 0")).unwrap();
    assert_eq!((output.ok(), output.stdout.as_slice()), (true, &b"started\n"[..]));
    let output = run(&sh("(while :; do echo noise; sleep 0.05; done) & p=$!; (sleep 3; kill $p) & exit 0")).unwrap();
    assert!(output.ok());
    assert!(start.elapsed() < Duration::from_secs(3));
}

#[test]
fn output_beyond_the_cap_is_read_but_not_kept() {
    let runner = SystemRunner { cap: 1000 };
    let output = runner.run(&sh("head -c 3000000 /dev/zero; echo end >&2")).unwrap();
    assert_eq!((output.stdout.len(), output.stderr.as_slice()), (1000, &b"end\n"[..]));
    let endless = runner.run(&Cmd::new(["yes"]).limit(Duration::from_millis(200)));
    assert!(matches!(endless, Err(RunError::Timeout(..))));
}

#[test]
fn a_trace_stars_secrets() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let mut stars = Stars::default();
    stars.add(&Secret::new("geheim"));
    let told = seen.clone();
    let runner = TracingRunner {
        inner: Arc::new(SystemRunner::default()),
        stars,
        tell: move |t: Traced| told.lock().unwrap().push((t.command, t.result)),
    };
    runner.run(&Cmd::new(["sh", "-c", "exit 4", "geheim"]).stdin("geheim")).unwrap();
    assert_eq!(*seen.lock().unwrap(), [("sh -c exit 4 ***".to_owned(), "exit 4".to_owned())]);
    assert!(!format!("{:?}", Cmd::new(["x"]).stdin("geheim")).contains("geheim"));
}

#[test]
fn commands_end_by_the_time_that_all_of_them_have() {
    let clock = std::sync::Arc::new(crate::host::SystemClock::default());
    let end = crate::host::Clock::monotonic(&*clock) + Duration::from_millis(300);
    let runner = EndingRunner { inner: std::sync::Arc::new(SystemRunner::default()), clock, end };
    let start = Instant::now();
    assert!(matches!(runner.run(&sh("sleep 100")), Err(RunError::Timeout(..))));
    assert!(matches!(runner.run(&sh("true")), Err(RunError::Failed(..))));
    assert!(start.elapsed() < Duration::from_secs(4));
}

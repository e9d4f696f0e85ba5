//! The real program as a process: started with a config, asked over HTTP, killed on drop.

#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use wk_testkit::{http_client, wait_for, wait_until};

/// The binary under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_watchkeeper");

/// A running program with its own folder; the folder outlives restarts.
pub(crate) struct Watchkeeper {
    folder: TempDir,
    child: Option<Child>,
    url: String,
    starts: u32,
}

impl Watchkeeper {
    /// Writes the config and starts; returns when the program answers.
    pub(crate) async fn start(config: &str) -> Watchkeeper {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        std::fs::write(folder.path().join("watchkeeper.yaml"), config)
            .expect("the config can be written");
        let mut made = Watchkeeper { folder, child: None, url: String::new(), starts: 0 };
        made.start_again().await;
        made
    }

    /// Starts again on the same data; returns when the program answers.
    pub(crate) async fn start_again(&mut self) {
        self.spawn();
        let log = self.log_path();
        let child = self.child.as_mut().expect("it was just started");
        let url = wait_for("the program tells its address", Duration::from_secs(30), async || {
            let text = std::fs::read_to_string(&log).ok()?;
            let ended = child.try_wait().expect("it can be asked");
            assert!(ended.is_none(), "the program ended at once:\n{text}");
            let (_, rest) = text.split_once("status page and API on ")?;
            Some(rest.split_whitespace().next()?.to_owned())
        })
        .await;
        self.url = url;
    }

    /// Starts again without waiting for anything.
    pub(crate) fn spawn(&mut self) {
        self.starts += 1;
        let log = std::fs::File::create(self.log_path()).expect("the log can be made");
        let child = Command::new(BINARY)
            .args(["run", "--listen", "127.0.0.1:0", "--config"])
            .arg(self.folder.path().join("watchkeeper.yaml"))
            .arg("--data-dir")
            .arg(self.data_dir())
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the program can be started");
        self.child = Some(child);
    }

    /// SIGKILL, at once.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("the process can be killed");
            child.wait().expect("the process can be waited for");
        }
    }

    /// SIGTERM, and the exit code of the orderly end.
    pub(crate) fn stop(&mut self) -> Option<i32> {
        let mut child = self.child.take()?;
        let sent = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
        assert!(sent.expect("kill is there").success());
        child.wait().expect("the process can be waited for").code()
    }

    /// Resident memory in bytes.
    pub(crate) fn memory(&self) -> u64 {
        let pid = self.pid();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
        let kib: u64 = line.split_whitespace().nth(1).expect("a number").parse().expect("a number");
        kib * 1024
    }

    /// Asks the API; panics unless it answers 200 with JSON.
    pub(crate) async fn get(&self, path: &str) -> Value {
        self.try_get(path).await.unwrap_or_else(|| panic!("{path} did not answer:\n{}", self.log()))
    }

    /// Asks the API; none unless it answers 200 with JSON.
    pub(crate) async fn try_get(&self, path: &str) -> Option<Value> {
        let answer = http_client().get(format!("{}{path}", self.url)).send().await.ok()?;
        if answer.status().is_success() { answer.json().await.ok() } else { None }
    }

    /// Waits until the API's answer fits.
    pub(crate) async fn wait(&self, path: &str, what: &str, fits: impl Fn(&Value) -> bool) {
        let seen = async || self.try_get(path).await.is_some_and(|answer| fits(&answer));
        let outcome = tokio::time::timeout(
            Duration::from_secs(60),
            wait_until(what, Duration::from_secs(120), seen),
        );
        if outcome.await.is_err() {
            let last = self.try_get(path).await;
            panic!("{what}: not within a minute; {path} says {last:#?}\n{}", self.log());
        }
    }

    /// Waits until all rules have seen this block.
    pub(crate) async fn wait_for_height(&self, chain: &str, height: u64) {
        let path = format!("/api/v1/chains/{chain}");
        let what = format!("block {height} is processed");
        self.wait(&path, &what, |chain| {
            chain["head"]["block"]["height"].as_u64().is_some_and(|have| have >= height)
        })
        .await;
    }

    /// Height of the newest processed block.
    pub(crate) async fn height(&self, chain: &str) -> Option<u64> {
        let chain = self.try_get(&format!("/api/v1/chains/{chain}")).await?;
        chain["head"]["block"]["height"].as_u64()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// All findings, newest first.
    pub(crate) async fn findings(&self, query: &str) -> Vec<Value> {
        let mut all = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = self.get(&format!("/api/v1/findings?limit=1000{query}{cursor}")).await;
            all.extend(page["items"].as_array().expect("a page has items").iter().cloned());
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return all,
            }
        }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What the newest process logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join(format!("log-{}.txt", self.starts))
    }
}

impl Drop for Watchkeeper {
    #[expect(clippy::print_stderr, reason = "a failed test shows what the program said")]
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = self.log();
            let tail = log.lines().rev().take(60).collect::<Vec<_>>();
            for line in tail.iter().rev() {
                eprintln!("{line}");
            }
        }
    }
}

/// CPU time that a process has used so far, in seconds.
pub(crate) fn cpu_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let (_, rest) = stat.rsplit_once(')').expect("a name in parentheses");
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks = |at: usize| fields[at].parse::<f64>().expect("a number");
    // User and system time in clock ticks, of which Linux has 100 a second.
    (ticks(11) + ticks(12)) / 100.0
}

/// How a command ended, and what it said.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// The output, which is JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }
}

/// Runs a command of the program in `folder` to its end, without a terminal and without the
/// environment's settings.
pub(crate) async fn run(folder: &Path, arguments: &[&str]) -> Ended {
    run_with(folder, arguments, &[]).await
}

/// The same with these variables in its environment.
pub(crate) async fn run_with(
    folder: &Path,
    arguments: &[&str],
    environment: &[(&str, &str)],
) -> Ended {
    let mut command = tokio::process::Command::new(BINARY);
    command.args(arguments).current_dir(folder).stdin(Stdio::null()).kill_on_drop(true);
    for name in ["RPC_URL", "WATCHKEEPER_CONFIG", "WATCHKEEPER_LOG"] {
        command.env_remove(name);
    }
    command.envs(environment.iter().copied());
    let output = tokio::time::timeout(Duration::from_secs(60), command.output()).await;
    let output = output.unwrap_or_else(|_| panic!("{arguments:?} did not end within a minute"));
    let output = output.expect("the program can be started");
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).expect("it prints UTF-8"),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

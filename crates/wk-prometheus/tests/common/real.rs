//! A real Prometheus, for as long as a test lasts.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use wk_prometheus::QuerySettings;

use super::{Client, Source, serve, sources};

/// Whether Prometheus is not installed; says so.
#[allow(clippy::print_stderr)] // A test that is skipped must be seen to be.
pub(crate) fn missing() -> bool {
    let has = |program: &str| {
        let mut command = Command::new(program);
        command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let missing = !has("prometheus") || !has("promtool");
    if missing {
        assert!(std::env::var_os("CI").is_none(), "in CI nothing is skipped: install prometheus");
        eprintln!("SKIPPED: `prometheus` and `promtool` are not installed");
    }
    missing
}

/// A Prometheus over a folder of its own; killed on drop.
pub(crate) struct Prometheus {
    child: Child,
    pub(crate) client: Client,
    _folder: TempDir,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Prometheus {
    /// Starts it with this config and the samples in the folder's `data`.
    pub(crate) async fn start(folder: TempDir, config: &str) -> Prometheus {
        let file = folder.path().join("prometheus.yml");
        std::fs::write(&file, config).expect("the folder can be written");
        // Prometheus does not tell which port it took, so one is picked that is free just now.
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a port is free")
            .port();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg("--storage.tsdb.retention.time=100y")
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("prometheus starts");
        let mut client = serve(sources(Source::default()), QuerySettings::default()).await;
        client.address = ([127, 0, 0, 1], port).into();
        let prometheus = Prometheus { child, client, _folder: folder };
        for _ in 0..600 {
            let url = prometheus.client.url("/-/ready");
            let ready = prometheus.client.http.get(url).send().await;
            if ready.is_ok_and(|ready| ready.status().is_success()) {
                return prometheus;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("prometheus did not become ready within 60 s");
    }
}

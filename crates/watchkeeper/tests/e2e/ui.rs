//! The web interface in a real browser: `ui/tests`, run on this binary.

use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;
use wk_testkit::http_client;

use crate::support::{BINARY, Watchkeeper};

/// Why the browser cannot be used here; none when it can.
fn lacking(root: &Path) -> Option<&'static str> {
    let chromium = std::env::var("CHROMIUM").unwrap_or_else(|_| "/usr/bin/chromium".to_owned());
    if !Path::new(&chromium).exists() {
        return Some("there is no chromium; `make tools` installs it");
    }
    if !root.join("ui/node_modules/playwright-core").exists() {
        return Some("the UI's packages are not installed; `make ui` installs them");
    }
    if !root.join("ui/dist/stamp").exists() {
        return Some("the UI is not built into this binary; `make ui` builds it");
    }
    None
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_finds_nothing_wrong_with_the_web_interface() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    if let Some(reason) = lacking(&root) {
        assert!(std::env::var_os("CI").is_none(), "in CI nothing is skipped: {reason}");
        println!("skipped: {reason}");
        return;
    }
    let tests = Command::new("node")
        .args(["--test", "--test-concurrency=1", "--test-reporter=spec", "tests/"])
        .current_dir(root.join("ui"))
        .env("WATCHKEEPER_BIN", BINARY)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .expect("node can be started");
    println!("{}", String::from_utf8_lossy(&tests.stdout));
    eprintln!("{}", String::from_utf8_lossy(&tests.stderr));
    assert!(tests.status.success(), "the browser's tests failed");
}

/// A chain that nobody answers for: enough to serve pages.
const QUIET: &str = r#"
chains:
  local: {evm: {rpc: "http://127.0.0.1:9"}}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn pages_come_with_a_strict_policy_and_unknown_paths_stay_problems() {
    let watchkeeper = Watchkeeper::start(QUIET).await;
    // It must not unpack by itself what is to be seen packed.
    drop(http_client());
    let client = reqwest::Client::builder().no_proxy().no_gzip().build().expect("it can be made");
    let get = |path: &str, accept: &str| {
        client.get(format!("{}{path}", watchkeeper.url())).header("Accept", accept).send()
    };
    let page = get("/", "text/html").await.expect("the program answers");
    let policy = page.headers()["content-security-policy"].to_str().expect("text").to_owned();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    let text = page.text().await.expect("a body");
    assert!(text.contains("Watchkeeper") && !text.contains("<script>"), "{text}");
    for (path, accept) in [
        ("/findings", "application/json"),
        ("/assets/gone.js", "*/*"),
        ("/api/v2/status", "text/html"),
    ] {
        let answer = get(path, accept).await.expect("the program answers");
        assert_eq!(answer.status(), 404, "{path}");
        assert_eq!(answer.headers()["content-type"], "application/problem+json", "{path}");
    }
    if !text.contains("<base href=\"./\">") {
        println!("the binary has the plain page only");
        return;
    }
    // Each file that the page names is there, packed for those who take it, plain for the others.
    let names = text.split('"').filter(|part| part.starts_with("./")).map(|part| &part[1..]);
    for name in names.filter(|name| name.len() > 1) {
        let plain = get(name, "*/*").await.expect("the program answers");
        assert_eq!(plain.status(), 200, "{name}");
        assert!(plain.headers().get("content-encoding").is_none(), "{name}");
        let plain = plain.bytes().await.expect("a body").len();
        let url = format!("{}{name}", watchkeeper.url());
        let packed = client.get(url).header("Accept-Encoding", "gzip").send().await;
        let packed = packed.expect("the program answers");
        assert_eq!(packed.headers()["content-encoding"], "gzip", "{name}");
        assert!(packed.bytes().await.expect("a body").len() < plain + 100, "{name}");
    }
    let deep = get("/findings/0123", "text/html").await.expect("the program answers");
    assert!(deep.text().await.expect("a body").contains("<base href=\"../\">"));
}

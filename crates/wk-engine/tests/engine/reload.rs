//! A config that changes on disk while the program runs.

use std::path::Path;
use std::time::{Duration, Instant};

use wk_config::Environment;
use wk_engine::Engine;
use wk_model::FindingStatus;
use wk_runtime::Wake;
use wk_store::FindingQuery;
use wk_testkit::{Anvil, anvil_or_skip, wait_until};

use crate::support::{PATIENCE, Running};

/// How long a change may take until it counts, on a busy machine.
const SOON: Duration = Duration::from_secs(10);

fn config(anvil: &Anvil, folder: &Path, rules: &str) -> String {
    format!(
        r#"
server: {{data_dir: "{}"}}
chains:
  local: {{evm: {{rpc: "{}", ws: "{}", block_time: 1s}}}}
rules:
{rules}
"#,
        folder.join("data").display(),
        anvil.http_url(),
        anvil.ws_url()
    )
}

const FIRST: &str = "  - {id: first, on: evm.block, if: number >= 0}\n";
const SECOND: &str = "  - {id: second, on: evm.block, if: number > limits}\n";
const MENDED: &str = "  - {id: second, on: evm.block, if: number > 0}\n";

async fn count(running: &Running, rule: &str) -> usize {
    let query = FindingQuery { source: Some(format!("rule/{rule}")), ..FindingQuery::default() };
    running.handle.store.findings(query).await.unwrap().items.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_counts_and_what_is_wrong_is_told_until_it_is_mended() {
    let anvil = anvil_or_skip!();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("watchkeeper.yaml");
    let write = |rules: &str| {
        // As an editor does: a new file takes the place of the old one.
        let new = folder.path().join(".watchkeeper.yaml.swp");
        std::fs::write(&new, config(&anvil, folder.path(), rules)).unwrap();
        std::fs::rename(&new, &path).unwrap();
    };
    write(FIRST);
    let load = || wk_config::load(&path, &Environment::system());
    let loaded = load().unwrap_or_else(|errors| panic!("{errors}"));
    let files = loaded.files.clone();
    let engine = Engine::start(loaded).await.unwrap();
    let handle = engine.handle();
    let running = Running { engine, handle, folder: tempfile::tempdir().unwrap() };
    let again = Wake::new();
    let story = async {
        running.catch_up(&anvil).await;
        let valid =
            || running.handle.metrics.render().contains("\nwk_config_last_reload_success 1\n");
        assert!(valid());

        // A broken file: told, and the old rules go on.
        write(&[FIRST, SECOND].concat());
        let changed = Instant::now();
        wait_until("the wrong config is told", SOON, async || {
            !running.findings("config_refused").await.is_empty()
        })
        .await;
        println!("a wrong config was told after {:?}", changed.elapsed());
        let told = running.findings("config_refused").await.remove(0);
        let title = &told.finding.title;
        let place = format!("{}:7:", path.display());
        assert!(title.contains(&place) && title.contains("limits"), "{title}");
        assert!(!valid());
        assert!(running.handle.config().error.is_some());
        let before = count(&running, "first").await;
        anvil.mine(1).await;
        running.catch_up(&anvil).await;
        assert_eq!(count(&running, "first").await, before + 1, "the old rules go on");

        // Mended: the new rule looks, and the trouble is over.
        write(&[FIRST, MENDED].concat());
        let changed = Instant::now();
        wait_until("the config is taken", SOON, async || {
            let told = running.findings("config_refused").await;
            valid() && told.len() == 1 && told[0].status == FindingStatus::Resolved
        })
        .await;
        println!("a mended config was taken after {:?}", changed.elapsed());
        assert_eq!(running.handle.config().error, None);
        anvil.mine(1).await;
        running.catch_up(&anvil).await;
        wait_until("the new rule fires", PATIENCE, async || count(&running, "second").await == 1)
            .await;

        // Asked to, it loads the same files again.
        let at = running.handle.config().loaded_at;
        again.ring();
        wait_until("the config is loaded again", SOON, async || {
            running.handle.config().loaded_at > at
        })
        .await;
    };
    tokio::select! {
        never = running.engine.keep_config(files, again.clone(), load) => match never {},
        () = story => {}
    }
    running.engine.shutdown(PATIENCE).await.unwrap();
}

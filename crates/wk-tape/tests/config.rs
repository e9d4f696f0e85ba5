//! The demo's config, which is also an example for users, is one that loads.

use wk_config::Environment;

#[test]
fn the_config_of_the_demo_is_valid() {
    let loaded = wk_config::load_text(include_str!("../demo.yaml"), &Environment::fixed([]));
    match loaded {
        Ok(loaded) => assert!(loaded.config.rules.len() >= 8),
        Err(errors) => panic!("{errors}"),
    }
}

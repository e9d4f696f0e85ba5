//! `demo`: a recorded chain on loopback, watched by the ordinary program.

use std::time::Duration;

use wk_config::Environment;
use wk_tape::{TapeNode, demo_config_yaml, demo_options, demo_tape};

use super::run::{Until, serve};
use crate::arguments::Demo;
use crate::exit::Exit;
use crate::output::{Format, Output};

pub(crate) async fn run(command: Demo) -> Result<(), Exit> {
    let node = TapeNode::start(demo_tape(), demo_options()).await?;
    let config = demo_config_yaml(&node.endpoints());
    if command.print_config {
        Output::new(Format::Table).text(&config)?;
        return Ok(());
    }
    let mut loaded = wk_config::load_text(&config, &Environment::system())
        .map_err(|errors| Exit::failure(format!("the demo's config is wrong: {errors}")))?;
    let folder = tempfile::tempdir()?;
    loaded.config.server.listen = command.listen;
    loaded.config.server.data_dir = folder.path().to_owned();
    tracing::info!("playing the demo chain; everything is recorded, nothing leaves this machine");
    let until = Until { seconds: command.seconds.map(Duration::from_secs), reload: None };
    serve(loaded, until).await
}

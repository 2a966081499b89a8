//! A source that prints, hangs, exits and repeats its secrets as its options say; a format and a destination that do the latter.
//! It must not know the host.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "what it prints is what is tested")]

mod options;
mod session;

use rivet_plugin_api::arrow_schema::SchemaRef;
use rivet_plugin_api::{
    BatchStream, BatchWriter, ByteSink, Cx, Destination, ErrorKind, FieldMapping, Format, FormatCapabilities,
    OpenGroup, PluginError, ReadAt, Result, SessionGroup, SnapshotInfo, Source, SourceCapabilities, Store,
    StoreCapabilities, WriterSettings,
};

use options::{KeyOptions, Manners, Place, RudeOptions};
use session::RudeSession;

/// The `rude` source.
pub struct Rude;

impl Source for Rude {
    const NAME: &'static str = "rude";
    type Options = RudeOptions;

    fn capabilities() -> SourceCapabilities {
        SourceCapabilities::default()
    }

    fn open_group(request: OpenGroup<RudeOptions>, _cx: &Cx) -> Result<SessionGroup> {
        let manners = Manners::of(&request);
        manners.show(Place::Open)?;
        let snapshot = SnapshotInfo {
            server: format!("nowhere {}", manners.repeated),
            identity: Some(manners.repeated.clone()),
            ..Default::default()
        };
        Ok(SessionGroup { sessions: vec![Box::new(RudeSession { manners })], snapshot })
    }
}

/// A format that is never open: it repeats its key.
pub enum RudeFormat {}

impl Format for RudeFormat {
    const NAME: &'static str = "rude";
    type Options = KeyOptions;

    fn capabilities() -> FormatCapabilities {
        FormatCapabilities { extension: "rude".to_owned(), readable: false, text: true }
    }
    fn open(options: KeyOptions) -> Result<Self> {
        Err(options.refused())
    }
    fn map(&self, _: &SchemaRef) -> Result<Vec<FieldMapping>> {
        match *self {}
    }
    fn writer(&self, _: SchemaRef, _: WriterSettings, _: Box<dyn ByteSink>) -> Result<Box<dyn BatchWriter>> {
        match *self {}
    }
    fn reader(&self, _: Box<dyn ReadAt>) -> Result<Box<dyn BatchStream>> {
        match *self {}
    }
}

/// A destination that is never open: it repeats its key.
pub struct RudeDestination;

impl Destination for RudeDestination {
    const NAME: &'static str = "rude";
    type Options = KeyOptions;

    fn capabilities() -> StoreCapabilities {
        StoreCapabilities::default()
    }
    fn open(options: KeyOptions, _cx: &Cx) -> Result<Box<dyn Store>> {
        Err(options.refused())
    }
}

impl KeyOptions {
    fn refused(&self) -> PluginError {
        let text = format!("key {} of {} is wrong", self.key.expose(), self.address);
        PluginError::new(ErrorKind::Config, &format!("rude.{}", self.key.expose()), &text).cause(&text).hint(&text)
    }
}

rivet_plugin_api::plugin!(source: Rude, format: RudeFormat, destination: RudeDestination);

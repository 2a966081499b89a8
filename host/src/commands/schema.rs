//! `rivet schema`: JSON Schemas, draft 2020-12.
//! It must not know any key: the types and core's config say them.

use rivet_core::config::json_schema;
use rivet_core::manifest::Manifest;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::run::load_plugins;
use crate::cli::Global;
use crate::cli::reference::Document;
use crate::documents::SummaryDocument;
use crate::documents::chunks::{ChunksDocument, RebuildDocument, ResetDocument};
use crate::documents::discovery::DiscoveryDocument;
use crate::documents::doctor::DoctorDocument;
use crate::documents::events::EventLine;
use crate::documents::history::{
    CursorDocument, FilesDocument, ImportDocument, JournalDocument, MetricsDocument, ReportDocument, StateDocument,
};
use crate::documents::plans::{PlanDocument, PlansDocument};
use crate::documents::validate::ValidateDocument;
use crate::exit::Exit;
use crate::out::Text;
use crate::plugins::Need;
use crate::render;

/// Runs the command.
pub fn run(of: Document, global: &Global) -> Exit {
    let schema = match of {
        Document::Config => match load_plugins(global, &[], &Need::All) {
            Ok(found) => json_schema(&found.connectors.iter().map(|c| c.info()).collect::<Vec<_>>()),
            Err(exit) => return exit,
        },
        Document::Manifest => of_type::<Manifest>(),
        Document::Summary => of_type::<SummaryDocument>(),
        Document::Events => of_type::<EventLine>(),
        Document::DryRun => of_type::<PlansDocument>(),
        Document::Plan => of_type::<PlanDocument>(),
        Document::Doctor => of_type::<DoctorDocument>(),
        Document::Validate => of_type::<ValidateDocument>(),
        Document::Discovery => of_type::<DiscoveryDocument>(),
        Document::Metrics => of_type::<MetricsDocument>(),
        Document::Report => of_type::<ReportDocument>(),
        Document::Journal => of_type::<JournalDocument>(),
        Document::State => of_type::<StateDocument>(),
        Document::StateFiles => of_type::<FilesDocument>(),
        Document::StateChunks => of_type::<ChunksDocument>(),
        Document::StateReset => of_type::<ResetDocument>(),
        Document::StateRebuild => of_type::<RebuildDocument>(),
        Document::StateCursor => of_type::<CursorDocument>(),
        Document::StateImport => of_type::<ImportDocument>(),
    };
    render::document(global, &schema, std::slice::from_ref(&schema), || Text::pretty_json(&schema));
    Exit::Ok
}

/// The schema of what a type is written as.
fn of_type<T: JsonSchema>() -> Value {
    SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<T>().to_value()
}

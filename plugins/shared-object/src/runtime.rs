//! Where a store's requests run: threads of its own, so that a synchronous call waits for them and can be cancelled.
//! It must not know what the requests are.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;

use futures_util::future::{Either, select};
use opendal::{HttpTransporter, OperationContext, Operator};
use reqsign_core::{SignRequest, SigningCredential};
use rivet_plugin_api::{Cx, ErrorKind, PluginError, Result};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;

use crate::credentials::Provider;
use crate::error::Refused;
use crate::sign::{Sign, signing};
use crate::talk::{Client, Conversation};

/// Threads that move bytes while whoever writes does something else.
const N_THREADS: usize = 2;

/// A client and the threads that it works on.
#[derive(Clone)]
pub struct Talks {
    runtime: Arc<Runtime>,
    client: Client,
    signing: Option<Arc<dyn Sign>>,
    is_sealed: bool,
}

impl Talks {
    /// Starts the threads; see [`Client::new`] for `ca_file`.
    ///
    /// # Errors
    /// `Config` when the file cannot be read, `Internal` when no thread can be started.
    pub fn new(ca_file: Option<&std::path::Path>) -> Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(N_THREADS)
            .thread_name("rivet-store")
            .enable_io()
            .enable_time()
            .build()
            .map_err(|e| PluginError::new(ErrorKind::Internal, "store.threads", "failed to start threads").cause(e))?;
        Ok(Self { runtime: Arc::new(runtime), client: Client::new(ca_file)?, signing: None, is_sealed: false })
    }

    /// The same, whose requests are signed as `requests` does it, with credentials of the provider.
    #[must_use]
    pub fn signed<C: SigningCredential>(
        mut self,
        provider: Provider<C>,
        requests: impl SignRequest<Credential = C>,
    ) -> Self {
        self.signing = Some(signing(self.client.clone(), provider, requests));
        self
    }

    /// The same, whose stores compare what is put with a checksum (MD5).
    #[must_use]
    pub fn sealed(self) -> Self {
        Self { is_sealed: true, ..self }
    }

    /// A conversation.
    pub(crate) fn conversation(&self) -> Conversation {
        Conversation::new(&self.client, self.signing.clone()).sealed(self.is_sealed)
    }

    /// The client.
    #[cfg(test)]
    pub(crate) fn client(&self) -> Client {
        self.client.clone()
    }

    /// A conversation that is not signed, for whoever fetches credentials.
    pub(crate) fn unsigned(&self) -> Conversation {
        Conversation::new(&self.client, None)
    }

    /// Waits for `work`, unless the host cancels.
    ///
    /// # Errors
    /// What `work` fails with, and what the store said of it in `conversation`.
    pub(crate) fn wait<T>(
        &self,
        cx: &Cx,
        conversation: &Conversation,
        work: impl Future<Output = opendal::Result<T>>,
    ) -> Result<T, Refused> {
        let cancelled = Notify::new();
        cx.with_wake(&|| cancelled.notify_one(), || {
            self.runtime.block_on(async {
                match select(pin!(cancelled.notified()), pin!(work)).await {
                    Either::Left(_) => Err(Refused::Cancelled),
                    Either::Right((done, _)) => {
                        done.map_err(|error| Refused::Store { error: Box::new(error), answer: conversation.refusal() })
                    }
                }
            })
        })
    }

    /// Waits for `work`, which cannot be cancelled and ends soon.
    pub(crate) fn finish<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }
}

/// The same store, whose requests are of this conversation.
pub(crate) fn within(operator: &Operator, conversation: &Conversation) -> Operator {
    let context = OperationContext::new().with_http_transport(HttpTransporter::new(conversation.clone()));
    operator.clone().with_context(context)
}

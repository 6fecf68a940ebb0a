//! A real admin server for tests, in this process.

use auth::AccountToken;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use transport::tls::Identity;

use crate::admin_client::{AdminClient, ConfigureClient};

/// The server, on a task of the test's runtime.
pub(crate) struct TestAdmin {
    pub(crate) folder: TempDir,
    pub(crate) addr: String,
    pub(crate) fingerprint: String,
    pub(crate) root: AccountToken,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl TestAdmin {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let identity = Identity::load_or_create(&folder.path().join("cert"), &folder.path().join("key")).unwrap();
        let fingerprint = identity.fingerprint().to_string();
        let root = AccountToken::generate();
        let settings = admin::AdminSettings {
            bind_addr: "127.0.0.1:0".parse().unwrap(),
            db_folder: folder.path().join("db"),
            identity: Some(identity),
            meta_ca: None,
            root_token: root.clone(),
        };
        let server = admin::bind(settings).await.unwrap();
        let addr = server.local_addr().to_string();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let stopped = async {
                let _ = stopped.await;
            };
            server.serve(stopped).await.unwrap();
        });
        Self { folder, addr, fingerprint, root, stop: Some(stop), task }
    }

    pub(crate) fn client(&self) -> AdminClient {
        AdminClient::new(&self.addr, Some(&self.fingerprint)).unwrap()
    }

    pub(crate) fn configure(&self) -> ConfigureClient {
        ConfigureClient::new(self.client(), self.root.clone())
    }

    pub(crate) async fn stop(&mut self) {
        self.stop.take().map(|stop| stop.send(()));
        (&mut self.task).await.unwrap();
    }
}

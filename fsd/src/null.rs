//! The floor of FUSE: a file system with nothing behind it, on the transports of the real mount.
//!
//! It keeps names and sizes in memory, reads zeroes and forgets what is written. What a benchmark measures on it is what
//! kernel, transport and the coding of messages cost: no mount of this transport can be faster. Only benchmarks start it.

mod backings;
mod server;
mod tree;

use std::io;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;

use auth::MountFlags;
use proto::Errno;
use tokio::runtime::Builder;
use transport::cpus::{allowed_cpus, pin};

use crate::MountError;
use crate::mount::share_queues;
use crate::session::{
    Device, KernelMount, MESSAGE_LEN, MountPoint, Received, Ring, Transport, Unmounted, Wishes, handshake, obstacle,
    queue_count,
};
use crate::state::Permissions;
use backings::Backings;
use server::Server;

/// A mounted file system that does nothing.
#[derive(Debug)]
pub struct NullMount {
    kernel: KernelMount,
    threads: Vec<JoinHandle<()>>,
}

impl NullMount {
    /// Mounts on `mount_point` and serves with one pinned thread for each CPU. With `passthrough` the kernel reads and
    /// writes files by itself, in memory; names stay with the server.
    ///
    /// # Errors
    /// As a real mount: the mount point or the kernel refuses, or the kernel has no such transport.
    pub fn start(mount_point: &Path, transport: Transport, passthrough: bool) -> Result<Self, MountError> {
        let point = MountPoint::check(mount_point, false)?;
        if transport == Transport::Uring
            && let Some(reason) = obstacle()
        {
            return Err(MountError::Kernel { path: mount_point.to_owned(), reason });
        }
        let (kernel, device) =
            KernelMount::new(point, "null", MountFlags::default(), MountFlags::default(), Permissions::KernelFirst)?;
        let mut mount = Self { kernel, threads: Vec::new() };
        let wishes = Wishes { transport, own_umask: false, max_pages: true, passthrough, locks: false };
        let agreed = handshake(&device, mount.kernel.point(), wishes)?;
        if agreed != transport {
            let reason = format!("the kernel agreed to the transport {agreed} instead of {transport}");
            return Err(MountError::Kernel { path: mount_point.to_owned(), reason });
        }
        let serve = |mount: &mut Self| {
            let backings = if passthrough { Some(Backings::new(device.clone_attached()?)) } else { None };
            mount.serve(device, transport, Server::new(backings))
        };
        serve(&mut mount).map_err(|source| MountError::Thread { source })?;
        Ok(mount)
    }

    fn serve(&mut self, device: Device, transport: Transport, server: Server) -> io::Result<()> {
        let server = Arc::new(server);
        let cpus = allowed_cpus();
        if transport == Transport::Uring {
            for (cpu, queues) in cpus.iter().zip(share_queues(queue_count(), &cpus)) {
                let (server, device) = (Arc::clone(&server), device.clone_attached()?);
                self.spawn(format!("null-{cpu}"), *cpu, move || serve_rings(&server, device, &queues))?;
            }
            // What the rings do not carry.
            return self.spawn("null-device".to_owned(), cpus[0], move || serve_device(&server, &device));
        }
        for cpu in &cpus[1..] {
            let (server, device) = (Arc::clone(&server), device.clone_attached()?);
            self.spawn(format!("null-{cpu}"), *cpu, move || serve_device(&server, &device))?;
        }
        self.spawn(format!("null-{}", cpus[0]), cpus[0], move || serve_device(&server, &device))
    }

    fn spawn(
        &mut self,
        name: String,
        cpu: usize,
        serve: impl FnOnce() -> io::Result<()> + Send + 'static,
    ) -> io::Result<()> {
        let body = move || {
            pin(cpu);
            if let Err(error) = serve() {
                tracing::error!(%error, "a thread of the null server failed");
            }
        };
        self.threads.push(std::thread::Builder::new().name(name).spawn(body)?);
        Ok(())
    }

    /// Unmounts. Threads that programs still keep busy are left behind.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn unmount(mut self) -> Result<(), MountError> {
        let threads = std::mem::take(&mut self.threads);
        if self.kernel.unmount()? == Unmounted::Clean {
            for thread in threads {
                if thread.join().is_err() {
                    tracing::error!("a thread of the null server panicked");
                }
            }
        }
        Ok(())
    }
}

impl Drop for NullMount {
    fn drop(&mut self) {
        if let Err(error) = self.kernel.detach() {
            tracing::error!(%error, "unmounting failed");
        }
    }
}

/// Answers what comes over the device until the mount is gone.
fn serve_device(server: &Server, device: &Device) -> io::Result<()> {
    let mut buffer = vec![0; MESSAGE_LEN];
    loop {
        match device.receive(&mut buffer)? {
            Received::Request(0) | Received::Nothing => {}
            Received::Request(len) => {
                if let Some(reply) = server.answer(&buffer[..len]) {
                    device.reply(reply)?;
                }
            }
            Received::Unmounted => return Ok(()),
        }
    }
}

/// Answers what comes over the rings `queues` until the mount is gone.
fn serve_rings(server: &Server, device: Device, queues: &[u16]) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let ring = Ring::new(Rc::new(device), queues)?;
        loop {
            let arrived = ring.arrived();
            if ring.is_over() {
                return Ok(());
            }
            if arrived.is_empty() {
                ring.ready().await?;
                continue;
            }
            for entry in arrived {
                match ring.with_message(entry, |message| server.answer(message?)) {
                    Some(reply) => ring.reply(entry, &reply),
                    None => ring.refuse(entry, Errno::EIO),
                }
            }
            ring.submit()?;
        }
    })
}

//! File systems of the nodes' own, each in a file: they lose what wasn't synced when the power is cut, and they are small
//! enough to be filled.
//!
//! ```text
//! node2.ext4 ── loop device ── node2/ ── log/  the node's log.dirs
//!                                     └─ ballast, while the disk is full
//! ```
//!
//! The power cut is the file system's own (`xfs_io -x -c shutdown`): nothing of what is dirty reaches the device afterwards, as
//! when a machine stops. What did reach it stands in the file. Needs root, loop devices, `mkfs.ext4` and `xfs_io`.
//!
//! The files are in memory (`/dev/shm`) when there is room: a machine whose own disk is busy with others lets a sync wait for
//! longer than the 10 s after which a node gives a disk up, all nodes at once.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::fs::{FallocateFlags, fallocate, statvfs};

use super::tool::run_tool;

/// Of each file system. The files are sparse: only what was ever written takes room.
const BYTES: u64 = 4 << 30;
/// An inode for so many bytes: fewer than usual, because their table is written.
const BYTES_PER_INODE: &str = "65536";
/// What a full disk is filled with at last.
const PIECES: [usize; 2] = [4096, 1];
/// Where memory is to be had as files, and how much must be free there.
const MEMORY: &str = "/dev/shm";
const FREE_MEMORY: u64 = 4 << 30;
/// How long a process that was just killed may still hold its files.
const RELEASED_WITHIN: Duration = Duration::from_secs(10);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(20);

/// Which of a node's disks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DiskRole {
    /// The one of `log.dirs`; the metadata log is on it, too, unless it has one of its own.
    Data,
    /// The one of `metadata.log.dir`, if the node has one.
    Metadata,
}

/// One file system. Dropping it unmounts it; its file stays, unless it was in memory.
#[derive(Debug)]
pub(crate) struct Disk {
    image: PathBuf,
    place: PathBuf,
    mounted: bool,
}

impl Disk {
    /// Makes `NAME.ext4` in `folder` and mounts it at `folder/NAME`.
    pub(crate) fn create(folder: &Path, name: &str) -> Result<Self> {
        let folder = fs::canonicalize(folder)?;
        let image = image_file(&folder, name);
        let file = fs::File::create_new(&image).with_context(|| format!("can't make {}", image.display()))?;
        // From here on dropping it leaves nothing behind in memory.
        let mut disk = Self {
            image,
            place: folder.join(name),
            mounted: false,
        };
        file.set_len(BYTES)?;
        run_tool(
            "mkfs.ext4",
            &["-q", "-F", "-m", "0", "-i", BYTES_PER_INODE, &text(&disk.image)],
        )?;
        fs::create_dir(&disk.place)?;
        disk.mount()?;
        fs::create_dir(disk.directory())?;
        // The node finds its directory after the first cut, too.
        rustix::fs::syncfs(fs::File::open(&disk.place)?)?;
        Ok(disk)
    }

    /// The node's directory on it.
    pub(crate) fn directory(&self) -> PathBuf {
        self.place.join("log")
    }

    /// The power is gone: what wasn't synced is lost. Nobody may use it any more.
    pub(crate) fn cut_power(&mut self) -> Result<()> {
        run_tool("xfs_io", &["-x", "-c", "shutdown", &text(&self.place)])?;
        let deadline = Instant::now() + RELEASED_WITHIN;
        while let Err(error) = run_tool("umount", &[&text(&self.place)]) {
            if Instant::now() > deadline {
                return Err(error);
            }
            std::thread::park_timeout(PAUSE);
        }
        self.mounted = false;
        Ok(())
    }

    /// The power is back.
    fn mount(&mut self) -> Result<()> {
        let deadline = Instant::now() + RELEASED_WITHIN;
        loop {
            run_tool(
                "mount",
                &["-o", "loop,noatime,discard", &text(&self.image), &text(&self.place)],
            )?;
            self.mounted = true;
            // As long as anybody holds the old file system, in a mount namespace that was being made for instance, the kernel
            // gives that one out again, and it is as dead as before.
            let probe = self.place.join("probe");
            let Err(error) = fs::File::create(&probe).and_then(|_| fs::remove_file(&probe)) else {
                return Ok(());
            };
            if Instant::now() > deadline {
                return Err(error).with_context(|| format!("{} is still without power", self.place.display()));
            }
            run_tool("umount", &[&text(&self.place)])?;
            self.mounted = false;
            std::thread::park_timeout(PAUSE);
        }
    }

    /// Fills it to the last byte.
    pub(crate) fn fill(&self) -> Result<()> {
        let mut ballast = OpenOptions::new().create(true).append(true).open(self.ballast())?;
        let mut left = statvfs(&self.place)?;
        while left.f_bavail > 0 {
            // In halves, because the file's own map takes room, too; these blocks are never written.
            let bytes = (left.f_bavail / 2).max(1) * left.f_frsize;
            let from = ballast.metadata()?.len();
            match fallocate(&ballast, FallocateFlags::empty(), from, bytes) {
                Ok(()) => {}
                Err(rustix::io::Errno::NOSPC) => break,
                Err(error) => bail!("filling {}: {error}", self.place.display()),
            }
            left = statvfs(&self.place)?;
        }
        for piece in PIECES.map(|bytes| vec![1; bytes]) {
            loop {
                match ballast.write_all(&piece) {
                    Ok(()) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => bail!("filling {}: {error}", self.place.display()),
                }
            }
        }
        Ok(())
    }

    /// Gives the room back.
    pub(crate) fn free(&self) -> Result<()> {
        fs::remove_file(self.ballast()).with_context(|| format!("freeing {}", self.place.display()))
    }

    fn ballast(&self) -> PathBuf {
        self.place.join("ballast")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.mounted {
            // Lazily: a node that was killed a moment ago may still be on its way out. Who fails here can't be helped.
            let _ = run_tool("umount", &["-l", &text(&self.place)]);
        }
        if self.image.starts_with(MEMORY) {
            // It would stay until the machine is started again.
            let _ = fs::remove_file(&self.image);
        }
    }
}

fn image_file(folder: &Path, name: &str) -> PathBuf {
    let free = statvfs(MEMORY).map_or(0, |memory| memory.f_bavail.saturating_mul(memory.f_frsize));
    if free < FREE_MEMORY {
        return folder.join(format!("{name}.ext4"));
    }
    Path::new(MEMORY).join(format!("klamm-{}-{name}.ext4", std::process::id()))
}

/// A node's disks.
#[derive(Debug)]
pub(crate) struct NodeDisks {
    data: Disk,
    metadata: Option<Disk>,
    cuts: u32,
}

impl NodeDisks {
    /// For this node; with `apart` its metadata log has a disk of its own.
    pub(crate) fn create(folder: &Path, node: usize, apart: bool) -> Result<Self> {
        let disk = |name: String| Disk::create(folder, &name);
        let made = disk(format!("node{node}")).and_then(|data| {
            let metadata = apart.then(|| disk(format!("node{node}-metadata"))).transpose()?;
            Ok(Self {
                data,
                metadata,
                cuts: 0,
            })
        });
        made.context("this fault needs file systems of the nodes' own: root on Linux, with loop devices and mkfs.ext4 (e2fsprogs)")
    }

    /// Its directories on them.
    pub(super) fn directories(&self) -> Directories {
        Directories {
            data: self.data.directory(),
            metadata: self.metadata.as_ref().map(Disk::directory),
        }
    }

    /// All lose what wasn't synced.
    pub(super) fn cut_power(&mut self) -> Result<()> {
        self.cuts += 1;
        self.data.cut_power()?;
        self.metadata.as_mut().map_or(Ok(()), Disk::cut_power)
    }

    /// All are there again, unless they were never away.
    pub(super) fn restore_power(&mut self) -> Result<()> {
        for disk in std::iter::once(&mut self.data).chain(&mut self.metadata) {
            if !disk.mounted {
                disk.mount()?;
            }
        }
        Ok(())
    }

    /// The machine's boot id after a cut; before the first one it is the real one.
    pub(super) fn boot_id(&self) -> Option<String> {
        (self.cuts > 0).then(|| format!("power-cut-{}", self.cuts))
    }

    /// Whether there is such a one.
    pub(crate) fn has(&self, role: DiskRole) -> bool {
        self.disk(role).is_ok()
    }

    /// Fills one of them.
    pub(crate) fn fill(&self, role: DiskRole) -> Result<()> {
        self.disk(role)?.fill()
    }

    /// Gives its room back.
    pub(crate) fn free(&self, role: DiskRole) -> Result<()> {
        self.disk(role)?.free()
    }

    fn disk(&self, role: DiskRole) -> Result<&Disk> {
        match role {
            DiskRole::Data => Some(&self.data),
            DiskRole::Metadata => self.metadata.as_ref(),
        }
        .context("the node has no such disk")
    }
}

/// Where a node's files are.
#[derive(Debug, Clone)]
pub(crate) struct Directories {
    /// `log.dirs`.
    pub(crate) data: PathBuf,
    /// `metadata.log.dir`, if it isn't the same.
    pub(crate) metadata: Option<PathBuf>,
}

impl Directories {
    /// Removes what is in them, not themselves: a new disk in the place of the old one.
    pub(super) fn wipe(&self) -> Result<()> {
        for directory in std::iter::once(&self.data).chain(&self.metadata) {
            for entry in fs::read_dir(directory).with_context(|| format!("wiping {}", directory.display()))? {
                let entry = entry?;
                if entry.file_type()?.is_dir() {
                    fs::remove_dir_all(entry.path())?;
                } else {
                    fs::remove_file(entry.path())?;
                }
            }
        }
        Ok(())
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

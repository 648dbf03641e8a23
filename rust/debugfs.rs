// SPDX-License-Identifier: GPL-2.0

//! debugfs files that may be held open while their device is unbound or their module removed.
//!
//! The files of `kernel::debugfs` have no owner: one that is held open across `rmmod` calls into
//! memory that is gone. These have one, so that `rmmod` says EAGAIN while a file is open; unbind
//! always works, and what is still open then answers EIO. Until the module's init has succeeded,
//! they do not open: a module whose init fails is freed, whoever holds one of its files.
//!
//! C header: [`include/linux/debugfs.h`](srctree/include/linux/debugfs.h)

use core::marker::PhantomData;

use kernel::{
    bindings,
    error::{
        from_err_ptr,
        from_result, //
    },
    ffi::{
        c_char,
        c_int,
        c_void, //
    },
    prelude::*,
    seq_file::SeqFile,
    str::{
        BStr,
        CStr, //
    },
    sync::Arc,
    uaccess::{
        UserPtr,
        UserSlice, //
    }, //
};

use super::{
    bound::{
        Attached,
        PerDevice, //
    },
    errno::Errno,
    helpers,
    module, //
};

/// The most bytes of one write that a file looks at.
pub(crate) const TEXT_BYTES: usize = 128;

/// What was written to a file.
pub(crate) struct Text<'a> {
    /// The first [`TEXT_BYTES`] bytes.
    pub(crate) bytes: &'a [u8],
    /// Whether there were more.
    pub(crate) cut: bool,
}

/// Shows a file's content. Runs in the reader's context; may sleep.
pub(crate) type Read<T> = for<'bound> fn(&Attached<'bound, T>, &SeqFile);

/// Carries out a write, all or nothing. Runs in the writer's context; may sleep.
///
/// It must return soon once [`Attached::is_closing`] says so.
pub(crate) type Write<T> = for<'bound> fn(&Attached<'bound, T>, Text<'_>) -> Result;

/// One file, seen from the driver.
pub(crate) struct File<T: PerDevice> {
    pub(crate) name: &'static CStr,
    pub(crate) read: Option<Read<T>>,
    pub(crate) write: Option<Write<T>>,
}

impl<T: PerDevice> File<T> {
    /// 0600, 0400 or 0200: a file is for its owner, root, alone.
    fn mode(&self) -> bindings::umode_t {
        let read = if self.read.is_some() { 0o400 } else { 0 };
        let write = if self.write.is_some() { 0o200 } else { 0 };
        read | write
    }

    fn operations(&self) -> &'static bindings::file_operations {
        match (self.read, self.write) {
            (Some(_), Some(_)) => &Operations::<T>::BOTH,
            (_, None) => &Operations::<T>::READ,
            (None, Some(_)) => &Operations::<T>::WRITE,
        }
    }
}

/// A directory; dropping it removes it with all that is in it.
///
/// The drop sleeps until no file operation in it runs any more.
///
/// # Invariants
///
/// The pointer is a directory that `debugfs_create_dir` returned and nobody else removes.
pub(crate) struct Dir(*mut bindings::dentry);

// SAFETY: debugfs directories may be used and removed from any thread.
unsafe impl Send for Dir {}

// SAFETY: As for `Send`; debugfs does its own locking.
unsafe impl Sync for Dir {}

impl Dir {
    /// Makes a directory at the top of debugfs.
    ///
    /// Sleeps. Returns `ENODEV` where the kernel has no debugfs, `EPERM` where it is turned off,
    /// `EEXIST`, `ENOMEM`.
    pub(super) fn new(name: &CStr) -> Result<Self> {
        // SAFETY: No parent means the top of debugfs.
        unsafe { Self::create(name, core::ptr::null_mut()) }
    }

    /// Makes the directory `name` in the directory `top` that [`Dir::new`] made.
    ///
    /// Sleeps. Returns `ENODEV` where there is no `top`, otherwise as [`Dir::new`].
    pub(super) fn within(top: &CStr, name: &CStr) -> Result<Self> {
        // SAFETY: No parent means the top of debugfs. The name is terminated.
        let top =
            unsafe { helpers::alloclab_debugfs_lookup(top.as_char_ptr(), core::ptr::null_mut()) };
        // An error where the kernel has no debugfs, null where it has no such directory.
        let top = from_err_ptr(top)?;
        if top.is_null() {
            return Err(ENODEV);
        }

        // SAFETY: `top` is a directory of debugfs, on which the look-up took a reference.
        let dir = unsafe { Self::create(name, top) };

        // SAFETY: Gives back the reference that the look-up took.
        unsafe { bindings::dput(top) };
        dir
    }

    /// # Safety
    ///
    /// `parent` must be null or a directory of debugfs that lives for as long as this call.
    unsafe fn create(name: &CStr, parent: *mut bindings::dentry) -> Result<Self> {
        // SAFETY: The name is terminated; `parent` is as this function requires.
        let dir = from_err_ptr(unsafe {
            helpers::alloclab_debugfs_create_dir(name.as_char_ptr(), parent)
        })?;

        // INVARIANT: `dir` is the new directory, and this is the only handle to it.
        Ok(Self(dir))
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        // SAFETY: By the type invariants, the directory is ours to remove.
        unsafe { helpers::alloclab_debugfs_remove(self.0) };
    }
}

/// What a file's inode points to.
struct FileEntry<'bound, T: PerDevice> {
    attached: Arc<Attached<'bound, T>>,
    file: &'static File<T>,
}

/// The files of one device in a directory of its own; dropping it removes them.
///
/// The drop tells running operations that they are to end, and sleeps until they have.
pub(crate) struct Files<'bound, T: PerDevice> {
    // Dropped before `entries`: after it nothing uses an entry any more.
    dir: Option<Dir>,
    entries: KVec<FileEntry<'bound, T>>,
    attached: Arc<Attached<'bound, T>>,
}

impl<'bound, T: PerDevice> Files<'bound, T> {
    /// Makes the directory `top`/DEVICE with `files` in it. Sleeps.
    ///
    /// What cannot be made is logged and left out: the device works without it. Where the kernel
    /// has no debugfs or has it turned off, there is nothing to log.
    ///
    /// # Safety
    ///
    /// The value must be dropped, and not forgotten, before the device is unbound.
    pub(super) unsafe fn new(
        top: &CStr,
        files: &'static [File<T>],
        attached: Arc<Attached<'bound, T>>,
    ) -> Self {
        let entries = Self::entries(files, &attached).unwrap_or_else(|e| {
            dev_err!(attached.dev, "no debugfs files: {}\n", Errno(e));
            KVec::new()
        });
        let dir = match Dir::within(top, attached.dev.name()) {
            // What is in it is removed with it, so that there is none without entries.
            Ok(dir) if !entries.is_empty() => Some(dir),
            Ok(_) => None,
            Err(e) => {
                if e != ENODEV && e != EPERM {
                    dev_err!(attached.dev, "no debugfs directory: {}\n", Errno(e));
                }
                None
            }
        };
        let files = Self {
            dir,
            entries,
            attached,
        };
        files.create();
        files
    }

    fn entries(
        files: &'static [File<T>],
        attached: &Arc<Attached<'bound, T>>,
    ) -> Result<KVec<FileEntry<'bound, T>>> {
        let mut entries = KVec::with_capacity(files.len(), GFP_KERNEL)?;
        for file in files {
            let entry = FileEntry {
                attached: attached.clone(),
                file,
            };
            entries.push(entry, GFP_KERNEL)?;
        }
        Ok(entries)
    }

    /// Makes the files in the directory, if there is one.
    fn create(&self) {
        let Some(dir) = &self.dir else {
            return;
        };
        for entry in self.entries.iter() {
            let name = entry.file.name;
            // SAFETY:
            // - The name is terminated and `dir` is a directory of debugfs.
            // - The operations expect a `FileEntry<T>` as the inode's data. `entry` lies in a
            //   vector that is not changed any more and is dropped after the directory; debugfs
            //   lets no operation but `release`, which does not use it, outlive that. By the
            //   safety requirements of `new`, that is before `'bound` ends.
            let made = from_err_ptr(unsafe {
                helpers::alloclab_debugfs_create_file(
                    name.as_char_ptr(),
                    entry.file.mode(),
                    dir.0,
                    core::ptr::from_ref(entry).cast_mut().cast(),
                    entry.file.operations(),
                )
            });
            if let Err(e) = made {
                let name = BStr::from_bytes(name.to_bytes());
                dev_err!(self.attached.dev, "no debugfs file {name}: {}\n", Errno(e));
            }
        }
    }
}

impl<T: PerDevice> Drop for Files<'_, T> {
    fn drop(&mut self) {
        self.attached.close();
    }
}

/// The C side of [`File`]: `seq_file` for reading, and the text of one write.
struct Operations<T>(PhantomData<T>);

impl<T: PerDevice> Operations<T> {
    const WRITE: bindings::file_operations = bindings::file_operations {
        owner: module::OWNER,
        open: Some(Self::open),
        release: Some(bindings::single_release),
        write: Some(Self::write),
        llseek: Some(bindings::noop_llseek),
        ..pin_init::zeroed()
    };

    const READ: bindings::file_operations = bindings::file_operations {
        read: Some(bindings::seq_read),
        llseek: Some(bindings::seq_lseek),
        write: None,
        ..Self::WRITE
    };

    const BOTH: bindings::file_operations = bindings::file_operations {
        write: Some(Self::write),
        ..Self::READ
    };

    /// # Safety
    ///
    /// To be called by debugfs only, for a file that [`Files::new`] made.
    unsafe extern "C" fn open(inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        if !module::is_loaded() {
            return ENXIO.to_errno();
        }

        // SAFETY: debugfs passes a valid inode.
        let entry = unsafe { (*inode).i_private };

        // SAFETY: debugfs passes a valid file that is being opened. `show` gets the inode's data.
        unsafe { bindings::single_open(file, Some(Self::show), entry) }
    }

    /// # Safety
    ///
    /// To be called by `seq_read` only, for a file that [`Operations::open`] opened.
    unsafe extern "C" fn show(seq: *mut bindings::seq_file, _: *mut c_void) -> c_int {
        // SAFETY: `single_open` stored the inode's data, a `FileEntry<T>`; debugfs does not let it
        // go away while an operation runs. Nobody is told for how long the device is bound: `read`
        // takes any lifetime.
        let entry = unsafe { &*(*seq).private.cast::<FileEntry<'_, T>>() };

        // SAFETY: `seq` is valid and only this thread uses it during the call.
        let seq = unsafe { SeqFile::from_raw(seq) };

        if let Some(read) = entry.file.read {
            read(&entry.attached, seq);
        }
        0
    }

    /// # Safety
    ///
    /// To be called by debugfs only, for a file that [`Operations::open`] opened.
    unsafe extern "C" fn write(
        file: *mut bindings::file,
        text: *const c_char,
        len: usize,
        _: *mut bindings::loff_t,
    ) -> isize {
        // SAFETY: `single_open` stored a `seq_file` in the file, and in it the inode's data, a
        // `FileEntry<T>`; debugfs does not let it go away while an operation runs.
        let entry = unsafe {
            let seq = (*file).private_data.cast::<bindings::seq_file>();
            &*(*seq).private.cast::<FileEntry<'_, T>>()
        };

        from_result(|| {
            let write = entry.file.write.ok_or(EINVAL)?;
            let mut bytes = [0u8; TEXT_BYTES];
            let shown = len.min(TEXT_BYTES);
            let bytes = bytes.get_mut(..shown).ok_or(EINVAL)?;

            UserSlice::new(UserPtr::from_ptr(text.cast_mut().cast()), shown)
                .reader()
                .read_slice(bytes)?;

            let text = Text {
                bytes,
                cut: len > shown,
            };
            write(&entry.attached, text)?;
            Ok(isize::try_from(len)?)
        })
    }
}

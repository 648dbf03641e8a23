// SPDX-License-Identifier: GPL-2.0

//! A file `/dev/DRIVER/DEVICE` by which user space reads, writes and maps memory of a device.
//!
//! The file may be open, and its memory mapped, when the device is unbound: unbind does not wait
//! for that, an open file then answers EIO, and a mapping SIGBUS. Its owner is the module, so that
//! `rmmod` says EAGAIN meanwhile. Until the module's init has succeeded, the file does not open.
//!
//! Locks are taken in this order:
//!
//! 1. `mmap_lock` of a process, or the lock of one of its mappings, by the kernel, for a fault, for
//!    `mmap` and `munmap`,
//! 2. the [`Gate`] of the file,
//! 3. what [`Backed::with_memory`] takes, the lock of the driver,
//! 4. `i_mmap_rwsem` of the file's address space, where shared memory is dropped.
//!
//! Hence nothing is copied from or to user space under 2 and 3, as that may fault: it goes through
//! a page of our own.
//!
//! C headers: [`include/linux/miscdevice.h`](srctree/include/linux/miscdevice.h),
//! [`include/linux/mm.h`](srctree/include/linux/mm.h)

use core::marker::PhantomData;

use kernel::{
    bindings,
    current,
    error::{
        from_result,
        to_result, //
    },
    ffi::{
        c_char,
        c_int, //
    },
    fmt,
    new_mutex,
    page::PAGE_SIZE,
    prelude::*,
    str::{
        CStr,
        CString, //
    },
    sync::{
        Arc,
        ArcBorrow,
        Mutex, //
    },
    types::Opaque,
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
    module,
    share::{
        Lent,
        Space,
        Window,
        SIGBUS, //
    }, //
};

/// What user space does with the memory.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// `read` and its kin.
    Read,
    /// `write` and its kin.
    Write,
    /// `mmap`.
    Map,
    /// Touches a page of a mapping.
    Fault,
}

impl Access {
    /// Returns the name of the system call.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Map => "mmap",
            Self::Fault => "fault",
        }
    }
}

/// What a driver provides.
pub(crate) trait Backed: PerDevice + Sized {
    /// Gives the memory that there is now to `work`, under a lock without which it is not dropped.
    ///
    /// Sleeps. Where there is no memory for user space, `work` is not called. The caller may be in
    /// a page fault: nothing here may access user space.
    fn with_memory(attached: &Attached<'_, Self>, access: Access, work: &mut dyn FnMut(Lent<'_>));

    /// Logs why an access is refused. Sleeps.
    fn refused(attached: &Attached<'_, Self>, access: Access, why: fmt::Arguments<'_>);
}

/// Returns what `work` makes of the memory that there is now, or `ENXIO` where there is none.
fn with_memory<T: Backed, R>(
    attached: &Attached<'_, T>,
    access: Access,
    work: impl FnOnce(Lent<'_>) -> Result<R>,
) -> Result<R> {
    let mut work = Some(work);
    let mut result = Err(ENXIO);
    T::with_memory(attached, access, &mut |lent| {
        if let Some(work) = work.take() {
            result = work(lent);
        }
    });
    result
}

/// A device's data, while the device is bound.
struct Target<T: Backed>(*const Attached<'static, T>);

// SAFETY: It stands for a reference, and the data may be used from any thread.
unsafe impl<T: Backed> Send for Target<T> {}

/// What the opens of a device's file share. It lives until the last one is closed.
///
/// # Invariants
///
/// Where there is a target, it is valid.
#[pin_data]
struct Gate<T: Backed> {
    #[pin]
    target: Mutex<Option<Target<T>>>,
    // Of the mappings; made when the file is opened for the first time. Its lock is held for that
    // alone: the kernel opens one file of its miscellaneous devices at a time.
    #[pin]
    space: Mutex<Option<Space>>,
}

impl<T: Backed> Gate<T> {
    fn new(target: Target<T>) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            target <- new_mutex!(Some(target)),
            space <- new_mutex!(None),
        })
    }

    /// Does something with the device, which stays bound meanwhile. Sleeps.
    ///
    /// Returns `EIO` if the device is bound no more.
    fn with<R>(&self, work: impl FnOnce(&Attached<'_, T>) -> Result<R>) -> Result<R> {
        let target = self.target.lock();
        let target = target.as_ref().ok_or(EIO)?;
        // SAFETY: By the type invariants; it is locked. Nobody is told for how long the device is
        // bound: `work` takes any lifetime.
        work(unsafe { &*target.0 })
    }

    /// Returns the address space of the file's mappings; makes it at the first call. Sleeps.
    fn make_space(&self, name: &CStr) -> Result<Space> {
        let mut space = self.space.lock();
        match &*space {
            Some(space) => Ok(space.clone()),
            None => Ok(space.insert(Space::new(name)?).clone()),
        }
    }

    /// Returns it where it has been made. Sleeps.
    fn space(&self) -> Result<Space> {
        self.space.lock().clone().ok_or(EIO)
    }
}

/// What is registered with the kernel.
#[repr(C)]
struct DeviceEntry<T: Backed> {
    // First, so that a pointer to it is one to the entry.
    misc: Opaque<bindings::miscdevice>,
    name: CString,
    gate: Arc<Gate<T>>,
}

/// The file of one device; dropping it removes it.
///
/// The drop sleeps until no operation uses the device any more.
///
/// # Invariants
///
/// `entry` is registered, and stays where it is.
pub(crate) struct DeviceFile<'bound, T: Backed> {
    entry: Pin<KBox<DeviceEntry<T>>>,
    // What the gate's target points to.
    _attached: Arc<Attached<'bound, T>>,
}

// SAFETY: A registration may be undone from any thread.
unsafe impl<T: Backed> Send for DeviceFile<'_, T> {}

impl<'bound, T: Backed> DeviceFile<'bound, T> {
    /// Makes the file `/dev/TOP/DEVICE`, for root alone. Sleeps.
    ///
    /// If it cannot be made, that is logged, and the device works without it.
    ///
    /// # Safety
    ///
    /// The value must be dropped, and not forgotten, before the device is unbound.
    pub(super) unsafe fn new(top: &CStr, attached: Arc<Attached<'bound, T>>) -> Option<Self> {
        let dev = attached.dev;
        // SAFETY: The caller promises the same.
        unsafe { Self::register(top, attached) }
            .inspect_err(|e| dev_err!(dev, "no device file: {}\n", Errno(*e)))
            .ok()
    }

    /// # Safety
    ///
    /// As for [`DeviceFile::new`].
    unsafe fn register(top: &CStr, attached: Arc<Attached<'bound, T>>) -> Result<Self> {
        // INVARIANT: It is valid for as long as `attached` is kept: the drop takes it out.
        let target = Target(core::ptr::from_ref(&*attached).cast());
        let gate = Arc::pin_init(Gate::new(target), GFP_KERNEL)?;

        let name = CString::try_from_fmt(fmt!("{top}/{}", attached.dev.name()))?;
        let misc = bindings::miscdevice {
            minor: bindings::MISC_DYNAMIC_MINOR as c_int,
            name: name.as_char_ptr(),
            fops: &Fops::<T>::FILE,
            parent: attached.dev.as_raw(),
            mode: 0o600,
            ..pin_init::zeroed()
        };
        let entry = DeviceEntry {
            misc: Opaque::new(misc),
            name,
            gate,
        };
        let entry = KBox::into_pin(KBox::new(entry, GFP_KERNEL)?);

        // SAFETY: The structure is filled in, its name lives as long as it does, and it stays where
        // it is until it is taken out by the drop of the value that is made here.
        to_result(unsafe { bindings::misc_register(entry.misc.get()) })?;

        // INVARIANT: It was just registered.
        Ok(Self {
            entry,
            _attached: attached,
        })
    }
}

impl<T: Backed> Drop for DeviceFile<'_, T> {
    fn drop(&mut self) {
        // After this, nothing opens the file any more.
        // SAFETY: By the type invariants, it is registered.
        unsafe { bindings::misc_deregister(self.entry.misc.get()) };

        // And after this, what is open has no device.
        *self.entry.gate.target.lock() = None;
    }
}

/// The C side of the file.
struct Fops<T>(PhantomData<T>);

impl<T: Backed> Fops<T> {
    const FILE: bindings::file_operations = bindings::file_operations {
        owner: module::OWNER,
        open: Some(Self::open),
        release: Some(Self::release),
        read: Some(Self::read),
        write: Some(Self::write),
        mmap: Some(Self::mmap),
        // There is no end before something is held.
        llseek: Some(bindings::no_seek_end_llseek),
        ..pin_init::zeroed()
    };

    const MAPPING: bindings::vm_operations_struct = bindings::vm_operations_struct {
        open: Some(Self::mapping_open),
        close: Some(Self::mapping_close),
        fault: Some(Self::fault),
        ..pin_init::zeroed()
    };

    /// # Safety
    ///
    /// To be called by `misc_open` only, for a file that [`DeviceFile::register`] has registered.
    unsafe extern "C" fn open(_: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        from_result(|| {
            if !module::is_loaded() {
                return Err(ENXIO);
            }
            // SAFETY: `misc_open` passes the registered structure, which begins an entry, and keeps
            // it registered during the call.
            let entry = unsafe { &*(*file).private_data.cast::<DeviceEntry<T>>() };
            let space = entry.gate.make_space(&entry.name)?;

            // SAFETY: The file is being opened, and nobody else uses it yet. The gate that it gets
            // keeps the address space until it is released.
            unsafe {
                (*file).f_mapping = space.as_raw();
                (*file).private_data = Arc::into_raw(entry.gate.clone()).cast_mut().cast();
            }
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// To be called by the kernel only, for a file that [`Fops::open`] has opened.
    unsafe extern "C" fn release(_: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        // SAFETY: `open` has stored it, and nobody uses the file any more.
        drop(unsafe { Arc::from_raw((*file).private_data.cast::<Gate<T>>().cast_const()) });
        0
    }

    /// Returns the gate of an open file.
    ///
    /// # Safety
    ///
    /// [`Fops::open`] must have opened it, and it must stay open for `'a`.
    unsafe fn gate<'a>(file: *mut bindings::file) -> &'a Gate<T> {
        // SAFETY: `open` has stored it, with a reference that lasts until `release`.
        unsafe { &*(*file).private_data.cast::<Gate<T>>() }
    }

    /// # Safety
    ///
    /// To be called by the kernel only, for a file that [`Fops::open`] has opened.
    unsafe extern "C" fn read(
        file: *mut bindings::file,
        to: *mut c_char,
        len: usize,
        pos: *mut bindings::loff_t,
    ) -> isize {
        // SAFETY: The file is open during the call, and `pos` is the caller's for it.
        let (gate, pos) = unsafe { (Self::gate(file), &mut *pos) };
        let mut to = UserSlice::new(UserPtr::from_ptr(to.cast()), len).writer();

        from_result(|| {
            let space = gate.space()?;
            in_parts(len, pos, |bounce, at, of| {
                let len = gate.with(|attached| {
                    let size = with_memory(attached, Access::Read, |mut lent| {
                        if is_other(of, lent.window(&space)?) {
                            return Ok(Ok(0));
                        }
                        if at > lent.size() {
                            return Ok(Err(lent.size()));
                        }
                        Ok(Ok(lent.copy_to(at, bounce)))
                    })?;
                    size.map_err(|size| {
                        T::refused(
                            attached,
                            Access::Read,
                            fmt!("byte {at} is not valid: allowed are 0 to {size}"),
                        );
                        EINVAL
                    })
                })?;
                to.write_slice(bounce.get(..len).ok_or(EIO)?)?;
                Ok(len)
            })
        })
    }

    /// # Safety
    ///
    /// To be called by the kernel only, for a file that [`Fops::open`] has opened.
    unsafe extern "C" fn write(
        file: *mut bindings::file,
        from: *const c_char,
        len: usize,
        pos: *mut bindings::loff_t,
    ) -> isize {
        // SAFETY: The file is open during the call, and `pos` is the caller's for it.
        let (gate, pos) = unsafe { (Self::gate(file), &mut *pos) };
        let mut from = UserSlice::new(UserPtr::from_ptr(from.cast_mut().cast()), len).reader();
        let first = usize::try_from(*pos);

        from_result(|| {
            let (first, space) = (first?, gate.space()?);
            in_parts(len, pos, |bounce, at, of| {
                from.read_slice(bounce)?;
                gate.with(|attached| {
                    let size = with_memory(attached, Access::Write, |mut lent| {
                        if is_other(of, lent.window(&space)?) {
                            return Ok(Ok(0));
                        }
                        // All of it, or nothing.
                        let end = first.checked_add(len);
                        if end.filter(|end| *end <= lent.size()).is_none() {
                            return Ok(Err(lent.size()));
                        }
                        Ok(Ok(lent.copy_from(at, bounce)))
                    })?;
                    size.map_err(|size| {
                        T::refused(
                            attached,
                            Access::Write,
                            fmt!("{len} bytes from {first} on are not valid: there are {size}"),
                        );
                        EINVAL
                    })
                })
            })
        })
    }

    /// # Safety
    ///
    /// To be called by the kernel only, for a file that [`Fops::open`] has opened.
    unsafe extern "C" fn mmap(
        file: *mut bindings::file,
        vma: *mut bindings::vm_area_struct,
    ) -> c_int {
        // SAFETY: The file is open during the call.
        let gate = unsafe { Self::gate(file) };
        // SAFETY: The mapping is new, and this thread's alone during the call.
        let (first, pages, is_shared, is_executable) = unsafe {
            (
                (*vma).vm_pgoff,
                helpers::alloclab_vma_pages(vma) as usize,
                helpers::alloclab_vma_is_shared(vma),
                helpers::alloclab_vma_is_executable(vma),
            )
        };

        from_result(|| {
            let space = gate.space()?;
            gate.with(|attached| {
                let refuse = |why: fmt::Arguments<'_>| {
                    T::refused(attached, Access::Map, why);
                    Err(EINVAL)
                };
                if !is_shared {
                    return refuse(fmt!("MAP_PRIVATE is not valid: allowed is MAP_SHARED"));
                }
                if is_executable {
                    return refuse(fmt!(
                        "PROT_EXEC is not valid: allowed are PROT_READ and PROT_WRITE"
                    ));
                }

                let window = with_memory(attached, Access::Map, |mut lent| {
                    let all = lent.size().div_ceil(PAGE_SIZE);
                    let end = first.checked_add(pages);
                    if end.filter(|end| *end <= all).is_none() {
                        return Ok(Err(all));
                    }
                    let window = lent.window(&space)?.clone();
                    // SAFETY: The mapping is new; the device is bound, as the memory is lent.
                    unsafe { helpers::alloclab_vma_prepare(vma, lent.device()) };
                    Ok(Ok(window))
                })?;
                let window = match window {
                    Ok(window) => window,
                    Err(all) => {
                        return refuse(fmt!(
                            "{pages} pages from {first} on are not valid: there are {all}"
                        ))
                    }
                };

                window.add_mapping();
                // SAFETY: The mapping is new. The operations expect the window, with a reference.
                unsafe {
                    (*vma).vm_private_data = Arc::into_raw(window).cast_mut().cast();
                    (*vma).vm_ops = &Self::MAPPING;
                }
                Ok(0)
            })
        })
    }

    /// Returns the window of a mapping.
    ///
    /// # Safety
    ///
    /// [`Fops::mmap`] must have made the mapping, and it must stay for `'a`.
    unsafe fn window<'a>(vma: *mut bindings::vm_area_struct) -> ArcBorrow<'a, Window> {
        // SAFETY: `mmap` has stored it, with a reference that lasts until `mapping_close`.
        unsafe { ArcBorrow::from_raw((*vma).vm_private_data.cast::<Window>().cast_const()) }
    }

    /// Another mapping was made of one, by `fork`, or because one was divided.
    ///
    /// # Safety
    ///
    /// To be called by the kernel only, for a copy of a mapping that [`Fops::mmap`] has made.
    unsafe extern "C" fn mapping_open(vma: *mut bindings::vm_area_struct) {
        // SAFETY: The mapping of which it is a copy has a reference during the call.
        let window: Arc<Window> = unsafe { Self::window(vma) }.into();
        window.add_mapping();
        // The copy's own reference.
        let _ = Arc::into_raw(window);
    }

    /// # Safety
    ///
    /// To be called by the kernel only, once for each mapping.
    unsafe extern "C" fn mapping_close(vma: *mut bindings::vm_area_struct) {
        // SAFETY: The mapping has a reference, which it uses no more.
        let window = unsafe { Arc::from_raw((*vma).vm_private_data.cast::<Window>().cast_const()) };
        window.remove_mapping();
    }

    /// # Safety
    ///
    /// To be called by the kernel only, for a fault in a mapping of [`Fops::mmap`].
    unsafe extern "C" fn fault(fault: *mut bindings::vm_fault) -> bindings::vm_fault_t {
        // SAFETY: The kernel keeps the mapping, and with it its file, during the fault.
        let (gate, window) = unsafe {
            let vma = helpers::alloclab_fault_vma(fault);
            (Self::gate((*vma).vm_file), Self::window(vma))
        };

        gate.with(|attached| {
            with_memory(attached, Access::Fault, |lent| {
                // SAFETY: `mmap` has prepared the mapping, and given it a reference on the window.
                // The window's address space is that of the device, which is its file's, too.
                Ok(unsafe { lent.insert(&window, fault) })
            })
        })
        .unwrap_or(SIGBUS)
    }
}

/// Notes the memory of which the first part is; returns whether a later part is of another.
fn is_other(first: &mut Option<Arc<Window>>, window: &Arc<Window>) -> bool {
    !Arc::ptr_eq(first.get_or_insert_with(|| window.clone()), window)
}

/// Copies `len` bytes from `pos` on in parts that fit into a page, and moves `pos` on.
///
/// `part` gets the page, the place, and where to note the memory; it returns how many bytes it has
/// copied, less than there is room for at the end. Returns how many bytes were copied in all: what
/// happens after the first part ends it and is no error.
fn in_parts(
    len: usize,
    pos: &mut bindings::loff_t,
    mut part: impl FnMut(&mut [u8], usize, &mut Option<Arc<Window>>) -> Result<usize>,
) -> Result<isize> {
    let mut bounce = KVec::from_elem(0u8, len.min(PAGE_SIZE), GFP_KERNEL)?;
    let mut memory = None;
    let mut done = 0;

    loop {
        let at = usize::try_from(*pos)?;
        let room = (len - done).min(PAGE_SIZE);
        let copied = match part(bounce.get_mut(..room).ok_or(EIO)?, at, &mut memory) {
            Ok(copied) => copied,
            Err(e) if done == 0 => return Err(e),
            Err(_) => 0,
        };
        done += copied;
        *pos += bindings::loff_t::try_from(copied)?;

        if copied < room || done == len || current!().signal_pending() {
            return Ok(isize::try_from(done)?);
        }
    }
}

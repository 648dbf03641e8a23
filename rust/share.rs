// SPDX-License-Identifier: GPL-2.0

//! Memory that user space may have, too: copied, and mapped page by page, until it is freed.
//!
//! What user space has of it is revoked, not kept alive: before the memory is freed, every mapping
//! of it is emptied, and what touches one later gets SIGBUS.
//!
//! - A page goes into a mapping at the fault that asks for it and never before, with the memory
//!   borrowed: while a page is put in, nobody can drop the memory. A mapping that is not found when
//!   mappings are emptied has no page, and gets none any more.
//! - The mappings of all memory of one device have one address space, through which they are found.
//! - What was not initialised is filled before the first copy or mapping. After that nobody forms a
//!   reference to the bytes: C copies them, whoever changes them meanwhile.
//!
//! C headers: [`include/linux/mm.h`](srctree/include/linux/mm.h),
//! [`include/linux/anon_inodes.h`](srctree/include/linux/anon_inodes.h)

use core::{
    ops::Deref,
    ptr::NonNull, //
};

use kernel::{
    bindings,
    error::from_err_ptr,
    ffi::c_ulong,
    page::PAGE_SIZE,
    prelude::*,
    str::CStr,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    }, //
};

use super::{
    bound::BoundDevice,
    helpers,
    memory::{
        Memory,
        Owned,
        Owner,
        Release, //
    },
    module, //
};

/// Why memory of an allocator of objects is not shared.
pub(crate) const NEIGHBOURS: &str = "its pages may hold what belongs to others";

/// Memory in pages of its own.
///
/// # Safety
///
/// Where [`Paged::refusal`] is none, and until the value is dropped:
///
/// - The memory begins where a page begins. Its pages, the last one to its end, hold nothing else.
/// - [`Paged::pfn`] and [`Paged::with_page`] say where each page is.
pub(crate) unsafe trait Paged {
    /// Returns why user space cannot have it, if so.
    fn refusal(&self) -> Option<&'static str>;

    /// Returns the size in bytes.
    fn size(&self) -> usize;

    /// Fills what was not initialised, and zeroes what follows the memory in its last page.
    ///
    /// May sleep.
    ///
    /// # Safety
    ///
    /// There must be no refusal.
    unsafe fn initialise(&mut self);

    /// Returns the page frame number of a page of the memory.
    ///
    /// # Safety
    ///
    /// The page must be one of the memory's, of which there must be no refusal.
    unsafe fn pfn(&self, page: usize) -> c_ulong;

    /// Gives the address of a page of the memory to `work`, which must not sleep.
    fn with_page(&self, page: usize, work: &mut dyn FnMut(*mut u8));

    /// Returns the device for which the memory was allocated: its attributes are a mapping's.
    fn device(&self) -> Option<BoundDevice<'_>> {
        None
    }
}

/// Where memory in pages of its own goes back to.
///
/// # Safety
///
/// Where [`OwnPages::refusal`] is none, the pages of the memory that [`Owned::of`] got together
/// with `self` hold nothing else, the last one to its end.
pub(crate) unsafe trait OwnPages: Release {
    /// As [`Paged::refusal`].
    fn refusal(&self, _memory: &Memory) -> Option<&'static str> {
        None
    }

    /// As [`Paged::device`].
    fn device(&self) -> Option<BoundDevice<'_>> {
        None
    }
}

// SAFETY: The source promises the one, and `refusal` looks at the other.
unsafe impl<R: OwnPages> Paged for Owned<R> {
    fn refusal(&self) -> Option<&'static str> {
        if !self.memory().begins_a_page() {
            return Some(NEIGHBOURS);
        }
        self.source.refusal(self.memory())
    }

    fn size(&self) -> usize {
        self.memory().size()
    }

    unsafe fn initialise(&mut self) {
        // SAFETY: By the safety requirements, what the source promises holds.
        unsafe { Owned::initialise(self) };
    }

    unsafe fn pfn(&self, page: usize) -> c_ulong {
        // SAFETY: By the safety requirements.
        unsafe { self.memory().pfn(page) }
    }

    fn with_page(&self, page: usize, work: &mut dyn FnMut(*mut u8)) {
        work(self.memory().page(page));
    }

    fn device(&self) -> Option<BoundDevice<'_>> {
        self.source.device()
    }
}

/// An address space: all mappings of a device's file belong to it, whatever file was opened.
///
/// # Invariants
///
/// The pointer is an inode on which the value has a reference, and which nothing else uses.
pub(super) struct Space(NonNull<bindings::inode>);

// SAFETY: An inode may be used and given back from any thread.
unsafe impl Send for Space {}

// SAFETY: As for `Send`; inodes do their own locking.
unsafe impl Sync for Space {}

impl Space {
    /// Makes one; `name` is for security modules. Sleeps. Returns `ENOMEM`, `ENFILE`.
    pub(super) fn new(name: &CStr) -> Result<Self> {
        const NONE: bindings::file_operations = bindings::file_operations {
            owner: module::OWNER,
            ..pin_init::zeroed()
        };

        // SAFETY: The name is terminated and copied. The operations are static.
        let inode = unsafe { helpers::alloclab_anon_inode(name.as_char_ptr(), &NONE) };

        // INVARIANT: The inode is new, and the reference is ours.
        NonNull::new(from_err_ptr(inode)?).map(Self).ok_or(ENOMEM)
    }

    /// Returns what mappings are found by; valid for as long as the value lives.
    pub(super) fn as_raw(&self) -> *mut bindings::address_space {
        // SAFETY: By the type invariants, the inode is valid.
        unsafe { (*self.0.as_ptr()).i_mapping }
    }
}

impl Clone for Space {
    fn clone(&self) -> Self {
        // SAFETY: By the type invariants, the inode is valid and has a reference.
        unsafe { bindings::ihold(self.0.as_ptr()) };
        // INVARIANT: The reference was just taken.
        Self(self.0)
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        // SAFETY: By the type invariants, the reference is ours to give back.
        unsafe { bindings::iput(self.0.as_ptr()) };
    }
}

/// What user space has of one allocation; it is the allocation's alone, so that a mapping knows by
/// it what it was made of.
pub(super) struct Window {
    space: Space,
    mappings: Atomic<i64>,
}

impl Window {
    /// Notes one more mapping. Any context.
    pub(super) fn add_mapping(&self) {
        self.mappings.fetch_add(1, Relaxed);
    }

    /// Notes one mapping less. Any context.
    pub(super) fn remove_mapping(&self) {
        self.mappings.fetch_add(-1, Relaxed);
    }
}

/// The allocation's hold of its window; dropping it empties all mappings.
struct Opened(Arc<Window>);

impl Drop for Opened {
    /// Sleeps.
    fn drop(&mut self) {
        // SAFETY: The window keeps the address space.
        unsafe { bindings::unmap_mapping_range(self.0.space.as_raw(), 0, 0, 1) };
    }
}

/// Memory that user space may have; dropping it takes it away from there, then frees it.
///
/// The drop sleeps if anybody has had it. It takes the lock `i_mmap_rwsem`, which comes after
/// `mmap_lock`.
pub(crate) struct Shared<O> {
    // Dropped before `owner`: after it no mapping has a page of the memory.
    //
    // None until the first copy or mapping.
    window: Option<Opened>,
    owner: O,
}

impl<O> Shared<O> {
    /// Makes it of memory that nobody has had yet.
    #[inline(always)]
    pub(crate) fn new(owner: O) -> Self {
        Self {
            window: None,
            owner,
        }
    }
}

impl<O: Paged> Shared<O> {
    /// Returns the memory for user space, or why it cannot have it.
    pub(crate) fn lend(&mut self) -> Result<Lent<'_>, &'static str> {
        self.owner.refusal().map_or(Ok(()), Err)?;
        Ok(Lent {
            window: &mut self.window,
            memory: &mut self.owner,
        })
    }

    /// Returns the owner, unless user space has had the memory.
    pub(crate) fn alone(&mut self) -> Option<&mut O> {
        self.window.is_none().then_some(&mut self.owner)
    }
}

impl<O> Deref for Shared<O> {
    type Target = O;

    fn deref(&self) -> &O {
        &self.owner
    }
}

impl<O: Owner + Paged> Owner for Shared<O> {
    fn memory(&self) -> &Memory {
        self.owner.memory()
    }

    /// None of them once user space has had the memory: they may change at any time.
    fn bytes(&mut self) -> &mut [u8] {
        match self.alone() {
            Some(owner) => owner.bytes(),
            None => &mut [],
        }
    }
}

/// Memory that is lent to user space for one access.
///
/// # Invariants
///
/// The memory has no refusal. Where there is a window, the memory is initialised to the end of its
/// last page, and no reference to its bytes is formed.
pub(crate) struct Lent<'a> {
    window: &'a mut Option<Opened>,
    memory: &'a mut dyn Paged,
}

impl Lent<'_> {
    /// Returns how many mappings of the memory there are.
    pub(crate) fn mappings(&self) -> u64 {
        let mappings = self
            .window
            .as_ref()
            .map(|window| window.0.mappings.load(Relaxed));
        mappings.map_or(0, i64::unsigned_abs)
    }

    /// Returns the size in bytes.
    pub(super) fn size(&self) -> usize {
        self.memory.size()
    }

    /// Returns the device for which the memory was allocated, to set up a mapping.
    pub(super) fn device(&self) -> *mut bindings::device {
        let device = self.memory.device();
        device.map_or(core::ptr::null_mut(), BoundDevice::as_raw)
    }

    /// Returns the window; at the first call, fills what was not initialised and opens it.
    ///
    /// Sleeps. Returns `ENOMEM`.
    pub(super) fn window(&mut self, space: &Space) -> Result<&Arc<Window>> {
        if self.window.is_none() {
            let window = Window {
                space: space.clone(),
                mappings: Atomic::new(0),
            };
            let window = Arc::new(window, GFP_KERNEL)?;
            // SAFETY: By the type invariants, there is no refusal.
            unsafe { self.memory.initialise() };
            // INVARIANT: It was just initialised.
            *self.window = Some(Opened(window));
        }
        self.window.as_ref().map(|window| &window.0).ok_or(ENOMEM)
    }

    /// Returns whether `window` is the memory's.
    pub(super) fn is_of(&self, window: &Window) -> bool {
        let own = self.window.as_ref();
        own.is_some_and(|own| core::ptr::eq(&*own.0, window))
    }

    /// Copies from the memory, from `at` on; returns how many bytes, less than asked for at its
    /// end. There must be a window.
    pub(super) fn copy_to(&self, at: usize, to: &mut [u8]) -> usize {
        let len = self.rest(at).min(to.len());
        let to = to.as_mut_ptr();
        self.each_part(at, len, &mut |page, done, part| {
            // SAFETY: `part` bytes from `page` on are of the memory's pages. As many from `done` on
            // are in `to`, by the limits of `each_part`.
            unsafe { helpers::alloclab_copy(to.add(done).cast(), page.cast(), part) };
        });
        len
    }

    /// Copies to the memory, from `at` on, as [`Lent::copy_to`].
    pub(super) fn copy_from(&self, at: usize, from: &[u8]) -> usize {
        let len = self.rest(at).min(from.len());
        let from = from.as_ptr();
        self.each_part(at, len, &mut |page, done, part| {
            // SAFETY: As in `copy_to`. Nobody has a reference to what is changed: where there is a
            // window, by the type invariants; where there is none, the memory is borrowed.
            unsafe { helpers::alloclab_copy(page.cast(), from.add(done).cast(), part) };
        });
        len
    }

    /// Returns how many bytes there are from `at` on; none without a window.
    fn rest(&self, at: usize) -> usize {
        let size = if self.window.is_some() {
            self.size()
        } else {
            0
        };
        size.saturating_sub(at)
    }

    /// Calls `work` with each part of `len` bytes from `at` on that lies in one page: its address,
    /// how many bytes came before, its length.
    fn each_part(&self, at: usize, len: usize, work: &mut dyn FnMut(*mut u8, usize, usize)) {
        let mut done = 0;
        while done < len {
            let (page, offset) = ((at + done) / PAGE_SIZE, (at + done) % PAGE_SIZE);
            let part = (len - done).min(PAGE_SIZE - offset);
            self.memory.with_page(page, &mut |start| {
                work(start.wrapping_add(offset), done, part);
            });
            done += part;
        }
    }

    /// Puts the page for which a fault asks into the mapping. May sleep.
    ///
    /// Returns what a fault handler returns: `VM_FAULT_SIGBUS` if the mapping is of other memory,
    /// or the page is beyond the memory.
    ///
    /// # Safety
    ///
    /// `fault` must be the fault that is handled, in a mapping with `VM_PFNMAP` whose file has the
    /// address space of `window`, and which holds a reference on `window`.
    pub(super) unsafe fn insert(
        &self,
        window: &Window,
        fault: *mut bindings::vm_fault,
    ) -> bindings::vm_fault_t {
        // SAFETY: By the safety requirements.
        let page = unsafe { helpers::alloclab_fault_page(fault) } as usize;
        if !self.is_of(window) || page >= self.size().div_ceil(PAGE_SIZE) {
            return SIGBUS;
        }

        // SAFETY:
        // - The mapping is as the function asks for, and the page is one of the memory's. By the
        //   type invariants, it holds nothing else and is initialised to its end.
        // - The page is in the mapping when the borrow of the memory ends. Before the memory is
        //   freed, the drop of `Opened` takes it out again: a mapping that has faults is known to
        //   its address space.
        unsafe { helpers::alloclab_insert_pfn(fault, self.memory.pfn(page)) }
    }
}

/// What a fault gets that no page answers.
pub(super) const SIGBUS: bindings::vm_fault_t =
    bindings::vm_fault_reason_VM_FAULT_SIGBUS as bindings::vm_fault_t;

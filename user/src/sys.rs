// SPDX-License-Identifier: GPL-2.0

//! What needs `unsafe`: the C library's allocators, mappings that may be taken away, registers,
//! and a request to the GPIO character device. What is outside of this file is safe.

#![allow(unsafe_code)]

use std::{
    ffi::{CStr, c_int, c_void},
    fs::File,
    io,
    mem::{self, MaybeUninit},
    num::NonZeroUsize,
    os::fd::{AsFd, AsRawFd},
    ptr::{self, NonNull},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

use rustix::mm::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};

/// The bytes of a page.
pub fn page_size() -> usize {
    rustix::param::page_size()
}

/// How many page faults this process has had that read nothing from a disk.
pub fn minor_faults() -> u64 {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the pointer is valid for writing a `rusage`, which getrusage() is given to fill.
    let result = unsafe { libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()) };
    if result != 0 {
        return 0;
    }
    // SAFETY: all of it was zeroed, and integers may have any value.
    let usage = unsafe { usage.assume_init() };
    usage.ru_minflt.try_into().unwrap_or(0)
}

/// Where the heap ends that brk(2) makes.
pub fn program_break() -> usize {
    // SAFETY: an increment of 0 changes nothing.
    unsafe { libc::sbrk(0) }.addr()
}

/// Which C library this program is linked with.
#[cfg(target_env = "gnu")]
pub fn c_library() -> String {
    // SAFETY: it takes nothing, and what it returns is a string of the library's, which stays.
    let version = unsafe { CStr::from_ptr(libc::gnu_get_libc_version()) };
    format!("GNU C Library {}", version.to_string_lossy())
}

/// Who a block goes back to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    CLibrary,
    Kernel,
}

/// Memory of a method of user space.
///
/// # Invariants
///
/// `address` is what the owner gave for `size` bytes, and was not given back. The first `written`
/// of them, which are no more than `size`, have a value.
#[derive(Debug)]
pub struct Block {
    address: NonNull<u8>,
    size: usize,
    written: usize,
    owner: Owner,
}

impl Block {
    /// Our callers pass what the owner has just given for `size` bytes, of which `written` have a
    /// value.
    fn new(address: *mut c_void, size: usize, written: usize, owner: Owner) -> io::Result<Self> {
        let address = NonNull::new(address.cast()).ok_or_else(io::Error::last_os_error)?;
        // INVARIANT: it is as our callers say.
        Ok(Self {
            address,
            size,
            written: written.min(size),
            owner,
        })
    }

    /// Calls malloc(3). What it gives may be a null pointer for 0 bytes, which is an error here.
    pub fn malloc(size: usize) -> io::Result<Self> {
        // SAFETY: it may be called with any size.
        Self::new(unsafe { libc::malloc(size) }, size, 0, Owner::CLibrary)
    }

    /// Calls calloc(3).
    pub fn calloc(size: usize) -> io::Result<Self> {
        // SAFETY: it may be called with any size.
        let address = unsafe { libc::calloc(1, size) };
        Self::new(address, size, size, Owner::CLibrary)
    }

    /// Calls mmap(2) for anonymous, private memory.
    pub fn mmap(size: usize) -> io::Result<Self> {
        let (prot, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE);
        // SAFETY: the kernel chooses a place that nothing has.
        let address = unsafe { mmap_anonymous(ptr::null_mut(), size, prot, flags) }?;
        Self::new(address, size, size, Owner::Kernel)
    }

    /// Calls realloc(3) for a block of the C library's. If it fails, the old block stays.
    pub fn realloc(self, size: usize) -> Result<Self, (Self, io::Error)> {
        if self.owner != Owner::CLibrary || size == 0 {
            return Err((self, io::ErrorKind::InvalidInput.into()));
        }
        // SAFETY: by the invariants, the address is one of the C library's that was not given
        // back. If another one comes of it, this one is not used any more: `self` is forgotten.
        let address = unsafe { libc::realloc(self.address.as_ptr().cast(), size) };
        match Self::new(address, size, self.written, Owner::CLibrary) {
            Ok(block) => {
                mem::forget(self);
                Ok(block)
            }
            Err(error) => Err((self, error)),
        }
    }

    /// Where it is.
    pub fn address(&self) -> usize {
        self.address.addr().get()
    }

    /// How many bytes were asked for.
    pub fn size(&self) -> usize {
        self.size
    }

    /// How many bytes may be used: what malloc_usable_size(3) says, or whole pages.
    pub fn usable(&self) -> usize {
        match self.owner {
            // SAFETY: by the invariants, the address is one of the C library's.
            Owner::CLibrary => unsafe { libc::malloc_usable_size(self.address.as_ptr().cast()) },
            Owner::Kernel => self.size.next_multiple_of(page_size()),
        }
    }

    /// Writes `value` at a place, if it is inside.
    pub fn write(&mut self, at: usize, value: u8) {
        if at < self.size {
            // SAFETY: by the invariants, the block has `size` bytes, and `at` is below that.
            unsafe { self.address.add(at).write_volatile(value) };
        }
        if at == self.written && at < self.size {
            // INVARIANT: the bytes below have a value, and this one has got one.
            self.written += 1;
        }
    }

    /// The byte at a place, if that is among the first bytes that have a value.
    pub fn read(&self, at: usize) -> Option<u8> {
        if at >= self.written {
            return None;
        }
        // SAFETY: by the invariants, the block has more than `at` bytes, and this one has a value.
        Some(unsafe { self.address.add(at).read_volatile() })
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        let address = self.address.as_ptr().cast();
        match self.owner {
            // SAFETY: by the invariants, it is one of the C library's that was not given back.
            Owner::CLibrary => unsafe { libc::free(address) },
            Owner::Kernel => {
                // SAFETY: by the invariants, mmap() gave so many bytes there, and nothing refers
                // to them any more.
                let _ = unsafe { munmap(address, self.size) };
            }
        }
    }
}

/// The mapping whose loss is being watched for: where it begins, how many bytes, whether it was
/// lost. One at a time.
static GUARDED: AtomicBool = AtomicBool::new(false);
static START: AtomicUsize = AtomicUsize::new(0);
static BYTES: AtomicUsize = AtomicUsize::new(0);
static LOST: AtomicBool = AtomicBool::new(false);

/// Puts empty memory in the place of the mapping that an access has found gone, so that the access
/// can be carried out; whoever made it then looks at `LOST`.
///
/// A signal handler: it calls nothing but system calls, and takes no lock.
extern "C" fn on_sigbus(_: c_int, info: *mut libc::siginfo_t, _: *mut c_void) {
    // SAFETY: the handler is registered with SA_SIGINFO, so the kernel passes a valid `info`,
    // which has an address for SIGBUS.
    let address = unsafe { (*info).si_addr() }.addr();
    let (start, bytes) = (START.load(Ordering::Relaxed), BYTES.load(Ordering::Relaxed));
    if address.wrapping_sub(start) < bytes {
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_FIXED | libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        let place = ptr::with_exposed_provenance_mut(start);
        // SAFETY: `START` and `BYTES` are those of a live `Mapping`, which nothing refers to but
        // by volatile accesses. It is not unmapped: what unmaps it ends the guard first.
        let put = unsafe { libc::mmap(place, bytes, prot, flags, -1, 0) };
        if put != libc::MAP_FAILED {
            LOST.store(true, Ordering::Relaxed);
            return;
        }
    }
    // Not ours: the access is made again and ends the process.
    // SAFETY: SIG_DFL is a valid disposition.
    unsafe { libc::signal(libc::SIGBUS, libc::SIG_DFL) };
}

/// A shared mapping that its owner may take away at any time.
///
/// # Invariants
///
/// `bytes` bytes at `address` are mapped, the device's or, after it was taken away, ours.
/// `START` and `BYTES` say the same.
#[derive(Debug)]
pub struct Mapping {
    address: NonNull<u8>,
    bytes: usize,
    writable: bool,
}

/// An access that found the mapping taken away.
#[derive(Debug)]
pub struct Lost;

impl Mapping {
    /// Maps the first `bytes` bytes of a file. There may be one mapping at a time.
    pub fn new(file: &File, bytes: usize, writable: bool) -> io::Result<Self> {
        if GUARDED.swap(true, Ordering::Relaxed) {
            return Err(io::ErrorKind::ResourceBusy.into());
        }
        let mapping = Self::guarded(file, bytes, writable);
        if mapping.is_err() {
            GUARDED.store(false, Ordering::Relaxed);
        }
        mapping
    }

    fn guarded(file: &File, bytes: usize, writable: bool) -> io::Result<Self> {
        let prot = if writable {
            ProtFlags::READ | ProtFlags::WRITE
        } else {
            ProtFlags::READ
        };
        catch_sigbus()?;
        // SAFETY: the kernel chooses a place that nothing has. Other processes and the kernel may
        // change the bytes: they are accessed by volatile accesses alone.
        let address = unsafe {
            mmap(
                ptr::null_mut(),
                bytes,
                prot,
                MapFlags::SHARED,
                file.as_fd(),
                0,
            )
        }?;
        let address = NonNull::new(address.cast::<u8>()).ok_or(io::ErrorKind::Other)?;
        START.store(address.as_ptr().expose_provenance(), Ordering::Relaxed);
        BYTES.store(bytes.next_multiple_of(page_size()), Ordering::Relaxed);
        LOST.store(false, Ordering::Relaxed);
        // INVARIANT: as many bytes were mapped there, and both statics say so.
        Ok(Self {
            address,
            bytes,
            writable,
        })
    }

    /// How many bytes it has.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Copies the bytes from `at` on; those beyond the end stay as they are.
    pub fn read(&self, at: usize, into: &mut [u8]) -> Result<(), Lost> {
        for (place, byte) in (at..self.bytes).zip(into) {
            // SAFETY: by the invariants, this byte is mapped. Where its owner has taken it away,
            // the handler puts memory there before the access is made again.
            *byte = unsafe { self.address.add(place).read_volatile() };
        }
        self.found()
    }

    /// Copies bytes to `at`; none if the mapping is not to be written, and none beyond its end.
    pub fn write(&mut self, at: usize, from: &[u8]) -> Result<(), Lost> {
        if self.writable {
            for (place, byte) in (at..self.bytes).zip(from) {
                // SAFETY: as in `read`; it was mapped for writing.
                unsafe { self.address.add(place).write_volatile(*byte) };
            }
        }
        self.found()
    }

    fn found(&self) -> Result<(), Lost> {
        if LOST.load(Ordering::Relaxed) {
            return Err(Lost);
        }
        Ok(())
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        BYTES.store(0, Ordering::Relaxed);
        // SAFETY: by the invariants, these bytes are mapped, and nothing refers to them any more.
        let _ = unsafe { munmap(self.address.as_ptr().cast(), self.bytes) };
        GUARDED.store(false, Ordering::Relaxed);
    }
}

fn catch_sigbus() -> io::Result<()> {
    let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) = on_sigbus;
    // SAFETY: all zeros are a valid `sigaction`: the default disposition, no flags, no mask.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    action.sa_sigaction = handler as usize;
    action.sa_flags = libc::SA_SIGINFO;
    // SAFETY: the handler has the signature that SA_SIGINFO asks for, and does only what a signal
    // handler may.
    if unsafe { libc::sigaction(libc::SIGBUS, &action, ptr::null_mut()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Registers of 32 bits, mapped.
///
/// # Invariants
///
/// `bytes` bytes at `address` are mapped, to be read and written.
#[derive(Debug)]
pub struct Registers {
    address: NonNull<u8>,
    bytes: NonZeroUsize,
}

impl Registers {
    /// Maps `bytes` bytes of a file from `base` on, both of whole pages.
    pub fn new(file: &File, base: u64, bytes: NonZeroUsize) -> io::Result<Self> {
        let (prot, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
        // SAFETY: the kernel chooses a place that nothing has. What is mapped is accessed by
        // volatile accesses alone.
        let address = unsafe {
            mmap(
                ptr::null_mut(),
                bytes.get(),
                prot,
                flags,
                file.as_fd(),
                base,
            )
        }?;
        let address = NonNull::new(address.cast()).ok_or(io::ErrorKind::Other)?;
        // INVARIANT: as many bytes were mapped there.
        Ok(Self { address, bytes })
    }

    fn register(&self, offset: usize) -> Option<NonNull<u32>> {
        let is_inside = offset % 4 == 0 && offset < self.bytes.get() / 4 * 4;
        // SAFETY: by the invariants, the bytes up to `bytes` are mapped, and the four from
        // `offset` on are among them.
        is_inside.then(|| unsafe { self.address.add(offset) }.cast())
    }

    /// The value of the register at an offset in bytes; nothing where there is none.
    pub fn read(&self, offset: usize) -> Option<u32> {
        let register = self.register(offset)?;
        // SAFETY: `register` is mapped, and aligned: a mapping begins with a page. Reading a GPIO
        // controller's register has no effect on memory.
        Some(unsafe { register.read_volatile() })
    }

    /// Sets the register at an offset in bytes; does nothing where there is none.
    pub fn write(&self, offset: usize, value: u32) {
        if let Some(register) = self.register(offset) {
            // SAFETY: as in `read`.
            unsafe { register.write_volatile(value) };
        }
    }
}

impl Drop for Registers {
    fn drop(&mut self) {
        // SAFETY: by the invariants, these bytes are mapped, and nothing refers to them any more.
        let _ = unsafe { munmap(self.address.as_ptr().cast(), self.bytes.get()) };
    }
}

/// `struct gpio_v2_line_info` of include/uapi/linux/gpio.h.
#[repr(C)]
struct LineInfo {
    name: [u8; 32],
    consumer: [u8; 32],
    offset: u32,
    num_attrs: u32,
    flags: u64,
    attrs: [[u64; 2]; 10],
    padding: [u32; 4],
}

/// `_IOWR(0xB4, 0x05, struct gpio_v2_line_info)`.
const GPIO_V2_GET_LINEINFO_IOCTL: u32 = (3 << 30) | ((size_of::<LineInfo>() as u32) << 16) | 0xb405;
const GPIO_V2_LINE_FLAG_USED: u64 = 1;

/// What the kernel says of a line of a GPIO character device: who has claimed it, if anyone.
pub fn line_consumer(chip: &File, line: u32) -> io::Result<Option<String>> {
    // SAFETY: integers may be zero.
    let mut info: LineInfo = unsafe { mem::zeroed() };
    info.offset = line;
    let request = GPIO_V2_GET_LINEINFO_IOCTL;
    // SAFETY: this request reads and writes a `gpio_v2_line_info`, which `info` is laid out as. On
    // a file of another kind it is an error.
    if unsafe { libc::ioctl(chip.as_raw_fd(), request as _, &raw mut info) } < 0 {
        return Err(io::Error::last_os_error());
    }
    let used = info.flags & GPIO_V2_LINE_FLAG_USED != 0;
    let name: Vec<u8> = info
        .consumer
        .into_iter()
        .take_while(|&byte| byte != 0)
        .collect();
    Ok(used.then(|| String::from_utf8_lossy(&name).into_owned()))
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        io::{Read, Seek, Write},
        sync::Mutex,
    };

    use super::*;

    /// There may be one `Mapping` at a time.
    static ONE: Mutex<()> = Mutex::new(());

    fn file(name: &str, content: &[u8]) -> File {
        let path = std::env::temp_dir().join(format!("alloclab-{}-{name}", std::process::id()));
        let options = || File::options().read(true).write(true).create(true).clone();
        let mut file = options().truncate(true).open(&path).unwrap();
        fs::remove_file(path).unwrap();
        file.write_all(content).unwrap();
        file
    }

    #[test]
    fn the_request_is_the_kernels() {
        assert_eq!(size_of::<LineInfo>(), 256);
        assert_eq!(GPIO_V2_GET_LINEINFO_IOCTL, 0xc100_b405);
    }

    #[test]
    fn blocks() {
        for mut block in
            [Block::malloc(100), Block::calloc(100), Block::mmap(100)].map(|b| b.unwrap())
        {
            assert!(block.usable() >= 100);
            for at in 0..100 {
                block.write(at, 7);
            }
            assert_eq!(block.read(99), Some(7));
            block.write(100, 7);
            assert_eq!(block.read(100), None);
        }
        let zeroed = Block::calloc(5000).unwrap();
        assert!((0..5000).all(|at| zeroed.read(at) == Some(0)));
    }

    #[test]
    fn what_was_not_written_is_not_read() {
        let mut block = Block::malloc(10).unwrap();
        assert_eq!(block.read(0), None);
        block.write(1, 1);
        assert_eq!((block.read(0), block.read(1)), (None, None));
        block.write(0, 1);
        assert_eq!(block.read(0), Some(1));
    }

    #[test]
    fn realloc_keeps_the_old_block_when_it_fails() {
        let mut block = Block::malloc(10).unwrap();
        (0..10).for_each(|at| block.write(at, 42));
        let address = block.address();
        let (block, error) = block.realloc(usize::MAX / 2).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOMEM));
        assert_eq!((block.address(), block.size()), (address, 10));
        assert_eq!(block.read(9), Some(42));
        let block = block.realloc(100_000).unwrap();
        assert_eq!(
            (block.size(), block.read(9), block.read(10)),
            (100_000, Some(42), None)
        );
        assert!(block.realloc(0).is_err());
    }

    #[test]
    fn memory_that_there_is_not() {
        for result in [Block::malloc, Block::calloc, Block::mmap].map(|f| f(usize::MAX / 2)) {
            assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::ENOMEM));
        }
    }

    #[test]
    fn a_mapping_is_the_file() {
        let _one = ONE.lock();
        let mut file = file("mapping", b"0123456789");
        let mut mapping = Mapping::new(&file, 10, true).unwrap();
        assert!(Mapping::new(&file, 10, true).is_err());
        let mut bytes = [0; 12];
        mapping.read(4, &mut bytes).unwrap();
        assert_eq!(&bytes, b"456789\0\0\0\0\0\0");
        mapping.write(8, b"abcd").unwrap();
        drop(mapping);
        let mut text = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "01234567ab");
    }

    #[test]
    fn a_mapping_that_is_taken_away_is_an_error() {
        let _one = ONE.lock();
        let file = file("lost", b"0123456789");
        let mut mapping = Mapping::new(&file, 10, true).unwrap();
        let mut byte = [0];
        assert!(mapping.read(0, &mut byte).is_ok());
        // Beyond a file's end, an access gives SIGBUS.
        file.set_len(0).unwrap();
        assert!(mapping.read(0, &mut byte).is_err());
        assert!(mapping.write(0, b"x").is_err());
        drop(mapping);
        assert!(Mapping::new(&file, 10, false).is_ok());
    }

    #[test]
    fn registers() {
        let bytes = NonZeroUsize::new(8).unwrap();
        let registers = Registers::new(&file("registers", &[1, 0, 0, 0, 2, 0, 0, 0]), 0, bytes);
        let registers = registers.unwrap();
        assert_eq!(registers.read(4), Some(2));
        registers.write(0, 5);
        assert_eq!(registers.read(0), Some(5));
        for outside in [1, 8, usize::MAX] {
            assert_eq!(registers.read(outside), None);
            registers.write(outside, 1);
        }
    }

    #[test]
    fn only_a_gpio_chip_has_lines() {
        assert!(line_consumer(&file("chip", b""), 0).is_err());
    }

    #[test]
    fn page_faults_are_counted() {
        let before = minor_faults();
        let mut block = Block::mmap(64 * page_size()).unwrap();
        for page in 0..64 {
            block.write(page * page_size(), 1);
        }
        assert!(minor_faults() > before);
        assert!(program_break() > 0);
    }
}

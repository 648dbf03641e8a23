// SPDX-License-Identifier: GPL-2.0

//! Room for allocations that may be as large as the memory is.
//!
//! `vmalloc` asks for page after page, and each page alone is one for which the kernel never gives
//! up: it has the OOM killer end process after process, panics once there is none left, and with
//! flags that forbid file systems tries for ever. Its own check is for more than the machine has.
//! So who may ask for that much looks first whether it is there.
//!
//! C header: [`include/linux/mm.h`](srctree/include/linux/mm.h)

use kernel::{
    page::PAGE_SIZE,
    sync::atomic::{
        Atomic,
        Full, //
    }, //
};

use super::helpers;

/// Of what is available, this part is left to others, and to page tables.
const LEFT: u64 = 4;

/// What was promised to allocations that are not done, in bytes: what they have got so far counts
/// twice then, as it is not available any more either.
static PROMISED: Atomic<u64> = Atomic::new(0);

/// Memory that is there for an allocation of some size; to be kept until that is done.
///
/// Only who asks here counts: others may be faster, but they can be ended.
pub(crate) struct Room(u64);

impl Room {
    /// Takes room for `size` bytes. Any context.
    ///
    /// Where there is none, returns for how many bytes there is.
    pub(crate) fn new(size: usize) -> Result<Self, usize> {
        let room = Self(size as u64);
        // The sum cannot wrap: what does not fit is soon taken off again.
        let promised = PROMISED.fetch_add(room.0, Full);

        // SAFETY: The function reads counters.
        let pages = unsafe { helpers::alloclab_available_pages() } as u64;
        let available = pages.saturating_mul(PAGE_SIZE as u64);
        let most = (available - available / LEFT).saturating_sub(promised);
        if room.0 <= most {
            Ok(room)
        } else {
            Err(most as usize)
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        PROMISED.fetch_add(self.0.wrapping_neg(), Full);
    }
}

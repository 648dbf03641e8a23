# SPDX-License-Identifier: GPL-2.0
"""Nothing that is made of a device can be kept for longer than the device is bound."""

import re

import pytest

from guest.row import Row

# What a driver could do in safe code.
KEPT = """
use crate::rust::{{
    devm::DevmBlock,
    dma::CoherentBuffer,
    dma_pool::{{
        Blocks,
        DmaPool, //
    }},
    gfp::Gfp, //
}};
use kernel::{{
    c_str,
    sync::*, //
}};

static BLOCK: SetOnce<DevmBlock<'static>> = SetOnce::new();
static BUFFER: SetOnce<CoherentBuffer<'static>> = SetOnce::new();
static POOL: SetOnce<Arc<DmaPool<'static>>> = SetOnce::new();
static DEVICE: SetOnce<BoundDevice<'static>> = SetOnce::new();

fn keep(dev: BoundDevice<'_>) -> Result {{
    keep_block(dev)?;
    keep_buffer(dev)?;
    keep_pool(dev)?;
    keep_device(dev)
}}

fn keep_block(dev: BoundDevice<'_>) -> Result {{
    let block = DevmBlock::new(dev, 64, Gfp::KERNEL)?;
    {block}
    Ok(())
}}

fn keep_buffer(dev: BoundDevice<'_>) -> Result {{
    let buffer = CoherentBuffer::new(dev, 64, Gfp::KERNEL)?;
    {buffer}
    Ok(())
}}

fn keep_pool(dev: BoundDevice<'_>) -> Result {{
    let blocks = Blocks {{ bytes: 64, align: 64, boundary: 4096 }};
    let pool = DmaPool::new(c_str!("kept"), dev, blocks)?;
    {pool}
    Ok(())
}}

fn keep_device(device: BoundDevice<'_>) -> Result {{
    {device}
    Ok(())
}}
"""
# For a kernel that has none, as 6.18. Nothing of it is run. What may be changed keeps the lifetime.
SET_ONCE = """
struct SetOnce<T>(core::cell::UnsafeCell<Option<T>>);

#[allow(unsafe_code)]
unsafe impl<T> Sync for SetOnce<T> {}

impl<T> SetOnce<T> {
    const fn new() -> Self {
        Self(core::cell::UnsafeCell::new(None))
    }

    fn populate(&self, _value: T) {}
}
"""
NAMES = ("block", "buffer", "pool", "device")
# With 6.18, whose own traits want 'static.
KERNELS = ["debian", "6.18"]


def pytest_generate_tests(metafunc):
    """On the kernels of this run alone, as no test is to build one."""
    rows = [row.partition("=")[0] for row in metafunc.config.option.row or ["debian"]]
    metafunc.parametrize("kernel", [name for name in rows if name in KERNELS] or rows,
                         indirect=True)


@pytest.fixture(name="kernel")
def fixture_kernel(request):
    """The row of a kernel."""
    return Row.find(request.param)


def change(tree, kernel, **done):
    """Have the driver call `keep` in its probe."""
    lab = tree.directory / "src/lab.rs"
    text = lab.read_text(encoding="utf-8")
    asked = "let states = States::new("
    assert text.count(asked) == 1
    if not (kernel.source / "rust/kernel/sync/set_once.rs").is_file():
        text += SET_ONCE
    lab.write_text(text.replace(asked, "keep(dev)?;\n" + asked) + KEPT.format(**done),
                   encoding="utf-8")


def test_it_can_be_used(kernel, tree):
    """What follows is refused for the place where things are kept, and for nothing else."""
    change(tree, kernel, **{name: f"let _ = &{name};" for name in NAMES})
    status, said = tree.build(kernel.build)
    assert status == 0, said


def test_it_cannot_be_kept_in_a_static(kernel, tree):
    """A reader of the static would find freed memory after unbind: it does not compile."""
    change(tree, kernel, **{name: f"{name.upper()}.populate({name});" for name in NAMES})
    status, said = tree.build(kernel.build)
    assert status != 0
    errors = re.findall(r"^error(.*)", said, re.M)
    escapes = [error for error in errors if "borrowed data escapes outside of function" in error]
    assert len(escapes) == len(NAMES), said
    assert len(errors) == len(NAMES) + 1 and errors[-1].startswith(": aborting due to"), said

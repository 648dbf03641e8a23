# SPDX-License-Identifier: GPL-2.0
"""Nothing that is made of a device can be kept for longer than the device is bound."""

import re

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
    sync::{{
        Arc,
        SetOnce, //
    }}, //
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
NAMES = ("block", "buffer", "pool", "device")


def change(tree, **done):
    """Have the driver call `keep` in its probe."""
    lab = tree.directory / "src/lab.rs"
    text = lab.read_text(encoding="utf-8")
    asked = "let states = States::new("
    assert text.count(asked) == 1
    lab.write_text(text.replace(asked, "keep(dev)?;\n" + asked) + KEPT.format(**done),
                   encoding="utf-8")


def test_it_can_be_used(row, tree):
    """What follows is refused for the place where things are kept, and for nothing else."""
    change(tree, **{name: f"let _ = &{name};" for name in NAMES})
    status, said = tree.build(row.build)
    assert status == 0, said


def test_it_cannot_be_kept_in_a_static(row, tree):
    """A reader of the static would find freed memory after unbind: it does not compile."""
    change(tree, **{name: f"{name.upper()}.populate({name});" for name in NAMES})
    status, said = tree.build(row.build)
    assert status != 0
    errors = re.findall(r"^error(.*)", said, re.M)
    escapes = [error for error in errors if "borrowed data escapes outside of function" in error]
    assert len(escapes) == len(NAMES), said
    assert len(errors) == len(NAMES) + 1 and errors[-1].startswith(": aborting due to"), said

// SPDX-License-Identifier: GPL-2.0

//! `alloclab map`: what a button holds, mapped into this process.

use std::{
    fmt::Write as _,
    fs::File,
    io::{self, Read, Write},
    thread,
    time::Duration,
};

use crate::{
    args::Map,
    failure::{Exit, Failure, Result},
    lab::{self, Button, Root},
    sys::{Lost, Mapping},
};

/// A hexdump shows so much, unless it is told how much.
const SHOWN_BYTES: usize = 256;
/// Copied at a time.
const CHUNK_BYTES: usize = 64 << 10;
/// In a line of the hexdump.
const LINE_BYTES: usize = 16;

/// A line of a hexdump.
fn line(at: usize, bytes: &[u8]) -> String {
    let mut text = format!("{at:08x} ");
    for place in 0..LINE_BYTES {
        if place % 8 == 0 {
            text.push(' ');
        }
        let _ = match bytes.get(place) {
            Some(byte) => write!(text, "{byte:02x} "),
            None => write!(text, "   "),
        };
    }
    let shown = |&byte: &u8| match byte {
        b' '..=b'~' => byte.into(),
        _ => '.',
    };
    let _ = write!(text, " |{}|", bytes.iter().map(shown).collect::<String>());
    text
}

/// A hexdump of bytes that begin at `at`; lines that are as the one before are left out.
fn hexdump(at: usize, bytes: &[u8]) -> String {
    let mut text = String::new();
    let mut last: Option<&[u8]> = None;
    let mut is_cut = false;
    for (number, chunk) in bytes.chunks(LINE_BYTES).enumerate() {
        if last == Some(chunk) {
            if !is_cut {
                text.push_str("*\n");
            }
            is_cut = true;
            continue;
        }
        is_cut = false;
        last = Some(chunk);
        let at = at.saturating_add(number.saturating_mul(LINE_BYTES));
        text.push_str(&line(at, chunk));
        text.push('\n');
    }
    let _ = writeln!(text, "{:08x}", at.saturating_add(bytes.len()));
    text
}

/// The bytes that were asked for, of so many that are held: where they begin, how many.
fn range(held: usize, offset: usize, length: Option<usize>) -> Result<(usize, usize)> {
    let left = held.checked_sub(offset).filter(|&left| left > 0);
    let left = left.ok_or_else(|| {
        Failure::usage(format!(
            "offset {offset}: {held} bytes are held, allowed is less"
        ))
    })?;
    let length = length.unwrap_or(left);
    if length == 0 || length > left {
        return Err(Failure::usage(format!(
            "length {length}: allowed are 1 to {left}, as {held} bytes are held"
        )));
    }
    Ok((offset, length))
}

/// The mapping of what a button holds.
struct Mapped<'a> {
    button: &'a Button,
    mapping: Mapping,
}

impl Mapped<'_> {
    fn lost(&self) -> impl Fn(Lost) -> Failure + use<> {
        let name = self.button.name.clone();
        move |Lost| {
            Failure::gone(format!(
                "SIGBUS: {name} has freed what was mapped, and the kernel took the mapping away"
            ))
        }
    }

    /// Each part of the range: where it begins, and its bytes.
    fn read_each(
        &self,
        (at, length): (usize, usize),
        mut take: impl FnMut(usize, &[u8]) -> Result,
    ) -> Result {
        let mut buffer = vec![0; CHUNK_BYTES.min(length)];
        for start in (at..at.saturating_add(length)).step_by(CHUNK_BYTES) {
            let part = CHUNK_BYTES.min(at + length - start);
            if let Some(part) = buffer.get_mut(..part) {
                self.mapping.read(start, part).map_err(self.lost())?;
                take(start, part)?;
            }
        }
        Ok(())
    }

    fn fill(&mut self, (at, length): (usize, usize), byte: u8) -> Result {
        let lost = self.lost();
        let bytes = vec![byte; CHUNK_BYTES.min(length)];
        for start in (at..at.saturating_add(length)).step_by(CHUNK_BYTES) {
            let part = CHUNK_BYTES.min(at + length - start);
            let bytes = bytes.get(..part).unwrap_or_default();
            self.mapping.write(start, bytes).map_err(&lost)?;
        }
        Ok(())
    }

    fn verify(&self, range: (usize, usize), wanted: u8) -> Result {
        self.read_each(range, |start, bytes| {
            match (start..).zip(bytes).find(|&(_, &byte)| byte != wanted) {
                None => Ok(()),
                Some((at, byte)) => Err(Failure::failed(format!(
                    "byte {at} is {byte:#04x}, not {wanted:#04x}"
                ))),
            }
        })
    }
}

fn said_of<'a>(what: &'a str, path: &'a std::path::Path) -> impl Fn(io::Error) -> Failure + 'a {
    // Of a file of the user's, not of a button.
    move |error| Failure::failed(format!("{what} {}: {error}", path.display()))
}

/// Opens and maps what the button holds; the kernel's log says why not.
fn map(button: &Button, bytes: usize, writable: bool) -> Result<Mapped<'_>> {
    let mut log = button.log();
    let (name, path) = button.device();
    let mapping = File::options()
        .read(true)
        .write(writable)
        .open(&path)
        .and_then(|file| Mapping::new(&file, bytes, writable));
    let mapping = mapping.map_err(|error| {
        let failure = Failure::of(&name, &error);
        let said = log.said().unwrap_or_default();
        match said.last() {
            Some(why) => Failure::new(failure.exit, format!("{}: {why}", failure.text)),
            None => failure,
        }
    })?;
    Ok(Mapped { button, mapping })
}

/// Carries out the command.
pub fn run(root: &Root, arguments: &Map, out: &mut dyn Write) -> Result {
    let button = lab::button(root, arguments.button.as_deref())?;
    let Some(live) = button.live()? else {
        return Err(Failure::new(
            Exit::Refused,
            format!("{} holds nothing: press it first", button.name),
        ));
    };
    let held = live
        .number("size")
        .and_then(|size| size.try_into().ok())
        .unwrap_or(0);
    let range = range(held, arguments.offset, arguments.length)?;
    let writable = arguments.fill.is_some() || arguments.write.is_some();
    let mut mapped = map(&button, held, writable)?;
    writeln!(
        out,
        "{}: {} bytes of {} mapped",
        button.name,
        mapped.mapping.bytes(),
        live.get("method").unwrap_or("?")
    )?;
    out.flush()?;
    thread::sleep(Duration::from_secs(arguments.hold.into()));

    if let Some(byte) = arguments.fill {
        mapped.fill(range, byte)?;
        writeln!(out, "{} bytes filled with {byte:#04x}", range.1)?;
    }
    if let Some(path) = &arguments.write {
        let copied = write_from(&mut mapped, range, path)?;
        writeln!(out, "{copied} bytes copied from {}", path.display())?;
    }
    if let Some(byte) = arguments.verify {
        mapped.verify(range, byte)?;
        writeln!(out, "{} bytes verified: each is {byte:#04x}", range.1)?;
    }
    if let Some(path) = &arguments.read {
        let mut file = File::create(path).map_err(said_of("file", path))?;
        mapped.read_each(range, |_, bytes| {
            file.write_all(bytes).map_err(said_of("file", path))
        })?;
        writeln!(out, "{} bytes copied into {}", range.1, path.display())?;
    }
    if !writable && arguments.verify.is_none() && arguments.read.is_none() {
        let shown = if arguments.length.is_some() {
            range.1
        } else {
            range.1.min(SHOWN_BYTES)
        };
        // A dump of all of it is one text, so that lines are compared across parts.
        let mut bytes = Vec::with_capacity(shown);
        mapped.read_each((range.0, shown), |_, part| {
            bytes.extend_from_slice(part);
            Ok(())
        })?;
        out.write_all(hexdump(range.0, &bytes).as_bytes())?;
    }
    Ok(())
}

/// Copies a file into the range, which must have room for it.
fn write_from(
    mapped: &mut Mapped<'_>,
    (at, length): (usize, usize),
    path: &std::path::Path,
) -> Result<usize> {
    let mut bytes = Vec::new();
    // No more than shows that it is too much: the file may have no end.
    let most = (length as u64).saturating_add(1);
    File::open(path)
        .and_then(|file| file.take(most).read_to_end(&mut bytes))
        .map_err(said_of("file", path))?;
    if bytes.len() > length {
        return Err(Failure::usage(format!(
            "{} is longer than the {length} bytes that there is room for",
            path.display(),
        )));
    }
    let lost = mapped.lost();
    mapped.mapping.write(at, &bytes).map_err(lost)?;
    Ok(bytes.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hexdumps() {
        let mut bytes = b"0123456789abcdef".to_vec();
        bytes.extend([0; 48]);
        bytes.push(255);
        let expected = "\
00000020  30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 66  |0123456789abcdef|
00000030  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |................|
*
00000060  ff                                                |.|
00000061
";
        assert_eq!(hexdump(0x20, &bytes), expected);
    }

    #[test]
    fn ranges() {
        assert_eq!(range(100, 0, None), Ok((0, 100)));
        assert_eq!(range(100, 10, None), Ok((10, 90)));
        assert_eq!(range(100, 10, Some(90)), Ok((10, 90)));
        for (offset, length) in [(100, None), (0, Some(0)), (0, Some(101)), (50, Some(51))] {
            assert_eq!(range(100, offset, length).unwrap_err().exit, Exit::Usage);
        }
        assert!(range(0, 0, None).is_err());
    }

    proptest! {
        #[test]
        fn no_dump_panics(at: usize, bytes: Vec<u8>) {
            let _ = hexdump(at, &bytes);
        }

        #[test]
        fn a_range_is_inside(held: usize, offset: usize, length: Option<usize>) {
            if let Ok((at, length)) = range(held, offset, length) {
                prop_assert!(length > 0 && at + length <= held);
            }
        }
    }
}

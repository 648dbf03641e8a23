// SPDX-License-Identifier: GPL-2.0

//! The kernel's log from a moment on: what the driver says to a write.

use std::{
    fs::File,
    io::{ErrorKind, Read, Seek, SeekFrom},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

/// More than a record has.
const RECORD_BYTES: usize = 8192;

/// What the log says of one button.
pub struct Log {
    /// Or why it cannot be read.
    file: Result<File, std::io::Error>,
    /// How the lines of the button begin.
    prefix: String,
}

impl Log {
    /// Opens `path`, which is /dev/kmsg, behind the last record.
    pub fn open(path: &Path, prefix: String) -> Self {
        let file = File::options()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(path);
        Self {
            file: file.and_then(|mut file| file.seek(SeekFrom::End(0)).map(|_| file)),
            prefix,
        }
    }

    /// What the driver has said of the button since; the next call tells of what came later.
    pub fn said(&mut self) -> Result<Vec<String>, String> {
        let file = match &mut self.file {
            Ok(file) => file,
            Err(error) => return Err(format!("/dev/kmsg: {error}")),
        };
        let mut said = Vec::new();
        let mut record = vec![0; RECORD_BYTES];
        loop {
            match file.read(&mut record) {
                Ok(0) => break,
                Ok(length) => {
                    let text = record.get(..length).and_then(parse);
                    let text = text
                        .as_ref()
                        .and_then(|text| text.strip_prefix(&self.prefix));
                    said.extend(text.map(str::to_owned));
                }
                // Records were overwritten before they were read, or a signal came.
                Err(error)
                    if error.kind() == ErrorKind::BrokenPipe
                        || error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(format!("/dev/kmsg: {error}")),
            }
        }
        Ok(said)
    }
}

/// The text of a record: `level,number,time,flags;text`, then lines that begin with a space.
fn parse(record: &[u8]) -> Option<String> {
    let record = String::from_utf8_lossy(record);
    let (_, text) = record.split_once(';')?;
    Some(text.lines().next().unwrap_or_default().to_owned())
}

/// Of what the driver said of a write to `file`: why it has refused it.
pub fn refusal(said: &[String], file: &str) -> Option<String> {
    said.iter()
        .rev()
        .find_map(|text| text.strip_prefix(file)?.strip_prefix(": "))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const REFUSED: &str = "settings: \"size=0\" is not valid: size: at least 1";

    #[test]
    fn records() {
        let record = format!("3,1,2,-;alloclab button: {REFUSED}\n SUBSYSTEM=platform\n");
        let text = parse(record.as_bytes()).unwrap();
        assert_eq!(text, format!("alloclab button: {REFUSED}"));
        assert_eq!(parse(b"6,1,2"), None);
    }

    #[test]
    fn the_last_refusal_counts() {
        let said = ["cycle: passed over", "settings: one", "settings: two"].map(str::to_owned);
        assert_eq!(refusal(&said, "settings").as_deref(), Some("two"));
        assert_eq!(refusal(&said, "press"), None);
    }

    #[test]
    fn a_log_that_is_not_there() {
        let mut log = Log::open(Path::new("/nonexistent/kmsg"), String::new());
        assert!(log.said().is_err());
    }

    proptest! {
        #[test]
        fn no_record_panics(record: Vec<u8>) {
            let _ = parse(&record);
        }
    }
}

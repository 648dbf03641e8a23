// SPDX-License-Identifier: GPL-2.0

//! How a command ends that did not do what it was asked for.

use std::{fmt, io};

/// The exit codes; doc/command.md has the same table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// It failed.
    Failed = 1,
    /// The arguments are not valid.
    Usage = 2,
    /// It was refused: by the kernel, or because `--force` is missing.
    Refused = 3,
    /// There is no such button, or it went away meanwhile.
    Gone = 4,
    /// A signal ended it.
    Interrupted = 130,
}

/// What the help and the man page say of the exit codes.
pub const EXIT_CODES: &str = "\
Exit codes:
  0    everything was done
  1    it failed
  2    the arguments are not valid
  3    it was refused: by the kernel, or because --force is missing
  4    there is no such button, or it went away meanwhile
  130  a signal ended it";

/// An exit code and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What the program returns.
    pub exit: Exit,
    /// One sentence, for the user.
    pub text: String,
}

/// What a command returns.
pub type Result<T = (), E = Failure> = std::result::Result<T, E>;

impl Failure {
    /// A failure with this exit code.
    pub fn new(exit: Exit, text: impl Into<String>) -> Self {
        Self {
            exit,
            text: text.into(),
        }
    }

    /// `Exit::Failed`.
    pub fn failed(text: impl Into<String>) -> Self {
        Self::new(Exit::Failed, text)
    }

    /// `Exit::Gone`.
    pub fn gone(text: impl Into<String>) -> Self {
        Self::new(Exit::Gone, text)
    }

    /// `Exit::Usage`.
    pub fn usage(text: impl Into<String>) -> Self {
        Self::new(Exit::Usage, text)
    }

    /// What an error of the system means that came of doing something with `what`.
    pub fn of(what: impl fmt::Display, error: &io::Error) -> Self {
        let exit = match error.raw_os_error() {
            // What the files of a button say once it is unbound, or before it is bound.
            Some(libc::ENOENT | libc::ENODEV | libc::EIO) => Exit::Gone,
            Some(libc::EINVAL | libc::E2BIG | libc::ENXIO | libc::EPERM | libc::EACCES) => {
                Exit::Refused
            }
            Some(libc::EINTR) => Exit::Interrupted,
            _ => Exit::Failed,
        };
        Self::new(exit, format!("{what}: {error}"))
    }
}

impl From<io::Error> for Failure {
    /// What was written to the standard output, it did not take.
    fn from(error: io::Error) -> Self {
        Self::failed(format!("standard output: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_names_each_exit_code() {
        for exit in [
            Exit::Failed,
            Exit::Usage,
            Exit::Refused,
            Exit::Gone,
            Exit::Interrupted,
        ] {
            let start = format!("  {:<4} ", exit as u8);
            assert!(EXIT_CODES.contains(&start), "{exit:?}");
        }
    }

    #[test]
    fn errors_of_the_system() {
        for (errno, exit) in [
            (libc::ENODEV, Exit::Gone),
            (libc::EIO, Exit::Gone),
            (libc::E2BIG, Exit::Refused),
            (libc::ENXIO, Exit::Refused),
            (libc::EINTR, Exit::Interrupted),
            (libc::ENOMEM, Exit::Failed),
        ] {
            let error = io::Error::from_raw_os_error(errno);
            assert_eq!(Failure::of("file", &error).exit, exit);
        }
    }
}

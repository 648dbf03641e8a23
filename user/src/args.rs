// SPDX-License-Identifier: GPL-2.0

//! The command line: help, man page and completions come of what stands here.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::{failure::EXIT_CODES, size};

/// Shows, drives and compares alloclab's buttons, which allocate the kernel's memory.
#[derive(Parser, Debug)]
#[command(name = "alloclab", version, after_long_help = EXIT_CODES, max_term_width = 100)]
pub struct Arguments {
    /// Looks for /sys, /proc and /dev below DIR: for tests
    #[arg(
        long,
        value_name = "DIR",
        global = true,
        default_value = "/",
        hide_default_value = true
    )]
    pub root: PathBuf,

    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Every button: settings, what is held and what it really is, counts, latencies
    Status(Status),
    /// Changes the settings of a button; the kernel says why it refuses
    Set(Set),
    /// Presses a button
    Press(Press),
    /// A live screen of a button
    Watch(Watch),
    /// Maps what a button holds: shows, fills, verifies, copies it
    Map(Map),
    /// Allocates in user space, and shows what that really did
    User(User),
    /// User space's methods beside the kernel's, with what each guarantees
    Compare(Compare),
    /// A GPIO pin's registers on a Raspberry Pi 2, 3 or 4
    Gpio(Gpio),
    /// Prints completions for a shell
    Completions(Completions),
    /// Prints the man page, of the program or of one command
    Man(Man),
}

#[derive(Args, Debug)]
pub struct Status {
    /// Prints JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub struct Set {
    /// The button, which may be left out where there is one, then any of method=NAME size=BYTES
    /// gfp=FLAGS context=thread|hard; all of them are taken or none
    #[arg(value_name = "[BUTTON] KEY=VALUE", required = true)]
    pub words: Vec<String>,
}

#[derive(Args, Debug)]
pub struct Press {
    /// May be left out where there is one button
    pub button: Option<String>,

    /// So many presses
    #[arg(short = 'n', long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    pub count: u64,
}

#[derive(Args, Debug)]
pub struct Watch {
    /// May be left out where there is one button
    pub button: Option<String>,

    /// Ends after so many seconds
    #[arg(long, value_name = "SECONDS")]
    pub seconds: Option<u32>,
}

#[derive(Args, Debug)]
pub struct Map {
    /// May be left out where there is one button
    pub button: Option<String>,

    /// Where to begin, in bytes
    #[arg(long, value_name = "BYTES", default_value = "0", value_parser = size::parse)]
    pub offset: usize,

    /// How much, in bytes; without it all that is held, but 256 bytes of a hexdump
    #[arg(long, value_name = "BYTES", value_parser = size::parse)]
    pub length: Option<usize>,

    /// Fills it with a byte, 0 to 255 or 0x00 to 0xff
    #[arg(long, value_name = "BYTE", value_parser = size::parse_byte)]
    pub fill: Option<u8>,

    /// Fails unless every byte is this one
    #[arg(long, value_name = "BYTE", value_parser = size::parse_byte)]
    pub verify: Option<u8>,

    /// Copies the file into it
    #[arg(long, value_name = "FILE", conflicts_with = "fill")]
    pub write: Option<PathBuf>,

    /// Copies it into the file
    #[arg(long, value_name = "FILE")]
    pub read: Option<PathBuf>,

    /// Keeps the mapping for so long, then does what was asked for; a press meanwhile takes it away
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 0,
        hide_default_value = true
    )]
    pub hold: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Method {
    /// malloc(3)
    Malloc,
    /// calloc(3): zeroed
    Calloc,
    /// realloc(3): of --size bytes to --to
    Realloc,
    /// mmap(2): anonymous and private
    Mmap,
}

#[derive(Args, Debug)]
pub struct User {
    /// How to allocate
    pub method: Method,

    /// How much, in bytes
    #[arg(long, value_name = "BYTES", default_value = "4K", value_parser = size::parse)]
    pub size: usize,

    /// realloc: the new size, in bytes; without it twice the old one
    #[arg(long, value_name = "BYTES", value_parser = size::parse)]
    pub to: Option<usize>,

    /// Writes into each page, or into the first PAGES
    #[arg(long, value_name = "PAGES", num_args = 0..=1, default_missing_value = "all")]
    #[arg(value_parser = size::parse_pages)]
    pub touch: Option<size::Pages>,
}

#[derive(Args, Debug)]
pub struct Compare {
    /// Whose `stats` are shown; may be left out where there is one button
    pub button: Option<String>,

    /// How much, in bytes
    #[arg(long, value_name = "BYTES", default_value = "4K", value_parser = size::parse)]
    pub size: usize,

    /// First has each of the kernel's methods allocate and free so much, N times; the settings are
    /// put back after it
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    #[arg(value_parser = clap::value_parser!(u32).range(..=100_000))]
    pub press: u32,
}

#[derive(Args, Debug)]
pub struct Gpio {
    /// The number of the pin, as in GPIO17
    pub pin: u32,

    /// Makes it an output
    #[arg(long, requires = "force")]
    pub out: bool,

    /// Sets an output's level
    #[arg(long, value_name = "LEVEL", requires = "force")]
    #[arg(value_parser = clap::value_parser!(u8).range(0..=1))]
    pub set: Option<u8>,

    /// Writes to registers, past the kernel, which does not know of it
    #[arg(long)]
    pub force: bool,
}

#[derive(Args, Debug)]
pub struct Completions {
    /// The shell
    pub shell: clap_complete::Shell,
}

#[derive(Args, Debug)]
pub struct Man {
    /// The command
    pub command: Option<String>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn writing_registers_needs_force() {
        for arguments in [&["--out"][..], &["--set", "1"]] {
            let all = ["alloclab", "gpio", "17"].iter().chain(arguments);
            assert!(Arguments::try_parse_from(all).is_err());
        }
    }

    #[test]
    fn touch_takes_a_number_or_none() {
        for (word, pages) in [
            ("--touch", size::Pages::All),
            ("--touch=3", size::Pages::First(3)),
        ] {
            let all = ["alloclab", "user", "malloc", word];
            let Ok(Arguments {
                command: Command::User(user),
                ..
            }) = Arguments::try_parse_from(all)
            else {
                panic!("{word}");
            };
            assert_eq!(user.touch, Some(pages));
        }
    }

    proptest! {
        #[test]
        fn no_arguments_panic(words in prop::collection::vec("\\PC{0,12}", 0..6)) {
            let all = ["alloclab".to_owned()].into_iter().chain(words);
            let _ = Arguments::try_parse_from(all);
        }

        #[test]
        fn no_arguments_of_a_command_panic(
            command in "status|set|press|watch|map|user|compare|gpio|completions|man",
            words in prop::collection::vec("-{0,2}[a-z]{0,6}=?[0-9A-Za-z]{0,20}", 0..5),
        ) {
            let all = ["alloclab".to_owned(), command].into_iter().chain(words);
            let _ = Arguments::try_parse_from(all);
        }
    }
}

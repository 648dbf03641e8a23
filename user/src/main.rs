// SPDX-License-Identifier: GPL-2.0

//! `alloclab`: shows, drives and compares the buttons of the kernel module. doc/command.md is its
//! reference.
//!
//! args.rs is the command line, failure.rs the exit codes. A command is a file; press.rs has `set`,
//! too, and screen.rs is what watch.rs draws. Below them are lab.rs, the files of a button, and
//! kmsg.rs, the kernel's log; process.rs, what /proc tells; text.rs and size.rs, pure parsers;
//! sys.rs, all `unsafe`.

#![deny(unsafe_code)]
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)
)]

mod args;
mod compare;
mod failure;
mod gpio;
mod kmsg;
mod lab;
mod map;
mod press;
mod process;
mod screen;
mod size;
mod status;
mod sys;
mod text;
mod user;
mod watch;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::{CommandFactory, Parser};

use crate::{
    args::{Arguments, Command},
    failure::{Failure, Result},
    lab::Root,
};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments, &mut io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { exit, text }) => {
            let _ = writeln!(io::stderr(), "alloclab: {text}");
            ExitCode::from(exit as u8)
        }
    }
}

fn run(arguments: &Arguments, out: &mut dyn Write) -> Result {
    let root = Root::new(arguments.root.clone());
    match &arguments.command {
        Command::Status(status) => status::run(&root, status.json, out)?,
        Command::Set(set) => press::set(&root, &set.words, out)?,
        Command::Press(press) => press::press(&root, press.button.as_deref(), press.count, out)?,
        Command::Watch(watch) => watch::run(&root, watch.button.as_deref(), watch.seconds, out)?,
        Command::Map(map) => map::run(&root, map, out)?,
        Command::User(user) => user::run(&root, user, out)?,
        Command::Compare(compare) => compare::run(&root, compare, out)?,
        Command::Gpio(gpio) => gpio::run(&root, gpio, out)?,
        Command::Completions(completions) => {
            let mut text = Vec::new();
            let command = &mut Arguments::command();
            clap_complete::generate(completions.shell, command, "alloclab", &mut text);
            out.write_all(&text)?;
        }
        Command::Man(man) => out.write_all(&man_page(man.command.as_deref())?)?,
    }
    out.flush()?;
    Ok(())
}

/// The man page of the program, or of one of its commands.
fn man_page(name: Option<&str>) -> Result<Vec<u8>> {
    let mut program = Arguments::command();
    program.build();
    let command = match name {
        None => program,
        Some(name) => program
            .find_subcommand(name)
            .cloned()
            .ok_or_else(|| Failure::usage(format!("there is no command {name:?}")))?,
    };
    let mut text = Vec::new();
    clap_mangen::Man::new(command).render(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Exit;

    #[test]
    fn man_pages() {
        let page = |name| String::from_utf8(man_page(name).unwrap()).unwrap();
        assert!(page(None).contains("Exit codes"));
        for command in Arguments::command().get_subcommands() {
            let name = command.get_name();
            assert!(
                page(None).contains(&format!("alloclab\\-{name}(1)")),
                "{name}"
            );
            assert!(
                page(Some(name)).contains(&format!("alloclab\\-{name}")),
                "{name}"
            );
        }
        assert_eq!(man_page(Some("other")).unwrap_err().exit, Exit::Usage);
    }
}

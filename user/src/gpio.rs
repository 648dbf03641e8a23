// SPDX-License-Identifier: GPL-2.0

//! `alloclab gpio`: a pin's registers on a Raspberry Pi, mapped into this process.
//!
//! The registers are those of "BCM2835 ARM Peripherals", and for the pulls of the Raspberry Pi 4
//! those of "BCM2711 ARM Peripherals". The kernel's drivers/pinctrl/bcm/pinctrl-bcm2835.c has them
//! too.

use std::{
    ffi::OsStr,
    fmt::{self, Write as _},
    fs::{self, File},
    io::{self, Write},
    num::NonZeroUsize,
    os::unix::fs::OpenOptionsExt,
};

use crate::{
    args::Gpio,
    failure::{Exit, Failure, Result},
    lab::{Root, read_if_any},
    process::strings,
    sys::{self, Registers},
};

/// Offsets of registers, in bytes.
const GPFSEL0: usize = 0x00;
const GPSET0: usize = 0x1c;
const GPCLR0: usize = 0x28;
const GPLEV0: usize = 0x34;
const GPIO_PUP_PDN_CNTRL_REG0: usize = 0xe4;
/// All of them are in the first page.
const BYTES: usize = 4096;

/// A system on chip whose registers are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Soc {
    name: &'static str,
    pins: u32,
    /// Whether the pulls can be read.
    pulls: bool,
}

const SOCS: [Soc; 3] = [
    Soc {
        name: "bcm2836",
        pins: 54,
        pulls: false,
    },
    Soc {
        name: "bcm2837",
        pins: 54,
        pulls: false,
    },
    Soc {
        name: "bcm2711",
        pins: 58,
        pulls: true,
    },
];

/// What a pin does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Function(u32);

impl Function {
    const OUT: Self = Self(1);
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            0 => "in",
            1 => "out",
            4 => "alt0",
            5 => "alt1",
            6 => "alt2",
            7 => "alt3",
            3 => "alt4",
            _ => "alt5",
        })
    }
}

/// A field of a register: the register's offset, the field's lowest bit, how many bits it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Field {
    offset: usize,
    shift: u32,
    bits: u32,
}

impl Field {
    /// The field of a pin, where `per` pins share a register.
    fn of(first: usize, pin: u32, per: u32, bits: u32) -> Self {
        Self {
            offset: first + (pin / per) as usize * 4,
            shift: pin % per * bits,
            bits,
        }
    }

    fn mask(self) -> u32 {
        (1 << self.bits) - 1
    }

    fn get(self, register: u32) -> u32 {
        (register >> self.shift) & self.mask()
    }

    fn put(self, register: u32, value: u32) -> u32 {
        (register & !(self.mask() << self.shift)) | ((value & self.mask()) << self.shift)
    }
}

fn function_field(pin: u32) -> Field {
    Field::of(GPFSEL0, pin, 10, 3)
}

fn level_field(pin: u32) -> Field {
    Field::of(GPLEV0, pin, 32, 1)
}

fn pull_field(pin: u32) -> Field {
    Field::of(GPIO_PUP_PDN_CNTRL_REG0, pin, 16, 2)
}

fn pull_name(value: u32) -> &'static str {
    match value {
        0 => "none",
        1 => "up",
        2 => "down",
        _ => "reserved",
    }
}

/// What the registers say of a pin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    function: Function,
    level: u32,
    pull: Option<&'static str>,
}

/// The numbers of 32 bits that a property of the device tree has.
fn cells(property: &[u8]) -> Vec<u32> {
    property
        .chunks_exact(4)
        .filter_map(|cell| Some(u32::from_be_bytes(cell.try_into().ok()?)))
        .collect()
}

/// A number of one or two cells.
fn number(cells: &[u32]) -> Option<u64> {
    match *cells {
        [low] => Some(low.into()),
        [high, low] => Some((u64::from(high) << 32) | u64::from(low)),
        _ => None,
    }
}

/// Where an address on the bus lies for the processor, by the bus's `ranges`: address on the bus,
/// address for the processor, size, each of so many cells.
fn translate(address: u64, ranges: &[u32], [child, parent, size]: [usize; 3]) -> Option<u64> {
    ranges
        .chunks_exact(child + parent + size)
        .find_map(|range| {
            let (bus, rest) = range.split_at_checked(child)?;
            let (cpu, bytes) = rest.split_at_checked(parent)?;
            let offset = address.checked_sub(number(bus)?)?;
            if offset < number(bytes)? {
                number(cpu)?.checked_add(offset)
            } else {
                None
            }
        })
}

/// The GPIO controller, as the device tree has it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Controller {
    model: String,
    soc: Soc,
    /// The name of its node.
    node: String,
    /// Where its registers lie for the processor.
    base: u64,
}

const TREE: &str = "/proc/device-tree";

impl Controller {
    fn find(root: &Root) -> Result<Self> {
        let read =
            |path: &str| read_if_any(&root.path(&format!("{TREE}/{path}"))).unwrap_or_default();
        let refused = |text: String| Failure::new(Exit::Refused, text);
        let compatible = strings(&read("compatible"));
        let known = |soc: &&Soc| {
            let name = format!("brcm,{}", soc.name);
            compatible.contains(&name)
        };
        let soc = *SOCS.iter().find(known).ok_or_else(|| {
            let here = match compatible.as_slice() {
                [] => "a machine without a device tree".to_owned(),
                names => names.join(", "),
            };
            refused(format!(
                "this is {here}: known are the registers of the Raspberry Pi 2, 3 and 4 \
                 (bcm2836, bcm2837, bcm2711)"
            ))
        })?;
        let incomplete = |what: &str| refused(format!("the device tree has no {what}"));
        let node = fs::read_dir(root.path(&format!("{TREE}/soc")))
            .map_err(|_| incomplete("node /soc"))?
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .find(|name| {
                let compatible = strings(&read(&format!("soc/{name}/compatible")));
                name.starts_with("gpio@")
                    && compatible.iter().any(|name| {
                        ["brcm,bcm2835-gpio", "brcm,bcm2711-gpio"].contains(&name.as_str())
                    })
            })
            .ok_or_else(|| incomplete("GPIO controller that is known"))?;
        let count = |path: &str| match cells(&read(path)).as_slice() {
            &[count @ 1..=2] => Some(count as usize),
            _ => None,
        };
        let sizes = || {
            Some([
                count("soc/#address-cells")?,
                count("#address-cells")?,
                count("soc/#size-cells")?,
            ])
        };
        let base = || {
            let sizes = sizes()?;
            let reg = cells(&read(&format!("soc/{node}/reg")));
            let address = number(reg.get(..sizes[0])?)?;
            translate(address, &cells(&read("soc/ranges")), sizes)
        };
        let base = base().ok_or_else(|| incomplete("address of the GPIO controller"))?;
        let model = strings(&read("model"))
            .into_iter()
            .next()
            .unwrap_or_default();
        Ok(Self {
            model,
            soc,
            node,
            base,
        })
    }

    /// The number of its character device.
    fn chip(&self, root: &Root) -> Option<String> {
        fs::read_dir(root.path("/sys/bus/gpio/devices"))
            .ok()?
            .find_map(|entry| {
                let entry = entry.ok()?;
                let node = fs::canonicalize(entry.path().join("of_node")).ok()?;
                (node.file_name() == Some(OsStr::new(&self.node)))
                    .then(|| entry.file_name().into_string().ok())?
            })
    }

    /// Who of the kernel has claimed a line: its name, or nothing if nobody has.
    ///
    /// The character device knows who has requested it, but not whose interrupt it is, nor for whom
    /// the pin is set up.
    fn claimed(&self, root: &Root, pin: u32) -> io::Result<Option<String>> {
        let requested = || {
            let chip = self
                .chip(root)
                .ok_or_else(|| io::Error::other("the controller has no character device"))?;
            sys::line_consumer(&File::open(root.path(&format!("/dev/{chip}")))?, pin)
        };
        let text = |path: &std::path::Path| {
            let bytes = read_if_any(path).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let requested = requested();
        if let Ok(Some(_)) = requested {
            return requested;
        }
        let pinctrl = fs::read_dir(root.path("/sys/kernel/debug/pinctrl"));
        let mut controllers = pinctrl.into_iter().flatten().flatten();
        let owner = controllers
            .find(|entry| entry.file_name().to_string_lossy().contains(".gpio"))
            .and_then(|entry| owner_of(&text(&entry.path().join("pinmux-pins")), pin));
        let interrupt = || interrupt_of(&text(&root.path("/proc/interrupts")), pin);
        owner
            .or_else(interrupt)
            .map_or(requested, |name| Ok(Some(name)))
    }

    /// Maps the registers; returns by which file, too.
    fn map(&self, root: &Root) -> Result<(Registers, &'static str)> {
        let of_gpio = root.path("/dev/gpiomem").exists();
        let (name, base) = if of_gpio {
            ("/dev/gpiomem", 0)
        } else {
            ("/dev/mem", self.base)
        };
        let denied = |what: &str, error: &io::Error| {
            let failure = Failure::of(format_args!("{name}: {what}"), error);
            match error.raw_os_error() {
                Some(libc::EPERM | libc::EACCES) => {
                    let why = forbidden_by(root, what == "mmap");
                    Failure::new(failure.exit, format!("{}: {why}", failure.text))
                }
                Some(libc::ENOENT) => Failure::new(
                    Exit::Refused,
                    format!(
                        "{}: the kernel was built without CONFIG_DEVMEM",
                        failure.text
                    ),
                ),
                _ => failure,
            }
        };
        // O_SYNC: not cached.
        let file = File::options()
            .read(true)
            .write(true)
            .custom_flags(libc::O_SYNC)
            .open(root.path(name))
            .map_err(|error| denied("open", &error))?;
        let bytes = NonZeroUsize::MIN.saturating_add(BYTES - 1);
        let registers =
            Registers::new(&file, base, bytes).map_err(|error| denied("mmap", &error))?;
        Ok((registers, name))
    }
}

/// Whose interrupt a pin is, of /proc/interrupts.
fn interrupt_of(text: &str, pin: u32) -> Option<String> {
    let pin = pin.to_string();
    text.lines().find_map(|line| {
        let mut words = line
            .split_whitespace()
            .skip_while(|&word| word != "pinctrl-bcm2835");
        words.next()?;
        (words.next()? == pin).then(|| words.last().unwrap_or("?").to_owned())
    })
}

/// For whom a pin is set up, of pinctrl's file pinmux-pins.
fn owner_of(text: &str, pin: u32) -> Option<String> {
    let start = format!("pin {pin} (");
    let line = text.lines().find(|line| line.starts_with(&start))?;
    let owners = line.split_once("): ")?.1;
    let muxed = owners.strip_prefix("(MUX UNCLAIMED) ");
    let owner = muxed.unwrap_or(owners).split(' ').next()?;
    (owner != "(GPIO" && !owner.is_empty()).then(|| owner.to_owned())
}

/// The mode of /sys/kernel/security/lockdown that is in force, which stands in brackets.
fn lockdown(text: &str) -> Option<&str> {
    let mode = text.split_once('[')?.1.split_once(']')?.0;
    (mode != "none").then_some(mode)
}

/// What forbids to open the registers, or to map them.
fn forbidden_by(root: &Root, mapped: bool) -> String {
    let text = read_if_any(&root.path("/sys/kernel/security/lockdown")).unwrap_or_default();
    if let Some(mode) = lockdown(&String::from_utf8_lossy(&text)) {
        return format!("the kernel is locked down (lockdown={mode}), as Secure Boot may ask for");
    }
    if mapped {
        return "the kernel was built with CONFIG_IO_STRICT_DEVMEM, and a driver has the \
                registers: boot with iomem=relaxed"
            .to_owned();
    }
    if rustix::process::geteuid().is_root() {
        return "the kernel may be locked down, which /sys/kernel/security/lockdown would tell \
                (mount -t securityfs none /sys/kernel/security)"
            .to_owned();
    }
    "only root may open it".to_owned()
}

fn state(registers: &Registers, soc: Soc, pin: u32) -> Option<State> {
    let read = |field: Field| Some(field.get(registers.read(field.offset)?));
    Some(State {
        function: Function(read(function_field(pin))?),
        level: read(level_field(pin))?,
        pull: if soc.pulls {
            Some(pull_name(read(pull_field(pin))?))
        } else {
            None
        },
    })
}

fn make_output(registers: &Registers, pin: u32) {
    let field = function_field(pin);
    if let Some(register) = registers.read(field.offset) {
        registers.write(field.offset, field.put(register, Function::OUT.0));
    }
}

fn set_level(registers: &Registers, pin: u32, level: u8) {
    let first = if level == 0 { GPCLR0 } else { GPSET0 };
    let field = Field::of(first, pin, 32, 1);
    // A bit of 0 changes nothing there.
    registers.write(field.offset, field.put(0, 1));
}

/// What has to be said before a register is written: the line is in somebody's use.
fn warning(pin: u32, function: Function, claimed: &io::Result<Option<String>>) -> Option<String> {
    let mut text = format!("alloclab: GPIO{pin}: ");
    match claimed {
        Ok(None) if function.0 <= Function::OUT.0 => return None,
        Ok(None) => {
            let _ = write!(text, "its function is {function}");
        }
        Ok(Some(name)) => {
            let _ = write!(text, "the kernel has claimed it for {name:?}");
        }
        Err(error) => {
            let _ = write!(
                text,
                "the kernel does not tell whether it has claimed it ({error})"
            );
        }
    }
    text.push_str("; written to all the same, as --force says");
    Some(text)
}

fn show(pin: u32, state: State, claimed: &io::Result<Option<String>>) -> String {
    let State {
        function,
        level,
        pull,
    } = state;
    let claimed = match claimed {
        Ok(None) => "no".to_owned(),
        Ok(Some(name)) => format!("yes, for {name:?}"),
        Err(error) => format!("unknown: {error}"),
    };
    let pull = pull.unwrap_or("unknown: this hardware cannot tell");
    format!("pin: {pin}\nfunction: {function}\nlevel: {level}\npull: {pull}\nclaimed: {claimed}\n")
}

/// Carries out the command.
pub fn run(root: &Root, arguments: &Gpio, out: &mut dyn Write) -> Result {
    let Gpio {
        pin,
        out: output,
        set,
        force,
    } = *arguments;
    let controller = Controller::find(root)?;
    let Controller {
        model, soc, base, ..
    } = &controller;
    if pin >= soc.pins {
        let most = soc.pins - 1;
        return Err(Failure::usage(format!(
            "pin {pin}: allowed are 0 to {most} on a {}",
            soc.name
        )));
    }
    let (registers, file) = controller.map(root)?;
    let outside = || Failure::failed("the registers are not where they should be");
    let claimed = controller.claimed(root, pin);
    let before = state(&registers, *soc, pin).ok_or_else(outside)?;

    if force && (output || set.is_some()) {
        if set.is_some() && !output && before.function != Function::OUT {
            return Err(Failure::new(
                Exit::Refused,
                format!(
                    "GPIO{pin} is {}: only an output has a level to set: add --out",
                    before.function
                ),
            ));
        }
        if let Some(warning) = warning(pin, before.function, &claimed) {
            let _ = writeln!(io::stderr(), "{warning}");
        }
        // The level first: the output then begins with it.
        if let Some(level) = set {
            set_level(&registers, pin, level);
        }
        if output {
            make_output(&registers, pin);
        }
    }
    let after = state(&registers, *soc, pin).ok_or_else(outside)?;
    writeln!(
        out,
        "board: {model}\nsoc: {}\nregisters: {base:#x}, by {file}",
        soc.name
    )?;
    out.write_all(show(pin, after, &claimed).as_bytes())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use proptest::prelude::*;

    use super::*;
    use crate::lab::fake::Fake;

    fn be(cells: &[u32]) -> Vec<u8> {
        cells.iter().flat_map(|cell| cell.to_be_bytes()).collect()
    }

    /// The device tree of a board, and a file in the place of its registers.
    fn board(compatible: &str, gpio: &str, parent_cells: u32, ranges: &[u32]) -> Fake {
        let fake = Fake::new(&[]);
        let write = |path: &str, bytes: &[u8]| {
            let path = fake.root.path(&format!("{TREE}/{path}"));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        };
        write(
            "compatible",
            format!("raspberrypi,model\0brcm,{compatible}\0").as_bytes(),
        );
        write("model", b"Raspberry Pi\0");
        write("#address-cells", &be(&[parent_cells]));
        write("soc/#address-cells", &be(&[1]));
        write("soc/#size-cells", &be(&[1]));
        write("soc/ranges", &be(ranges));
        write(
            "soc/gpio@7e200000/compatible",
            format!("brcm,{gpio}\0").as_bytes(),
        );
        write("soc/gpio@7e200000/reg", &be(&[0x7e20_0000, 0xb4]));
        write("soc/gpio@1/compatible", b"other\0");
        fake
    }

    fn pi3() -> Fake {
        let ranges = [
            0x7e00_0000,
            0x3f00_0000,
            0x100_0000,
            0x4000_0000,
            0x4000_0000,
            0x1000,
        ];
        board("bcm2837", "bcm2835-gpio", 1, &ranges)
    }

    fn pi4() -> Fake {
        let ranges = [
            0x7c00_0000,
            0,
            0xfc00_0000,
            0x200_0000,
            0x7e00_0000,
            0,
            0xfe00_0000,
            0x180_0000,
        ];
        // The first range has the address, too, but for its size.
        board("bcm2711", "bcm2711-gpio", 2, &ranges)
    }

    /// Registers in a file, in the place of /dev/gpiomem.
    fn registers(fake: &Fake, values: &[(usize, u32)]) {
        let mut bytes = vec![0; BYTES];
        for &(offset, value) in values {
            bytes[offset..offset + 4].copy_from_slice(&value.to_ne_bytes());
        }
        fs::create_dir_all(fake.root.path("/dev")).unwrap();
        fs::write(fake.root.path("/dev/gpiomem"), bytes).unwrap();
    }

    fn register(fake: &Fake, offset: usize) -> u32 {
        let bytes = fs::read(fake.root.path("/dev/gpiomem")).unwrap();
        u32::from_ne_bytes(bytes[offset..offset + 4].try_into().unwrap())
    }

    fn gpio(fake: &Fake, pin: u32, output: bool, set: Option<u8>) -> (Result, String) {
        let mut out = Vec::new();
        let force = output || set.is_some();
        let arguments = Gpio {
            pin,
            out: output,
            set,
            force,
        };
        let result = run(&fake.root, &arguments, &mut out);
        (result, String::from_utf8(out).unwrap())
    }

    #[test]
    fn addresses() {
        assert_eq!(Controller::find(&pi3().root).unwrap().base, 0x3f20_0000);
        let controller = Controller::find(&pi4().root).unwrap();
        assert_eq!(controller.base, 0xfe20_0000);
        assert_eq!(controller.soc.name, "bcm2711");
    }

    #[test]
    fn other_machines_are_refused() {
        for fake in [
            Fake::new(&[]),
            board("bcm2712", "bcm2711-gpio", 1, &[0, 0, 0]),
        ] {
            let failure = gpio(&fake, 1, false, None).0.unwrap_err();
            assert_eq!(failure.exit, Exit::Refused);
            assert!(failure.text.contains("known are"), "{failure:?}");
        }
        let failure = gpio(&board("bcm2711", "other", 1, &[]), 1, false, None)
            .0
            .unwrap_err();
        assert_eq!(failure.exit, Exit::Refused);
    }

    #[test]
    fn a_pin_of_a_pi_3() {
        let fake = pi3();
        // GPIO17 is the eighth of the second ten.
        registers(&fake, &[(4, 4 << 21), (GPLEV0, 1 << 17)]);
        let (result, text) = gpio(&fake, 17, false, None);
        assert_eq!(result, Ok(()));
        assert!(
            text.contains("function: alt0\nlevel: 1\npull: unknown"),
            "{text}"
        );
        assert!(
            text.contains("registers: 0x3f200000, by /dev/gpiomem"),
            "{text}"
        );
        assert_eq!(
            gpio(&fake, 54, false, None).0.unwrap_err().exit,
            Exit::Usage
        );
    }

    #[test]
    fn a_pin_of_a_pi_4() {
        let fake = pi4();
        registers(
            &fake,
            &[(GPIO_PUP_PDN_CNTRL_REG0 + 4, 2 << 2), (GPLEV0 + 4, 1 << 25)],
        );
        let (result, text) = gpio(&fake, 17, false, None);
        assert_eq!(result, Ok(()));
        assert!(
            text.contains("function: in\nlevel: 0\npull: down\n"),
            "{text}"
        );
        assert!(gpio(&fake, 57, false, None).1.contains("level: 1"));
    }

    #[test]
    fn an_output_changes_its_bits_alone() {
        let fake = pi4();
        registers(&fake, &[(4, 0o7_777_777_777)]);
        assert_eq!(gpio(&fake, 17, true, Some(1)).0, Ok(()));
        assert_eq!(register(&fake, 4), 0o7_717_777_777);
        assert_eq!(register(&fake, GPSET0), 1 << 17);
        assert_eq!(gpio(&fake, 17, false, Some(0)).0, Ok(()));
        assert_eq!(register(&fake, GPCLR0), 1 << 17);
    }

    #[test]
    fn only_an_output_has_a_level_to_set() {
        let fake = pi3();
        registers(&fake, &[]);
        assert_eq!(
            gpio(&fake, 17, false, Some(1)).0.unwrap_err().exit,
            Exit::Refused
        );
        assert_eq!(register(&fake, GPSET0), 0);
    }

    #[test]
    fn a_line_in_use_is_named_before_it_is_written() {
        let said = |function, claimed| warning(17, Function(function), &claimed);
        assert_eq!(said(0, Ok(None)), None);
        assert_eq!(said(1, Ok(None)), None);
        assert!(said(0, Ok(Some("button".to_owned()))).is_some_and(|w| w.contains("\"button\"")));
        assert!(said(4, Ok(None)).is_some_and(|w| w.contains("alt0")));
        assert!(said(0, Err(io::ErrorKind::Other.into())).is_some());
    }

    #[test]
    fn the_character_device_of_the_controller() {
        let fake = pi3();
        let devices = fake.root.path("/sys/bus/gpio/devices");
        for (chip, node) in [("gpiochip0", "gpio@1"), ("gpiochip5", "gpio@7e200000")] {
            fs::create_dir_all(devices.join(chip)).unwrap();
            let node = fake.root.path(&format!("{TREE}/soc/{node}"));
            symlink(node, devices.join(chip).join("of_node")).unwrap();
        }
        let controller = Controller::find(&fake.root).unwrap();
        assert_eq!(controller.chip(&fake.root).as_deref(), Some("gpiochip5"));
    }

    #[test]
    fn whose_a_line_is() {
        let interrupts =
            "           CPU0       CPU1\n 27:  3  0 pinctrl-bcm2835  17 Edge  button\n";
        assert_eq!(interrupt_of(interrupts, 17).as_deref(), Some("button"));
        assert_eq!(interrupt_of(interrupts, 1), None);
        let pins = "Pinmux settings per pin\n\
            pin 4 (gpio4): (MUX UNCLAIMED) (GPIO UNCLAIMED)\n\
            pin 14 (gpio14): 3f201000.serial (GPIO UNCLAIMED) function alt0 group gpio14\n\
            pin 17 (gpio17): button (GPIO UNCLAIMED) function gpio_in group gpio17\n\
            pin 47 (gpio47): (MUX UNCLAIMED) pinctrl-bcm2835:559\n";
        assert_eq!(owner_of(pins, 4), None);
        assert_eq!(owner_of(pins, 14).as_deref(), Some("3f201000.serial"));
        assert_eq!(owner_of(pins, 17).as_deref(), Some("button"));
        assert_eq!(owner_of(pins, 47).as_deref(), Some("pinctrl-bcm2835:559"));
        assert_eq!(owner_of(pins, 7), None);
    }

    #[test]
    fn what_forbids_it_is_named() {
        assert_eq!(
            lockdown("none [integrity] confidentiality\n"),
            Some("integrity")
        );
        assert_eq!(lockdown("[none] integrity confidentiality\n"), None);
        let fake = Fake::new(&[]);
        assert!(forbidden_by(&fake.root, true).contains("IO_STRICT_DEVMEM"));
        assert!(!forbidden_by(&fake.root, false).contains("IO_STRICT_DEVMEM"));
        fs::create_dir_all(fake.root.path("/sys/kernel/security")).unwrap();
        let file = fake.root.path("/sys/kernel/security/lockdown");
        fs::write(file, "none [confidentiality]\n").unwrap();
        for mapped in [true, false] {
            assert!(forbidden_by(&fake.root, mapped).contains("lockdown=confidentiality"));
        }
    }

    #[test]
    fn functions_have_their_names() {
        let names: Vec<_> = (0..8).map(|value| Function(value).to_string()).collect();
        assert_eq!(
            names,
            ["in", "out", "alt5", "alt4", "alt0", "alt1", "alt2", "alt3"]
        );
    }

    proptest! {
        #[test]
        fn no_tree_panics(
            bytes: Vec<u8>, address: u64, sizes in [1_usize..3, 1_usize..3, 1_usize..3],
        ) {
            let cells = cells(&bytes);
            let _ = number(&cells);
            let _ = translate(address, &cells, sizes);
            let _ = strings(&bytes);
        }

        #[test]
        fn no_text_panics(text in "\\PC*") {
            let _ = lockdown(&text);
            let _ = interrupt_of(&format!("pinctrl-bcm2835 {text}"), 1);
            let _ = owner_of(&format!("pin 1 ({text}"), 1);
        }

        #[test]
        fn a_field_is_put_and_got(pin in 0_u32..58, register: u32, value: u32) {
            for field in [function_field(pin), level_field(pin), pull_field(pin)] {
                let changed = field.put(register, value);
                prop_assert_eq!(field.get(changed), value & field.mask());
                prop_assert_eq!(changed & !(field.mask() << field.shift),
                    register & !(field.mask() << field.shift));
                prop_assert!(field.offset < BYTES);
            }
        }
    }
}

// SPDX-License-Identifier: GPL-2.0

//! The device tree: which nodes are ours, what a node says, and what is wrong with it.

use kernel::{
    c_str,
    fmt,
    of,
    prelude::*,
    str::{
        BStr,
        CStr, //
    },
    time::Delta, //
};

use crate::{
    button::DEFAULT_DEBOUNCE,
    method::{
        Context,
        Objection, //
    },
    rust::{
        bound::BoundDevice,
        platform::of_device_table,
        property::Property, //
    },
    settings::{
        parse_context,
        parse_gfp,
        parse_label,
        Invalid,
        Selection,
        Settings,
        Size, //
    }, //
};

of_device_table!(
    OF_TABLE,
    MODULE_OF_TABLE,
    [c_str!("alloclab,button"), c_str!("yang,mydevice")]
);

of_device_table!(
    PROBE_OF_TABLE,
    MODULE_PROBE_OF_TABLE,
    [c_str!("alloclab,probe")]
);

/// The nodes that are buttons, on the platform bus.
pub(crate) const BUTTONS: of::IdTable<()> = &OF_TABLE;

/// The nodes on other buses, which have no button.
pub(crate) const PROBES: of::IdTable<()> = &PROBE_OF_TABLE;

/// The properties of a device's node, each optional; what is wrong with one is logged.
pub(crate) struct Node<'a>(pub(crate) BoundDevice<'a>);

impl Node<'_> {
    /// Reads how long edges after an edge are bounces. Sleeps. Returns `EINVAL`.
    pub(crate) fn debounce(&self) -> Result<Delta> {
        let ms = self.u32(c_str!("debounce-interval"))?;
        Ok(ms.map_or(DEFAULT_DEBOUNCE, |ms| Delta::from_millis(i64::from(ms))))
    }

    /// Reads what is asked for. Sleeps. Returns `EINVAL`, `E2BIG` for too large a number.
    pub(crate) fn settings(&self) -> Result<Settings> {
        let size = self.u32(c_str!("alloclab,size"))?;
        Ok(Settings {
            selection: self
                .string(c_str!("alloclab,method"), Invalid::Method, Selection::parse)?
                .unwrap_or(Settings::DEFAULT.selection),
            size: size.map_or(Settings::DEFAULT.size, |bytes| Size::Bytes(bytes as usize)),
            gfp: self
                .string(c_str!("alloclab,gfp"), Invalid::Gfp, parse_gfp)?
                .unwrap_or(Settings::DEFAULT.gfp),
            ..Settings::DEFAULT
        })
    }

    /// Reads where the presses of a button allocate. Sleeps. Returns `EINVAL`.
    pub(crate) fn context(&self) -> Result<Context> {
        let context = self.string(c_str!("alloclab,context"), Invalid::Context, parse_context)?;
        Ok(context.unwrap_or(Settings::DEFAULT.context))
    }

    /// Reads whether something is to be allocated at probe. Sleeps. Returns `EINVAL`.
    pub(crate) fn at_probe(&self) -> Result<bool> {
        let flag = self.value(c_str!("alloclab,at-probe"), |property| {
            property.is_empty().then_some(()).ok_or(Invalid::Flag)
        })?;
        Ok(flag.is_some())
    }

    /// Reads the label, where there is one. Sleeps. Returns `EINVAL`, `ENOMEM`.
    pub(crate) fn label(&self) -> Result<Option<KVec<u8>>> {
        let label = self.string(c_str!("label"), Invalid::Label, |text| {
            let text = parse_label(text)?;
            let mut label = KVec::new();
            Ok(label.extend_from_slice(text, GFP_KERNEL).map(|()| label))
        })?;
        Ok(label.transpose()?)
    }

    fn u32(&self, name: &CStr) -> Result<Option<u32>> {
        self.value(name, |property| property.as_u32().ok_or(Invalid::Cell))
    }

    /// Reads a string; `otherwise` is what is wrong where the property is none.
    fn string<T>(
        &self,
        name: &CStr,
        otherwise: Invalid,
        parse: impl FnOnce(&[u8]) -> Result<T, Invalid>,
    ) -> Result<Option<T>> {
        self.value(name, |property| {
            property.as_string().map_or(Err(otherwise), parse)
        })
    }

    /// Reads a property, where there is one.
    fn value<T>(
        &self,
        name: &CStr,
        parse: impl FnOnce(&Property) -> Result<T, Invalid>,
    ) -> Result<Option<T>> {
        let Some(property) = Property::read(&self.0, name)? else {
            return Ok(None);
        };
        parse(&property).map(Some).map_err(|invalid| {
            self.refuse(name, &property, &invalid);
            invalid.errno()
        })
    }

    /// Logs which of the settings, each valid by itself, no method takes.
    pub(crate) fn refuse_settings(&self, settings: &Settings, invalid: &Invalid) {
        let Settings {
            selection,
            size,
            gfp,
            context,
        } = settings;

        match invalid {
            Invalid::Refused(_, objection) | Invalid::RefusedByAll(_, objection) => match objection
            {
                Objection::Word(_) | Objection::Together(_) => {
                    self.refuse(c_str!("alloclab,gfp"), gfp, invalid);
                }
                Objection::Sleeps(_) => self.refuse(c_str!("alloclab,context"), context, invalid),
                Objection::Size { .. } => self.refuse(c_str!("alloclab,size"), size, invalid),
                Objection::NoDma(_) => self.refuse(c_str!("alloclab,method"), selection, invalid),
            },
            _ => self.refuse(c_str!("alloclab,size"), size, invalid),
        }
    }

    /// Logs that the value of the property `name` is not valid.
    fn refuse(&self, name: &CStr, value: impl fmt::Display, allowed: impl fmt::Display) {
        let name = BStr::from_bytes(name.to_bytes());
        dev_err!(self.0, "{name}: {value} is not valid: {allowed}\n");
    }
}

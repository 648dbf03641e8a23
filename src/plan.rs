// SPDX-License-Identifier: GPL-2.0

//! What users asked for, checked against what the methods take.
//!
//! [`Settings`] are what was said, a [`Plan`] is settings that can be carried out.

use crate::{
    method::{
        Method,
        Refusal, //
    },
    request::{
        Invalid,
        Selection,
        Size, //
    },
    rules::{
        Context,
        Request, //
    },
    rust::gfp::Gfp, //
};

/// What was said, checked or not.
#[derive(Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) selection: Selection,
    pub(crate) size: Size,
    pub(crate) gfp: Gfp,
    pub(crate) context: Context,
}

impl Settings {
    /// What holds where the device tree says nothing.
    pub(crate) const DEFAULT: Self = Self {
        selection: Selection::Cycle,
        size: Size::Default,
        gfp: Gfp::KERNEL,
        context: Context::Thread,
    };

    /// Returns what `method` is asked for under these settings.
    fn request(&self, method: Method) -> Request {
        let size = match self.size {
            Size::Default => method.rules().default_size,
            Size::Bytes(bytes) => bytes,
        };
        Request {
            size,
            gfp: self.gfp,
            context: self.context,
        }
    }
}

/// Settings that can be carried out.
///
/// # Invariants
///
/// At least one method that the selection covers is accepted.
pub(crate) struct Plan {
    settings: Settings,
    accepted: [bool; Method::ALL.len()],
}

impl Plan {
    /// Checks settings: a single method must accept them, of the cycle at least one.
    ///
    /// `check` is what the methods say of a request; `passed_over` gets what they say in a cycle
    /// that can be carried out without them.
    pub(crate) fn new(
        settings: Settings,
        check: impl Fn(Method, &Request) -> Result<(), Refusal>,
        mut passed_over: impl FnMut(&Refusal),
    ) -> Result<Self, Invalid> {
        let mut refusals = [const { None }; Method::ALL.len()];
        for (refusal, method) in refusals.iter_mut().zip(Method::ALL) {
            *refusal = match settings.selection {
                // What the others say does not matter.
                Selection::Only(only) if only != *method => None,
                _ => check(*method, &settings.request(*method)).err(),
            };
        }
        let accepted = refusals.each_ref().map(|refusal| refusal.is_none());
        let refusals = refusals.into_iter().flatten();

        match settings.selection {
            Selection::Only(_) => refusals.map(Invalid::Refused).next(),
            Selection::Cycle if accepted.contains(&true) => {
                refusals.for_each(|refusal| passed_over(&refusal));
                None
            }
            Selection::Cycle => refusals
                .max_by_key(|refusal| refusal.weight())
                .map(Invalid::RefusedByAll),
        }
        // INVARIANT: The only method, or one of the cycle, was accepted.
        .map_or(Ok(Self { settings, accepted }), Err)
    }

    /// Returns what was said.
    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Returns the cycle's next method: `from`, or the first after it that is not passed over.
    pub(crate) fn next_in_cycle(&self, from: Method) -> Method {
        from.rotation()
            .find(|method| self.accepted.get(method.index()) == Some(&true))
            .unwrap_or(from)
    }

    /// Returns what the next allocation is, where the cycle stands at `next`.
    pub(crate) fn choose(&self, next: Method) -> (Method, Request) {
        let method = match self.settings.selection {
            Selection::Only(method) => method,
            Selection::Cycle => self.next_in_cycle(next),
        };
        (method, self.settings.request(method))
    }
}

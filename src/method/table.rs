// SPDX-License-Identifier: GPL-2.0

//! The one table of methods, and what follows from it; `method.rs` is where these macros are used.

/// The table, in the order of the cycle: the file, and the method in it.
macro_rules! methods {
    ($($more:tt)*) => {
        dispatch! {
            kmalloc::Kmalloc,
            kzalloc::Kzalloc,
            vmalloc::Vmalloc,
            coherent::Coherent,
            krealloc::Krealloc,
            kvmalloc::Kvmalloc,
            vzalloc::Vzalloc,
            raw_kmalloc::RawKmalloc,
            raw_vmalloc::RawVmalloc,
            devm::Devm,
            page::Page,
            pages::Pages,
            slab::Slab,
            mempool::Mempool,
            dmapool::Dmapool,
            fixed::Static,
            list::List,
            $($more)*
        }
    };
}

/// The table of the module for USB devices, which has more.
#[cfg(usb)]
macro_rules! methods_for_usb {
    () => {
        methods! { usb_coherent::UsbCoherent, }
    };
}

/// Makes all that follows from the table: modules, names, states, allocations and the dispatch.
macro_rules! dispatch {
    ($($file:ident::$method:ident,)*) => {
        $(mod $file;)*

        /// A method, by name.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(crate) enum Method {
            $($method,)*
        }

        impl Method {
            /// All methods, in the order of the table.
            pub(crate) const ALL: &'static [Self] = &[$(Self::$method,)*];

            /// Returns the name that users know it by.
            pub(crate) fn name(self) -> &'static str {
                match self {
                    $(Self::$method => <$file::$method as AllocateFrom>::NAME,)*
                }
            }

            /// Refuses what it cannot do.
            pub(crate) fn check(self, request: &Request) -> Result<(), Objection> {
                match self {
                    $(Self::$method => <$file::$method as AllocateFrom>::check(request),)*
                }
            }

            /// Returns what it takes.
            pub(crate) fn rules(self) -> &'static Rules {
                match self {
                    $(Self::$method => &<$file::$method as AllocateFrom>::RULES,)*
                }
            }
        }

        /// What the methods need for one device.
        pub(crate) struct States<'bound> {
            $($file: <$file::$method as AllocateFrom>::State<'bound>,)*
        }

        impl<'bound> States<'bound> {
            /// Makes the states of all methods. Sleeps.
            pub(crate) fn new(devices: Devices<'bound>) -> Result<Self> {
                Ok(Self {
                    $($file: <$file::$method as AllocateFrom>::setup(devices)?,)*
                })
            }

            /// Allocates with `method` into `place`, where it is not to be moved from. May sleep if
            /// the flags let it.
            pub(crate) fn alloc(
                &self,
                method: Method,
                request: &Request,
                place: &mut Option<AnyAllocation<'bound>>,
            ) -> Result {
                *place = Some(match method {
                    $(Method::$method => {
                        AnyAllocation::$method(<$file::$method as AllocateFrom>::alloc(
                            &self.$file,
                            request,
                        )?)
                    })*
                });
                Ok(())
            }
        }

        /// An allocation by any method: not boxed, as the box would be allocated by kmalloc.
        pub(crate) enum AnyAllocation<'bound> {
            $($method(<$file::$method as AllocateFrom>::Allocation<'bound>),)*
        }

        impl Allocation for AnyAllocation<'_> {
            fn facts(&self) -> Facts {
                match self {
                    $(Self::$method(allocation) => Allocation::facts(allocation),)*
                }
            }

            fn runs(&self, each: &mut dyn FnMut(Run)) {
                match self {
                    $(Self::$method(allocation) => Allocation::runs(allocation, each),)*
                }
            }

            fn remarks(&self, each: &mut dyn FnMut(fmt::Arguments<'_>)) {
                match self {
                    $(Self::$method(allocation) => Allocation::remarks(allocation, each),)*
                }
            }

            fn details(&self, each: &mut dyn FnMut(fmt::Arguments<'_>)) {
                match self {
                    $(Self::$method(allocation) => Allocation::details(allocation, each),)*
                }
            }

            fn rest_is_zero(&self) -> bool {
                match self {
                    $(Self::$method(allocation) => Allocation::rest_is_zero(allocation),)*
                }
            }

            fn zeroes(&self) -> Option<Zeroes> {
                match self {
                    $(Self::$method(allocation) => Allocation::zeroes(allocation),)*
                }
            }

            fn with_bytes(&mut self, work: &mut dyn FnMut(&mut [u8])) -> bool {
                match self {
                    $(Self::$method(allocation) => Allocation::with_bytes(allocation, work),)*
                }
            }

            fn lend(&mut self) -> Result<Lent<'_>, &'static str> {
                match self {
                    $(Self::$method(allocation) => Allocation::lend(allocation),)*
                }
            }

            fn end(&mut self, why: Reason) -> Ended {
                match self {
                    $(Self::$method(allocation) => Allocation::end(allocation, why),)*
                }
            }
        }
    };
}

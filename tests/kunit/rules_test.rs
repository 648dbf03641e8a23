// SPDX-License-Identifier: GPL-2.0

//! What methods take, and what they refuse before it is tried.

use kernel::{
    page::PAGE_SIZE,
    prelude::*,
    str::CString, //
};

use crate::{
    method::{
        Context,
        Method,
        Objection,
        Request,
        Rules, //
    },
    rust::gfp::{
        Base,
        Gfp, //
    },
    settings::Invalid, //
};

/// What a method of these rules says to flags.
fn objection(rules: &Rules, gfp: &str, size: usize, context: Context) -> Option<Objection> {
    let gfp = Gfp::parse(gfp.as_bytes()).ok()?;
    rules.objection(&Request { size, gfp, context })
}

#[kunit_tests(alloclab_rules)]
mod tests {
    use super::*;

    #[test]
    fn flags_that_make_no_sense_together_are_refused() {
        let page = PAGE_SIZE;
        let rules = Method::RawKmalloc.rules();

        for (gfp, size) in [
            ("atomic+nofail", 64),
            ("nowait+nofail", 64),
            ("kernel+nofail", 2 * page + 1),
            ("kernel+noretry+nofail", 64),
            ("kernel+noretry+retry_mayfail", 64),
            ("kernel+retry_mayfail+nofail", 64),
        ] {
            let objection = objection(rules, gfp, size, Context::Thread);
            assert!(matches!(objection, Some(Objection::Together(_))));
        }
        for (gfp, size) in [
            ("kernel+nofail", 2 * page),
            ("noio+nofail", 64),
            ("atomic+high", 64),
        ] {
            assert!(objection(rules, gfp, size, Context::Thread).is_none());
        }

        // Pages that need not follow each other may be many.
        let rules = Method::RawVmalloc.rules();
        assert!(objection(rules, "kernel+nofail", 64 * page, Context::Thread).is_none());
    }

    #[test]
    fn methods_for_dma_are_refused_where_the_device_does_none() -> Result {
        let mut refused = KVec::new();
        for method in Method::ALL {
            let request = Request {
                size: method.rules().default_size,
                gfp: Gfp::KERNEL,
                context: Context::Thread,
            };
            assert!(method.check_for(None, &request).is_ok());
            match method.check_for(Some("it does not"), &request) {
                Ok(()) => {}
                Err(objection) => {
                    assert!(matches!(objection, Objection::NoDma("it does not")));
                    let refusal = Invalid::Refused(*method, objection);
                    assert_eq!(refusal.errno(), EINVAL);
                    let text = CString::try_from_fmt(fmt!("{refusal}"))?;
                    assert!(text.to_bytes().starts_with(method.name().as_bytes()));
                    refused.push(*method, GFP_KERNEL)?;
                }
            }
        }
        assert_eq!(refused.as_slice(), &[Method::Coherent, Method::Dmapool]);
        Ok(())
    }

    #[test]
    fn words_that_a_method_does_not_take_are_refused() -> Result {
        for (method, gfp, word) in [
            (Method::Kmalloc, "noio", "noio"),
            (Method::Kmalloc, "highuser", "highuser"),
            (Method::Kmalloc, "kernel+nofail", "nofail"),
            (Method::RawKmalloc, "highuser", "highuser"),
            (Method::RawKmalloc, "dma32", "dma32"),
            (Method::RawVmalloc, "dma", "dma"),
            (Method::Slab, "kernel+zero", "zero"),
            (Method::Mempool, "kernel+zero", "zero"),
        ] {
            let objection = objection(method.rules(), gfp, 64, Context::Thread).ok_or(EINVAL)?;
            assert!(matches!(objection, Objection::Word(name) if name == word));

            let refusal = Invalid::Refused(method, objection);
            assert_eq!(refusal.errno(), EINVAL);
            let text = CString::try_from_fmt(fmt!("{refusal}"))?;
            let text = text.to_str()?;
            // It names who takes the word, and not itself.
            let (_, takers) = text.split_once(" which is for ").ok_or(EINVAL)?;
            for other in Method::ALL {
                let named = takers.split(' ').any(|name| name == other.name());
                assert_eq!(named, other.rules().takes.has(word));
            }
        }
        Ok(())
    }

    #[test]
    fn room_is_what_is_available_and_not_promised() {
        let rules = Method::Vmalloc.rules();
        let total = rules.limit.bytes();
        let most = rules.room(total).err().unwrap_or(0);
        assert!(0 < most && most < total);

        // Once, not twice, and again when it was given back.
        let size = most / 4 * 3;
        let first = rules.room(size);
        assert!(matches!(first, Ok(Some(_))));
        assert!(rules.room(size).is_err_and(|left| left < size));
        drop(first);
        assert!(rules.room(size).is_ok());
        assert!(rules.room(usize::MAX).is_err());
        assert!(rules.room(size).is_ok());

        // Others have a limit that is nothing against the memory.
        assert!(matches!(Method::Kmalloc.rules().room(total), Ok(None)));
    }

    #[test]
    fn hard_context_takes_what_does_not_sleep() {
        for method in Method::ALL {
            let rules = method.rules();
            let size = rules.default_size;
            let sleeping = objection(rules, "kernel", size, Context::Hard);
            assert!(matches!(sleeping, Some(Objection::Sleeps(_))));

            if rules.takes.bases.contains(&Base::Atomic) {
                let atomic = objection(rules, "atomic", size, Context::Hard);
                assert_eq!(atomic.is_some(), rules.sleeps.is_some());
            }
            assert!(objection(rules, "kernel", size, Context::Thread).is_none());
        }

        for method in [
            Method::Vmalloc,
            Method::Kvmalloc,
            Method::Krealloc,
            Method::List,
        ] {
            assert!(method.rules().sleeps.is_some());
        }
        for method in [
            Method::Kmalloc,
            Method::Coherent,
            Method::Pages,
            Method::Slab,
        ] {
            assert!(method.rules().sleeps.is_none());
        }
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Parsing, checking and printing of what users ask for.

use kernel::{
    fmt,
    prelude::*,
    str::CString, //
};

use crate::{
    method::{
        Method,
        Objection, //
    },
    settings::Invalid, //
};

/// Whether `value` is shown as `text`.
fn shows(value: impl fmt::Display, text: &str) -> bool {
    let shown = CString::try_from_fmt(fmt!("{value}"));
    let holds = shown
        .as_ref()
        .is_ok_and(|shown| shown.to_bytes() == text.as_bytes());

    if !holds {
        pr_err!("expected \"{text}\", not \"{value}\"\n");
    }
    holds
}

/// The error of a result that has no other way to be compared.
fn errno<T>(result: Result<T, Invalid>) -> Option<Error> {
    result.err().map(|invalid| invalid.errno())
}

fn size(size: usize) -> Objection {
    Objection::Size {
        size,
        largest: 100,
        limit: "A_LIMIT",
    }
}

#[kunit_tests(alloclab_request)]
mod tests {
    use super::*;
    use crate::{
        method::{
            Context,
            Takes, //
        },
        rust::gfp::{
            Base,
            Gfp,
            Modifier, //
        },
        settings::{
            parse_context,
            parse_gfp,
            parse_presses,
            Change,
            Selection,
            Settings,
            Size, //
        }, //
    };

    #[test]
    fn selection_is_parsed() {
        assert!(Selection::parse(b"cycle").is_ok_and(|s| s == Selection::Cycle));
        for method in Method::ALL {
            let parsed = Selection::parse(method.name().as_bytes());
            assert!(parsed.is_ok_and(|s| s == Selection::Only(*method)));
        }
        for text in [
            &b""[..],
            b"kmallo",
            b"kmallocs",
            b"KMALLOC",
            b"[cycle]",
            b"\xff",
            b"a b",
        ] {
            assert_eq!(errno(Selection::parse(text)), Some(EINVAL));
        }
    }

    #[test]
    fn selection_is_shown() -> Result {
        assert!(shows(Selection::Cycle, "cycle"));

        let mut selections = KVec::new();
        selections.push(Selection::Cycle, GFP_KERNEL)?;
        for method in Method::ALL {
            selections.push(Selection::Only(*method), GFP_KERNEL)?;
        }
        for selection in selections {
            let all = CString::try_from_fmt(fmt!("{}", selection.among_all()))?;
            let mut words = 0;
            let mut chosen = 0;
            for word in all.to_bytes().split(|byte| *byte == b' ') {
                words += 1;
                if let [b'[', name @ .., b']'] = word {
                    chosen += 1;
                    assert!(Selection::parse(name).is_ok_and(|s| s == selection));
                } else {
                    assert!(Selection::parse(word).is_ok_and(|s| s != selection));
                }
            }
            assert_eq!(words, 1 + Method::ALL.len());
            assert_eq!(chosen, 1);
        }
        Ok(())
    }

    #[test]
    fn size_is_parsed_and_shown() -> Result {
        for (text, bytes, shown) in [
            ("0", 0, "0"),
            ("1", 1, "1"),
            ("0064", 64, "64"),
            ("4K", 4096, "4096"),
            ("4k", 4096, "4096"),
            ("2M", 2 << 20, "2097152"),
            ("3G", 3 << 30, "3221225472"),
        ] {
            let size = Size::parse(text.as_bytes());
            assert!(size.as_ref().is_ok_and(|size| *size == Size::Bytes(bytes)));
            assert!(size.is_ok_and(|size| shows(size, shown)));
        }
        let largest = CString::try_from_fmt(fmt!("{}", usize::MAX))?;
        let size = Size::parse(largest.to_bytes());
        assert!(size.is_ok_and(|size| size == Size::Bytes(usize::MAX)));
        let size = Size::parse(b"default");
        assert!(size.is_ok_and(|size| size == Size::Default && shows(size, "default")));
        Ok(())
    }

    #[test]
    fn size_is_refused() {
        for text in [
            "", "K", "-1", "+1", "1.5", "0x40", "64 ", " 64", "64B", "64KB", "4KK", "1T", "defaul",
            "6 4", "64\0",
        ] {
            assert_eq!(errno(Size::parse(text.as_bytes())), Some(EINVAL));
        }
        for text in [
            "18446744073709551616",
            "99999999999999999999999999999999999999",
            "18014398509481984K",
            "17592186044416M",
            "17179869184G",
        ] {
            assert_eq!(errno(Size::parse(text.as_bytes())), Some(E2BIG));
        }
    }

    #[test]
    fn gfp_is_parsed_and_shown() {
        for base in Base::ALL {
            let gfp = parse_gfp(base.name().as_bytes());
            assert!(gfp.is_ok_and(|gfp| gfp.base() == *base && shows(gfp, base.name())));

            for modifier in Modifier::ALL {
                let text = CString::try_from_fmt(fmt!("{}+{}", base.name(), modifier.name()));
                let text = text.as_ref().map_or(&b""[..], |text| text.to_bytes());
                let gfp = parse_gfp(text);
                assert!(gfp.is_ok_and(|gfp| {
                    gfp.base() == *base && gfp.modifiers().eq([*modifier].into_iter())
                }));
            }
        }

        // Shown in one order, whatever the order they came in.
        let gfp = parse_gfp(b"atomic+account+nowarn+zero");
        assert!(gfp.is_ok_and(|gfp| shows(gfp, "atomic+zero+nowarn+account")));
        assert!(shows(Gfp::KERNEL, "kernel"));
    }

    #[test]
    fn gfp_has_the_kernel_crate_s_flags() {
        let account = GFP_KERNEL_ACCOUNT & !GFP_KERNEL;

        for (text, flags) in [
            ("kernel", GFP_KERNEL),
            ("atomic", GFP_ATOMIC),
            ("nowait", GFP_NOWAIT),
            ("kernel+zero", GFP_KERNEL | __GFP_ZERO),
            ("kernel+account", GFP_KERNEL_ACCOUNT),
            ("atomic+nowarn", GFP_ATOMIC | __GFP_NOWARN),
            ("nowait+zero+account", GFP_NOWAIT | __GFP_ZERO | account),
        ] {
            let gfp = parse_gfp(text.as_bytes()).map_err(|invalid| invalid.errno());
            assert!(gfp.and_then(Gfp::flags).is_ok_and(|found| found == flags));
        }

        for (base, may_sleep) in [
            (Base::Kernel, true),
            (Base::Atomic, false),
            (Base::Nowait, false),
            (Base::Noio, true),
            (Base::Nofs, true),
            (Base::User, true),
            (Base::Highuser, true),
            (Base::Dma, true),
            (Base::Dma32, true),
        ] {
            assert_eq!(base.may_sleep(), may_sleep);
        }
    }

    #[test]
    fn gfp_has_no_flags_for_words_that_the_kernel_crate_lacks() {
        let lacks = |gfp: Gfp| gfp.flags().is_err_and(|e| e == EINVAL);

        for base in Base::ALL {
            let known = Takes::CRATE.bases.contains(base);
            assert_eq!(lacks(Gfp::KERNEL.with_base(*base)), !known);

            for modifier in Modifier::ALL {
                let known = known && Takes::CRATE.modifiers.contains(modifier);
                assert_eq!(lacks(Gfp::KERNEL.with_base(*base).with(*modifier)), !known);
            }
        }
    }

    #[test]
    fn gfp_is_refused() {
        for text in [
            "",
            "+",
            "zero",
            "+zero",
            "kernel+",
            "kernel++zero",
            "kernel+zero+zero",
            "kernel zero",
            "kernel+movable",
            "KERNEL",
            "GFP_KERNEL",
            "kernel+atomic",
            "kernel+zero ",
        ] {
            assert_eq!(errno(parse_gfp(text.as_bytes())), Some(EINVAL));
        }
    }

    #[test]
    fn context_is_parsed_and_shown() {
        for context in Context::ALL {
            let parsed = parse_context(context.name().as_bytes());
            // No kernel that is built for KUnit is a PREEMPT_RT one.
            assert!(parsed.is_ok_and(|parsed| parsed == context));
            assert!(shows(context, context.name()));
        }
        for text in ["", "Thread", "soft", "hard "] {
            assert_eq!(errno(parse_context(text.as_bytes())), Some(EINVAL));
        }
    }

    #[test]
    fn presses_are_parsed() {
        for (text, number) in [("1", 1), ("20000", 20_000), ("1000000", 1_000_000)] {
            assert!(parse_presses(text.as_bytes()).is_ok_and(|n| n == number));
        }
        for text in [
            "",
            "0",
            "1000001",
            "99999999999999999999",
            "-1",
            "1K",
            "x",
            "1 1",
        ] {
            assert_eq!(errno(parse_presses(text.as_bytes())), Some(EINVAL));
        }
    }

    /// What a change makes of the settings of the beginning.
    fn changed(text: &[u8]) -> Option<Settings> {
        let mut settings = Settings::DEFAULT;
        Change::parse(text).ok()?.apply(&mut settings);
        Some(settings)
    }

    #[test]
    fn changes_are_parsed_and_shown() {
        for (text, shown) in [
            (
                &b"size=4K"[..],
                "method=cycle size=4096 gfp=kernel context=thread",
            ),
            (
                b" \t gfp=kernel+zero\n\nmethod=vmalloc ",
                "method=vmalloc size=default gfp=kernel+zero context=thread",
            ),
            (
                b"context=thread gfp=atomic size=1 method=list",
                "method=list size=1 gfp=atomic context=thread",
            ),
        ] {
            assert!(changed(text).is_some_and(|settings| shows(settings, shown)));
        }
        assert!(shows(
            Settings::DEFAULT,
            "method=cycle size=default gfp=kernel context=thread"
        ));
    }

    #[test]
    fn changes_are_refused_by_the_word_that_is_wrong() {
        for (text, word, error) in [
            (&b""[..], &b""[..], EINVAL),
            (b"size", b"size", EINVAL),
            (b"size=", b"size=", EINVAL),
            (b"size=1 =1", b"=1", EINVAL),
            (b"size=1 Method=list", b"Method=list", EINVAL),
            (b"size=1 size=1", b"size=1", EINVAL),
            (b"gfp=kernel size=1 gfp=atomic", b"gfp=atomic", EINVAL),
            (b"size=1 method=size=1", b"method=size=1", EINVAL),
            (
                b"size=18446744073709551616 size",
                b"size=18446744073709551616",
                E2BIG,
            ),
        ] {
            let refused = Change::parse(text).err();
            assert!(refused.is_some_and(|(at, invalid)| at == word && invalid.errno() == error));
        }
    }

    #[test]
    fn errors_say_what_is_allowed() -> Result {
        let method = CString::try_from_fmt(fmt!("{}", Invalid::Method))?;
        let method = method.to_str()?;
        assert!(method.starts_with("allowed are cycle, "));
        for each in Method::ALL {
            assert!(method.contains(each.name()));
        }

        assert!(shows(Invalid::Presses, "allowed are 1 to 1000000"));
        assert!(shows(
            Invalid::Word,
            "allowed are method=VALUE size=VALUE gfp=VALUE context=VALUE, each once"
        ));
        assert!(shows(
            Invalid::Size,
            "allowed are default or bytes in decimal, with K, M or G for KiB, MiB or GiB"
        ));
        let largest = CString::try_from_fmt(fmt!("allowed are numbers up to {}", usize::MAX))?;
        assert!(shows(Invalid::TooLarge, largest.to_str()?));
        assert!(shows(Invalid::TooLong(128), "allowed are up to 128 bytes"));
        assert_eq!(Invalid::TooLong(128).errno(), E2BIG);
        assert!(shows(
            Invalid::RefusedByAll(Method::Kmalloc, size(0)),
            "every method refuses it, as kmalloc takes 1 to 100 bytes (A_LIMIT), not 0"
        ));
        let gfp = CString::try_from_fmt(fmt!("{}", Invalid::Gfp))?;
        let gfp = gfp.to_str()?;
        for base in Base::ALL {
            assert!(gfp.split([' ', ',']).any(|word| word == base.name()));
        }
        for modifier in Modifier::ALL {
            let mut words = gfp.split(' ');
            assert!(words.any(|word| word.strip_prefix('+') == Some(modifier.name())));
        }
        assert!(shows(Invalid::Context, "allowed are thread, hard"));
        let kmalloc = Invalid::Refused(Method::Kmalloc, size(101));
        assert_eq!(kmalloc.errno(), E2BIG);
        assert!(shows(
            kmalloc,
            "kmalloc takes 1 to 100 bytes (A_LIMIT), not 101"
        ));
        assert_eq!(Invalid::Refused(Method::Kmalloc, size(0)).errno(), EINVAL);
        Ok(())
    }

    #[test]
    fn cycle_has_every_method_once() {
        for method in Method::ALL {
            assert_eq!(method.rotation().count(), Method::ALL.len());
            assert!(method.rotation().next() == Some(*method));
            assert!(Method::ALL
                .iter()
                .all(|m| method.rotation().any(|n| n == *m)));
        }
        let mut method = Method::ALL[0];
        for _ in Method::ALL {
            method = method.after();
        }
        assert!(method == Method::ALL[0]);
    }
}

// SPDX-License-Identifier: GPL-2.0

//! Settings checked against what the methods take.

use kernel::prelude::*;

use crate::{
    method::{
        Method,
        Objection,
        Request, //
    },
    settings::{
        Plan,
        Settings, //
    }, //
};

fn too_large(size: usize) -> Objection {
    Objection::Size {
        size,
        largest: 100,
        limit: "A_LIMIT",
    }
}

/// Lets every method but those in `refused` take everything.
fn all_but(refused: &[Method]) -> impl Fn(Method, &Request) -> Result<(), Objection> + '_ {
    move |method, request| {
        if refused.contains(&method) {
            return Err(too_large(request.size));
        }
        Ok(())
    }
}

/// Makes a plan that must be valid; returns how many methods were passed over, too.
fn plan(settings: Settings, refused: &[Method]) -> Result<(Plan, usize)> {
    let mut passed_over = 0;
    let plan = Plan::new(settings, all_but(refused), |_| passed_over += 1);
    let plan = plan.map_err(|invalid| invalid.errno())?;
    Ok((plan, passed_over))
}

#[kunit_tests(alloclab_plan)]
mod tests {
    use super::*;
    use crate::{
        rust::gfp::Gfp,
        settings::{
            Invalid,
            Selection,
            Size, //
        }, //
    };

    #[test]
    fn default_plan_uses_each_method_s_own_size() -> Result {
        let (plan, passed_over) = plan(Settings::DEFAULT, &[])?;
        assert_eq!(passed_over, 0);

        for method in Method::ALL {
            let (chosen, request) = plan.choose(*method);
            assert!(chosen == *method);
            assert_eq!(request.size, method.rules().default_size);
            assert!(request.gfp == Gfp::KERNEL);
        }
        Ok(())
    }

    #[test]
    fn cycle_passes_over_who_refuses() -> Result {
        let settings = Settings {
            size: Size::Bytes(4242),
            ..Settings::DEFAULT
        };
        let (first, rest) = Method::ALL.split_first().ok_or(EINVAL)?;

        let (without_first, passed_over) = plan(settings, &[*first])?;
        assert_eq!(passed_over, 1);
        let (chosen, request) = without_first.choose(*first);
        assert!(chosen == first.after());
        assert_eq!(request.size, 4242);

        let (only_first, passed_over) = plan(settings, rest)?;
        assert_eq!(passed_over, rest.len());
        for method in Method::ALL {
            assert!(only_first.choose(*method).0 == *first);
        }
        Ok(())
    }

    #[test]
    fn what_all_refuse_is_invalid() {
        // The method that takes most is named.
        let most = Method::ALL[1];
        let refuse = |method: Method, request: &Request| {
            Err(Objection::Size {
                size: request.size,
                largest: if method == most { 2000 } else { 1000 },
                limit: "A_LIMIT",
            })
        };

        let mut told = 0;
        let invalid = Plan::new(Settings::DEFAULT, refuse, |_| told += 1).err();
        assert_eq!(told, 0);
        assert!(invalid.is_some_and(|invalid| {
            let named = matches!(
                &invalid,
                Invalid::RefusedByAll(method, _) if *method == most
            );
            named && invalid.errno() == EINVAL
        }));
    }

    #[test]
    fn what_all_refuse_is_told_by_what_is_to_be_changed() -> Result {
        // In the order of what they tell.
        let objections = [
            Objection::Word("noio"),
            too_large(101),
            Objection::Together("they make no sense"),
            Objection::Sleeps("its flags let it sleep"),
        ];
        for (place, most) in objections.iter().enumerate() {
            // Wherever in the cycle it is.
            for method in Method::ALL {
                let refuse = |refusing: Method, _: &Request| {
                    let other = refusing.index() % (place + 1);
                    let which = if refusing == *method { place } else { other };
                    objections.get(which).copied().map_or(Ok(()), Err)
                };
                let invalid = Plan::new(Settings::DEFAULT, refuse, |_| ()).err();
                let Some(Invalid::RefusedByAll(_, told)) = invalid else {
                    return Err(EINVAL);
                };
                assert!(core::mem::discriminant(&told) == core::mem::discriminant(most));
            }
        }
        Ok(())
    }

    #[test]
    fn what_the_only_method_refuses_is_invalid() -> Result {
        for method in Method::ALL {
            let settings = Settings {
                selection: Selection::Only(*method),
                ..Settings::DEFAULT
            };
            let invalid = Plan::new(settings, all_but(&[*method]), |_| ()).err();
            assert_eq!(invalid.map(|invalid| invalid.errno()), Some(E2BIG));

            // What the others say does not matter, and is not told.
            let others = [method.after()];
            let (plan, passed_over) = plan(settings, &others)?;
            assert_eq!(passed_over, 0);
            for next in Method::ALL {
                assert!(plan.choose(*next).0 == *method);
            }
        }
        Ok(())
    }
}

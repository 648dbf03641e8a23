# SPDX-License-Identifier: GPL-2.0
"""Each case of the KUnit suites, which run all in one guest."""

import pytest

import kunit


@pytest.fixture(scope="module", name="cases")
def fixture_cases(row, group):
    """What came of all cases."""
    cases, wrong = kunit.suites(row, group.logs.parent)
    yield cases
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("case", kunit.declared(), ids="-".join)
def test_case(cases, case):
    status = cases.get(case, "not run, but declared in the source")
    assert status == "PASS", "see ktap.log, beside the console of the guest"

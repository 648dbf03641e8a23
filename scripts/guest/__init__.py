# SPDX-License-Identifier: GPL-2.0
"""What runs guests: for commands and tests."""

# SPDX-License-Identifier: GPL-2.0
"""Boards: their device trees, as Debian ships them."""

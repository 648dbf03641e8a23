/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Counts instructions: the first counter of the processor's performance monitor, which an emulator
 * that counts instructions keeps exactly. One processor, and nobody else uses the monitor.
 */
#ifndef ALLOCLAB_COUNT_H
#define ALLOCLAB_COUNT_H

#include <linux/bits.h>

#include <asm/barrier.h>
#include <asm/sysreg.h>

#define EVENT_INST_RETIRED 0x08
#define FIRST_COUNTER BIT(0)
#define ENABLE BIT(0)

/* Lets programs read the counter, too. */
static inline void count_begin(void)
{
	write_sysreg(EVENT_INST_RETIRED, pmevtyper0_el0);
	write_sysreg(FIRST_COUNTER, pmcntenset_el0);
	write_sysreg(read_sysreg(pmcr_el0) | ENABLE, pmcr_el0);
	write_sysreg(ENABLE, pmuserenr_el0);
	isb();
}

/* Of 32 bits: differences are right across a wrap. */
static inline u32 count(void)
{
	isb();
	return read_sysreg(pmevcntr0_el0);
}

#endif

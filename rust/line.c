// SPDX-License-Identifier: GPL-2.0
/*
 * What the node of a device says of its first interrupt, as the interrupt core would read it. In C,
 * as the `kernel` crate knows neither interrupt domains nor deferred probes. Read by rust/line.rs.
 */
#include <linux/device.h>
#include <linux/irq.h>
#include <linux/irqdomain.h>
#include <linux/of.h>
#include <linux/of_irq.h>

static int translate(struct irq_domain *domain, struct irq_fwspec *fwspec, irq_hw_number_t *line,
		     unsigned int *trigger)
{
#ifdef CONFIG_IRQ_DOMAIN_HIERARCHY
	if (domain->ops->translate)
		return domain->ops->translate(domain, fwspec, line, trigger);
#endif
	if (domain->ops->xlate)
		return domain->ops->xlate(domain, to_of_node(fwspec->fwnode), fwspec->param,
					  fwspec->param_count, line, trigger);
	/* The core takes the first cell for the line, and no trigger: of two, it is the second. */
	*line = fwspec->param[0];
	if (fwspec->param_count == 2)
		*trigger = fwspec->param[1];
	return 0;
}

/*
 * Returns the trigger that the node asks for, of IRQ_TYPE_SENSE_MASK: none where it cannot be told.
 * `irq` becomes the number of the line, or 0 where it is not mapped.
 */
unsigned int alloclab_trigger_of_node(const struct device *dev, unsigned int *irq)
{
	unsigned int trigger = IRQ_TYPE_NONE;
	struct of_phandle_args args;
	struct irq_domain *domain;
	struct irq_fwspec fwspec;
	irq_hw_number_t line;

	*irq = 0;
	if (!dev->of_node || of_irq_parse_one(dev->of_node, 0, &args))
		return IRQ_TYPE_NONE;
	of_phandle_args_to_fwspec(args.np, args.args, args.args_count, &fwspec);

	domain = irq_find_matching_fwspec(&fwspec, DOMAIN_BUS_WIRED) ?:
		 irq_find_matching_fwspec(&fwspec, DOMAIN_BUS_ANY);
	if (domain && !translate(domain, &fwspec, &line, &trigger))
		*irq = irq_find_mapping(domain, line);
	else
		trigger = IRQ_TYPE_NONE;

	of_node_put(args.np);
	return trigger & IRQ_TYPE_SENSE_MASK;
}

/*
 * Says why the device's probe is deferred, in silence: for the kernel's list of deferred devices,
 * and for its log once it has waited long enough.
 */
void alloclab_wait_for_controller(const struct device *dev)
{
	struct of_phandle_args args;

	if (!dev->of_node || of_irq_parse_one(dev->of_node, 0, &args))
		return;
	dev_err_probe(dev, -EPROBE_DEFER, "interrupts: waits for the driver of %pOF\n", args.np);
	of_node_put(args.np);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * The button's interrupt line: what its node and the interrupt core say of it.
 */
#include <linux/device.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/irqdomain.h>
#include <linux/of.h>
#include <linux/of_irq.h>
#include <linux/platform_device.h>

#include "peer.h"

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

/* Returns the trigger that the node asks for; `irq` is its line, or 0 where that is not mapped. */
static unsigned int trigger_of_node(struct device *dev, unsigned int *irq)
{
	unsigned int trigger = IRQ_TYPE_NONE;
	struct of_phandle_args args;
	struct irq_domain *domain;
	struct irq_fwspec fwspec;
	irq_hw_number_t line;

	*irq = 0;
	if (of_irq_parse_one(dev->of_node, 0, &args))
		return IRQ_TYPE_NONE;
	of_phandle_args_to_fwspec(args.np, args.args, args.args_count, &fwspec);
	of_node_put(args.np);

	domain = irq_find_matching_fwspec(&fwspec, DOMAIN_BUS_WIRED) ?:
		 irq_find_matching_fwspec(&fwspec, DOMAIN_BUS_ANY);
	if (!domain || translate(domain, &fwspec, &line, &trigger))
		return IRQ_TYPE_NONE;
	*irq = irq_find_mapping(domain, line);
	return trigger & IRQ_TYPE_SENSE_MASK;
}

static const char *trigger_name(unsigned int trigger)
{
	switch (trigger) {
	case IRQ_TYPE_NONE:
		return "no trigger";
	case IRQ_TYPE_EDGE_RISING:
		return "rising edge";
	case IRQ_TYPE_EDGE_FALLING:
		return "falling edge";
	case IRQ_TYPE_EDGE_BOTH:
		return "both edges";
	case IRQ_TYPE_LEVEL_HIGH:
		return "high level";
	case IRQ_TYPE_LEVEL_LOW:
		return "low level";
	default:
		return "several triggers";
	}
}

static unsigned int known_trigger(unsigned int irq)
{
	return irq ? irq_get_trigger_type(irq) : IRQ_TYPE_NONE;
}

static bool is_one_edge(unsigned int trigger)
{
	return trigger == IRQ_TYPE_EDGE_RISING || trigger == IRQ_TYPE_EDGE_FALLING;
}

/* The property that names the interrupt, or NULL. */
static const char *property_of(struct device *dev)
{
	if (node_has(dev, "interrupts-extended"))
		return "interrupts-extended";
	return node_has(dev, "interrupts") ? "interrupts" : NULL;
}

/* Refuses a trigger that is not one edge, and a node that contradicts what its line has. */
static int check(struct device *dev, unsigned int asked, unsigned int irq)
{
	DECLARE_SEQ_BUF(value, WHY_BYTES);
	const char *property = property_of(dev) ?: "interrupts";
	unsigned int known = known_trigger(irq);

	if (asked != IRQ_TYPE_NONE && !is_one_edge(asked)) {
		node_show(dev, property, &value);
		dev_err(dev,
			"%s: %s is not valid (%s): allowed are a falling edge, 2, and a rising edge, 1\n",
			property, seq_buf_str(&value), trigger_name(asked));
		return -EINVAL;
	}
	if (known != IRQ_TYPE_NONE &&
	    (!is_one_edge(known) || (asked != IRQ_TYPE_NONE && asked != known))) {
		node_show(dev, property, &value);
		dev_err(dev,
			"%s: %s is not valid (the node says %s, irq %u has %s already): allowed is one edge, the same in both\n",
			property, seq_buf_str(&value), trigger_name(asked), irq,
			trigger_name(known));
		return -EINVAL;
	}
	return 0;
}

/* Logs what is wrong with an interrupt that cannot be looked up. */
static void refuse(struct device *dev, int err)
{
	DECLARE_SEQ_BUF(value, WHY_BYTES);
	DECLARE_SEQ_BUF(parent, WHY_BYTES);
	const char *property = property_of(dev);

	if (!property) {
		dev_err(dev,
			"interrupts: missing (%s): allowed is one, here or in interrupts-extended\n",
			error_name(err));
		return;
	}
	node_show(dev, property, &value);
	if (!strcmp(property, "interrupts-extended")) {
		dev_err(dev, "%s: %s is not valid (%s): allowed is one interrupt\n", property,
			seq_buf_str(&value), error_name(err));
		return;
	}
	if (node_has(dev, "interrupt-parent")) {
		seq_buf_puts(&parent, "interrupt-parent, ");
		node_show(dev, "interrupt-parent", &parent);
	} else {
		seq_buf_puts(&parent, "the parent");
	}
	dev_err(dev, "%s: %s is not valid (%s): allowed is one interrupt of %s\n", property,
		seq_buf_str(&value), error_name(err), seq_buf_str(&parent));
}

/* Says what a probe waits for that is deferred. */
static void wait_for_controller(struct device *dev)
{
	struct of_phandle_args args;

	if (of_irq_parse_one(dev->of_node, 0, &args))
		return;
	dev_err_probe(dev, -EPROBE_DEFER, "interrupts: waits for the driver of %pOF\n", args.np);
	of_node_put(args.np);
}

/*
 * Returns the interrupt of the device, 0 if it has no node, or an error, which is logged; `trigger`
 * is what to request: none where the interrupt core knows one.
 */
int line_find(struct platform_device *pdev, unsigned long *trigger)
{
	struct device *dev = &pdev->dev;
	unsigned int asked, mapped;
	int irq, err;

	if (!dev->of_node)
		return 0;
	asked = trigger_of_node(dev, &mapped);
	/* Before the look-up, which gives the line the node's trigger for every later user. */
	err = check(dev, asked, mapped);
	if (err)
		return err;

	irq = platform_get_irq_optional(pdev, 0);
	if (irq == -EPROBE_DEFER)
		wait_for_controller(dev);
	else if (irq < 0)
		refuse(dev, irq);
	if (irq < 0)
		return irq;
	err = check(dev, asked, irq);
	if (err)
		return err;

	*trigger = IRQF_TRIGGER_NONE;
	if (known_trigger(irq) == IRQ_TYPE_NONE)
		*trigger = asked == IRQ_TYPE_EDGE_RISING ? IRQF_TRIGGER_RISING :
							   IRQF_TRIGGER_FALLING;
	return irq;
}

bool line_is_nested(int irq)
{
	return irq_check_status_bit(irq, IRQ_NESTED_THREAD);
}
